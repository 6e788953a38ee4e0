"""What every vault promises, over each database that it may lie in."""

import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pytest

from grantflow import GrantflowError, KeyRing, MissingKey, Tampered, VaultUnavailable, WrongKey, open_vault
from grantflow.client import rules
from grantflow.client.events import Event, Kind
from grantflow.client.grant import GrantKey, Person, Standing, Status, StoredGrant
from grantflow.client.vault import Adopting, Untold, postgres_connections, sqlite
from grantflow.client.vault.places import is_address
from grantflow.client.vault.process import is_gone, this_process
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.migrations import SchemaTooNew
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens
from tests.client.vault_records import KEYS, NOW, REFRESH, stored
from tests.engines import BOTH, Home

pytestmark = BOTH


@pytest.fixture
def vault(home: Home) -> Iterator[SqlVault]:
    vault = home.open(KEYS)
    yield vault
    vault.close()


def test_what_is_entered_is_found_again_whole(vault: SqlVault) -> None:
    kept = vault.enter(stored())
    assert vault.find(kept.grant.key) == kept == stored()
    assert vault.grant(kept.grant.key) == kept.grant == vault.grant_by_id("g-ada")
    assert vault.find(GrantKey("C1", "ada", "grace")) is None
    full = replace(
        rules.delayed(kept, reason="503", incident="inc-1", retry_after=7, unanswered=True, now=NOW),
        overtaken_since=NOW - timedelta(minutes=1),
        suspected_at=NOW,
    )
    full = replace(full, grant=replace(full.grant, refused_at=NOW + timedelta(microseconds=1)))
    assert vault.save(full, generation=1)
    assert vault.find(kept.grant.key) == full


def test_what_is_untold_is_claimed_once_and_comes_again_later_behind_the_others(vault: SqlVault) -> None:
    for number in range(3):
        vault.record(Event(f"e{number}", NOW, Kind.GRANTED, "C1", is_to_be_told=True))
    minute = timedelta(minutes=1)

    def untold(now: datetime, *, limit: int = 9) -> list[Untold]:
        return vault.untold("C1", left=now - minute, now=now, limit=limit)

    assert untold(NOW + minute) == []
    soon = NOW + 2 * minute
    (first,) = untold(soon, limit=1)
    assert (first.event.id, first.tries) == ("e0", 0)
    assert [vault.claim_untold(first, again_at=soon + minute) for _ in range(2)] == [True, False]
    assert [(each.event.id, each.tries) for each in untold(soon)] == [("e1", 0), ("e2", 0)]
    assert [(each.event.id, each.tries) for each in untold(soon + minute)] == [("e1", 0), ("e2", 0), ("e0", 1)]
    vault.set_told("e1")
    assert [each.event.id for each in untold(soon + minute)] == ["e2", "e0"]


def test_a_grant_outlives_the_process_that_stored_it(home: Home) -> None:
    first = home.open(KEYS)
    first.enter(stored())
    first.close()
    second = home.open(KEYS)
    assert second.find(stored().grant.key) == stored()
    second.close()


@pytest.mark.parametrize(
    "swap",
    [
        "UPDATE grants SET tokens = (SELECT tokens FROM grants WHERE id = 'g-grace') WHERE id = 'g-ada'",
        "UPDATE grants SET person_id = 'mallory' WHERE id = 'g-ada'",
        "UPDATE grants SET owner = 'mallory' WHERE id = 'g-ada'",
        "UPDATE grants SET integration = 'C2' WHERE id = 'g-ada'",
        "UPDATE grants SET id = 'g-mallory' WHERE id = 'g-ada'",
        "UPDATE grants SET tokens = :zeros WHERE id = 'g-ada'",
    ],
)
def test_s106_records_that_were_swapped_or_renamed_in_the_file_do_not_open(
    vault: SqlVault, home: Home, swap: str
) -> None:
    vault.enter(stored())
    vault.enter(stored("grace"))
    home.ask(swap, **({"zeros": bytes(80)} if ":zeros" in swap else {}))
    grants = [grant for grant in (*vault.grants("C1"), *vault.grants("C2")) if grant.id != "g-grace"]
    with pytest.raises(Tampered):
        vault.find(grants[0].key)


