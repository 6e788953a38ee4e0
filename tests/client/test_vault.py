"""The vault on real SQLite files."""

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grantflow import (
    GrantflowError,
    KeyRing,
    MissingKey,
    SqliteVault,
    Tampered,
    VaultNotOpened,
    VaultUnavailable,
    WrongKey,
    database_file,
)
from grantflow.client import rules
from grantflow.client.grant import GrantKey, Person, Standing, Status, StoredGrant
from grantflow.client.vault import Adopting, sqlite
from grantflow.client.vault.process import is_gone, this_process
from grantflow.migrations import SchemaTooNew
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
KEYS = KeyRing(KeyRing.new_key())
ACCESS, REFRESH = "access-MzA4ZGU2YzUtNDAxNS00", "refresh-ZDA4MzUyMWYtZmFmOS00"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "grants.db"


@pytest.fixture
def vault(path: Path) -> Iterator[SqliteVault]:
    vault = SqliteVault(path, keys=KEYS)
    yield vault
    vault.close()


def stored(person: str = "ada", *, owner: str | None = None, grant_id: str | None = None) -> StoredGrant:
    key = GrantKey("C1", owner or person, person)
    tokens = Tokens(Secret(ACCESS + person), 60, Secret(REFRESH + person), 120)
    who = Person(person, person.title(), f"{person}@example.org")
    return rules.granted(grant_id or f"g-{person}", key, person=who, tokens=tokens, asked=Scopes.of("a", "b"), now=NOW)


def change(path: Path, statement: str, *parameters: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, parameters)
    connection.close()


def test_what_is_entered_is_found_again_whole(vault: SqliteVault) -> None:
    kept = vault.enter(stored())
    assert vault.find(kept.grant.key) == kept == stored()
    assert vault.grant(kept.grant.key) == kept.grant == vault.grant_by_id("g-ada")
    assert vault.find(GrantKey("C1", "ada", "grace")) is None
    full = replace(
        rules.delayed(kept, reason="503", incident="inc-1", retry_after=7, unanswered=True, now=NOW),
        suspected_at=NOW,
        refused_at=NOW + timedelta(microseconds=1),
    )
    assert vault.save(full, generation=1)
    assert vault.find(kept.grant.key) == full


def test_a_grant_outlives_the_process_that_stored_it(path: Path) -> None:
    first = SqliteVault(path, keys=KEYS)
    first.enter(stored())
    first.close()
    second = SqliteVault(path, keys=KEYS)
    assert second.find(stored().grant.key) == stored()
    second.close()


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


@pytest.mark.parametrize(
    "swap",
    [
        "UPDATE grants SET tokens = (SELECT tokens FROM grants WHERE id = 'g-grace') WHERE id = 'g-ada'",
        "UPDATE grants SET person_id = 'mallory' WHERE id = 'g-ada'",
        "UPDATE grants SET owner = 'mallory' WHERE id = 'g-ada'",
        "UPDATE grants SET integration = 'C2' WHERE id = 'g-ada'",
        "UPDATE grants SET id = 'g-mallory' WHERE id = 'g-ada'",
        "UPDATE grants SET tokens = zeroblob(80) WHERE id = 'g-ada'",
    ],
)
def test_s106_records_that_were_swapped_or_renamed_in_the_file_do_not_open(
    vault: SqliteVault, path: Path, swap: str
) -> None:
    vault.enter(stored())
    vault.enter(stored("grace"))
    change(path, swap)
    grants = [grant for grant in (*vault.grants("C1"), *vault.grants("C2")) if grant.id != "g-grace"]
    with pytest.raises(Tampered):
        vault.find(grants[0].key)


def test_another_key_is_refused_at_the_start_and_a_previous_one_is_welcome(vault: SqliteVault, path: Path) -> None:
    vault.enter(stored())
    new = KeyRing.new_key()
    with pytest.raises(WrongKey, match=f"The vault {path} .*{KEYS.key_id}.* a file of its own"):
        SqliteVault(path, keys=KeyRing(new))
    old = KeyRing.new_key()
    second = SqliteVault(path.with_name("second.db"), keys=KeyRing(old))
    second.enter(stored())
    second.close()
    third = SqliteVault(path.with_name("second.db"), keys=KeyRing(new, previous=[old]))
    assert third.find(stored().grant.key) == stored()
    third.close()


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


