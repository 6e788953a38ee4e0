"""The migrator, on real SQLite files."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from grantflow.migrations import BrokenSchema, SchemaTooNew, migrate

FIRST = """
-- people; with a comment that holds a semicolon;
CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE renames (id TEXT NOT NULL, name TEXT NOT NULL);
"""
SECOND = """
CREATE TRIGGER remember AFTER UPDATE ON people
BEGIN
    INSERT INTO renames VALUES (old.id, old.name);
    SELECT 1;
END;
INSERT INTO people VALUES ('ada', 'Ada; Countess')
"""
SLOW = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 100000)
SELECT max(n) FROM numbers;
CREATE TABLE late (id TEXT);
"""
BROKEN = """
CREATE TABLE half (id TEXT);
CREATE TABLE half (id TEXT);
"""


def schema(folder: Path, *scripts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, script in enumerate(scripts, start=1):
        (folder / f"{number:04}_step.sql").write_text(script)
    return folder


opened: list[sqlite3.Connection] = []


@pytest.fixture(autouse=True)
def all_closed() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def database(path: Path) -> sqlite3.Connection:
    opened.append(sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False))
    return opened[-1]


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_an_empty_database_is_brought_to_the_newest_version(tmp_path: Path) -> None:
    connection = database(tmp_path / "a.db")
    assert migrate(connection, schema(tmp_path / "sql", FIRST, SECOND), part="vault") == 2
    connection.execute("UPDATE people SET name = 'Ada' WHERE id = 'ada'")
    assert connection.execute("SELECT name FROM renames").fetchall() == [("Ada; Countess",)]


def test_migrating_again_applies_nothing_twice(tmp_path: Path) -> None:
    files = schema(tmp_path / "sql", FIRST, SECOND)
    for _ in range(3):
        connection = database(tmp_path / "a.db")
        assert migrate(connection, files, part="vault") == 2
        connection.close()


def test_a_database_of_an_earlier_version_gets_only_what_it_lacks(tmp_path: Path) -> None:
    connection = database(tmp_path / "a.db")
    migrate(connection, schema(tmp_path / "sql", FIRST), part="vault")
    connection.execute("INSERT INTO people VALUES ('grace', 'Grace')")
    assert migrate(connection, schema(tmp_path / "sql", FIRST, SECOND), part="vault") == 2
    assert connection.execute("SELECT count(*) FROM people").fetchone() == (2,)


def test_a_newer_database_is_refused_untouched_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    connection = database(tmp_path / "a.db")
    migrate(connection, schema(tmp_path / "newer", FIRST, SECOND), part="vault")
    with pytest.raises(SchemaTooNew, match=r"version 2 of the vault schema.*up to 1.*Upgrade this"):
        migrate(connection, schema(tmp_path / "older", FIRST), part="vault")
    assert not connection.in_transaction


def test_a_failing_file_leaves_the_version_it_began_with(tmp_path: Path) -> None:
    connection = database(tmp_path / "a.db")
    migrate(connection, schema(tmp_path / "sql", FIRST), part="vault")
    with pytest.raises(sqlite3.OperationalError, match="half"):
        migrate(connection, schema(tmp_path / "sql", FIRST, SECOND, BROKEN), part="vault")
    assert "half" not in tables(connection)
    assert connection.execute("SELECT count(*) FROM people").fetchone() == (0,)
    assert connection.execute("SELECT version FROM grantflow_schema").fetchone() == (1,)


def test_two_parts_count_their_versions_apart_in_one_database(tmp_path: Path) -> None:
    connection = database(tmp_path / "a.db")
    migrate(connection, schema(tmp_path / "vault", FIRST, SECOND), part="vault")
    platform = schema(tmp_path / "platform", "CREATE TABLE apps (id TEXT);")
    assert migrate(connection, platform, part="platform") == 1
    assert "apps" in tables(connection)


@pytest.mark.parametrize("names", [["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "0001_b.sql"], ["a.sql"], []])
def test_a_gap_in_the_numbers_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(BrokenSchema, match="without a gap"):
        migrate(database(tmp_path / "a.db"), tmp_path, part="vault")


def test_of_many_that_start_at_once_one_migrates_and_the_others_find_it_done(tmp_path: Path) -> None:
    migrate(database(tmp_path / "a.db"), schema(tmp_path / "sql", FIRST), part="vault")
    files = schema(tmp_path / "sql", FIRST, SLOW)
    start = threading.Barrier(16)
    reached: list[int] = []

    def open_and_migrate() -> None:
        connection = database(tmp_path / "a.db")
        start.wait()
        reached.append(migrate(connection, files, part="vault"))
        connection.close()

    threads = [threading.Thread(target=open_and_migrate) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reached == [2] * 16