def test_another_key_is_refused_at_the_start_and_a_previous_one_is_welcome(vault: SqlVault, home: Home) -> None:
    vault.enter(stored())
    new = KeyRing.new_key()
    with pytest.raises(WrongKey, match=f"The vault {re.escape(vault.place)} .*{KEYS.key_id}.* a vault of its own"):
        home.open(KeyRing(new))
    old, elsewhere = KeyRing.new_key(), home.another()
    second = elsewhere.open(KeyRing(old))
    second.enter(stored())
    second.close()
    third = elsewhere.open(KeyRing(new, previous=[old]))
    assert third.find(stored().grant.key) == stored()
    third.close()


def test_a_newer_schema_is_refused(vault: SqlVault, home: Home) -> None:
    home.ask("UPDATE grantflow_schema SET version = 99")
    with pytest.raises(SchemaTooNew, match=r"newer one has written it\. Upgrade this installation") as caught:
        home.open(KEYS)
    assert isinstance(caught.value, GrantflowError)


def test_s101_a_granted_again_keeps_its_id_and_drops_the_old_tokens(vault: SqlVault, home: Home) -> None:
    vault.enter(stored())
    again = stored(grant_id="another-id")
    again = replace(again, access_token=Secret("new-access"), refresh_token=Secret("new-refresh"))
    kept = vault.enter(again)
    assert (kept.grant.id, kept.grant.generation) == ("g-ada", 2)
    assert vault.find(kept.grant.key) == kept
    assert len(vault.grants("C1")) == 1


def test_grants_are_listed_by_integration_and_owner(vault: SqlVault) -> None:
    for person, owner in (("ada", "u1"), ("grace", "u2"), ("edsger", "u1")):
        vault.enter(stored(person, owner=owner))
    assert [grant.person_id for grant in vault.grants("C1")] == ["ada", "edsger", "grace"]
    assert [grant.person_id for grant in vault.grants("C1", owner="u1")] == ["ada", "edsger"]
    assert vault.grants("C2") == []


def test_a_write_over_a_generation_that_has_passed_changes_nothing(vault: SqlVault) -> None:
    kept = vault.enter(stored())
    assert vault.save(rules.renewed(kept, Tokens(Secret("a2")), now=NOW), generation=1)
    assert not vault.save(rules.refused(kept, reason="late", incident="i", now=NOW), generation=1)
    found = vault.find(kept.grant.key)
    assert found is not None
    assert found.grant.status is Status.ACTIVE


def test_one_has_the_lease_until_it_ends_or_is_given_back(vault: SqlVault) -> None:
    vault.enter(stored())
    before = vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
    assert before == stored()
    assert 20 < vault.lease_left("g-ada", holder="one") <= 30
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


def test_the_lease_of_a_dead_process_is_free_and_of_one_that_cannot_be_seen_is_not(vault: SqlVault, home: Home) -> None:
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
        (f"{boot}:{namespace}:{gone}@99999999.9", True),
        (f"{boot}:{int(namespace) + 1}:{own}@0.1", False),
        (None, False),
    ]:
        vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
        home.ask("UPDATE grants SET lease_process = :process", process=process)
        taken = vault.take_lease("g-ada", generation=1, holder="two", seconds=30)
        assert (taken is not None) is free, process
        home.ask("UPDATE grants SET lease_holder = NULL, lease_until = NULL")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_the_lease_is_the_childs_own(vault: SqlVault, home: Home) -> None:
    vault.enter(stored())
    lease = {"grant_id": "g-ada", "generation": 1, "holder": "child", "seconds": 30}
    child = multiprocessing.get_context("fork").Process(target=vault.take_lease, kwargs=lease)
    child.start()
    child.join()
    [(holder, process)] = home.ask("SELECT lease_holder, lease_process FROM grants")
    assert holder == "child"
    assert is_gone(process) is (this_process() is not None)


def test_nobody_gets_the_lease_of_a_grant_that_is_dead(vault: SqlVault) -> None:
    """Whoever waited while it died must read that, not ask again."""
    kept = vault.enter(stored())
    vault.save(rules.refused(kept, reason="400", incident="i", now=NOW), generation=1)
    assert vault.take_lease("g-ada", generation=1, holder="late", seconds=30) is None
    found = vault.find(kept.grant.key)
    assert found is not None
    assert found.unanswered_since is None


