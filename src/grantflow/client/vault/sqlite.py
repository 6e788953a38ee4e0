"""The vault in one SQLite file, for all threads and processes of one machine."""

import errno
import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from shlex import quote
from typing import Final

from grantflow.client.errors import VaultNotOpened
from grantflow.client.vault.forks import close_before_forks, opening
from grantflow.client.vault.holding import holding
from grantflow.client.vault.places import refuse_address
from grantflow.client.vault.sql_vault import Parameters, SqlVault, Transaction
from grantflow.client.vault.trouble import (
    BUSY,
    DAMAGED,
    KEEP_THE_LOG,
    is_damage,
    log_left_alone,
    not_opened,
    replaced,
    unavailable,
)
from grantflow.database_file import DatabaseFile
from grantflow.migrations import migrate
from grantflow.sealing import KeyRing

log = logging.getLogger("grantflow.vault")

#: The most that one write waits for others. Their writes take milliseconds; who holds the file for seconds is a program
#: that does not belong there, and a person waits before a page that does not come.
_WAIT_FOR_LOCK_SECONDS: Final = 5.0
#: The same for a read, which may be on an event loop. It waits only while a crash of another process is repaired.
_WAIT_TO_READ_SECONDS: Final = 0.5
#: Between two tries to begin a write.
_TRY_AGAIN_AFTER_SECONDS: Final = 0.002


@dataclass(slots=True)
class _Connections:
    """One reads and never waits, one reads what takes long, one writes; each is used by one thread at a time.

    The locks know whose they are: see `_lock`, and a signal handler that reads in the middle of a read does not hang.
    """

    file: DatabaseFile
    reader: sqlite3.Connection
    scanner: sqlite3.Connection
    writer: sqlite3.Connection
    reading: threading.RLock = field(default_factory=threading.RLock)
    scanning: threading.RLock = field(default_factory=threading.RLock)
    writing: threading.RLock = field(default_factory=threading.RLock)
    process: int = field(default_factory=os.getpid)
    closed: bool = False
    spoiled: bool = False
    """They have met a damaged file, and SQLite remembers pages of it even after it was mended."""


class SqliteVault(SqlVault):
    """Keeps grants in `path`, made with mode 0600 where it is not there; tokens are sealed under `keys`.

    Without `keys` they come from the environment variable GRANTFLOW_KEY. Every write is on disk when it returns
    (`synchronous=FULL`). The file must lie on a local disk: SQLite's locks do not hold over network file systems.
    Before a fork that Python knows of it is closed; parent and child open it anew.

    Raises ValueError where `path` looks like an address, `MissingKey` or `MalformedKey` without a key, `WrongKey` where
    the file was sealed under another, `SchemaTooNew` where a newer Grantflow wrote it, `VaultNotOpened` (an OSError)
    where it cannot be opened or made, and from then on `VaultUnavailable` where it cannot be used: locked for five
    seconds, full, read-only, damaged.
    """

    waits = False
    _on_one_machine = True
    # SQLite reads the clock of the process that asks; a fraction of a millisecond is exact enough.
    _clock = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(self, path: str | os.PathLike[str], *, keys: KeyRing | None = None) -> None:
        if str(path) == ":memory:":
            raise ValueError("A vault in memory would forget every grant; give the path of a file.")
        refuse_address(path)
        self.keys = KeyRing.from_env() if keys is None else keys
        self._sealing = self.keys.derive("vault")
        self._path = Path(path).absolute()
        self._inherited: list[_Connections] = []
        with opening:
            self._connections: _Connections | None = self._open()
            close_before_forks(self)
        try:
            self._check_keys()
            self._note_key()
        except BaseException:
            self.close()
            raise

    @property
    def place(self) -> str:
        return str(self._path)

    def close(self) -> None:
        """Close the file; a closed vault opens it again when it is used again."""
        with opening:
            if self._connections is not None and self._connections.process == os.getpid():
                _close(self._connections, wait=_WAIT_FOR_LOCK_SECONDS)
            self._connections = None  # last, so that who is interrupted by a signal can do it again

    # --- connections --------------------------------------------------------------------------------------------

    def _open(self, *, again: bool = False) -> _Connections:
        """`again`: it was open before, so what is empty now is no new vault."""
        try:
            if not again:
                if (lost := log_left_alone(self._path)) is not None:
                    raise VaultNotOpened(f"{lost} {KEEP_THE_LOG}", retry_after=60.0)
                _make(self._path)
            _check_usable(self._path)
            if not again:
                _warn_of_others(self._path)
            size = self._path.stat().st_size
        except VaultNotOpened:
            raise
        except OSError as error:
            raise not_opened(self._path, error) from error
        if again and size == 0:
            raise unavailable(self._path, code=DAMAGED, reason="it is empty")
        file = DatabaseFile(self._path)
        with _told(self._path):
            writer = _connect(self._path, wait=_WAIT_FOR_LOCK_SECONDS)
            try:
                _switch_to_write_ahead_log(writer)
                migrate(writer, files("grantflow.client.vault") / "sql" / "sqlite", part="vault")
                writer.execute("PRAGMA busy_timeout = 0")  # see _begin
                return _Connections(file, _connect_to_read(self._path), _connect_to_read(self._path), writer)
            except BaseException:
                writer.close()
                raise

    def _here(self) -> _Connections:
        connections = self._connections
        if connections is None or connections.closed or connections.process != os.getpid():
            connections = self._opened_here()
        if not connections.file.is_in_place():
            raise replaced(self._path)
        return self._opened_again(connections) if connections.spoiled else connections

    def _opened_here(self) -> _Connections:
        with opening:
            connections = self._connections
            inherited = connections is not None and connections.process != os.getpid()
            if connections is not None and not connections.closed and not inherited:
                return connections  # another thread was first
            if connections is not None and inherited:
                # After a fork that Python was not told of. SQLite forbids even closing what the parent opened.
                self._inherited.append(connections)
            connections = self._connections = self._open()
            return connections

    def _opened_again(self, spoiled: _Connections) -> _Connections:
        with opening:
            if self._connections is spoiled:
                self._connections = self._open(again=True)
                _close(spoiled, wait=0.0)
        return self._here()

    def _rows(self, statement: str, parameters: Parameters) -> Sequence[sqlite3.Row]:
        while True:
            connections = self._here()
            with connections.reading:
                if connections.closed:  # by another thread, while this one waited for the lock
                    continue
                with _told(self._path, connections):
                    return connections.reader.execute(statement, parameters).fetchall()

    def _rows_at_leisure(self, statement: str, parameters: Parameters) -> Sequence[sqlite3.Row]:
        """On another connection: the one that reads otherwise is every caller's."""
        while True:
            connections = self._here()
            with connections.scanning:
                if connections.closed:
                    continue
                with _told(self._path, connections):
                    return connections.scanner.execute(statement, parameters).fetchall()

    def _write(self, statement: str, parameters: Parameters) -> int:
        with self._transaction() as transaction:
            return transaction.execute(statement, parameters).rowcount

    @holding
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        """On the writing connection, for one thread, which waits no longer for threads and processes together."""
        until = time.monotonic() + _WAIT_FOR_LOCK_SECONDS
        connections = self._locked_for_writing()
        try:
            with _told(self._path, connections):
                _begin(connections.writer, until=until)
                yield connections.writer
                connections.writer.execute("COMMIT")
        finally:  # in no function of its own: a signal might raise before its first line
            try:
                # After some errors, a full disk among them, SQLite has rolled back already.
                if connections.writer.in_transaction:
                    connections.writer.execute("ROLLBACK")
            finally:
                try:
                    connections.writing.release()
                except RuntimeError:  # by another thread, which collects what a signal has left: it cannot
                    connections.closed = True  # so whoever comes next opens the file anew

    def _queue(self, transaction: Transaction, what: str) -> None:
        """Here one transaction writes at a time."""

    def _locked_for_writing(self) -> _Connections:
        while True:
            connections = self._here()
            if not _lock(connections.writing, wait=_WAIT_FOR_LOCK_SECONDS):
                raise unavailable(self._path, code=BUSY, reason="others in this process wait for it too")
            if not connections.closed and not connections.writer.in_transaction:
                return connections
            connections.writing.release()
            if not connections.closed:  # else another thread has closed it, while this one waited
                raise unavailable(self._path, code=BUSY, reason="this very thread is in the middle of a write")


