"""Records are sealed anew under the primary key while others read and write them, over each database."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from grantflow import KeyRing, Tampered
from grantflow.client import rules
from grantflow.client.vault import Resealed
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens
from tests.client.vault_records import NOW, stored
from tests.engines import BOTH, Home

pytestmark = BOTH

OLD, NEW = KeyRing.new_key(), KeyRing.new_key()
OLD_ID, NEW_ID = KeyRing(OLD).key_id, KeyRing(NEW).key_id
PEOPLE = [f"p{number:02}" for number in range(25)]


@pytest.fixture
def vault(home: Home) -> Iterator[SqlVault]:
    """With records under the old key, opened with both."""
    with closing(home.open(KeyRing(OLD))) as before:
        for person in PEOPLE:
            before.enter(stored(person))
    with closing(home.open(KeyRing(NEW, previous=[OLD]))) as vault:
        yield vault


def reseal_all(vault: SqlVault, *, limit: int = 10) -> Sequence[Resealed]:
    parts, after = [], ""
    while True:
        parts.append(vault.reseal(after=after, limit=limit))
        last = parts[-1].last
        if last is None:
            return parts
        after = last


def counts(vault: SqlVault) -> dict[str, int]:
    return {each.key_id: each.records for each in vault.keys_in_use()}


def test_every_record_is_under_the_primary_key_afterwards_and_opens_with_it_alone(home: Home, vault: SqlVault) -> None:
    assert counts(vault) == {OLD_ID: 25, NEW_ID: 0}
    parts = reseal_all(vault)
    assert [(part.seen, part.resealed) for part in parts] == [(10, 10), (10, 10), (5, 5)]
    assert all(part.passed == 0 and not part.unopened for part in parts)
    assert counts(vault) == {OLD_ID: 0, NEW_ID: 25}
    with closing(home.open(KeyRing(NEW))) as alone:
        for person in PEOPLE:
            assert alone.find(stored(person).grant.key) == stored(person)


def test_it_is_resumed_where_it_ended_since_what_is_done_is_done(vault: SqlVault) -> None:
    first = vault.reseal(after="", limit=10)
    assert first.resealed == 10
    assert sum(part.resealed for part in reseal_all(vault)) == 15
    assert sum(part.resealed for part in reseal_all(vault)) == 0


def test_a_refresh_in_the_middle_is_never_overwritten(vault: SqlVault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tokens are all that is left of a grant, with a platform that swaps them."""
    kept = vault.find(stored("p03").grant.key)
    assert kept is not None
    renewed = rules.renewed(kept, Tokens(Secret("new-access"), None, Secret("new-refresh")), now=NOW)
    put = vault._put_resealed

    def refresh_first(fresh: dict[str, tuple[bytes, bytes]]) -> int:
        assert vault.save(renewed, generation=1)
        return put(fresh)

    monkeypatch.setattr(vault, "_put_resealed", refresh_first)
    part = vault.reseal(after="", limit=10)
    assert (part.resealed, part.passed) == (9, 1)
    assert vault.find(renewed.grant.key) == renewed


def test_a_lease_and_an_intent_live_on(vault: SqlVault) -> None:
    assert vault.take_lease("g-p03", generation=1, holder="me", seconds=30) == stored("p03")
    reseal_all(vault)
    assert vault.lease_left("g-p03", holder="me") > 20
    found = vault.find(stored("p03").grant.key)
    assert found is not None
    assert found.unanswered_since is not None
    assert found == replace(stored("p03"), unanswered_since=found.unanswered_since)


def test_of_many_who_reseal_refresh_and_enter_at_once_nothing_is_lost(home: Home, vault: SqlVault) -> None:
    others = [home.open(KeyRing(OLD, previous=[NEW])) for _ in range(3)]  # nodes that are behind

    def refresh(number: int) -> None:
        person, mine = PEOPLE[number % 25], others[number % 3]
        found = mine.find(stored(person).grant.key)
        assert found is not None
        tokens = Tokens(Secret(f"a{number}"), None, Secret(f"r{number}"))
        if mine.save(rules.renewed(found, tokens, now=NOW), generation=found.grant.generation):
            last[person] = f"r{number}"

    last: dict[str, str] = {}
    with ThreadPoolExecutor(4) as threads:
        resealing = threads.submit(lambda: [reseal_all(vault, limit=5) for _ in range(5)])
        list(threads.map(refresh, range(100)))
        resealing.result()
    reseal_all(vault)
    for other in others:
        other.close()
    assert counts(vault) == {OLD_ID: 0, NEW_ID: 25}
    for person in PEOPLE:
        found = vault.find(stored(person).grant.key)
        assert found is not None
        assert found.grant.generation > 1
        assert found.refresh_token == Secret(last[person])


def test_a_record_that_does_not_open_is_named_and_stops_nothing(home: Home, vault: SqlVault) -> None:
    home.ask("UPDATE grants SET person_id = 'mallory' WHERE id = 'g-p03'")
    parts = reseal_all(vault)
    assert [grant_id for part in parts for grant_id in part.unopened] == ["g-p03"]
    assert counts(vault) == {OLD_ID: 1, NEW_ID: 24}
    with pytest.raises(Tampered):
        vault.find(replace(stored("p03").grant, person_id="mallory").key)


def test_forgotten_tokens_count_for_no_key(vault: SqlVault) -> None:
    vault.save(rules.revoked(stored("p03").grant), generation=1)
    assert counts(vault) == {OLD_ID: 24, NEW_ID: 0}
    assert sum(part.resealed for part in reseal_all(vault)) == 24


def test_since_when_a_key_is_in_use_is_known_where_its_beginning_was_seen(home: Home) -> None:
    with closing(home.open(KeyRing(OLD))) as vault:
        vault.enter(stored())
        (seen,) = vault.keys_in_use()
        assert seen.since is not None
    home.ask("DELETE FROM keys")
    with closing(home.open(KeyRing(OLD))) as vault:
        assert [each.since for each in vault.keys_in_use()] == [None], "it was in use before that was noted"
    with closing(home.open(KeyRing(NEW, previous=[OLD]))) as vault:
        assert {each.key_id: each.since is None for each in vault.keys_in_use()} == {OLD_ID: True, NEW_ID: False}
