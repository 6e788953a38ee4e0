"""The databases that a vault may lie in, so that one test shows its promise over each.

`@BOTH` on a test (or `pytestmark = BOTH` on a file) runs it once over SQLite and once over a real PostgreSQL, where it
takes the fixture `home` or anything made of it, such as `world`; without it they are on SQLite. Over PostgreSQL it is
marked as slow.
"""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from benchmarks.postgres import Postgres
from grantflow import KeyRing, open_vault
from grantflow.client.vault.postgres import _in_its_words
from grantflow.client.vault.sql_vault import SqlVault

BOTH = pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])

_NUMBERS = itertools.count(1)


class Home(Protocol):
    """Where the vault of a test lies, and the way past the vault to its rows, as another program has it."""

    @property
    def where(self) -> str: ...

    def open(self, keys: KeyRing) -> SqlVault: ...

    def another(self) -> "Home":
        """Beside it, for another vault."""

    def ask(self, statement: str, /, **parameters: Any) -> list[tuple[Any, ...]]:
        """Perform one statement with parameters as `:name`; the rows that it answers."""

    def locked(self) -> AbstractContextManager[None]:
        """Nobody else can write a grant."""


@dataclass(frozen=True)
class InFile:
    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    def open(self, keys: KeyRing) -> SqlVault:
        return open_vault(self.path, keys=keys)

    def another(self) -> "InFile":
        return InFile(self.path.with_name(f"{self.path.stem}-{next(_NUMBERS)}.db"))

    def ask(self, statement: str, /, **parameters: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement, parameters).fetchall()

    @contextmanager
    def locked(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield


@dataclass(frozen=True)
class OnServer:
    """In a schema of its own, which is made in milliseconds where a database takes a tenth of a second."""

    database: str
    schema: str

    @classmethod
    def new(cls, database: str) -> "OnServer":
        schema = f"vault_{next(_NUMBERS)}"
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
        return cls(database, schema)

    @property
    def where(self) -> str:
        return f"{self.database}?options=-csearch_path%3D{self.schema}"

    def open(self, keys: KeyRing) -> SqlVault:
        return open_vault(self.where, keys=keys)

    def another(self) -> "OnServer":
        return OnServer.new(self.database)

    def ask(self, statement: str, /, **parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.where, autocommit=True) as connection:
            asked = connection.execute(_in_its_words(statement), parameters)
            return asked.fetchall() if asked.description else []

    @contextmanager
    def locked(self) -> Iterator[None]:
        with psycopg.connect(self.where) as other:
            other.execute("LOCK TABLE grants, spent_states, standings IN SHARE MODE")
            yield
            other.rollback()


def home_on(engine: str, folder: Path, request: pytest.FixtureRequest) -> Home:
    if engine == "sqlite":
        return InFile(folder / "grants.db")
    server: Postgres = request.getfixturevalue("postgres")
    return OnServer.new(server.shared)
