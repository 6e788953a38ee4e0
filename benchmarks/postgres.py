"""A PostgreSQL of this run's own: in a folder of its own, on loopback, with the defaults that Debian's packages have.

It does not run as root; as root it is run as the user ``postgres``, who owns its folder.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = "postgres"


class NoPostgres(Exception):
    """It is not here or does not start; the message says why."""


@dataclass(frozen=True, slots=True)
class Postgres:
    port: int
    process: int
    programs: Path

    def database(self, name: str) -> str:
        """Makes it; answers its address."""
        url = f"postgresql://{USER}@127.0.0.1:{self.port}"
        _run([str(self.programs / "psql"), f"{url}/postgres", "-qc", f"CREATE DATABASE {name}"])
        return f"{url}/{name}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="bench-pg-") as folder:
        data = Path(folder) / "data"
        if os.getuid() == 0:
            os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
        _run(_as_user([str(programs / "initdb"), "-D", str(data), "-U", USER, "--auth=trust", "-E", "UTF8"]))
        port = _free_port()
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder}
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # setpriv becomes postgres itself, so the process is the server and not a program before it.
        server = subprocess.Popen(
            _as_user([str(programs / "postgres"), "-D", str(data), *given]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(server, programs, port)
            yield Postgres(port, server.pid, programs)
        finally:
            server.terminate()
            server.wait(timeout=60)


def _programs() -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))
    if folders and (folders[-1] / "initdb").exists():
        return folders[-1]
    if found := shutil.which("initdb"):
        return Path(found).parent
    raise NoPostgres("PostgreSQL is missing: run ./dev bench as root on Debian, or install it")


def _as_user(command: Sequence[str]) -> list[str]:
    if os.getuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *command]


def _run(command: Sequence[str]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=120, check=False)
    if finished.returncode:
        raise NoPostgres(f"{command[0]} failed: {finished.stderr.strip()}")


def _wait(server: subprocess.Popen[bytes], programs: Path, port: int) -> None:
    until = time.monotonic() + 60
    asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(asked, check=False).returncode:
        if server.poll() is not None or time.monotonic() > until:
            raise NoPostgres("PostgreSQL did not start")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
