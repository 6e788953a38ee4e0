"""What a vault promises where a signal handler raises or uses it, where a process forks, and where threads
come at once, on real databases."""

import dis
import gc
import itertools
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from benchmarks.postgres import Postgres
from grantflow import PostgresVault, SqliteVault, VaultUnavailable
from grantflow.client.vault import forks, postgres_connections, sqlite
from grantflow.client.vault.sql_vault import SqlVault
from tests.client.test_together import Interruption, beside, interrupted_before
from tests.client.vault_records import KEYS, NOW, stored
from tests.engines import OnServer

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
listing = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists what a process has open")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

#: A second or so of SQLite's time.
LONG = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 4000000) SELECT max(n) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "grants.db"


@pytest.fixture
def vault(path: Path) -> Iterator[SqliteVault]:
    vault = SqliteVault(path, keys=KEYS)
    vault.enter(stored())
    yield vault
    vault.close()


def is_free(path: Path) -> bool:
    """Whether another program can write."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


# --- signals ---------------------------------------------------------------------------------------------------------


@contextmanager
def on_signal(handler: Callable[[], object]) -> Iterator[None]:
    """Done where `signal.raise_signal(SIGUSR1)` stands."""

    def handle(_: int, __: FrameType | None) -> None:
        handler()

    earlier = signal.signal(signal.SIGUSR1, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, earlier)


def may_come_from_a_signal(error: BaseException, *, within: str, but_in: str = "") -> bool:
    """Python looks for signals when a function begins, when one of C has returned, and when a loop begins anew."""
    found, traceback = False, error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename.endswith(within):
            steps = [each for each in dis.get_instructions(code) if each.offset < traceback.tb_lasti]
            found = code.co_name != but_in and steps[-1].opname in {"RESUME", "CALL", "JUMP_BACKWARD"}
        traceback = traceback.tb_next
    return found


def test_a_write_interrupted_in_the_moment_it_has_begun_leaves_the_file_free_while_the_exception_is_kept(
    vault: SqliteVault, path: Path
) -> None:
    """By whoever logs it, or holds it in a debugger. Where it is about to end, Python leaves a gap that is not ours."""
    for number in itertools.count(1):
        try:
            with interrupted_before(number, within="vault/holding.py"):
                vault.spend(b"%d" % number, now=NOW, until=NOW)
        except Interruption as kept:
            if may_come_from_a_signal(kept, within="vault/holding.py", but_in="__exit__"):
                assert is_free(path), f"interrupted before instruction {number}"
        else:
            break
        assert is_free(path), f"interrupted before instruction {number}, and the exception is gone"
    assert number > 20
    assert ThreadPoolExecutor(1).submit(vault.spend, b"another thread", now=NOW, until=NOW).result(timeout=30)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What Python collects would be interrupted instead, and it goes on then."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")  # that is enough to close it
def test_a_signal_handler_that_raises_wherever_it_may_takes_no_connection_to_a_server_from_the_others(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, uncollected: None
) -> None:
    """Nor while its exception is kept."""
    monkeypatch.setattr(postgres_connections, "LOCK_SECONDS", 0.2)
    vault = PostgresVault(OnServer.new(postgres.shared).where, keys=KEYS, connections=1)
    tried = 0
    for number in itertools.count(1):
        try:
            with interrupted_before(number, within="vault/postgres_connections.py"):
                vault.set_told("whatever")
        except Interruption as kept:
            if may_come_from_a_signal(kept, within="vault/postgres_connections.py"):
                tried += 1
                assert vault.find(stored().grant.key) is None, f"interrupted before instruction {number}"
            else:
                vault.close()
        else:
            break
    vault.close()
    assert tried > 20


@pytest.mark.slow
def test_a_signal_handler_that_raises_in_the_middle_of_a_statement_is_heard_and_takes_the_write_back(
    postgres: Postgres,
) -> None:
    home = OnServer.new(postgres.shared)

    def interrupt() -> None:
        raise Interruption

    def write(vault: SqlVault) -> None:
        with vault._transaction() as transaction:
            assert transaction.execute("UPDATE grants SET generation = 7").rowcount == 1
            transaction.execute("SELECT pg_sleep(20)")

    with closing(home.open(KEYS)) as vault, on_signal(interrupt):
        vault.enter(stored())
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        with pytest.raises(Interruption):
            write(vault)
        timer.join()
        assert vault.find(stored().grant.key) == stored()


def test_a_write_that_was_left_by_a_signal_and_is_collected_in_another_thread_holds_up_nobody(
    vault: SqliteVault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 0.5)
    left = [vault._transaction()]
    left[0].__enter__()
    with ThreadPoolExecutor(1) as other:
        other.submit(left.clear).result()
        assert is_free(path)
        assert other.submit(vault.spend, b"by it", now=NOW, until=NOW).result()
    assert vault.spend(b"by us", now=NOW, until=NOW)


def test_a_signal_handler_in_the_middle_of_a_write_reads_and_is_told_that_it_cannot_write(vault: SqliteVault) -> None:
    """What it wrote would be part of what it interrupts, or end it in the middle."""
    refused: list[VaultUnavailable] = []

    def use() -> None:
        assert vault.find(stored().grant.key) is not None
        with pytest.raises(VaultUnavailable, match="this very thread is in the middle of a write") as told:
            vault.spend(b"within", now=NOW, until=NOW)
        refused.append(told.value)

    with on_signal(use):
        with suppress(ZeroDivisionError), vault._transaction() as transaction:
            transaction.execute("DELETE FROM grants")
            signal.raise_signal(signal.SIGUSR1)
            transaction.execute("DELETE FROM events")
            raise ZeroDivisionError
        assert vault.find(stored().grant.key) == stored(), "it was taken back whole"
        with vault._transaction() as transaction:
            transaction.execute("DELETE FROM grants")
            signal.raise_signal(signal.SIGUSR1)
    assert vault.find(stored().grant.key) is None, "it was kept"
    assert [each.retry_after for each in refused] == [5, 5]
    assert vault.spend(b"after", now=NOW, until=NOW)


def test_a_signal_handler_in_the_middle_of_a_read_does_not_wait_for_itself(vault: SqliteVault) -> None:
    def read_twice() -> str:
        connections = vault._here()
        with connections.reading, connections.scanning:
            assert vault._rows_at_leisure("SELECT * FROM grants", {})
            return str(vault.find(stored().grant.key) == stored())

    assert beside(read_twice).result(10) == "True"


def test_a_signal_handler_that_closes_the_vault_in_the_middle_of_a_write_takes_nothing_from_it(
    vault: SqliteVault, path: Path
) -> None:
    with on_signal(vault.close), vault._transaction() as transaction:
        transaction.execute("DELETE FROM events")
        signal.raise_signal(signal.SIGUSR1)
        transaction.execute("DELETE FROM grants")
    assert is_free(path)
    assert vault.find(stored().grant.key) is None


def test_closing_that_is_interrupted_can_be_done_again(vault: SqliteVault, monkeypatch: pytest.MonkeyPatch) -> None:
    connections, real, times = vault._here(), sqlite._lock, itertools.count(1)

    def interrupted(lock: threading.RLock, *, wait: float) -> bool:
        if next(times) == 2:  # one is closed by then
            raise Interruption
        return real(lock, wait=wait)

    monkeypatch.setattr(sqlite, "_lock", interrupted)
    with pytest.raises(Interruption):
        vault.close()
    vault.close()
    vault.close()
    for connection in (connections.reader, connections.scanner, connections.writer):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    assert vault.find(stored().grant.key) == stored()


# --- forks -----------------------------------------------------------------------------------------------------------


def inherited_by_a_child(path: Path) -> list[str]:
    """The files of the vault that are open in a child that was just made."""
    hears, says = os.pipe()
    child = os.fork()
    if child == 0:
        names = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        os.write(says, "\n".join(name for name in names if name.startswith(str(path))).encode() + b"\n")
        os._exit(0)
    os.close(says)
    os.waitpid(child, 0)
    with os.fdopen(hears) as told:
        return [line for line in told.read().split("\n") if line]


@forking
@listing
def test_a_child_inherits_no_file_that_another_thread_reads_at_leisure(vault: SqliteVault, path: Path) -> None:
    """Its writes would be refused, or lost: SQLite would believe that it has the locks of that reading."""
    with ThreadPoolExecutor(1) as other:
        counted = other.submit(vault._rows_at_leisure, LONG, {})
        time.sleep(0.1)
        assert not counted.done()
        assert inherited_by_a_child(path) == []
        assert counted.result()[0][0] == 4_000_000


@forking
@listing
def test_a_child_inherits_no_file_that_another_thread_is_about_to_close(vault: SqliteVault, path: Path) -> None:
    with ThreadPoolExecutor(2) as others:
        counted = others.submit(vault._rows_at_leisure, LONG, {})
        time.sleep(0.1)
        closed = others.submit(vault.close)  # which waits for it
        time.sleep(0.1)
        assert not closed.done()
        assert inherited_by_a_child(path) == []
        assert counted.result()[0][0] == 4_000_000


def test_a_fork_that_is_interrupted_by_a_signal_handler_finds_every_file_closed_all_the_same(
    vault: SqliteVault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python forks whatever is raised by what it was told to do before."""
    close = sqlite._close

    def interrupted(*args: object, **options: object) -> None:
        monkeypatch.setattr(sqlite, "_close", close)
        raise Interruption

    with closing(SqliteVault(path.with_name("another.db"), keys=KEYS)) as another:
        monkeypatch.setattr(sqlite, "_close", interrupted)
        with pytest.raises(Interruption):
            forks._close_all()
        assert vault._connections is None
        assert another._connections is None
        forks._open_again()
        assert ThreadPoolExecutor(1).submit(vault.find, stored().grant.key).result(timeout=30) == stored()


