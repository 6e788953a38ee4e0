"""Brings a database's tables to the version that this Grantflow knows; shared by the vault and the platform.

A schema is a folder of numbered SQL files, one folder per engine: `0001_grants.sql`, `0002_audit.sql`, ...
Each `part` (the vault, the platform) counts its own version, so two parts may share one database.
The whole upgrade is one transaction under a lock: of many processes that start at once one migrates and the
others wait, then find nothing to do; a crash leaves the version it began with. Where there is nothing to do from the
first, nobody waits.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from grantflow.protocol.errors import GrantflowError

__all__ = ["POSTGRES", "SQLITE", "BrokenSchema", "Engine", "SchemaTooNew", "migrate", "version_reached"]


class Connection(Protocol):
    """What `sqlite3.Connection` and `psycopg.Connection` have in common; in autocommit mode."""

    def execute(self, statement: Any, parameters: Any = ..., /) -> Any: ...


class SchemaTooNew(GrantflowError, RuntimeError):
    """The database was written by a newer Grantflow than this one; nothing was touched."""

    code = "schema_too_new"


class BrokenSchema(RuntimeError):
    """The folder of SQL files is not numbered 1, 2, 3, ... without gaps: a packaging mistake."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What differs between databases: `known` answers with something where versions are kept already, `lock` opens
    the transaction that keeps other migrators out, `run` performs one SQL file inside it, `placeholder` stands for a
    parameter."""

    known: str
    lock: tuple[str, ...]
    run: Callable[[Connection, str], None]
    placeholder: str


def _run_statement_by_statement(connection: Connection, script: str) -> None:
    # sqlite3's executescript() commits first, which would give up the lock.
    for statement in _statements(script):
        connection.execute(statement)


def _run_whole(connection: Connection, script: str) -> None:
    connection.execute(script)


SQLITE = Engine(
    known="SELECT name FROM sqlite_master WHERE name = 'grantflow_schema'",
    lock=("BEGIN IMMEDIATE",),
    run=_run_statement_by_statement,
    placeholder="?",
)
#: The number of the lock is ours alone among all that use the database ("grantflow" in ASCII, as far as it fits).
POSTGRES = Engine(
    # Where it would be made: to another's, further down the search_path, this vault is not added.
    known="SELECT to_regclass(quote_ident(current_schema()) || '.grantflow_schema')",
    lock=("BEGIN ISOLATION LEVEL READ COMMITTED", f"SELECT pg_advisory_xact_lock({0x6772616E74666C6F})"),
    run=_run_whole,
    placeholder="%s",
)


def migrate(connection: Connection, files: Traversable, *, part: str, engine: Engine = SQLITE) -> int:
    """Apply the SQL files that this database has not seen yet, in order; return the version now reached.

    - `connection`: in autocommit mode (`sqlite3.connect(..., isolation_level=None)`), no transaction open; its rows can
      be asked by number. How long to wait for another migrator is its own busy timeout (`lock_timeout`).
    - `files`: the folder, e.g. `importlib.resources.files("grantflow.storage") / "sql" / "sqlite"`.
      A file's name begins with its number; a statement ends with `;` at the end of a line.
    - `part`: whose schema this is, e.g. `"vault"` or `"platform"`.

    Raises `SchemaTooNew` where the database is ahead of the files, `BrokenSchema` where a number is missing.
    """
    scripts = _numbered(files)
    if version_reached(connection, part=part, engine=engine) == len(scripts):
        return len(scripts)
    for statement in engine.lock:
        connection.execute(statement)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS grantflow_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL)"
        )
        found = _version(connection, part, engine=engine)
        if found > len(scripts):
            raise SchemaTooNew(_too_new(part, found=found, known=len(scripts)))
        for script in scripts[found:]:
            engine.run(connection, script.read_text(encoding="utf-8"))
        if found < len(scripts):
            _set_version(connection, part, version=len(scripts), engine=engine)
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, a full disk among them, SQLite has rolled back already, and a server that is gone has too:
        # to ask for it would hide the cause.
        if getattr(connection, "in_transaction", True) and not getattr(connection, "closed", False):
            connection.execute("ROLLBACK")
        raise
    return len(scripts)


def version_reached(connection: Connection, *, part: str, engine: Engine = SQLITE) -> int:
    """The one that `part` has in this database, 0 where nothing of it is there. Nothing is made."""
    return _version(connection, part, engine=engine) if _is_known(connection, engine) else 0


def _numbered(files: Traversable) -> list[Traversable]:
    scripts = sorted((file for file in files.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    numbers = [int(match[1]) if (match := re.match(r"(\d+)_", file.name)) else 0 for file in scripts]
    if not scripts or numbers != list(range(1, len(scripts) + 1)):
        raise BrokenSchema(
            f"The SQL files in {files} are numbered {numbers}, but must be 1, 2, 3, ... without a gap. "
            "Rename them, or reinstall Grantflow."
        )
    return scripts


def _is_known(connection: Connection, engine: Engine) -> bool:
    row = connection.execute(engine.known).fetchone()
    return row is not None and row[0] is not None


def _version(connection: Connection, part: str, *, engine: Engine) -> int:
    select = f"SELECT version FROM grantflow_schema WHERE part = {engine.placeholder}"  # noqa: S608
    row = connection.execute(select, (part,)).fetchone()
    return row[0] if row else 0


def _set_version(connection: Connection, part: str, *, version: int, engine: Engine) -> None:
    mark = engine.placeholder
    connection.execute(
        f"INSERT INTO grantflow_schema (part, version) VALUES ({mark}, {mark}) "  # noqa: S608
        "ON CONFLICT (part) DO UPDATE SET version = excluded.version",
        (part, version),
    )


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending


def _too_new(part: str, *, found: int, known: int) -> str:
    return (
        f"This database holds version {found} of the {part} schema; this Grantflow knows up to {known}: "
        "a newer one has written it. Upgrade this installation, or go back to a backup of before the upgrade."
    )