def test_a_holder_whose_lease_has_passed_to_another_can_save_tokens_but_no_verdict(vault: SqlVault) -> None:
    kept = vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="one", seconds=0)
    vault.take_lease("g-ada", generation=1, holder="two", seconds=30)
    verdict = rules.refused(kept, reason="400", incident="i", now=NOW)
    assert not vault.save(verdict, generation=1, holder="one", only_holder=True)
    tokens = rules.renewed(kept, Tokens(Secret("a2")), now=NOW)
    assert vault.save(tokens, generation=1, holder="one")
    assert vault.find(kept.grant.key) == tokens


def test_the_intent_is_on_record_as_soon_as_the_lease_is_taken(vault: SqlVault) -> None:
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


def test_of_many_who_want_the_lease_at_once_one_gets_it(vault: SqlVault, home: Home) -> None:
    vault.enter(stored())
    vaults = [home.open(KEYS) for _ in range(8)]
    start = threading.Barrier(32)
    taken: list[str] = []

    def take(name: str, own: SqlVault) -> None:
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


def test_saving_ends_the_holders_own_lease_and_no_other(vault: SqlVault) -> None:
    kept = vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
    vault.save(kept, generation=1, holder="stranger")
    assert vault.lease_left("g-ada", holder="one") > 0
    vault.save(kept, generation=1, holder="one")
    assert vault.lease_left("g-ada", holder="one") == 0


def test_a_save_by_no_holder_ends_a_lease_with_its_generation_alone(vault: SqlVault) -> None:
    """Else somebody takes it once more, and sends the token that is under way."""
    kept = vault.enter(stored())
    vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
    assert vault.save(kept, generation=1)
    assert vault.take_lease("g-ada", generation=1, holder="two", seconds=30) is None
    assert vault.lease_left("g-ada", holder="one") > 0
    assert vault.save(rules.renewed(kept, Tokens(Secret("a2")), now=NOW), generation=1)
    assert vault.take_lease("g-ada", generation=2, holder="two", seconds=30) is not None
    vault.enter(kept)
    assert vault.take_lease("g-ada", generation=3, holder="three", seconds=30) is not None


def held_back_in(vault: SqlVault) -> StoredGrant:
    kept = vault.enter(stored())
    held = rules.held_back(kept, reason="400", incident="i", now=NOW)
    assert vault.save(held, generation=1)
    return held


def retrying(held: StoredGrant) -> Event:
    return Event("e-retry", NOW, Kind.RETRIED, "C1").of(held.grant)


def test_a_refused_token_is_not_tried_again_while_it_is_under_way(vault: SqlVault) -> None:
    held = held_back_in(vault)
    vault.take_lease("g-ada", generation=1, holder="caller", seconds=30)
    assert not vault.reopen(held.grant, event=retrying(held))
    assert vault.lease_left("g-ada", holder="caller") > 0
    assert vault.grant(held.grant.key) == held.grant
    assert not vault.events(held.grant.key)
    vault.release("g-ada", holder="caller", unanswered_since=None)
    assert vault.reopen(held.grant, event=retrying(held))
    assert vault.find(held.grant.key) == rules.reopened(held)
    assert [event.kind for event in vault.events(held.grant.key)] == [Kind.RETRIED]


def test_a_refused_token_is_tried_again_only_as_it_was_seen_and_by_one(vault: SqlVault) -> None:
    held = held_back_in(vault)
    assert vault.reopen(held.grant, event=retrying(held))
    assert not vault.reopen(held.grant, event=retrying(held))
    assert not vault.reopen(replace(held.grant, id="g-nobody"), event=retrying(held))


def test_that_an_answer_was_lost_is_not_forgotten_when_the_token_is_tried_again(vault: SqlVault) -> None:
    """The lease's holder may have died between the look at the grant and this."""
    held = held_back_in(vault)
    vault.take_lease("g-ada", generation=1, holder="killed", seconds=0)
    assert vault.reopen(held.grant, event=retrying(held))
    found = vault.find(held.grant.key)
    assert found is not None
    assert found.unanswered_since is not None