def test_a_server_that_tells_python_of_a_fork_only_afterwards_is_served(vault: SqliteVault) -> None:
    forks._open_again()
    assert vault.find(stored().grant.key) == stored()


# --- threads that come at once ---------------------------------------------------------------------------------------


def close_it(vault: SqliteVault) -> int:
    vault.close()
    return 0


def fork_unknown_to_python(vault: SqliteVault) -> int:
    vault._here().process = -1
    return 1


def opened_by_eight(vault: SqliteVault, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Eight threads read at once, and all find it; how the file was opened meanwhile: again, or for the first time."""
    together, opened = threading.Barrier(8), []
    made = vault._open

    def counted(*, again: bool = False) -> sqlite._Connections:
        opened.append(again)
        time.sleep(0.05)
        return made(again=again)

    def find() -> object:
        together.wait()
        return vault.find(stored().grant.key)

    monkeypatch.setattr(vault, "_open", counted)
    with ThreadPoolExecutor(8) as threads:
        assert {each.result() == stored() for each in [threads.submit(find) for _ in range(8)]} == {True}
    return opened


@pytest.mark.parametrize(("before", "inherited"), [(close_it, 0), (fork_unknown_to_python, 1)])
def test_of_threads_that_come_first_at_once_one_opens_the_file_and_all_use_it(
    vault: SqliteVault, before: Callable[[SqliteVault], int], inherited: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert before(vault) == inherited
    assert opened_by_eight(vault, monkeypatch) == [False]
    assert len(vault._inherited) == inherited


def test_of_threads_that_meet_a_damaged_file_at_once_one_opens_it_again(
    vault: SqliteVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault._here().spoiled = True
    assert opened_by_eight(vault, monkeypatch) == [True]
