"""The embedded engine, on real files: what shares a commit, what stands apart, and what trouble looks like."""

import asyncio
import sqlite3
import stat
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from grantflow import database_file
from grantflow.migrations import SchemaTooNew
from grantflow.protocol.errors import TemporarilyUnavailable
from grantflow.storage import sqlite
from grantflow.storage.engine import IntegrityError, Row, Stale, Statement, StorageReplaced, StorageUnavailable, Work
from grantflow.storage.sqlite import SqliteEngine

ADD = "INSERT INTO people (id, email, display_name, org_id, created_at) VALUES (:id, :email, 'Ada', 'o', 0)"
COUNT = Statement("SELECT count(*) AS n FROM people")


def add(name: str) -> Work[str]:
    yield Statement(ADD, {"id": name, "email": f"{name}@sandbox.example"})
    return name


def query(sql: str) -> Work[Sequence[Row]]:
    return (yield Statement(sql))


async def count(engine: SqliteEngine) -> int:
    found: int = (await engine.read(COUNT))[0]["n"]
    return found


def run(path: Path, story: Callable[[SqliteEngine], Awaitable[None]]) -> None:
    async def play() -> None:
        engine = SqliteEngine.open(path / "platform.db")
        try:
            await story(engine)
        finally:
            await engine.close()

    asyncio.run(play())


