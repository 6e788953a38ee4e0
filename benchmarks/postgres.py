"""A PostgreSQL of this run's own: in a folder of its own, on loopback, with the defaults that Debian's packages have.

It does not run as root; as root it is run as the user ``postgres``, who owns its folder.
"""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

USER = "postgres"


class NoPostgres(Exception):
    """It is not here or does not start; the message says why."""


#: For tests, which need no disk: a server that loses its last writes when the machine goes down.
FOR_TESTS: Mapping[str, object] = {"fsync": "off", "full_page_writes": "off", "max_connections": 200}


class Postgres:
    """A server that runs; it can be stopped and started again, with all that it keeps."""

    def __init__(self, programs: Path, folder: Path, settings: Mapping[str, object]) -> None:
        self.programs = programs
        self.port = _free_port()
        self.folder = folder / "data"
        fixed = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": folder}
        self._settings = {**fixed, **settings}
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> int:
        assert self._server is not None
        return self._server.pid

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}"

    @cached_property
    def shared(self) -> str:
        """The address of a database for whoever takes a schema of their own in it."""
        return self.database("shared")

    def database(self, name: str) -> str:
        """Makes it; answers its address."""
        self.say(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"

    def say(self, statement: str) -> None:
        """As whom everything belongs to."""
        _run([str(self.programs / "psql"), f"{self.url}/postgres", "-qc", statement])

    def start(self) -> None:
        given = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        # setpriv becomes postgres itself, so the process is the server and not a program before it.
        self._server = subprocess.Popen(
            _as_user([str(self.programs / "postgres"), "-D", str(self.folder), *given]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait(self._server, self.programs, self.port)

    def stop(self) -> None:
        """At once: whoever is connected is cut off."""
        assert self._server is not None
        self._server.send_signal(signal.SIGINT)
        self._server.wait(timeout=60)


@contextmanager
def postgres_server(settings: Mapping[str, object] = MappingProxyType({})) -> Iterator[Postgres]:
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="bench-pg-") as name:
        folder = Path(name)
        if os.getuid() == 0:
            os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
        made = ["-D", str(folder / "data"), "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync"]
        _run(_as_user([str(programs / "initdb"), *made]))
        server = Postgres(programs, folder, settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()


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
    """Below those that the system gives to outgoing connections, of which any may be taken the next moment."""
    while True:
        port = random.randrange(11_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
