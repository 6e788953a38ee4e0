"""A running `grantflow up`, as anybody starts it: a process of its own, real sockets, free ports, a fresh folder."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.canary import record

GRANTFLOW = Path(sys.executable).with_name("grantflow")


class OwnDatabase:
    """Looks into the platform's database while the platform runs, or lets time pass for a token."""

    folder: Path

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "platform.db", timeout=10, isolation_level=None)) as database:
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


def grantflow(*command: str, stdin: str = "", check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [GRANTFLOW, *command],
        input=stdin,
        capture_output=True,
        text=True,
        check=check,
        timeout=60,
        env=environment() | env,
    )
    record.learn_all(ended.stdout, "what a command says")
    record.written(ended.stderr, f"stderr of grantflow {' '.join(command)}")
    return ended


def json_of(*command: str) -> Any:
    """What a command with --json says."""
    return json.loads(grantflow(*command).stdout)


@contextmanager
def up(folder: Path, *options: str) -> Iterator[Up]:
    """Start it and wait for its line; at the end stop it as Ctrl-C does, and see that it ends well."""
    command = [
        str(GRANTFLOW),
        "up",
        "--json",
        "--port",
        "0",
        "--integration-port",
        "0",
        "--data",
        str(folder),
        *record.in_full(),
        *options,
    ]
    with (folder.parent / f"{folder.name}.stderr").open("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment())
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                errors.seek(0)
                raise AssertionError(f"grantflow up said nothing and ended with {process.wait()}: {errors.read()}")
            record.learn_all(line, "what grantflow up says")
            yield Up(folder, **json.loads(line))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
            assert process.stdout is not None
            process.stdout.close()
