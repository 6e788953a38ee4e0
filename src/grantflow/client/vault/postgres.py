"""The vault in PostgreSQL, for any number of machines."""

import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any, Final

from grantflow.client.vault.holding import holding
from grantflow.client.vault.postgres_trouble import busy, is_trouble, not_opened, unavailable, wrong_encoding
from grantflow.client.vault.sql_vault import Parameters, Result, SqlVault, Transaction
from grantflow.migrations import POSTGRES, migrate, version_reached
from grantflow.protocol.secret import Secret
from grantflow.sealing import KeyRing

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    from grantflow.client.vault.postgres_connections import (
        Connection,
        Connections,
        NoneFree,
        connect,
        connect_unhurried,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "A vault in PostgreSQL needs psycopg, which is not there. Install it in a clone of Grantflow: "
        'pip install ".[postgres]"; beside the command line: pip install ".[server,postgres]"',
        name=error.name,
    ) from error

#: Connections of one process, at most. Each piece of work has one for a millisecond or two.
CONNECTIONS: Final = 8

#: What the database is to blame for, whatever its code.
_TROUBLE: Final = (psycopg.OperationalError, psycopg.InternalError)
_HOW_TO_WRITE_IT: Final = (
    "It is like postgresql://account:password@host:5432/name, and of account and password each character but letters, "
    "digits and -._~ is percent-encoded: @ as %40, / as %2F, % as %25."
)


class PostgresVault(SqlVault):
    """Keeps grants in the database at `address`, such as `postgresql://account:password@host:5432/name`.

    Without `keys` they come from the environment variable GRANTFLOW_KEY. What the address leaves out comes from where
    PostgreSQL's own programs have it: PGPASSWORD, ~/.pgpass, ... The password is in no message and no repr. The tables
    are made where they are not there, in the first schema of the account's search_path. Every write is on the
    server's disk when it returns. `connections`: how many this process has at most; they are made when they are needed.

    Safe to share between threads, and across a fork. A server that was away is found again by itself.

    Raises `MissingKey` or `MalformedKey` without a key, ValueError where the address is none, `WrongKey` where the
    vault was sealed under another key, `SchemaTooNew` where a newer Grantflow made the tables, `VaultNotOpened` where
    the server does not let us in, and from then on `VaultUnavailable` where it cannot be used: away, restarting, out of
    connections, out of disk, a standby, or silent for twelve seconds.
    """

    waits = True
    # The real time, where now() is that of the transaction's beginning, before it waited for a row.
    _clock = "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"
    _for_update = " FOR UPDATE"
    _skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, address: str | Secret, *, keys: KeyRing | None = None, connections: int = CONNECTIONS) -> None:
        self.keys = KeyRing.from_env() if keys is None else keys
        self._sealing = self.keys.derive("vault")
        self._address = address if isinstance(address, Secret) else Secret(address)
        self._place = place_of(self._address)
        self._most = connections
        self._inherited: list[Connections] = []
        self._connections = self._none_yet()
        try:
            self._prepare()
            self._check_keys()
            self._note_key()
        except BaseException:
            self.close()
            raise

    @property
    def place(self) -> str:
        return self._place

    def close(self) -> None:
        """Close its connections; a closed vault opens them again when it is used again."""
        connections = self._here()
        self._connections = self._none_yet()
        connections.close()

    # --- statements ---------------------------------------------------------------------------------------------

    def _rows(self, statement: str, parameters: Parameters) -> Sequence[Any]:
        if any(isinstance(value, str) and "\0" in value for value in parameters.values()):
            return ()  # its texts hold no NUL, and it would refuse the question: so nothing here is called that
        with self._lent() as connection:
            return connection.execute(_in_its_words(statement), parameters).fetchall()

    def _write(self, statement: str, parameters: Parameters) -> int:
        with self._lent(maybe_kept=True) as connection:
            return connection.execute(_in_its_words(statement), parameters).rowcount

    @holding
    def _transaction(self) -> Generator[Transaction, None, None]:
        with self._lent() as connection:
            connection.execute("BEGIN")
            try:
                yield _InTransaction(connection)
            except BaseException:
                if connection.in_transaction:  # else it is closed, which ends it as well
                    connection.execute("ROLLBACK")
                raise
            with self._told(connection, maybe_kept=True):
                connection.execute("COMMIT")

    def _queue(self, transaction: Transaction, what: str) -> None:
        transaction.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || :what, 0))", {"what": what}
        )

    # --- connections --------------------------------------------------------------------------------------------

    @holding
    def _lent(self, *, maybe_kept: bool = False) -> Generator[Connection, None, None]:
        connections = self._here()
        try:
            with (
                self._told(None),
                connections.lent() as connection,
                self._told(connection, maybe_kept=maybe_kept),
            ):
                yield connection
        except NoneFree:
            raise busy(self._place, connections=self._most) from None

    @contextmanager
    def _told(self, connection: Connection | None, *, maybe_kept: bool = False) -> Iterator[None]:
        """Raises VaultUnavailable where the database is in trouble; a mistaken statement or value stays what it is.

        `maybe_kept`: what was sent may have been done, where the connection broke before the answer came.
        """
        try:
            yield
        except psycopg.Error as error:
            if not isinstance(error, _TROUBLE) and not is_trouble(error.sqlstate):
                raise
            lost = connection is not None and connection.closed
            raise unavailable(
                self._place, code=error.sqlstate, reason=self._words_of(error), maybe_kept=maybe_kept and lost
            ) from error

    def _here(self) -> Connections:
        connections = self._connections
        if connections.process != os.getpid():
            # After a fork: the parent goes on using its connections, so they are only kept here, and never closed.
            self._inherited.append(connections)
            connections = self._connections = self._none_yet()
        return connections

    def _none_yet(self) -> Connections:
        return Connections(partial(connect, self._address), most=self._most)

    def _prepare(self) -> None:
        """Make or upgrade the tables, on a connection that has the time for it."""
        try:
            with closing(connect_unhurried(self._address)) as connection:
                encoding = connection.info.parameter_status("server_encoding")
                if encoding != "UTF8":
                    raise wrong_encoding(self._place, encoding)
                migrate(connection, files("grantflow.client.vault") / "sql" / "postgres", part="vault", engine=POSTGRES)
        except psycopg.Error as error:
            if not isinstance(error, _TROUBLE) and not is_trouble(error.sqlstate):
                raise
            raise not_opened(self._place, code=error.sqlstate, reason=self._words_of(error)) from error

    def _words_of(self, error: psycopg.Error) -> str:
        """What the server or the driver said, in one line and without the password, should it ever be in there."""
        words = " ".join((error.diag.message_primary or str(error)).split())
        password = conninfo_to_dict(self._address.reveal()).get("password")
        return words.replace(str(password), "***") if password else words


