"""What a vault promises of its file, on real SQLite files."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from grantflow import KeyRing, MissingKey, SqliteVault, VaultNotOpened, VaultUnavailable, database_file, open_vault
from grantflow.client import rules
from grantflow.client.vault import sqlite
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens
from tests.client.vault_records import ACCESS, KEYS, NOW, stored
from tests.parts import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "grants.db"


@pytest.fixture
def vault(path: Path) -> Iterator[SqliteVault]:
    vault = SqliteVault(path, keys=KEYS)
    yield vault
    vault.close()


def test_s106_no_token_is_readable_in_any_file_of_the_vault(vault: SqliteVault, path: Path) -> None:
    vault.enter(stored())
    vault.save(rules.renewed(stored(), Tokens(Secret(ACCESS + "2")), now=NOW), generation=1)
    files = [file.read_bytes() for file in path.parent.iterdir()]
    assert len(files) >= 2
    assert any(b"ada@example.org" in content for content in files)
    for content in files:
        assert b"MzA4ZGU2YzUtNDAxNS00" not in content
        assert b"ZDA4MzUyMWYtZmFmOS00" not in content


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_the_file_is_for_its_owner_alone_from_the_first_moment(vault: SqliteVault, path: Path) -> None:
    vault.enter(stored())
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_file_that_everybody_may_open_is_told_in_the_log_and_stays_as_it_was_made(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for mode, told in ((0o660, 0), (0o666, 1), (0o604, 2)):
        path.touch()
        path.chmod(mode)
        SqliteVault(path, keys=KeyRing(KeyRing.new_key())).close()
        assert caplog.text.count("Make it yours alone: chmod 600") == told
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.unlink()


def test_without_a_key_there_is_no_vault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRANTFLOW_KEY", raising=False)
    with pytest.raises(MissingKey, match="GRANTFLOW_KEY is not set"):
        SqliteVault(path)
    assert not path.exists()
    monkeypatch.setenv("GRANTFLOW_KEY", KeyRing.new_key())
    SqliteVault(path).close()


def test_a_vault_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="forget every grant"):
        SqliteVault(":memory:", keys=KEYS)


@pytest.mark.parametrize("make", [SqliteVault, open_vault])
@pytest.mark.parametrize(
    "where", ["mysql://ada:horse@host/db", "postgresq://ada:horse@host/db", "ada:horse@host", "password=horse"]
)
def test_what_looks_like_an_address_is_refused_unquoted_for_a_password_may_be_in_it(
    where: str, make: Callable[..., SqlVault], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (where, Path(where)):
        with pytest.raises(ValueError, match="no path of a file") as refused:
            make(given, keys=KEYS)
        assert "horse" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_sqlite_takes_no_address_of_a_postgresql_and_does_not_quote_it() -> None:
    with pytest.raises(ValueError, match="open_vault takes it") as refused:
        SqliteVault("postgresql://ada:horse@host/db", keys=KEYS)
    assert "horse" not in str(refused.value)


@pytest.mark.parametrize("name", ["grants.db", "a@b.db", "a b.db", "c:grants.db", "password.db", "x/y@z/g.db"])
def test_a_path_is_a_path_whatever_its_name_holds(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True, parents=True)
    SqliteVault(path, keys=KEYS).close()
    assert path.exists()


def test_every_write_is_on_disk_when_it_returns(vault: SqliteVault) -> None:
    writer = vault._here().writer
    assert writer.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_lookup_is_one_probe_of_an_index(vault: SqliteVault) -> None:
    plans = {
        "SELECT * FROM grants WHERE integration = 'C' AND owner = 'o' AND person_id = 'p'": "grants_by_key",
        "SELECT * FROM grants WHERE id = 'g'": "sqlite_autoindex_grants_1",
        "UPDATE grants SET tokens = NULL WHERE refused_at < 1 AND tokens IS NOT NULL": "grants_refused",
        "DELETE FROM spent_states WHERE until < 1": "spent_states_by_time",
    }
    for statement, index in plans.items():
        plan = vault._here().writer.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        assert len(plan) == 1
        assert f"INDEX {index} (" in plan[0]["detail"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_opens_the_file_for_itself(vault: SqliteVault) -> None:
    vault.enter(stored())
    child = os.fork()
    if child == 0:
        vault.enter(stored("grace"))
        own = vault._here().process == os.getpid()
        os._exit(0 if own and vault.find(stored().grant.key) == stored() else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert vault.find(stored("grace").grant.key) == stored("grace")


def test_a_process_that_opens_it_while_another_program_keeps_it_locked_can_read_at_once(
    vault: SqliteVault, path: Path
) -> None:
    vault.enter(stored())
    with locked(path), closing(SqliteVault(path, keys=KEYS)) as another:
        assert another.find(stored().grant.key) == stored()


#: What the parent does when the child has used the vault, and whether it has written to it.
_PARENTS = {"ends": ("os._exit(0)", False), "closes it": ("vault.close(); os.write(told, b'.'); os.wait()", True)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
@pytest.mark.parametrize(("parent", "written"), _PARENTS.values(), ids=_PARENTS)
def test_what_a_forked_process_writes_stays_though_its_parent_goes_and_others_come_and_go(
    path: Path, parent: str, written: bool
) -> None:
    """Who closes the file last takes its log away. Who is last, SQLite sees by locks, which no child inherits."""
    keys = KeyRing(key := KeyRing.new_key())
    program = f"""