def test_s95_a_state_is_spent_once_and_only_its_hash_is_kept_for_as_long_as_needed(vault: SqlVault, home: Home) -> None:
    until = NOW + timedelta(minutes=10)
    assert vault.spend(b"x" * 32, now=NOW, until=until)
    assert not vault.spend(b"x" * 32, now=NOW, until=until)
    assert vault.spend(b"y" * 32, now=NOW, until=until)
    later = until + timedelta(seconds=1)
    assert vault.spend(b"z" * 32, now=later, until=later)
    assert home.ask("SELECT count(*) FROM spent_states") == [(1,)]


def test_refused_tokens_are_forgotten_after_their_time_and_not_before(vault: SqlVault) -> None:
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


def test_the_standing_of_an_integration_is_kept_for_each_secret_apart(vault: SqlVault) -> None:
    standing = Standing(refused_at=NOW, retry_at=NOW + timedelta(seconds=4), failures=3, reason="401", succeeded_at=NOW)
    vault.set_standing("C1", credentials="aaaa", standing=standing)
    assert vault.standing("C1", credentials="aaaa") == standing
    assert vault.standing("C1", credentials="bbbb") == Standing() == vault.standing("C2", credentials="aaaa")
    vault.set_standing("C1", credentials="aaaa", standing=Standing())
    assert vault.standing("C1", credentials="aaaa") == Standing()


def test_only_a_grant_that_can_be_called_on_has_a_generation(vault: SqlVault) -> None:
    kept = vault.enter(stored())
    key = kept.grant.key
    assert vault.generation(key) == 1
    assert vault.generation(GrantKey("C1", "x", "y")) is None
    vault.save(rules.refused(kept, reason="400", incident="i", now=NOW), generation=1)
    assert vault.generation(key) is None
    vault.save(rules.revoked(kept.grant), generation=1)
    assert vault.generation(key) is None


def test_a_closed_vault_opens_again_when_it_is_used(vault: SqlVault) -> None:
    vault.enter(stored())
    vault.close()
    vault.close()
    assert vault.find(stored().grant.key) == stored()


