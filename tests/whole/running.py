"""Commands of ours as anybody starts them: processes of their own, real sockets, free ports, a fresh folder."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.canary import record
from tests.parts import free_port

GRANTFLOW = Path(sys.executable).with_name("grantflow")


class OwnDatabase:
    """Looks into the platform's database while the platform runs, or lets time pass for a token."""

    folder: Path

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "platform.db", timeout=60, isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()

    def expire_access_tokens(self) -> None:
        self.sql("UPDATE access_tokens SET expires_at = 1")


@dataclass(frozen=True)
class Up(OwnDatabase):
    """What the one line of `grantflow up --json` says, and where its state lies."""

    folder: Path
    platform_url: str
    api_url: str
    portal_url: str
    integration_url: str
    people: list[dict[str, str]]
    app: dict[str, Any]

    @property
    def ada(self) -> dict[str, str]:
        return self.people[0]

    @property
    def grace(self) -> dict[str, str]:
        return self.people[1]

    def register(self, name: str, redirect_uri: str, *options: str, scopes: str | None = None) -> dict[str, Any]:
        """Another integration, by the command line, while the platform runs."""
        command = ["app", "add", name, "--redirect-uri", redirect_uri, "--scopes", scopes or self.app["scopes"]]
        added: dict[str, Any] = self.platform(*command, *options)
        return added

    def platform(self, *command: str) -> Any:
        """`grantflow platform ... --json` on the same folder."""
        return json_of("platform", *command, "--data", str(self.folder), "--json")


def environment() -> dict[str, str]:
    """Ours, without any setting of Grantflow's or a proxy's that would change what is tested."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GRANTFLOW_") and not name.lower().endswith("_proxy")
    }


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[str]
    said: Any
    """The one line of JSON on stdout."""
    errors: Path

    def stop(self, ending: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(ending)
        return self.process.wait(timeout=60)


@contextmanager
def running(folder: Path, *command: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A command that serves, with --json; ``folder`` is the data directory. Killed at the end if it still runs."""
    errors = folder.parent / f"{folder.name}.stderr"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [GRANTFLOW, *command, "--json", "--data", str(folder)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment() | dict(env or {}),
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"it said nothing and ended with {process.wait()}: {errors.read_text()}"
        record.learn_all(line, "what a command says")
        yield Running(process, json.loads(line), errors)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def grantflow(*command: str, stdin: str = "", check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [GRANTFLOW, *command],
        input=stdin,
        capture_output=True,
        text=True,
        check=check,
        timeout=180,
        env=environment() | env,
    )
    record.learn_all(ended.stdout, "what a command says")
    record.written(ended.stderr, f"stderr of grantflow {' '.join(command)}")
    return ended


def ended(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """However it ends."""
    return grantflow(*command, check=False, **env)


def json_of(*command: str) -> Any:
    """What a command with --json says."""
    return json.loads(grantflow(*command).stdout)


@contextmanager
def up(folder: Path, *options: str) -> Iterator[Up]:
    """Start it and wait for its line; at the end stop it as Ctrl-C does, and see that it ends."""
    ports = ("--port", str(free_port()), "--integration-port", str(free_port(and_next=True)))
    with running(folder, "up", *ports, *record.in_full(), *options) as started:
        try:
            yield Up(folder, **started.said)
        finally:
            started.stop()