import os, sys
from grantflow import SqliteVault
from tests.client.vault_records import stored
vault = SqliteVault({str(path)!r})
vault.find(stored().grant.key)
hears, told = os.pipe()
ready, begins = os.pipe()
if os.fork():
    os.read(ready, 1)
    {parent}
else:
    os.close(told)
    vault.find(stored().grant.key)
    if {written}:
        vault.enter(stored())
    os.write(begins, b".")
    os.read(hears, 1)  # until the parent has gone, or has closed it
    if not {written}:
        vault.enter(stored())
    print(flush=True)
    sys.stdin.readline()
    vault.enter(stored("grace"))
    os._exit(0)  # with no time to close
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"GRANTFLOW_KEY": key},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        with closing(SqliteVault(path, keys=keys)) as another:
            assert another.find(stored().grant.key) == stored()
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stdout.read() == "", "the child has ended"
    with closing(SqliteVault(path, keys=keys)) as another:
        assert another.find(stored("grace").grant.key) == stored("grace")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_forks_while_another_thread_writes_has_a_child_that_writes(vault: SqliteVault) -> None:
    over, under_way = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            vault.spend(number.to_bytes(4, "big"), now=NOW, until=NOW)
            number += 1
            under_way.set()
            time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert under_way.wait(30)
        for number in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                with suppress(BaseException):
                    os._exit(0 if vault.spend(b"child %d" % number, now=NOW, until=NOW) else 1)
                os._exit(2)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        over.set()
        thread.join()


class Interrupted(BaseException):
    pass


def test_who_is_interrupted_in_the_moment_of_getting_the_lock_leaves_it_to_the_next(vault: SqliteVault) -> None:
    """Python looks for signals when a function of C returns: then the lock is got, and nobody knows of it yet."""

    class Interrupting:
        def __init__(self) -> None:
            self._lock = threading.RLock()

        def acquire(self, timeout: float) -> bool:
            self._lock.acquire(timeout=timeout)
            raise Interrupted

        def release(self) -> None:
            self._lock.release()

    connections = vault._here()
    real, connections.writing = connections.writing, Interrupting()  # type: ignore[assignment]
    with pytest.raises(Interrupted):
        vault.enter(stored())
    got = ThreadPoolExecutor(1).submit(connections.writing._lock.acquire, timeout=0).result()  # type: ignore[attr-defined]
    assert got, "another thread gets it"
    connections.writing = real
    vault.enter(stored())


def test_the_repr_tells_the_path_and_no_key(vault: SqliteVault) -> None:
    assert "grants.db" in repr(vault)
    assert KEYS.key_id in repr(vault)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program has the file."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


def test_whoever_waits_for_a_locked_vault_is_told_in_time_however_many_wait(
    vault: SqliteVault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 0.5)
    vault.enter(stored())

    def write(number: int) -> float:
        begun = time.monotonic()
        with pytest.raises(VaultUnavailable, match=r"grants\.db cannot be used just now: another program") as caught:
            vault.spend(bytes([number]), now=NOW, until=NOW) if number % 2 else vault.release(
                "g", holder="h", unanswered_since=None
            )
        assert caught.value.retry_after == 5
        return time.monotonic() - begun

    with locked(path), ThreadPoolExecutor(8) as threads:
        assert max(threads.map(write, range(8))) < 3.5, "they wait side by side, not one after another"
        assert vault.find(stored().grant.key) == stored(), "reading waits for nobody"
    assert vault.spend(b"after", now=NOW, until=NOW)


@contextmanager
def writing_all_the_time(path: Path) -> Iterator[None]:
    """Another program, which leaves the file for a few milliseconds only between one write and the next."""
    over = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as other:
            while not over.is_set():
                other.execute("BEGIN IMMEDIATE")
                time.sleep(0.05)
                other.execute("COMMIT")
                time.sleep(0.004)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def test_whoever_waits_comes_to_it_beside_a_program_that_writes_all_the_time(
    vault: SqliteVault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 1.0)
    vault.enter(stored())
    with writing_all_the_time(path):
        for number in range(40):
            time.sleep(0.01)  # so that it has the file again
            assert vault.spend(bytes([number]), now=NOW, until=NOW)