def test_a_newer_schema_is_refused(vault: SqliteVault, path: Path) -> None:
    change(path, "UPDATE grantflow_schema SET version = 99")
    with pytest.raises(SchemaTooNew, match=r"newer one has written it\. Upgrade this installation") as caught:
        SqliteVault(path, keys=KEYS)
    assert isinstance(caught.value, GrantflowError)


def test_every_write_is_on_disk_when_it_returns(vault: SqliteVault) -> None:
    writer = vault._here().writer
    assert writer.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_s101_a_granted_again_keeps_its_id_and_drops_the_old_tokens(vault: SqliteVault, path: Path) -> None:
    vault.enter(stored())
    again = stored(grant_id="another-id")
    again = replace(again, access_token=Secret("new-access"), refresh_token=Secret("new-refresh"))
    kept = vault.enter(again)
    assert (kept.grant.id, kept.grant.generation) == ("g-ada", 2)
    assert vault.find(kept.grant.key) == kept
    assert len(vault.grants("C1")) == 1


def test_grants_are_listed_by_integration_and_owner(vault: SqliteVault) -> None:
    for person, owner in (("ada", "u1"), ("grace", "u2"), ("edsger", "u1")):
        vault.enter(stored(person, owner=owner))
    assert [grant.person_id for grant in vault.grants("C1")] == ["ada", "edsger", "grace"]
    assert [grant.person_id for grant in vault.grants("C1", owner="u1")] == ["ada", "edsger"]
    assert vault.grants("C2") == []


def test_a_write_over_a_generation_that_has_passed_changes_nothing(vault: SqliteVault) -> None:
    kept = vault.enter(stored())
    assert vault.save(rules.renewed(kept, Tokens(Secret("a2")), now=NOW), generation=1)
    assert not vault.save(rules.refused(kept, reason="late", incident="i", now=NOW), generation=1)
    found = vault.find(kept.grant.key)
    assert found is not None
    assert found.grant.status is Status.ACTIVE


def test_one_has_the_lease_until_it_ends_or_is_given_back(vault: SqliteVault) -> None:
    vault.enter(stored())
    before = vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
    assert before == stored()
    assert 29 < vault.lease_left("g-ada", holder="one") <= 30
    assert vault.lease_left("g-ada", holder="two") == 0
    assert vault.take_lease("g-ada", generation=1, holder="two", seconds=30) is None
    vault.release("g-ada", holder="two", unanswered_since=None)
    assert vault.take_lease("g-ada", generation=1, holder="two", seconds=30) is None
    vault.release("g-ada", holder="one", unanswered_since=None)
    assert vault.take_lease("g-ada", generation=1, holder="two", seconds=0.05) is not None
    threading.Event().wait(0.1)
    assert vault.take_lease("g-ada", generation=1, holder="three", seconds=30) is not None
    assert vault.take_lease("g-ada", generation=2, holder="four", seconds=30) is None