def test_a_vault_is_opened_by_where_it_is(home: Home, vault: SqlVault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.enter(stored())
    monkeypatch.setenv("GRANTFLOW_KEY", KeyRing.new_key())
    with pytest.raises(WrongKey):
        open_vault(home.where)
    # As a secret where it may hold a password; a path is none.
    more = "&" if "?" in home.where else "?"
    where = Secret(f"{home.where}{more}application_name=again") if is_address(home.where) else home.where
    with closing(open_vault(where, keys=KEYS)) as again:
        assert again.find(stored().grant.key) == stored()
        assert type(again) is type(vault)


def test_the_repr_tells_where_and_no_key(vault: SqlVault) -> None:
    assert repr(vault) == f"{type(vault).__name__}({vault.place!r}, keys={KEYS!r})"


def test_without_a_key_there_is_no_vault(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRANTFLOW_KEY", raising=False)
    with pytest.raises(MissingKey, match="GRANTFLOW_KEY is not set"):
        open_vault(home.where)
    monkeypatch.setenv("GRANTFLOW_KEY", KeyRing.new_key())
    open_vault(home.where).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own_and_leaves_its_parents_alone(vault: SqlVault) -> None:
    vault.enter(stored())
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            vault.enter(stored(f"child{number}"))
            found = vault.find(stored().grant.key) == stored()
            vault.close()
            os._exit(0 if found else 1)
        children.append(child)
        assert vault.find(stored().grant.key) == stored(), "while the child is at work"
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    for number in range(4):
        assert vault.find(stored(f"child{number}").grant.key) == stored(f"child{number}")


def test_of_many_who_enter_the_same_grant_at_once_each_is_heard_and_one_grant_is_kept(home: Home) -> None:
    """Nobody's tokens are lost without another's in their place, and generations count every one."""
    vaults = [home.open(KEYS) for _ in range(4)]

    def enter(number: int) -> int:
        return vaults[number % 4].enter(stored(grant_id=f"g-{number}")).grant.generation

    with ThreadPoolExecutor(16) as threads:
        generations = sorted(threads.map(enter, range(32)))
    assert generations == list(range(1, 33))
    [grant] = vaults[0].grants("C1")
    assert grant.generation == 32
    for vault in vaults:
        vault.close()


def test_of_many_who_enter_a_grant_anew_after_a_revocation_each_is_heard_and_one_grant_is_kept(home: Home) -> None:
    vaults = [home.open(KEYS) for _ in range(4)]
    for turn in range(5):
        entered = vaults[0].enter(stored(grant_id=f"first-{turn}")).grant
        before = rules.revoked(entered).grant
        assert vaults[0].save(rules.revoked(entered), generation=entered.generation)

        def enter(number: int, turn: int = turn) -> int:
            return vaults[number % 4].enter(stored(grant_id=f"g-{turn}-{number}")).grant.generation

        with ThreadPoolExecutor(8) as threads:
            generations = sorted(threads.map(enter, range(8)))
        assert generations == list(range(before.generation + 1, before.generation + 9))
        [grant] = vaults[0].grants("C1")
        assert grant.id.startswith(f"g-{turn}-"), "what was bound to the revoked one does not come back"
        assert vaults[0].save(rules.revoked(grant), generation=grant.generation)
    for vault in vaults:
        vault.close()


def test_s95_of_many_who_spend_a_state_at_once_one_may(home: Home) -> None:
    vaults = [home.open(KEYS) for _ in range(4)]
    for number in range(100):  # that each of them finds to be tidied up
        vaults[0].spend(b"past" + bytes([number]), now=NOW, until=NOW)

    def spend(number: int) -> bool:
        now = NOW + timedelta(seconds=1)
        return vaults[number % 4].spend(bytes([number // 16]) * 32, now=now, until=now + timedelta(minutes=10))

    with ThreadPoolExecutor(16) as threads:
        spent = list(threads.map(spend, range(64)))
    assert [sum(spent[first : first + 16]) for first in range(0, 64, 16)] == [1, 1, 1, 1]
    assert home.ask("SELECT count(*) FROM spent_states") == [(4,)]
    for vault in vaults:
        vault.close()


def test_of_many_who_save_over_the_same_generation_at_once_one_does(home: Home) -> None:
    vaults = [home.open(KEYS) for _ in range(4)]
    kept = vaults[0].enter(stored())

    def save(number: int) -> bool:
        renewed = rules.renewed(kept, Tokens(Secret(f"a{number}")), now=NOW)
        return vaults[number % 4].save(renewed, generation=1)

    with ThreadPoolExecutor(16) as threads:
        saved = list(threads.map(save, range(32)))
    assert sum(saved) == 1
    found = vaults[0].find(kept.grant.key)
    assert found is not None
    assert found.access_token == Secret(f"a{saved.index(True)}")
    for vault in vaults:
        vault.close()


def test_whoever_waits_for_a_locked_vault_is_told_in_time_however_many_wait(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 0.5)
    monkeypatch.setattr(postgres_connections, "LOCK_SECONDS", 0.5)
    vault = home.open(KEYS)
    vault.enter(stored())

    def write(number: int) -> float:
        begun = time.monotonic()
        with pytest.raises(VaultUnavailable, match=r"cannot be used just now: .* Nothing was changed\. ") as caught:
            vault.spend(bytes([number]), now=NOW, until=NOW) if number % 2 else vault.release(
                "g-ada", holder="h", unanswered_since=None
            )
        assert caught.value.retry_after == 5
        return time.monotonic() - begun

    with home.locked(), ThreadPoolExecutor(8) as threads:
        assert max(threads.map(write, range(8))) < 3.5, "they wait side by side, not one after another"
        assert vault.find(stored().grant.key) == stored(), "reading waits for nobody"
    assert vault.spend(b"after", now=NOW, until=NOW)
    vault.close()


def adopting(person: str = "ada", *, known: bool = False, over: int | None = None, token: str = REFRESH) -> Adopting:
    return Adopting(stored(person), digest=Secret(token).digest(), known=known, over=over)


def test_tokens_that_were_brought_in_are_known_again_and_by_nothing_but_their_digest(vault: SqlVault) -> None:
    (kept,) = vault.adopt([adopting()], at=NOW)
    assert kept == stored()
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) == stored()
    assert vault.adopted("C2", digest=Secret(REFRESH).digest()) is None
    assert vault.adopted("C1", digest=Secret("another").digest()) is None


@pytest.mark.parametrize(
    "entry", [adopting("grace"), adopting(known=True), adopting(token="other"), adopting(token="other", over=7)]
)
def test_tokens_are_kept_only_where_it_is_as_it_was_seen_to_be(vault: SqlVault, entry: Adopting) -> None:
    """It had come in meanwhile, or had not; another grant is there, or none, or a later generation."""
    vault.adopt([adopting()], at=NOW)
    other = adopting("edsger", token="of another")
    assert vault.adopt([entry, other], at=NOW) == [None, other.stored]
    assert [grant.person_id for grant in vault.grants("C1")] == ["ada", "edsger"]


def test_a_batch_is_kept_as_one(vault: SqlVault, home: Home) -> None:
    home.ask("CREATE UNIQUE INDEX everybody_has_other_scopes ON grants (scopes)")
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        vault.adopt([adopting(), adopting("grace", token="other")], at=NOW)
    assert vault.grants("C1") == []
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) is None


def test_a_revoked_grant_that_gives_way_passes_on_what_came_in_with_it(vault: SqlVault) -> None:
    vault.adopt([adopting()], at=NOW)
    vault.save(rules.revoked(stored().grant), generation=1)
    kept = vault.enter(stored(grant_id="g-new"))
    found = vault.adopted("C1", digest=Secret(REFRESH).digest())
    assert found == kept
    assert kept.grant.id == "g-new"


def nameless_in(vault: SqlVault) -> StoredGrant:
    """With the lease in the hand of "me"."""
    nameless = stored("unknown", grant_id="g-nameless")
    vault.adopt([Adopting(nameless, digest=Secret(REFRESH).digest(), known=False, over=None)], at=NOW)
    leased = vault.take_lease("g-nameless", generation=1, holder="me", seconds=60)
    assert leased is not None
    return leased


def test_a_grant_that_gets_its_persons_name_is_sealed_for_it_and_free_again(vault: SqlVault) -> None:
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
    vault: SqlVault, holder: str, over: int | None
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


def test_a_grant_moves_over_the_one_that_was_seen_and_that_ones_id_stays(vault: SqlVault) -> None:
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
    vault: SqlVault, remember: bool
) -> None:
    here = vault.enter(stored())
    leased = nameless_in(vault)
    assert not vault.merge(leased.grant, into="g-ada", holder="another", remember=remember)
    assert vault.merge(leased.grant, into="g-ada", holder="me", remember=remember)
    assert [grant.id for grant in vault.grants("C1")] == ["g-ada"]
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) == (here if remember else None)


def test_refused_tokens_that_came_in_go_only_as_they_were_seen(vault: SqlVault) -> None:
    leased = nameless_in(vault)
    assert not vault.drop_refused(leased.grant), "calls may be made on it"
    refused = rules.refused(leased, reason="invalid_grant", incident="i-1", now=NOW)
    assert vault.save(refused, generation=1, holder="me")
    for other in (replace(refused.grant, incident="i-2"), replace(refused.grant, generation=2)):
        assert not vault.drop_refused(other)
    assert vault.find(leased.grant.key) == refused
    assert vault.drop_refused(refused.grant)
    assert vault.find(leased.grant.key) is None
    assert vault.adopted("C1", digest=Secret(REFRESH).digest()) is None
    vault.adopt([adopting()], at=NOW)


@pytest.mark.parametrize("access", [None, Secret("a")])
def test_a_refresh_token_is_kept_without_an_access_token_too(vault: SqlVault, access: Secret | None) -> None:
    entered = replace(stored(), access_token=access)
    vault.enter(entered)
    assert vault.find(entered.grant.key) == entered


def test_of_many_who_bring_the_same_token_under_different_names_at_once_one_grant_is_made(home: Home) -> None:
    vaults = [home.open(KEYS) for _ in range(4)]

    def bring(number: int) -> bool:
        nameless = stored(f"unknown-{number}", grant_id=f"g-{number}")
        entry = Adopting(nameless, digest=Secret(REFRESH).digest(), known=False, over=None)
        return vaults[number % 4].adopt([entry], at=NOW) != [None]

    with ThreadPoolExecutor(12) as threads:
        assert sum(threads.map(bring, range(24))) == 1
    assert len(vaults[0].grants("C1")) == 1
    for vault in vaults:
        vault.close()
