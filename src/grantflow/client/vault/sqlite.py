"""The vault in one SQLite file, for all threads and processes of one machine."""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from grantflow.client.grant import Grant, GrantKey, Standing, Status, StoredGrant
from grantflow.client.vault.process import is_gone, this_process
from grantflow.client.vault.records import (
    CHANGING_COLUMNS,
    COLUMNS,
    read_grant,
    read_record,
    to_seconds,
    to_time,
    write_record,
)
from grantflow.client.vault.trouble import BUSY, DAMAGED, is_damage, not_opened, replaced, unavailable
from grantflow.database_file import DatabaseFile
from grantflow.migrations import migrate
from grantflow.sealing import KeyRing, Tampered, WrongKey

# SQLite reads the clock of the machine that all its users share; a fraction of a millisecond is exact enough.
_CLOCK: Final = "((julianday('now') - 2440587.5) * 86400.0)"
#: The most that one write waits for others. Their writes take milliseconds; who holds the file for seconds is a program
#: that does not belong there, and a person waits before a page that does not come.
_WAIT_FOR_LOCK_SECONDS: Final = 5.0
#: The same for a read, which may be on an event loop. It waits only while a crash of another process is repaired.
_WAIT_TO_READ_SECONDS: Final = 0.5

# Calls may be made on it.
_ALIVE: Final = "status IN ('ACTIVE', 'REFRESH_DELAYED')"

_INSERT: Final = f"INSERT INTO grants ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})"  # noqa: S608
_REPLACE: Final = (
    f"UPDATE grants SET {', '.join(f'{name} = :{name}' for name in CHANGING_COLUMNS)}, "  # noqa: S608
    "lease_until = CASE WHEN :holder IS NULL OR lease_holder = :holder THEN NULL ELSE lease_until END, "
    "lease_holder = CASE WHEN :holder IS NULL OR lease_holder = :holder THEN NULL ELSE lease_holder END "
    "WHERE id = :id AND generation = :read AND (NOT :only_holder OR lease_holder = :holder)"
)
_BY_KEY: Final = "SELECT * FROM grants WHERE integration = ? AND owner = ? AND person_id = ?"


@dataclass(slots=True)
class _Connections:
    """One connection reads and never waits, one writes; each is used by one thread at a time, briefly."""

    file: DatabaseFile
    reader: sqlite3.Connection
    writer: sqlite3.Connection
    reading: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    process: int = field(default_factory=os.getpid)
    spoiled: bool = False
    """They have met a damaged file, and SQLite remembers pages of it even after it was mended."""


