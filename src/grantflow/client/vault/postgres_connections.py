"""Connections to PostgreSQL for the threads of one process: few, lent for one short piece of work, never waited for
without bound."""

import os
import selectors
import time
from collections.abc import Callable, Generator
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row, tuple_row

from grantflow.client.vault.holding import holding
from grantflow.protocol.secret import Secret

T = TypeVar("T")

#: The most that is waited for a connection; an address that names several servers has as much for each.
CONNECT_SECONDS: Final = 5
#: The most that a write waits for others. Theirs take milliseconds; who holds a row for seconds does not belong there,
#: and a person waits before a page that does not come.
LOCK_SECONDS: Final = 5.0
#: The most that one statement may take, and as long a transaction may do nothing (its process may have been stopped).
STATEMENT_SECONDS: Final = 10.0
#: When a server that does not say even that is given up.
ANSWER_SECONDS: Final = 12.0

_SESSION: Final = """
SET lock_timeout = {lock};
SET statement_timeout = {statement};
SET idle_in_transaction_session_timeout = {statement};
SET default_transaction_isolation = 'read committed';
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
"""
_ADDRESS_DEFAULTS: Final = {
    "client_encoding": "UTF8",
    "connect_timeout": str(CONNECT_SECONDS),
    "fallback_application_name": "grantflow",
    # A server that has gone without a word is noticed, and a standby is not taken for the primary.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "target_session_attrs": "read-write",
}


class ServerSilent(psycopg.OperationalError):
    """It did not answer in time; nobody knows what it is doing, so the connection is given up."""


class NoneFree(Exception):
    """All connections of this process are in use, and none came free in time."""


class Connection(psycopg.Connection[DictRow]):
    """Its statements end: by the server's clock, and where the server is silent, by ours."""

    answer_seconds: float | None = ANSWER_SECONDS
    was_silent = False

    @property
    def in_transaction(self) -> bool:
        """And ready to end it: not where a signal has come in the middle of a statement."""
        return self.pgconn.transaction_status in {pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR}

    def wait(self, gen: Generator[Any, Any, T], *rest: Any, **options: Any) -> T:
        try:
            return super().wait(_in_time(gen, seconds=self.answer_seconds), *rest, **options)
        except ServerSilent:
            self.was_silent = True
            self.close()
            raise


def connect(address: Secret) -> Connection:
    """Raises psycopg.Error; its words may be shown, with the password taken out."""
    given = make_conninfo("", **{**_ADDRESS_DEFAULTS, **conninfo_to_dict(address.reveal())})
    connection = Connection.connect(given, autocommit=True, row_factory=dict_row)
    try:
        lock, statement = round(LOCK_SECONDS * 1000), round(STATEMENT_SECONDS * 1000)
        connection.execute(_SESSION.format(lock=lock, statement=statement))
    except BaseException:
        connection.close()
        raise
    return connection


def connect_unhurried(address: Secret) -> Connection:
    """For an upgrade of the tables, which may take long where they are large; its rows can be asked by number."""
    connection = connect(address)
    connection.answer_seconds = None
    connection.execute("SET statement_timeout = 0")
    connection.row_factory = tuple_row  # type: ignore[assignment]
    return connection


class Connections:
    """At most `most` of them, in the process that made this."""

    def __init__(self, make: Callable[[], Connection], *, most: int) -> None:
        self.process = os.getpid()
        self._make = make
        self._idle: list[Connection] = []
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(most):
            self._free.put(None)
        self._closed = False

    def __del__(self) -> None:
        if self.process == os.getpid():
            self.close()

    @holding
    def lent(self) -> Generator[Connection, None, None]:
        """One for this thread; what breaks meanwhile is closed. Raises NoneFree."""
        place: list[None] = []
        try:
            self._get(place)
            connection = self._take()
            try:
                yield connection
            finally:
                self._put_back(connection)
        finally:
            for each in place:
                self._free.put(each)

    def _get(self, place: list[None]) -> None:
        """Put one of those that are free in there. No signal can come between, as it could where a variable is set
        (and a Semaphore would stay locked for ever if one raised inside of it)."""
        try:
            place.extend(map(self._free.get, (True,), (LOCK_SECONDS,)))
        except Empty:
            raise NoneFree from None

    def close(self) -> None:
        """Also those that are lent just now, as soon as they come back."""
        self._closed = True
        self._forget_idle()

    def _forget_idle(self) -> None:
        while (connection := self._pop()) is not None:
            connection.close()

    def _take(self) -> Connection:
        while (connection := self._pop()) is not None:
            if _is_living(connection):
                return connection
            connection.close()
        return self._make()

    def _put_back(self, connection: Connection) -> None:
        if connection.was_silent:
            self._forget_idle()  # the server is as silent on these
        in_order = not connection.closed and connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
        if in_order and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def _pop(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


def _is_living(connection: Connection) -> bool:
    """Nothing is said on an idle connection but that it ends: so a server that was restarted is noticed before a
    statement is sent to it, at the cost of a look."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection.pgconn.socket, selectors.EVENT_READ)
        return not selector.select(0)


def _in_time(generator: Generator[Any, Any, T], *, seconds: float | None) -> Generator[Any, Any, T]:
    """The same conversation with the server, ended where it takes longer."""
    until = None if seconds is None else time.monotonic() + seconds
    asked = next(generator)
    while True:
        ready = yield asked
        if not ready and until is not None and time.monotonic() > until:
            raise ServerSilent(f"no answer within {seconds:g} seconds")
        try:
            asked = generator.send(ready)
        except StopIteration as done:
            result: T = done.value
            return result