class _InTransaction:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Any = None, /) -> Result:
        return self._connection.execute(_in_its_words(statement), parameters)


@lru_cache
def _in_its_words(statement: str) -> str:
    """Parameters as the driver writes them."""
    return re.sub(r":([a-z]\w*)", r"%(\1)s", statement)


def _read(address: Secret) -> Mapping[str, str]:
    """Its parts. Raises ValueError, which does not quote it: the password is in it."""
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(address.reveal()).items()}
    except psycopg.ProgrammingError:
        raise ValueError(f"The address of the vault cannot be read. {_HOW_TO_WRITE_IT}") from None
    elsewhere = "".join(parts.get(name, "") for name in ("host", "port", "dbname"))
    if "@" in elsewhere or re.search(r"[^\d,]", parts.get("port", "")):
        raise ValueError(f"The address of the vault falls into the wrong parts. {_HOW_TO_WRITE_IT}")
    return parts


def is_begun(address: Secret) -> bool:
    """Whether there is a vault; none is made. Where the server does not let us look there may be one: who opens it is
    told what is wrong. Raises ValueError where the address cannot be read."""
    _read(address)
    try:
        with closing(connect_unhurried(address)) as connection:
            return version_reached(connection, part="vault", engine=POSTGRES) > 0
    except psycopg.Error:
        return True


def place_of(address: Secret) -> str:
    """The address as it may be shown. Raises ValueError where it cannot be read."""
    parts = _read(address)
    account = f"{parts['user']}@" if "user" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{account}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"
