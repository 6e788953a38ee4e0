"""What can befall a platform's database while it runs. Each answers how to end it."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress

from grantflow.app import Storage
from grantflow.storage.sqlite import SqliteEngine


def fill(storage: Storage) -> Callable[[], object]:
    """The file may grow no further, and no page in it is free; answers how to end that."""
    assert isinstance(storage.engine, SqliteEngine)
    writer = storage.engine._writer
    writer.execute("PRAGMA max_page_count = 1")  # SQLite takes the size that the file has, if that is more
    with suppress(sqlite3.OperationalError):
        for number in range(10_000):
            writer.execute("INSERT INTO failures VALUES ('person', ?, '', 1, 0)", [f"{number:0100}"])
    return lambda: writer.execute("PRAGMA max_page_count = 1000000")


def hold(storage: Storage) -> Callable[[], object]:
    """Another connection holds the write lock, as another process would."""
    assert isinstance(storage.engine, SqliteEngine)
    other = sqlite3.connect(storage.engine._path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other.close


def write_protect(storage: Storage) -> Callable[[], object]:
    assert isinstance(storage.engine, SqliteEngine)
    writer = storage.engine._writer
    writer.execute("PRAGMA query_only = ON")
    return lambda: writer.execute("PRAGMA query_only = OFF")


TROUBLES = [fill, hold, write_protect]