def _lock(lock: threading.RLock, *, wait: float) -> bool:
    """A signal may raise in the very moment of getting it: then it is given back."""
    try:
        return lock.acquire(timeout=wait)
    except BaseException:
        with suppress(RuntimeError):  # it was not got
            lock.release()
        raise


def _close(connections: _Connections, *, wait: float) -> None:
    """What another thread is using for longer is closed when it is done: nobody else holds it then."""
    connections.closed = True
    for connection, lock in (
        (connections.reader, connections.reading),
        (connections.scanner, connections.scanning),
        (connections.writer, connections.writing),
    ):
        # Under its hands SQLite would free it, and the process would crash.
        if _lock(lock, wait=wait):
            try:
                with suppress(sqlite3.ProgrammingError):  # it is closed already, and this is the second try
                    if not connection.in_transaction:  # else it is this very thread's, and a signal handler closes it
                        connection.close()
            finally:
                lock.release()


@contextmanager
def _told(path: Path, connections: _Connections | None = None) -> Iterator[None]:
    """Raises VaultUnavailable where the file is in trouble; a mistaken statement or value stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) not in {sqlite3.DatabaseError, sqlite3.OperationalError, sqlite3.InternalError}:
            raise
        code = getattr(error, "sqlite_errorcode", None)
        if connections is not None and is_damage(code):
            connections.spoiled = True
        raise unavailable(path, code=code, reason=str(error)) from error


def _make(path: Path) -> None:
    """Where it is not there. Here and not by SQLite, so that it is never readable for others, not even at first.

    One that is there must not be opened: with closing it, this process would give up every lock that it holds on it,
    those of another vault on the same file too, and whoever closes it elsewhere would take the log away from under
    them (sqlite.org/howtocorrupt.html, section 2.2).
    """
    with suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _warn_of_others(path: Path) -> None:
    """A group may be meant to share it; everybody on the machine hardly. Not mended: that is for whoever made it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o007:
        log.warning(
            "%s may be read or written by everybody on this machine (mode %03o): the tokens in it are sealed, and can "
            "still be copied or destroyed. Make it yours alone: chmod 600 %s",
            path,
            mode,
            quote(str(path)),
        )


def _check_usable(path: Path) -> None:
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    as_who_acts = os.access in os.supports_effective_ids
    if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=as_who_acts):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _connect(path: Path, *, wait: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = _connect(path, wait=_WAIT_TO_READ_SECONDS)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _begin(connection: sqlite3.Connection, *, until: float) -> None:
    """SQLite itself tries ever less often, in the end ten times a second: among many processes that write all the time,
    who has waited longest would hardly ever come to it."""
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != BUSY or time.monotonic() > until:
                raise
        time.sleep(_TRY_AGAIN_AFTER_SECONDS)


def _switch_to_write_ahead_log(connection: sqlite3.Connection) -> None:
    # The switch needs the file alone and does not wait as other statements do; whoever comes second finds it done.
    until = time.monotonic() + _WAIT_FOR_LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            threading.Event().wait(0.05)
