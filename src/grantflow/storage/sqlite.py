"""The embedded engine: SQLite in WAL mode, on disk before the answer is sent.

Reads and writes run straight on the event loop, tens of microseconds each: from a thread, every statement of theirs
would wait for the interpreter's lock. All units of work that wait run one after another, each in a savepoint of its
own, and are committed together: one fsync serves them all. The commit is a thread's, and so is a unit that says it
takes long, for nobody on the event loop may wait for a disk. What is written meanwhile goes with the next commit.
"""

import asyncio
import contextlib
import logging
import math
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from grantflow.database_file import DatabaseFile
from grantflow.migrations import migrate
from grantflow.storage.engine import IntegrityError, Row, Statement, StorageReplaced, StorageUnavailable, T, Work

log = logging.getLogger("grantflow.storage")

#: How long the writer waits for another process's lock, and how long it sleeps between two looks, in seconds.
LOCK_TIMEOUT, LOOK_AGAIN = 10.0, 0.001
#: How long it still waits for that lock once it is being closed, in seconds.
LAST_WAIT = 1.0
#: Units of work that may wait before new ones are refused with 503.
QUEUE_LIMIT = 2_000
#: Units of work that share one commit at the most: bounds how long another process waits for the lock.
BATCH_LIMIT = 200
#: Pages after which what was committed is brought into the database file, and KiB of its pages that the writer keeps.
CHECKPOINT, CACHE = 4_000, 32 * 1024


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    is_long: bool
    future: asyncio.Future[Any]
    since: float
    has_begun: bool = False
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():  # the caller went away; the commit stands
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteEngine:
    """One database file. ``open`` migrates it to the schema that this Grantflow knows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = DatabaseFile(path)
        self._is_replaced = False
        self._writer = _connect(path)
        self._writer.execute("PRAGMA busy_timeout = 0")  # see _begin
        self._reader = _connect(path)
        self._reader.execute("PRAGMA busy_timeout = 0")  # it runs on the event loop, where nobody may wait for a lock
        self._reader.execute("PRAGMA query_only = ON")
        self._writer.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        self._writer.execute(f"PRAGMA cache_size = -{CACHE}")
        self._waiting: deque[_Job] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="grantflow-writer")
        self._closed, self._closed_at = False, math.inf

    @classmethod
    def open(cls, path: Path) -> "SqliteEngine":
        """Open or create the database, readable by its owner alone (0600).

        Raises:
            SchemaTooNew: the file was written by a newer Grantflow.
            StorageUnavailable: the file cannot be opened or is locked.
        """
        path.touch(mode=0o600, exist_ok=True)
        connection = _connect(path)
        try:
            migrate(connection, files("grantflow.storage") / "sql" / "sqlite", part="platform")
        finally:
            connection.close()
        return cls(path)

    async def read(self, statement: Statement) -> Sequence[Row]:
        self._check_open()
        try:
            return self._reader.execute(statement.sql, statement.values).fetchall()
        except sqlite3.DatabaseError as error:
            if not _is_trouble(error):
                raise
            raise StorageUnavailable(f"the database could not be read: {error}") from error

    async def write(self, work: Work[T], *, is_long: bool = False) -> T:
        self._check_open()
        _check_goes_on()
        if len(self._waiting) >= QUEUE_LIMIT:
            raise StorageUnavailable(f"{QUEUE_LIMIT} writes are waiting already")
        job = _Job(work, is_long, asyncio.get_running_loop().create_future(), time.monotonic())
        self._waiting.append(job)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_what_waits())
        result: T = await _outcome(job)
        return result

    async def close(self) -> None:
        """Finish what was accepted, then close. Later reads and writes are refused."""
        if self._closed:
            return
        self._closed = True
        self._closed_at = time.monotonic()
        if self._writing is not None:
            await asyncio.shield(self._writing)
        self._thread.shutdown()
        self._reader.close()
        self._writer.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageUnavailable(f"the database {self._path} was closed")
        was_replaced, self._is_replaced = self._is_replaced, not self._file.is_in_place()
        if self._is_replaced:
            replaced = StorageReplaced(self._path)
            if not was_replaced:
                log.error("%s", replaced)
            raise replaced

    # --- units of work -------------------------------------------------------------------------------------------

    async def _write_what_waits(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_LIMIT))]
                await self._write_together(batch)
        finally:
            self._writing = None

    async def _write_together(self, batch: list[_Job]) -> None:
        try:
            await self._begin(batch[0].since + LOCK_TIMEOUT)
            if any(job.is_long for job in batch):
                await self._in_thread(self._run_all, batch)
            else:
                self._run_all(batch)
            await self._in_thread(self._commit)
        except Exception as error:  # whatever it is, nobody may be left waiting, and the next batch begins anew
            if not isinstance(error, sqlite3.Error):
                log.exception("writing failed")
            self._roll_back()
            for job in batch:
                job.error = StorageUnavailable(f"the database did not take the write: {error}")
        for job in batch:
            job.settle()

    async def _begin(self, until: float) -> None:
        """Wait for the lock as others do. Left to itself SQLite looks the more seldom the longer it has waited, so that
        whoever comes last goes first, and of several busy processes one hardly gets a turn.
        """
        while True:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() > min(until, self._closed_at + LAST_WAIT):
                    raise
            await asyncio.sleep(LOOK_AGAIN)

    def _run_all(self, batch: Sequence[_Job]) -> None:
        for job in batch:
            if job.future.cancelled():
                continue
            job.has_begun = True
            self._writer.execute("SAVEPOINT unit")
            try:
                job.result = drive(self._writer, job.work)
            except BaseException as error:
                if _is_trouble(error):
                    raise
                self._writer.execute("ROLLBACK TO unit")
                job.error = error
            self._writer.execute("RELEASE unit")

    async def _in_thread(self, do: Callable[..., None], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, do, *arguments)

    def _commit(self) -> None:
        self._writer.execute("COMMIT")

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # it is in trouble already, and the next BEGIN will tell
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")


def _check_goes_on() -> None:
    """Whoever was cut off while a unit of theirs was under way has been told how that ended (`_outcome`), and may be
    in the middle of many: they begin no other. Raises CancelledError.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _outcome(job: _Job) -> Any:
    """Whoever is cut off before the unit has begun, has changed nothing. Afterwards it is too late: the commit is
    awaited, so that what was done is told, and written into logs.
    """
    try:
        return await asyncio.shield(job.future)
    except asyncio.CancelledError:
        if not job.has_begun:
            job.future.cancel()
            raise
    return await job.future


def drive(connection: sqlite3.Connection, work: Work[T]) -> T:
    """Run a unit of work statement by statement; the caller owns the transaction."""
    try:
        statement = next(work)
        while True:
            try:
                rows = connection.execute(statement.sql, statement.values).fetchall()
            except sqlite3.IntegrityError as error:
                statement = work.throw(_translated(error))
                continue
            statement = work.send(rows)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _translated(error: sqlite3.IntegrityError) -> IntegrityError:
    translated = IntegrityError(str(error))
    translated.__cause__ = error
    return translated


def _is_trouble(error: BaseException) -> bool:
    """Whether the database itself is in trouble (locked, full, gone, damaged), and not the statement wrong."""
    return (
        type(error) in (sqlite3.DatabaseError, sqlite3.OperationalError, sqlite3.InternalError)
        and getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR
    )


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise StorageUnavailable(f"the database {path} cannot be opened: {error}") from error
    return connection
