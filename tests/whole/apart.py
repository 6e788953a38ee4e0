"""The roles apart, the developer portal too: each a process on a port of its own, over one data directory."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grantflow import Integration, KeyRing, SqliteVault
from tests.canary import record
from tests.parts import free_port
from tests.whole.running import GRANTFLOW, OwnDatabase, environment, grantflow, json_of

PLATFORM_ROLES = ("authorization-server", "resource-owner", "resource-server", "developer-portal")
ADA = {"email": "ada@example.com", "password": "a sentence of many words"}
SCOPES = "spark:people_read spark:rooms_read spark:rooms_write"


@dataclass(slots=True)
class Process:
    """One `grantflow ... --json`; `begin` returns once it answers, also after `kill`."""

    command: tuple[str, ...]
    env: dict[str, str]
    errors: Path
    running: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        with self.errors.open("a") as errors:
            self.running = subprocess.Popen(
                [str(GRANTFLOW), *self.command, "--json", *record.in_full()],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment() | self.env,
            )
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        assert line, f"it said nothing: {self.errors.read_text()}"

    def kill(self) -> None:
        """At once, as the machine's end would (SIGKILL)."""
        if self.running is None:
            return
        self.running.kill()
        self.running.wait(timeout=20)
        assert self.running.stdout is not None
        self.running.stdout.close()
        self.running = None


@dataclass
class Apart(OwnDatabase):
    folder: Path
    urls: dict[str, str]
    processes: dict[str, Process] = field(default_factory=dict)
    app: dict[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=KeyRing.new_key)

    @property
    def issuer(self) -> str:
        return f"{self.urls['authorization-server']}/v1"

    @property
    def api_url(self) -> str:
        return f"{self.urls['resource-server']}/v1"

    @property
    def settings_of_the_integration(self) -> dict[str, str]:
        return {
            "client_id": self.app["client_id"],
            "client_secret": self.app["client_secret"],
            "scopes": SCOPES,
            "redirect_uri": f"{self.urls['integration']}/oauth",
            "api_url": self.api_url,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/access_token",
            "revocation_url": f"{self.issuer}/revoke",
            "issuer": self.issuer,
        }

    def integration(self) -> Integration:
        """Another node of the integration: the library over the vault of the one that shows the pages."""
        vault = SqliteVault(self.folder / "vault.db", keys=KeyRing(self.key))
        return Integration(**self.settings_of_the_integration, vault=vault)  # type: ignore[arg-type]

    def register(self, name: str, redirect_uri: str, *options: str) -> dict[str, Any]:
        data = ("--data", str(self.folder), "--json")
        command = ("app", "add", name, "--redirect-uri", redirect_uri, "--scopes", SCOPES)
        added: dict[str, Any] = json_of("platform", *command, *options, *data)
        return added

    def begin_role(self, role: str, *options: str) -> None:
        others = [word for other in PLATFORM_ROLES if other != role for word in (f"--{other}-url", self.urls[other])]
        port = self.urls[role].rpartition(":")[2]
        command = ("platform", "serve", "--role", role, "--port", port, *others, "--data", str(self.folder), *options)
        self._begin(role, command, {})

    def begin_integration(self) -> None:
        env = {f"GRANTFLOW_{name.upper()}": value for name, value in self.settings_of_the_integration.items()}
        env |= {"GRANTFLOW_KEY": self.key, "GRANTFLOW_VAULT": str(self.folder / "vault.db")}
        port = self.urls["integration"].rpartition(":")[2]
        self._begin("integration", ("serve", "--host", "127.0.0.1", "--port", port, "--data", str(self.folder)), env)

    def _begin(self, name: str, command: tuple[str, ...], env: dict[str, str]) -> None:
        self.processes[name] = Process(command, env, self.folder.parent / f"{name}.stderr")
        self.processes[name].begin()


@contextmanager
def apart(folder: Path) -> Iterator[Apart]:
    """Ada, an integration, and the roles that make a platform, each a process; all are killed at the end."""
    urls = {role: f"http://127.0.0.1:{free_port()}" for role in PLATFORM_ROLES}
    urls["integration"] = f"http://127.0.0.1:{free_port()}"
    house = Apart(folder, urls)
    name, data = ("--name", "Ada Lovelace"), ("--data", str(folder))
    grantflow("platform", "person", "add", ADA["email"], *name, "--password-stdin", *data, stdin=ADA["password"])
    house.app = house.register("Apart", f"{urls['integration']}/oauth")
    try:
        for role in PLATFORM_ROLES:
            house.begin_role(role)
        house.begin_integration()
        yield house
    finally:
        for process in house.processes.values():
            process.kill()