def test_whoever_waits_for_a_write_of_this_process_that_hangs_is_told_too(
    vault: SqliteVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 0.2)
    writing = vault._here().writing
    with ThreadPoolExecutor(1) as other:
        other.submit(writing.acquire).result()
        with pytest.raises(VaultUnavailable, match="others in this process"):
            vault.release("g", holder="h", unanswered_since=None)
        other.submit(writing.release).result()


def fill_the_disk(vault: SqliteVault) -> None:
    writer = vault._here().writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")


def make_it_read_only(vault: SqliteVault) -> None:
    vault._here().writer.execute("PRAGMA query_only = ON")


def drop_a_table(vault: SqliteVault) -> None:
    vault._here().writer.execute("ALTER TABLE grants RENAME TO lost")


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        (fill_the_disk, "the disk is full"),
        (make_it_read_only, "it cannot be written"),
        (drop_a_table, "it is damaged, cut short"),
    ],
)
def test_a_vault_that_cannot_be_written_names_the_cause_and_what_to_do(
    vault: SqliteVault, harm: Callable[[SqliteVault], None], cause: str
) -> None:
    harm(vault)
    large = replace(stored(), access_token=Secret("x" * 100_000))
    with pytest.raises(VaultUnavailable, match=f"just now: {cause}.*Nothing was changed.*try again") as told:
        vault.enter(large)
    assert isinstance(told.value.__cause__, sqlite3.Error)
    assert told.value.__cause__.__context__ is None, "no rollback has hidden the cause"
    assert not vault._here().writer.in_transaction


def test_a_full_disk_is_not_hidden_by_a_rollback_that_sqlite_has_done_itself(vault: SqliteVault) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def fill() -> None:
        with vault._transaction() as connection:
            connection.execute("ROLLBACK")
            raise full

    with pytest.raises(VaultUnavailable, match="the disk is full"):
        fill()


@pytest.mark.parametrize("rest", [b"", b"SQLite format 3\x00 and no more", b"x" * 4096])
def test_a_vault_that_was_cut_short_or_overwritten_is_told_as_such(path: Path, rest: bytes) -> None:
    vault = SqliteVault(path, keys=KEYS)
    vault.enter(stored())
    if rest:
        vault.close()
        path.write_bytes(rest)
    else:
        vault._here().writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.truncate(path, 0)
    with pytest.raises(VaultUnavailable, match=r"damaged, cut short.*backup"):
        vault.find(stored().grant.key)
    vault.close()


@pytest.mark.parametrize("rest", [None, b""])
def test_no_file_is_made_anew_beside_the_log_of_one_that_is_lost(path: Path, rest: bytes | None) -> None:
    """SQLite would delete that, and with it what was written last."""
    log = path.with_name(f"{path.name}-wal")
    with closing(SqliteVault(path, keys=KEYS)) as vault:
        vault.enter(stored())
        written, whole = log.read_bytes(), path.read_bytes()
    log.write_bytes(written)
    path.unlink() if rest is None else path.write_bytes(rest)
    with pytest.raises(VaultNotOpened, match="Put back the very file that the log belongs to"):
        SqliteVault(path, keys=KEYS)
    assert path.exists() is (rest is not None)
    path.write_bytes(whole)
    with closing(SqliteVault(path, keys=KEYS)) as vault:
        assert vault.find(stored().grant.key) == stored()


@pytest.mark.slow
def test_a_damaged_page_does_not_use_up_the_files_that_a_process_may_have_open(vault: SqliteVault, path: Path) -> None:
    """Who reads it meets it at every call, and all others are well."""
    key = vault.enter(stored()).grant.key
    vault.close()
    with closing(sqlite3.connect(path)) as other:
        (page,) = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events_of_a_grant'").fetchone()
        (size,) = other.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    files = []
    for _ in range(20):
        with pytest.raises(VaultUnavailable, match="damaged"):
            vault.events(key)
        assert vault.find(key) is not None
        files.append(len(os.listdir("/dev/fd")))
    assert len(set(files)) == 1