def ended_process() -> int:
    """The id of a process that has ended and that nobody awaits any more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_lease_of_a_dead_process_is_free_and_of_one_that_cannot_be_seen_is_not(
    vault: SqliteVault, path: Path
) -> None:
    """A container has process ids of its own, and so has each machine and each boot of it."""
    vault.enter(stored())
    here = this_process()
    if here is None:
        pytest.skip("the system does not tell which process is which")
    boot, namespace, own = here.split(":")
    gone = ended_process()
    for process, free in [
        (f"{boot}:{namespace}:{gone}", True),
        (f"{boot}:{namespace}:{own}", False),
        (f"{boot}:{namespace}:1", False),
        (f"{boot}:{int(namespace) + 1}:{gone}", False),
        (f"another-boot:{namespace}:{gone}", False),
        (None, False),
    ]:
        vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
        told = "NULL" if process is None else f"'{process}'"
        change(path, f"UPDATE grants SET lease_process = {told}")
        taken = vault.take_lease("g-ada", generation=1, holder="two", seconds=30)
        assert (taken is not None) is free, process
        change(path, "UPDATE grants SET lease_holder = NULL, lease_until = NULL")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_the_lease_is_the_childs_own(vault: SqliteVault, path: Path) -> None:
    vault.enter(stored())
    lease = {"grant_id": "g-ada", "generation": 1, "holder": "child", "seconds": 30}
    child = multiprocessing.get_context("fork").Process(target=vault.take_lease, kwargs=lease)
    child.start()
    child.join()
    connection = sqlite3.connect(path)
    holder, process = connection.execute("SELECT lease_holder, lease_process FROM grants").fetchone()
    connection.close()
    assert holder == "child"
    assert is_gone(process) is (this_process() is not None)


def test_nobody_gets_the_lease_of_a_grant_that_is_dead(vault: SqliteVault) -> None:
    """Whoever waited while it died must read that, not ask again."""
    kept = vault.enter(stored())
    vault.save(rules.refused(kept, reason="400", incident="i", now=NOW), generation=1)
    assert vault.take_lease("g-ada", generation=1, holder="late", seconds=30) is None
    found = vault.find(kept.grant.key)
    assert found is not None
    assert found.unanswered_since is None


def test_a_holder_whose_lease_has_passed_to_another_can_save_tokens_but_no_verdict(vault: SqliteVault) -> None:
    kept = vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="one", seconds=0)
    vault.take_lease("g-ada", generation=1, holder="two", seconds=30)
    verdict = rules.refused(kept, reason="400", incident="i", now=NOW)
    assert not vault.save(verdict, generation=1, holder="one", only_holder=True)
    tokens = rules.renewed(kept, Tokens(Secret("a2")), now=NOW)
    assert vault.save(tokens, generation=1, holder="one")
    assert vault.find(kept.grant.key) == tokens


def test_the_intent_is_on_record_as_soon_as_the_lease_is_taken(vault: SqliteVault) -> None:
    vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="one", seconds=0)
    found = vault.find(stored().grant.key)
    assert found is not None
    assert found.unanswered_since is not None
    first = found.unanswered_since
    again = vault.take_lease("g-ada", generation=1, holder="two", seconds=0)
    assert again is not None
    assert again.unanswered_since == first
    vault.release("g-ada", holder="two", unanswered_since=None)
    assert vault.find(stored().grant.key) == stored()


def test_of_many_who_want_the_lease_at_once_one_gets_it(vault: SqliteVault, path: Path) -> None:
    vault.enter(stored())
    vaults = [SqliteVault(path, keys=KEYS) for _ in range(8)]
    start = threading.Barrier(32)
    taken: list[str] = []

    def take(name: str, own: SqliteVault) -> None:
        start.wait()
        if own.take_lease("g-ada", generation=1, holder=name, seconds=30):
            taken.append(name)

    threads = [threading.Thread(target=take, args=(f"h{n}", vaults[n % 8])) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in vaults:
        each.close()
    assert len(taken) == 1


def test_saving_ends_the_holders_own_lease_and_no_other(vault: SqliteVault) -> None:
    kept = vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
    vault.save(kept, generation=1, holder="stranger")
    assert vault.lease_left("g-ada", holder="one") > 0
    vault.save(kept, generation=1, holder="one")
    assert vault.lease_left("g-ada", holder="one") == 0
    vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
    vault.save(kept, generation=1)
    assert vault.take_lease("g-ada", generation=1, holder="two", seconds=30) is not None
    vault.enter(kept)
    assert vault.take_lease("g-ada", generation=2, holder="three", seconds=30) is not None


def test_s95_a_state_is_spent_once_and_only_its_hash_is_kept_for_as_long_as_needed(vault: SqliteVault) -> None:
    until = NOW + timedelta(minutes=10)
    assert vault.spend(b"x" * 32, now=NOW, until=until)
    assert not vault.spend(b"x" * 32, now=NOW, until=until)
    assert vault.spend(b"y" * 32, now=NOW, until=until)
    later = until + timedelta(seconds=1)
    assert vault.spend(b"z" * 32, now=later, until=later)
    rows = vault._here().reader.execute("SELECT count(*) FROM spent_states").fetchone()[0]
    assert rows == 1


def test_refused_tokens_are_forgotten_after_their_time_and_not_before(vault: SqliteVault) -> None:
    kept = vault.enter(stored())
    vault.enter(stored("grace"))
    vault.save(rules.refused(kept, reason="400", incident="i", now=NOW), generation=1)
    vault.forget_refused(before=NOW)
    found = vault.find(kept.grant.key)
    assert found is not None
    assert found.refresh_token is not None
    vault.forget_refused(before=NOW + timedelta(seconds=1))
    found, other = vault.find(kept.grant.key), vault.find(stored("grace").grant.key)
    assert found is not None
    assert other is not None
    assert found.refresh_token is None
    assert other.refresh_token is not None


def test_the_standing_of_an_integration_is_kept_for_each_secret_apart(vault: SqliteVault) -> None:
    standing = Standing(refused_at=NOW, retry_at=NOW + timedelta(seconds=4), failures=3, reason="401", succeeded_at=NOW)
    vault.set_standing("C1", credentials="aaaa", standing=standing)
    assert vault.standing("C1", credentials="aaaa") == standing
    assert vault.standing("C1", credentials="bbbb") == Standing() == vault.standing("C2", credentials="aaaa")
    vault.set_standing("C1", credentials="aaaa", standing=Standing())
    assert vault.standing("C1", credentials="aaaa") == Standing()


def test_only_a_grant_that_can_be_called_on_has_a_generation(vault: SqliteVault) -> None:
    kept = vault.enter(stored())
    key = kept.grant.key
    assert vault.generation(key) == 1
    assert vault.generation(GrantKey("C1", "x", "y")) is None
    vault.save(rules.refused(kept, reason="400", incident="i", now=NOW), generation=1)
    assert vault.generation(key) is None
    vault.save(rules.revoked(kept.grant), generation=1)
    assert vault.generation(key) is None


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


def test_a_closed_vault_opens_again_when_it_is_used(vault: SqliteVault) -> None:
    vault.enter(stored())
    vault.close()
    vault.close()
    assert vault.find(stored().grant.key) == stored()


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
        assert max(threads.map(write, range(8))) < 2, "they wait side by side, not one after another"
        assert vault.find(stored().grant.key) == stored(), "reading waits for nobody"
    assert vault.spend(b"after", now=NOW, until=NOW)


def test_whoever_waits_for_a_write_of_this_process_that_hangs_is_told_too(
    vault: SqliteVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 0.2)
    with vault._here().writing, pytest.raises(VaultUnavailable, match="others in this process"):
        vault.release("g", holder="h", unanswered_since=None)


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


@pytest.mark.slow
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


def adopting(person: str = "ada", *, known: bool = False, over: int | None = None, token: str = REFRESH) -> Adopting:
    return Adopting(stored(person), digest=Secret(token).digest(), known=known, over=over)


def test_tokens_that_were_brought_in_are_known_again_and_by_nothing_but_their_digest(vault: SqliteVault) -> None:
    (kept,) = vault.adopt([adopting()], at=NOW)
    assert kept == stored()
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) == stored()
    assert vault.adopted("C2", digest=Secret(REFRESH).digest()) is None
    assert vault.adopted("C1", digest=Secret("another").digest()) is None


@pytest.mark.parametrize(
    "entry", [adopting("grace"), adopting(known=True), adopting(token="other"), adopting(token="other", over=7)]
)
def test_tokens_are_kept_only_where_it_is_as_it_was_seen_to_be(vault: SqliteVault, entry: Adopting) -> None:
    """It had come in meanwhile, or had not; another grant is there, or none, or a later generation."""
    vault.adopt([adopting()], at=NOW)
    other = adopting("edsger", token="of another")
    assert vault.adopt([entry, other], at=NOW) == [None, other.stored]
    assert [grant.person_id for grant in vault.grants("C1")] == ["ada", "edsger"]


def test_a_batch_is_kept_as_one(vault: SqliteVault, path: Path) -> None:
    change(path, "CREATE TRIGGER t BEFORE INSERT ON grants WHEN new.id = 'g-grace' BEGIN SELECT RAISE(FAIL, 'x'); END")
    with pytest.raises(sqlite3.IntegrityError):
        vault.adopt([adopting(), adopting("grace", token="other")], at=NOW)
    assert vault.grants("C1") == []
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) is None


def test_a_revoked_grant_that_gives_way_passes_on_what_came_in_with_it(vault: SqliteVault) -> None:
    vault.adopt([adopting()], at=NOW)
    vault.save(rules.revoked(stored().grant), generation=1)
    kept = vault.enter(stored(grant_id="g-new"))
    found = vault.adopted("C1", digest=Secret(REFRESH).digest())
    assert found == kept
    assert kept.grant.id == "g-new"


def nameless_in(vault: SqliteVault) -> StoredGrant:
    """With the lease in the hand of "me"."""
    nameless = stored("unknown", grant_id="g-nameless")
    vault.adopt([Adopting(nameless, digest=Secret(REFRESH).digest(), known=False, over=None)], at=NOW)
    leased = vault.take_lease("g-nameless", generation=1, holder="me", seconds=60)
    assert leased is not None
    return leased


def test_a_grant_that_gets_its_persons_name_is_sealed_for_it_and_free_again(vault: SqliteVault) -> None:
    leased = nameless_in(vault)
    named = rules.named(leased, GrantKey("C1", "u1", "ada"), person=Person("ada"))
    assert vault.rename(leased.grant, to=named, over=None, holder="me") == named
    assert vault.find(GrantKey("C1", "u1", "ada")) == named
    assert vault.find(leased.grant.key) is None
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) == named
    assert not vault.save(leased, generation=1), "a refresh under way must not write over it"
    assert vault.take_lease("g-nameless", generation=2, holder="another", seconds=60) is not None


@pytest.mark.parametrize(("holder", "over"), [("another", None), ("me", 1), ("me", 7)])
def test_a_grant_does_not_move_without_the_lease_nor_over_what_was_not_seen(
    vault: SqliteVault, holder: str, over: int | None
) -> None:
    leased = nameless_in(vault)
    if over == 7:
        vault.enter(stored())
    named = rules.named(leased, GrantKey("C1", "ada", "ada"), person=Person("ada"))
    assert vault.rename(leased.grant, to=named, over=over, holder=holder) is None
    assert vault.lease_left("g-nameless", holder="me") > 0
    found = vault.find(leased.grant.key)
    assert found is not None
    assert found.refresh_token == leased.refresh_token


def test_a_grant_moves_over_the_one_that_was_seen_and_that_ones_id_stays(vault: SqliteVault) -> None:
    here = vault.enter(stored())
    leased = nameless_in(vault)
    named = rules.named(leased, here.grant.key, person=Person("ada"))
    kept = vault.rename(leased.grant, to=named, over=1, holder="me")
    assert kept is not None
    assert (kept.grant.id, kept.grant.generation, kept.refresh_token) == ("g-ada", 2, leased.refresh_token)
    assert [grant.id for grant in vault.grants("C1")] == ["g-ada"]
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) == kept


@pytest.mark.parametrize("remember", [True, False])
def test_a_grant_whose_person_has_another_goes_and_its_token_is_known_where_it_was_used(
    vault: SqliteVault, remember: bool
) -> None:
    here = vault.enter(stored())
    leased = nameless_in(vault)
    assert not vault.merge(leased.grant, into="g-ada", holder="another", remember=remember)
    assert vault.merge(leased.grant, into="g-ada", holder="me", remember=remember)
    assert [grant.id for grant in vault.grants("C1")] == ["g-ada"]
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) == (here if remember else None)


@pytest.mark.parametrize("access", [None, Secret("a")])
def test_a_refresh_token_is_kept_without_an_access_token_too(vault: SqliteVault, access: Secret | None) -> None:
    entered = replace(stored(), access_token=access)
    vault.enter(entered)
    assert vault.find(entered.grant.key) == entered