class Held:
    """A long unit of work keeps the writer busy, so that what is written meanwhile waits and then goes together."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._busy, self._go = threading.Event(), threading.Event()
        self._task = asyncio.create_task(engine.write(self._work(), is_long=True))

    def _work(self) -> Work[None]:
        self._busy.set()
        self._go.wait(10)
        yield COUNT

    async def __aenter__(self) -> None:
        await asyncio.to_thread(self._busy.wait, 10)

    async def __aexit__(self, *_: object) -> None:
        self._go.set()
        await self._task


@contextmanager
def committing(engine: SqliteEngine) -> Iterator[tuple[threading.Event, threading.Event]]:
    """The next commit says that it has begun, and waits until it may go on."""
    begun, go = threading.Event(), threading.Event()

    def hold(statement: str) -> None:
        if statement == "COMMIT" and not begun.is_set():
            begun.set()
            go.wait(10)

    engine._writer.set_trace_callback(hold)
    try:
        yield begun, go
    finally:
        go.set()


# --- on disk before the answer -------------------------------------------------------------------------------------


def test_the_live_connection_syncs_each_commit_to_disk_and_keeps_foreign_keys(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1)):
            (row,) = await engine.write(query(f"PRAGMA {pragma}"))
            assert row[pragma] == value, pragma

    run(tmp_path, story)


def test_what_was_answered_is_read_at_once_here_and_by_another_process(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        other = sqlite3.connect(tmp_path / "platform.db")
        for n in range(1, 6):
            assert await engine.write(add(f"p{n}")) == f"p{n}"
            assert await count(engine) == n
            assert other.execute("SELECT count(*) FROM people").fetchone() == (n,)
        other.close()

    run(tmp_path, story)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        await engine.write(add("ada"))
        for file in await asyncio.to_thread(lambda: list(tmp_path.iterdir())):
            assert stat.S_IMODE((await asyncio.to_thread(file.stat)).st_mode) == 0o600, file.name

    run(tmp_path, story)


def test_units_that_wait_share_one_commit(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        statements: list[str] = []
        async with Held(engine):
            engine._writer.set_trace_callback(statements.append)
            writes = asyncio.gather(*(engine.write(add(f"p{n}")) for n in range(100)))
            await asyncio.sleep(0)
        assert await writes == [f"p{n}" for n in range(100)]
        assert statements.count("COMMIT") == 2, "the held unit's, and one for all hundred"
        assert await count(engine) == 100

    run(tmp_path, story)


# --- apart from one another ----------------------------------------------------------------------------------------


def test_a_unit_that_fails_undoes_itself_alone_among_those_it_shares_a_commit_with(tmp_path: Path) -> None:
    def half() -> Work[None]:
        yield from add("half")
        raise Stale

    def broken() -> Work[None]:
        yield from add("broken")
        yield Statement("SELECT nonsense FROM nowhere")

    async def story(engine: SqliteEngine) -> None:
        async with Held(engine):
            units: list[Work[object]] = [add("before"), half(), add("between"), broken(), add("before"), add("after")]
            writes = asyncio.gather(*(engine.write(unit) for unit in units), return_exceptions=True)
            await asyncio.sleep(0)
        outcomes = await writes
        assert [outcomes[n] for n in (0, 2, 5)] == ["before", "between", "after"]
        assert isinstance(outcomes[1], Stale)
        assert isinstance(outcomes[3], sqlite3.OperationalError), "a wrong statement is no trouble of the database"
        assert isinstance(outcomes[4], IntegrityError)
        rows = await engine.read(Statement("SELECT id FROM people ORDER BY id"))
        assert [row["id"] for row in rows] == ["after", "before", "between"]

    run(tmp_path, story)


def test_a_broken_constraint_is_thrown_into_the_unit_where_it_stood(tmp_path: Path) -> None:
    def twice() -> Work[str]:
        yield from add("ada")
        try:
            yield from add("ada")
        except IntegrityError as error:
            raise Stale from error
        return "unreachable"

    async def story(engine: SqliteEngine) -> None:
        with pytest.raises(Stale):
            await engine.write(twice())
        assert await count(engine) == 0

    run(tmp_path, story)


def test_a_long_unit_leaves_the_event_loop_free_and_a_short_one_runs_on_it(tmp_path: Path) -> None:
    ran_in: list[threading.Thread] = []

    def unit() -> Work[None]:
        ran_in.append(threading.current_thread())
        yield COUNT

    async def story(engine: SqliteEngine) -> None:
        await engine.write(unit())
        await engine.write(unit(), is_long=True)
        async with Held(engine), asyncio.timeout(5):
            assert await count(engine) == 0

    run(tmp_path, story)
    assert ran_in[0] is threading.main_thread() is not ran_in[1]


def test_the_commit_is_waited_for_in_a_thread_while_others_read_and_write(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        with committing(engine) as (begun, go):
            first = asyncio.create_task(engine.write(add("ada")))
            await asyncio.to_thread(begun.wait, 10)
            second = asyncio.create_task(engine.write(add("grace")))
            assert await count(engine) == 0, "what is not committed is not read"
            assert not first.done()
            go.set()
            assert [await first, await second] == ["ada", "grace"]

    run(tmp_path, story)


def test_who_is_cut_off_before_their_unit_began_has_changed_nothing(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        async with Held(engine):
            leaving = asyncio.create_task(engine.write(add("ada")))
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        await engine.write(add("grace"))
        assert await count(engine) == 1

    run(tmp_path, story)


def test_who_is_cut_off_while_the_commit_is_under_way_is_told_how_it_ended(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        with committing(engine) as (begun, go):
            leaving = asyncio.create_task(engine.write(add("ada")))
            await asyncio.to_thread(begun.wait, 10)
            leaving.cancel()
            await asyncio.sleep(0)
            go.set()
            assert await leaving == "ada"
        assert await count(engine) == 1

    run(tmp_path, story)


def test_who_is_cut_off_in_the_middle_of_several_units_begins_no_other(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        async def several() -> None:
            for name in ("ada", "grace", "edsger"):
                await engine.write(add(name))

        with committing(engine) as (begun, go):
            leaving = asyncio.create_task(several())
            await asyncio.to_thread(begun.wait, 10)
            leaving.cancel()
            await asyncio.sleep(0)
            go.set()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        assert await count(engine) == 1, "the unit that was under way is committed, and none was begun after it"
        await engine.write(add("barbara"))

    run(tmp_path, story)


def test_reading_does_not_wait_for_writing_and_cannot_write(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        other = sqlite3.connect(tmp_path / "platform.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(5):
            assert await count(engine) == 0
        other.close()
        (row,) = await engine.read(Statement("PRAGMA busy_timeout"))
        assert row["timeout"] == 0, "the event loop waits for no lock"
        with pytest.raises(StorageUnavailable, match="readonly"):
            await engine.read(Statement("DELETE FROM people"))

    run(tmp_path, story)


# --- trouble -------------------------------------------------------------------------------------------------------


def test_whoever_has_waited_long_for_the_lock_looks_as_often_as_who_came_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    pause = asyncio.sleep

    async def story(engine: SqliteEngine) -> None:
        other = sqlite3.connect(tmp_path / "platform.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        async def sleep(seconds: float) -> None:
            if threading.current_thread() is not threading.main_thread():
                await pause(seconds)  # in a loop that an earlier test left behind
                return
            slept.append(seconds)
            if len(slept) == 50:
                other.execute("ROLLBACK")
            await pause(0)

        monkeypatch.setattr("grantflow.storage.sqlite.asyncio.sleep", sleep)
        assert await engine.write(add("ada")) == "ada"
        other.close()

    run(tmp_path, story)
    assert slept == [sqlite.LOOK_AGAIN] * 50


def test_a_lock_that_is_not_given_back_is_unavailable_and_the_next_write_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.05)

    async def story(engine: SqliteEngine) -> None:
        other = sqlite3.connect(tmp_path / "platform.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        outcomes = await asyncio.gather(*(engine.write(add(f"p{n}")) for n in range(5)), return_exceptions=True)
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        assert "locked" in str(outcomes[0])
        other.execute("ROLLBACK")
        other.close()
        await engine.write(add("ada"))
        assert await count(engine) == 1

    run(tmp_path, story)


def test_a_lock_is_waited_for_so_long_by_each_write_and_not_by_each_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.5)
    monkeypatch.setattr(sqlite, "BATCH_LIMIT", 1)

    async def story(engine: SqliteEngine) -> None:
        other = sqlite3.connect(tmp_path / "platform.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(3):  # and not ten times as long as one of them
            writes = [engine.write(add(f"p{n}")) for n in range(10)]
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        other.close()

    run(tmp_path, story)


def test_who_closes_waits_for_a_lock_no_longer_than_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LAST_WAIT", 0.05)

    async def story(engine: SqliteEngine) -> None:
        other = sqlite3.connect(tmp_path / "platform.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(engine.write(add(f"p{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await engine.close()
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        other.close()

    run(tmp_path, story)


def test_a_full_queue_is_unavailable_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "QUEUE_LIMIT", 3)

    async def story(engine: SqliteEngine) -> None:
        async with Held(engine):
            waiting = asyncio.gather(*(engine.write(add(f"p{n}")) for n in range(3)))
            await asyncio.sleep(0)
            with pytest.raises(StorageUnavailable, match="3 writes are waiting"):
                await engine.write(add("one too many"))
        await waiting
        assert await count(engine) == 3

    run(tmp_path, story)


def test_a_full_disk_is_unavailable_keeps_nothing_and_heals(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        (pages,) = await engine.write(query("PRAGMA page_count"))
        engine._writer.execute(f"PRAGMA max_page_count = {pages['page_count']}")
        huge = "x" * 200_000
        async with Held(engine):
            units = [add("small"), add(huge), add("other")]
            writes = asyncio.gather(*(engine.write(unit) for unit in units), return_exceptions=True)
            await asyncio.sleep(0)
        outcomes = await writes
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        assert "full" in str(outcomes[0])
        assert await count(engine) == 0
        engine._writer.execute("PRAGMA max_page_count = 1000000")
        await engine.write(add(huge))
        assert await count(engine) == 1

    run(tmp_path, story)


def test_what_nobody_foresaw_leaves_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(engine: SqliteEngine) -> None:
        def fail() -> None:
            raise MemoryError

        with monkeypatch.context() as patched:
            patched.setattr(engine, "_commit", fail)
            outcomes = await asyncio.gather(*(engine.write(add(f"p{n}")) for n in range(3)), return_exceptions=True)
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        await engine.write(add("ada"))
        assert await count(engine) == 1

    run(tmp_path, story)


def test_a_closed_engine_finishes_what_it_took_and_refuses_the_rest(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        taken = [asyncio.create_task(engine.write(add(f"p{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        await engine.close()
        assert [await task for task in taken] == [f"p{n}" for n in range(20)]
        for refused in (engine.read(COUNT), engine.write(add("late"))):
            with pytest.raises(StorageUnavailable, match="closed"):
                await refused

    run(tmp_path, story)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "platform.db").write_text("this is no database, " * 100)
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        SqliteEngine.open(tmp_path / "platform.db")


def test_a_damaged_file_is_unavailable_and_no_crash(tmp_path: Path) -> None:
    async def fill(engine: SqliteEngine) -> None:
        await asyncio.gather(*(engine.write(add(f"p{n}")) for n in range(500)))

    async def story(engine: SqliteEngine) -> None:
        with pytest.raises(StorageUnavailable):
            await engine.read(Statement("SELECT * FROM people"))
        with pytest.raises(StorageUnavailable):
            await engine.write(query("UPDATE people SET display_name = 'x'"))

    run(tmp_path, fill)
    file = tmp_path / "platform.db"
    content = bytearray(file.read_bytes())
    for page in range(4096, len(content), 4096):
        if b"@sandbox.example" in content[page : page + 4096]:
            content[page : page + 8] = b"\xff" * 8
    file.write_bytes(content)
    run(tmp_path, story)


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_log_that_is_taken_away_while_it_is_open_takes_nothing_that_would_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool, linked: bool
) -> None:
    monkeypatch.setattr(database_file, "_BELIEVED", 0)
    log, kept = tmp_path / "platform.db-wal", tmp_path / "kept"
    if linked:
        (tmp_path / "elsewhere").mkdir()
        log = tmp_path / "elsewhere" / "real.db-wal"
        (tmp_path / "platform.db").symlink_to(tmp_path / "elsewhere" / "real.db")

    async def story(engine: SqliteEngine) -> None:
        await engine.write(add("ada"))
        log.rename(kept)
        if replaced:
            log.write_bytes(kept.read_bytes())
        for refused in (engine.read(COUNT), engine.write(add("grace"))):
            with pytest.raises(
                StorageReplaced, match=r"its log \(platform\.db-wal, beside it\) was removed or replaced"
            ):
                await refused
        kept.rename(log)
        await engine.write(add("grace"))
        assert await count(engine) == 2

    run(tmp_path, story)


def test_other_processes_that_come_and_go_take_no_log_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_file, "_BELIEVED", 0)
    program = """if True:
        import sqlite3, sys
        other = sqlite3.connect(sys.argv[1], isolation_level=None)
        other.execute("UPDATE people SET display_name = 'Grace'")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.execute("VACUUM")
        other.close()
    """

    async def story(engine: SqliteEngine) -> None:
        for name in ("ada", "grace"):
            await engine.write(add(name))
            other = await asyncio.create_subprocess_exec(sys.executable, "-c", program, tmp_path / "platform.db")
            assert await other.wait() == 0
            assert {row["display_name"] for row in await engine.write(query("SELECT * FROM people"))} == {"Grace"}
        assert await count(engine) == 2

    run(tmp_path, story)


def test_a_database_of_a_newer_grantflow_is_refused(tmp_path: Path) -> None:
    async def nothing(engine: SqliteEngine) -> None: ...

    run(tmp_path, nothing)
    connection = sqlite3.connect(tmp_path / "platform.db")
    connection.execute("UPDATE grantflow_schema SET version = 1000")
    connection.commit()
    connection.close()
    with pytest.raises(SchemaTooNew):
        SqliteEngine.open(tmp_path / "platform.db")


def test_unavailable_is_what_the_roles_answer_503_to() -> None:
    error = StorageUnavailable("the disk is full", retry_after=7)
    assert isinstance(error, TemporarilyUnavailable)
    assert (error.status, error.retry_after, error.reason) == (503, 7, "the disk is full")
    assert "disk" not in error.description, "what the other side is told names no internals"