class SqliteVault:
    """Keeps grants in `path`, made with mode 0600 where it is not there; tokens are sealed under `keys`.

    Without `keys` they come from the environment variable GRANTFLOW_KEY. Every write is on disk when it returns
    (`synchronous=FULL`). The file must lie on a local disk: SQLite's locks do not hold over network file systems.

    Raises `MissingKey` or `MalformedKey` without a key, `WrongKey` where the file was sealed under another,
    `SchemaTooNew` where a newer Grantflow wrote it, `VaultNotOpened` (an OSError) where it cannot be opened or made,
    and from then on `VaultUnavailable` where it cannot be used: locked for five seconds, full, read-only, damaged.
    """

    def __init__(self, path: str | os.PathLike[str], *, keys: KeyRing | None = None) -> None:
        if str(path) == ":memory:":
            raise ValueError("A vault in memory would forget every grant; give the path of a file.")
        self.keys = KeyRing.from_env() if keys is None else keys
        self._sealing = self.keys.derive("vault")
        self._path = Path(path).absolute()
        self._inherited: list[_Connections] = []
        self._connections: _Connections | None = self._open()
        try:
            self._check_keys()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"SqliteVault({str(self._path)!r}, keys={self.keys!r})"

    # --- reading ------------------------------------------------------------------------------------------------

    def find(self, key: GrantKey) -> StoredGrant | None:
        row = self._row(_BY_KEY, (key.integration, key.owner, key.person_id))
        return read_record(row, self._sealing) if row else None

    def grant(self, key: GrantKey) -> Grant | None:
        row = self._row(_BY_KEY, (key.integration, key.owner, key.person_id))
        return read_grant(row) if row else None

    def grant_by_id(self, grant_id: str) -> Grant | None:
        row = self._row("SELECT * FROM grants WHERE id = ?", (grant_id,))
        return read_grant(row) if row else None

    def generation(self, key: GrantKey) -> int | None:
        row = self._row(
            f"SELECT generation FROM grants WHERE integration = ? AND owner = ? AND person_id = ? AND {_ALIVE}",  # noqa: S608
            (key.integration, key.owner, key.person_id),
        )
        return row["generation"] if row else None

    def grants(self, integration: str, *, owner: str | None = None) -> list[Grant]:
        of_owner = "" if owner is None else "AND owner = :owner "
        statement = f"SELECT * FROM grants WHERE integration = :integration {of_owner}ORDER BY granted_at, id"  # noqa: S608
        rows = self._rows(statement, {"integration": integration, "owner": owner})
        return [read_grant(row) for row in rows]

    def has_granted(self, integration: str, *, person_id: str) -> bool:
        statement = f"SELECT 1 FROM grants WHERE integration = ? AND person_id = ? AND {_ALIVE} LIMIT 1"  # noqa: S608
        return self._row(statement, (integration, person_id)) is not None

    def lease_left(self, grant_id: str, *, holder: str) -> float:
        statement = f"SELECT lease_until - {_CLOCK} AS left FROM grants WHERE id = ? AND lease_holder = ?"  # noqa: S608
        row = self._row(statement, (grant_id, holder))
        return max(0.0, row["left"]) if row else 0.0

    def standing(self, integration: str, *, credentials: str) -> Standing:
        row = self._row("SELECT * FROM standings WHERE integration = ? AND credentials = ?", (integration, credentials))
        if row is None:
            return Standing()
        return Standing(
            refused_at=to_time(row["refused_at"]),
            retry_at=to_time(row["retry_at"]),
            failures=row["failures"],
            reason=row["reason"],
            succeeded_at=to_time(row["succeeded_at"]),
        )

    # --- writing ------------------------------------------------------------------------------------------------

    def enter(self, stored: StoredGrant) -> StoredGrant:
        key = stored.grant.key
        with self._transaction() as connection:
            row = connection.execute(_BY_KEY, (key.integration, key.owner, key.person_id)).fetchone()
            if row is None:
                connection.execute(_INSERT, write_record(stored, self._sealing))
                return stored
            was_revoked = row["status"] == Status.REVOKED
            grant_id = stored.grant.id if was_revoked else row["id"]
            kept = replace(stored, grant=replace(stored.grant, id=grant_id, generation=row["generation"] + 1))
            if was_revoked:
                connection.execute("DELETE FROM grants WHERE id = ?", (row["id"],))
                connection.execute(_INSERT, write_record(kept, self._sealing))
                return kept
            connection.execute(_REPLACE, {**write_record(kept, self._sealing), **_over(row["generation"])})
            return kept

    def take_lease(self, grant_id: str, *, generation: int, holder: str, seconds: float) -> StoredGrant | None:
        with self._transaction() as connection:
            row = connection.execute(
                f"SELECT *, lease_until > {_CLOCK} AS held FROM grants "  # noqa: S608
                f"WHERE id = ? AND generation = ? AND {_ALIVE}",
                (grant_id, generation),
            ).fetchone()
            if row is None or (row["held"] and not is_gone(row["lease_process"])):
                return None
            connection.execute(
                f"UPDATE grants SET lease_holder = ?, lease_process = ?, lease_until = {_CLOCK} + ?, "  # noqa: S608
                f"unanswered_since = COALESCE(unanswered_since, {_CLOCK}) WHERE id = ?",
                (holder, this_process(), seconds, grant_id),
            )
        return read_record(row, self._sealing)

    def release(self, grant_id: str, *, holder: str, unanswered_since: datetime | None) -> None:
        self._write(
            "UPDATE grants SET lease_holder = NULL, lease_until = NULL, unanswered_since = ? "
            "WHERE id = ? AND lease_holder = ?",
            (to_seconds(unanswered_since), grant_id, holder),
        )

    def save(
        self, stored: StoredGrant, *, generation: int, holder: str | None = None, only_holder: bool = False
    ) -> bool:
        expected = _over(generation, holder=holder, only_holder=only_holder)
        return self._write(_REPLACE, {**write_record(stored, self._sealing), **expected}) == 1

    def spend(self, state_digest: bytes, *, now: datetime, until: datetime) -> bool:
        with self._transaction() as connection:
            connection.execute("DELETE FROM spent_states WHERE until < ?", (to_seconds(now),))
            inserted = connection.execute(
                "INSERT INTO spent_states (digest, until) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (state_digest, to_seconds(until)),
            )
            return inserted.rowcount == 1

    def set_standing(self, integration: str, *, credentials: str, standing: Standing) -> None:
        self._write(
            "INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                integration,
                credentials,
                to_seconds(standing.refused_at),
                to_seconds(standing.retry_at),
                standing.failures,
                standing.reason,
                to_seconds(standing.succeeded_at),
            ),
        )

    def forget_refused(self, *, before: datetime) -> None:
        self._write(
            "UPDATE grants SET tokens = NULL WHERE refused_at < ? AND tokens IS NOT NULL", (to_seconds(before),)
        )

    def close(self) -> None:
        """Close the file; a closed vault opens it again when it is used again."""
        open_here, self._connections = self._connections, None
        if open_here is not None and open_here.process == os.getpid():
            open_here.reader.close()
            open_here.writer.close()

    # --- connections --------------------------------------------------------------------------------------------

    def _open(self, *, again: bool = False) -> _Connections:
        """`again`: it was open before, so what is empty now is no new vault."""
        try:
            if not again:
                _make(self._path)
            _check_usable(self._path)
            size = self._path.stat().st_size
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
                reader = _connect(self._path, wait=_WAIT_TO_READ_SECONDS)
            except BaseException:
                writer.close()
                raise
            reader.execute("PRAGMA query_only = ON")
            return _Connections(file, reader, writer)

    def _here(self) -> _Connections:
        connections = self._connections
        if connections is None or connections.process != os.getpid():
            if connections is not None:
                # After a fork: SQLite forbids even closing what the parent opened, so it is only kept.
                self._inherited.append(connections)
            connections = self._connections = self._open()
        if not connections.file.is_in_place():
            raise replaced(self._path)
        if connections.spoiled:
            mended = self._open(again=True)
            self._inherited.append(connections)  # other threads may be using them
            connections = self._connections = mended
        return connections

    def _check_keys(self) -> None:
        row = self._row("SELECT * FROM grants WHERE tokens IS NOT NULL LIMIT 1", ())
        try:
            if row is not None:
                read_record(row, self._sealing)
        except WrongKey as error:
            raise WrongKey(error.key_id, known=error.known, vault=str(self._path)) from None
        except Tampered:
            return  # that record's own trouble, told to whoever needs it; all others are well

    def _row(self, statement: str, parameters: Any) -> sqlite3.Row | None:
        connections = self._here()
        with connections.reading, _told(self._path, connections):
            row: sqlite3.Row | None = connections.reader.execute(statement, parameters).fetchone()
            return row

    def _rows(self, statement: str, parameters: Any) -> Sequence[sqlite3.Row]:
        connections = self._here()
        with connections.reading, _told(self._path, connections):
            return connections.reader.execute(statement, parameters).fetchall()

    def _write(self, statement: str, parameters: Any) -> int:
        with self._writing() as connection:
            return connection.execute(statement, parameters).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # After some errors, a full disk among them, SQLite has rolled back already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The writing connection for one thread, which waits no longer for threads and processes together."""
        connections = self._here()
        until = time.monotonic() + _WAIT_FOR_LOCK_SECONDS
        if not connections.writing.acquire(timeout=_WAIT_FOR_LOCK_SECONDS):
            raise unavailable(self._path, code=BUSY, reason="others in this process wait for it too")
        try:
            with _told(self._path, connections):
                left = max(1, round((until - time.monotonic()) * 1000))
                connections.writer.execute(f"PRAGMA busy_timeout = {left}")
                yield connections.writer
        finally:
            connections.writing.release()


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


def _over(generation: int, *, holder: str | None = None, only_holder: bool = False) -> dict[str, object]:
    """What `_REPLACE` expects to find."""
    return {"read": generation, "holder": holder, "only_holder": only_holder}


def _make(path: Path) -> None:
    """Where it is not there. Here and not by SQLite, so that it is never readable for others, not even at first.

    One that is there must not be opened: with closing it, this process would give up every lock that it holds on it,
    those of another vault on the same file too, and whoever closes it elsewhere would take the log away from under
    them (sqlite.org/howtocorrupt.html, section 2.2).
    """
    with suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


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