def test_a_vault_that_is_taken_away_while_it_is_open_takes_nothing_that_would_be_lost(path: Path) -> None:
    vault = SqliteVault(path, keys=KEYS)
    path.rename(path.with_name("kept.db"))
    time.sleep(1.1)
    with pytest.raises(VaultUnavailable, match=r"removed or replaced.*backup"):
        vault.enter(stored())
    with pytest.raises(VaultUnavailable, match=r"removed or replaced.*backup"):
        vault.find(stored().grant.key)
    path.with_name("kept.db").rename(path)
    time.sleep(1.1)
    assert vault.enter(stored()) == vault.find(stored().grant.key)
    vault.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_vault_whose_log_is_taken_away_while_it_is_open_takes_nothing_that_would_be_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    monkeypatch.setattr(database_file, "_BELIEVED", 0)
    vault = SqliteVault(path, keys=KEYS)
    vault.enter(stored())
    log, kept = path.with_name("grants.db-wal"), path.with_name("kept")
    log.rename(kept)
    if replaced:
        log.write_bytes(kept.read_bytes())
    with pytest.raises(
        VaultUnavailable, match=r"its log \(grants\.db-wal, beside it\) was removed or replaced.*backup"
    ):
        vault.enter(stored("grace"))
    with pytest.raises(VaultUnavailable, match=r"removed or replaced.*backup"):
        vault.find(stored().grant.key)
    kept.rename(log)
    assert vault.enter(stored("grace")) == vault.find(stored("grace").grant.key)
    vault.close()


def test_two_vaults_of_a_process_keep_their_log_while_other_processes_come_and_go(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "_BELIEVED", 0)
    first = SqliteVault(path, keys=KEYS)
    second = SqliteVault(path, keys=KEYS)
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM grants'); c.close()"
    for vault, person in ((first, "ada"), (second, "grace")):
        vault.enter(stored(person))
        subprocess.run([sys.executable, "-c", program, path], check=True)
        assert path.with_name("grants.db-wal").exists()
        assert vault.find(stored(person).grant.key) is not None
    first.close()
    second.close()


def test_a_path_that_cannot_be_a_vault_is_named_with_reason_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, says in [
        (
            tmp_path / "nowhere" / "grants.db",
            f"No such file or directory. Make the folder {tmp_path / 'nowhere'} first",
        ),
        (tmp_path, "It is a folder"),
        (tmp_path / "file" / "grants.db", "A part of the path is a file"),
    ]:
        with pytest.raises(VaultNotOpened) as caught:
            SqliteVault(path, keys=KEYS)
        assert isinstance(caught.value, OSError)
        assert str(caught.value).startswith(f"The vault {path} can be neither opened nor made: ")
        assert says in str(caught.value)


# --- the clock -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the time since the machine was started")
@pytest.mark.parametrize("ahead", [300, -300])
def test_a_lease_ends_in_its_time_for_a_process_whose_clock_is_wrong(vault: SqliteVault, ahead: int) -> None:
    """What a process reads whose clock is so many seconds ahead: of the lease so much less is left."""
    vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
    vault._write("UPDATE grants SET lease_until = lease_until - :ahead", {"ahead": ahead})
    assert 20 < vault.lease_left("g-ada", holder="one") <= 30
    assert vault.take_lease("g-ada", generation=1, holder="two", seconds=30) is None
    vault.release("g-ada", holder="one", unanswered_since=None)
    vault.take_lease("g-ada", generation=1, holder="one", seconds=0.05)
    vault._write("UPDATE grants SET lease_until = lease_until - :ahead", {"ahead": ahead})
    time.sleep(0.1)
    assert vault.lease_left("g-ada", holder="one") == 0
    assert vault.take_lease("g-ada", generation=1, holder="two", seconds=30) is not None


def test_who_is_interrupted_in_the_moment_of_beginning_leaves_the_file_free_for_others(
    vault: SqliteVault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by Ctrl-C, or the time limit of a queue, which the process outlives."""
    real = sqlite._begin

    def interrupted(connection: sqlite3.Connection, *, until: float) -> None:
        real(connection, until=until)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_begin", interrupted)
        with pytest.raises(KeyboardInterrupt):
            vault.enter(stored())
    with closing(SqliteVault(path, keys=KEYS)) as other:
        other.enter(stored("grace"))
    assert vault.enter(stored()).grant.generation == 1


def test_closing_waits_for_the_thread_that_writes(vault: SqliteVault) -> None:
    """SQLite frees what is closed, whoever is using it: that ends the process, with no exception."""
    with ThreadPoolExecutor() as pool:
        with vault._transaction() as connection:
            closed = pool.submit(vault.close)
            time.sleep(0.2)
            assert connection.execute("SELECT 1").fetchone()[0] == 1
        closed.result(timeout=30)


def test_whoever_waited_while_another_thread_closed_the_vault_opens_it_again(vault: SqliteVault) -> None:
    vault.enter(stored())
    over = threading.Event()

    def use() -> int:
        times = 0
        while not over.is_set():
            assert vault.find(stored().grant.key) is not None
            vault.set_told("whatever")
            times += 1
        return times

    with ThreadPoolExecutor(4) as pool:
        using = [pool.submit(use) for _ in range(4)]
        for _ in range(100):
            vault.close()
            time.sleep(0.005)
        over.set()
        assert all(one.result() > 0 for one in using)
