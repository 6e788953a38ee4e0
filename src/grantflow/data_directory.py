"""The data directory: what lies in it, readable by its owner alone, each file written whole or not at all.

::

    platform.db        the platform: people, integrations, grants, rooms
    form.key           binds the platform's forms to the browser they were shown in
    sandbox.json       what grantflow up made up: passwords, the sample integration's credentials and keys
    integration.db     the sample integration's grants, sealed
    vault-*.db         the grants of grantflow serve, sealed, a file for each client ID
    server-*.json      what the server of one's own integration says of itself, a file for each issuer
    tls/               the development certificates of grantflow serve --tls
    running.json       where everything answers, while grantflow up runs
    issuer             under which name a grantflow platform serve issues tokens, while it runs
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

VARIABLES = ("GRANTFLOW_PLATFORM_DATA", "GRANTFLOW_DATA")


class DirectoryInUse(Exception):
    """Another process serves from this directory."""


class BrokenFile(Exception):
    """A file here does not hold what we once wrote; the message names it and may be shown."""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    path: Path

    @classmethod
    def find(cls, named: Path | None = None, *, environ: Mapping[str, str] | None = None) -> "DataDirectory":
        """The one that was named, or that the environment names, or ``grantflow`` among the person's data (XDG)."""
        if named is not None:
            return cls(named.expanduser().absolute())
        environ = os.environ if environ is None else environ
        for variable in VARIABLES:
            if environ.get(variable):
                return cls(Path(environ[variable]).expanduser().absolute())
        return cls.default(environ)

    @classmethod
    def default(cls, environ: Mapping[str, str] | None = None) -> "DataDirectory":
        """The one of those who name none."""
        home = (os.environ if environ is None else environ).get("XDG_DATA_HOME") or Path.home() / ".local/share"
        return cls(Path(home) / "grantflow")

    def create(self) -> None:
        """Make it, for its owner alone, if it is not there yet."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def database(self) -> Path:
        return self.path / "platform.db"

    @property
    def sandbox(self) -> Path:
        return self.path / "sandbox.json"

    @property
    def vault(self) -> Path:
        return self.path / "integration.db"

    def vault_of(self, client_id: str) -> Path:
        """For one integration alone: each has a key of its own, and a file opens with one."""
        return self.path / f"vault-{sha256(client_id.encode()).hexdigest()[:12]}.db"

    def server_of(self, issuer: str) -> Path:
        return self.path / f"server-{sha256(issuer.encode()).hexdigest()[:12]}.json"

    @property
    def certificates(self) -> Path:
        return self.path / "tls"

    @property
    def running(self) -> Path:
        return self.path / "running.json"

    def form_key(self, *, mint: Callable[[int], bytes]) -> bytes:
        """32 random bytes, the same for every process over this directory."""
        path = self.path / "form.key"
        if not path.exists():
            write_private(path, mint(32).hex().encode(), only_if_missing=True)
        return bytes.fromhex(path.read_text(encoding="ascii"))

    @contextmanager
    def held(self, *, shared: bool = False) -> Iterator[None]:
        """Hold it while something serves from it: ``grantflow up`` alone, since two would change each other's redirect
        URIs, and a platform at another address would be another issuer; such platforms ``shared`` among themselves.

        Raises:
            DirectoryInUse: another one holds it.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        with open(os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600), "rb+") as lock:
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
            except OSError as error:
                raise DirectoryInUse(str(self.path)) from error
            yield

    @contextmanager
    def issuing(self, issuer: str) -> Iterator[str | None]:
        """Meanwhile tokens are issued from it under that name; yields the name under which another process does."""
        with open(os.open(self.path / "issuer", os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
            other = None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.truncate()
                file.write(issuer)
                file.flush()
                fcntl.flock(file, fcntl.LOCK_SH)
            except BlockingIOError:
                fcntl.flock(file, fcntl.LOCK_SH)  # whoever holds it alone is about to have written
                other = file.read()
            yield other if other != issuer else None

    def clear_running(self) -> None:
        """Take away what a ``grantflow up`` that was killed left of its secrets; for whoever holds the directory."""
        for left in (self.running, *self.path.glob(f".{self.running.name}.*")):
            left.unlink(missing_ok=True)

    def is_held(self) -> bool:
        """Whether ``grantflow up`` runs on it. To look makes nothing: nobody holds it who has not made its lock."""
        try:
            with open(self.path / "lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except BlockingIOError:
            return True
        return False


def read_json(path: Path) -> Any:
    """What the file holds; None where there is none. Raises BrokenFile where it holds no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise BrokenFile(f"{path} is damaged, it holds no JSON: {error}.") from error


def write_private(path: Path, content: bytes, *, only_if_missing: bool = False) -> None:
    """Write a file of mode 0600 in one step: whoever reads it meanwhile sees the old content or the new.

    With ``only_if_missing``, what another process wrote first stays.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if only_if_missing:
            _link_if_missing(draft, path)
        else:
            os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _link_if_missing(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
