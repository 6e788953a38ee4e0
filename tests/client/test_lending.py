"""Living access tokens for programs with keys of their own: for the grants named for them, and each time audited."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from sqlite3 import IntegrityError

import pytest
from psycopg.errors import UniqueViolation

from grantflow import (
    CallerExists,
    GrantGone,
    Integration,
    NotForCaller,
    ReauthorizationRequired,
    TransientTokenError,
    UnknownCaller,
    VaultUnavailable,
)
from grantflow.client.callers import Caller
from grantflow.client.events import Event, Kind
from grantflow.client.grant import GrantKey
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.protocol.secret import Secret
from tests.client.conftest import World
from tests.client.vault_records import KEYS, NOW
from tests.engines import BOTH, Home


def granted(world: World, integration: Integration, *people: str) -> list[str]:
    return [world.grant(integration, person=person).id for person in people]


def test_a_caller_is_lent_the_tokens_of_its_own_grants_and_of_no_others(world: World) -> None:
    integration = world.integration()
    ada, grace = granted(world, integration, "ada", "grace")
    added = integration.add_caller("deploy", grants=[grace])
    own = integration.access_token("id-grace").token
    for person in (None, "id-grace", grace):
        assert integration.lend(added.key, person=person).token == own
    for person in ("id-ada", ada, "nobody"):
        with pytest.raises(NotForCaller, match=r"No grant of that person was given to this caller\."):
            integration.lend(added.key, person=person)


def test_where_a_caller_has_several_grants_one_must_be_named(world: World) -> None:
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada", "grace"))
    with pytest.raises(NotForCaller, match="More than one grant may be meant"):
        integration.lend(added.key)
    assert integration.lend(added.key, person="id-ada").grant.person_id == "id-ada"


def test_s57_of_a_key_the_digest_alone_is_kept_and_it_is_shown_once(world: World) -> None:
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada"))
    assert added.key.reveal().startswith("gfc_")
    assert len(added.key.reveal()) == len("gfc_") + 43
    assert added.key.reveal() not in f"{added!r} {integration.callers()!r}"
    for file in world.folder.iterdir():
        assert added.key.reveal().encode() not in file.read_bytes()


@BOTH
def test_the_history_of_each_grant_tells_which_callers_had_it_from_when_to_when(world: World) -> None:
    told: list[Event] = []
    integration = world.integration(on_event=told.append)
    ada, grace = granted(world, integration, "ada", "grace")
    added = integration.add_caller("deploy", grants=[ada, grace, "gone"])
    other = integration.add_caller("reports", grants=[grace])
    assert integration.remove_caller("deploy")
    deploy, reports = added.key.fingerprint(), other.key.fingerprint()
    events = {who: integration.history(f"id-{who}")[1:] for who in ("ada", "grace")}
    assert [(event.kind, event.actor, event.token, event.grant_id) for event in events["ada"]] == [
        (Kind.CALLER_ADDED, "caller deploy", deploy, ada),
        (Kind.CALLER_REMOVED, "caller deploy", deploy, ada),
    ]
    assert [(event.kind, event.actor, event.token, event.grant_id) for event in events["grace"]] == [
        (Kind.CALLER_ADDED, "caller deploy", deploy, grace),
        (Kind.CALLER_ADDED, "caller reports", reports, grace),
        (Kind.CALLER_REMOVED, "caller deploy", deploy, grace),
    ]
    of_callers = [event for event in told if event.kind in (Kind.CALLER_ADDED, Kind.CALLER_REMOVED)]
    assert {event.id for event in of_callers} >= {event.id for each in events.values() for event in each}
    assert [event.grant_id for event in of_callers].count("gone") == 2, "told, though it is nobody's history"


def test_a_wrong_key_and_that_of_a_removed_caller_are_nobodys(world: World) -> None:
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada"))
    with pytest.raises(UnknownCaller):
        integration.lend("gfc_" + "x" * 43)
    assert integration.remove_caller("deploy")
    assert not integration.remove_caller("deploy")
    with pytest.raises(UnknownCaller):
        integration.lend(added.key)
    assert integration.callers() == []


def test_a_key_is_good_for_its_own_integration_alone(world: World) -> None:
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada"))
    other = world.integration(client_id="another")
    with pytest.raises(UnknownCaller):
        other.lend(added.key)


def test_every_hand_over_is_in_the_audit_log_with_the_callers_name_and_no_token(world: World) -> None:
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada"))
    world.clock.advance(hours=1)
    token = integration.lend(added.key).token
    event = integration.history("id-ada")[-1]
    assert (event.kind, event.actor, event.token) == (Kind.HANDED_OUT, "caller deploy", token.fingerprint())
    assert event.at == world.clock.now()
    assert token.reveal() not in repr(event)
    (caller,) = integration.callers()
    assert caller.last_used_at == world.clock.now()
    assert caller.created_at == world.clock.now() - timedelta(hours=1)


def test_a_reported_token_is_renewed_once_and_not_in_a_loop(world: World) -> None:
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada"))
    first = integration.lend(added.key).token
    with pytest.raises(TransientTokenError) as refused:
        integration.lend(added.key, rejected=first)
    assert refused.value.retry_after == 10
    assert world.platform.counts["refresh"] == 0
    world.clock.advance(seconds=10)
    second = [integration.lend(added.key, rejected=first).token for _ in range(3)]
    assert len({first, *second}) == 2
    assert world.platform.counts["refresh"] == 1


def test_a_caller_that_reports_every_new_token_waits_longer_and_longer(world: World) -> None:
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada"))
    token, waits = integration.lend(added.key).token, []
    for _ in range(30):
        world.clock.advance(seconds=10)
        try:
            token = integration.lend(added.key, rejected=token).token
        except TransientTokenError as refused:
            waits.append(refused.retry_after)
    assert world.platform.counts["refresh"] == 10
    assert waits[:4] == [6, 22, 12, 2], "16 seconds and 32, of which so many had gone by"
    with pytest.raises(TransientTokenError) as refused_early:
        integration.lend(added.key, rejected=integration.lend(added.key).token)
    assert refused_early.value.retry_after > 10, "the longer of both waits"
    assert integration.lend(added.key).token == token


def test_a_grant_that_was_disconnected_is_not_lent_nor_the_next_one_that_has_another_id(world: World) -> None:
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada"))
    integration.revoke("id-ada")
    with pytest.raises(ReauthorizationRequired):
        integration.lend(added.key)
    granted(world, integration, "ada")
    with pytest.raises(GrantGone, match="Give the caller the new one"):
        integration.lend(added.key)


@pytest.mark.parametrize(
    ("name", "grants", "what"),
    [
        ("", ["g"], "printable characters"),
        ("a\nb", ["g"], "printable characters"),
        (" a", ["g"], "no space around it"),
        ("a" * 65, ["g"], "1 to 64"),
        ("a", [], "at least one"),
    ],
)
def test_a_caller_has_a_name_for_the_log_and_a_grant(world: World, name: str, grants: list[str], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        world.integration().add_caller(name, grants=grants)


def test_names_are_given_once(world: World) -> None:
    integration = world.integration()
    integration.add_caller("deploy", grants=["g1"])
    with pytest.raises(CallerExists, match="Remove it first"):
        integration.add_caller("deploy", grants=["g2"])
    assert [caller.grant_ids for caller in integration.callers()] == [("g1",)]


def test_the_awaiting_kind_lends_alike(world: World) -> None:
    blocking = world.integration()
    grants = granted(world, blocking, "ada")

    async def story() -> None:
        async with world.async_integration() as integration:
            added = await integration.add_caller("deploy", grants=grants)
            handed = await integration.lend(added.key)
            assert handed.token == blocking.access_token("id-ada").token
            assert [caller.name for caller in await integration.callers()] == ["deploy"]
            assert await integration.remove_caller("deploy")

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize("name", ["a\0b", "\N{SLICE OF PIZZA}" * 5_000], ids=["NUL", "long"])
def test_a_name_that_no_vault_can_keep_is_nobodys_and_no_owners(world: World, name: str) -> None:
    """PostgreSQL's texts hold no NUL, and its indexes no key of more than 2,704 bytes."""
    integration = world.integration()
    added = integration.add_caller("deploy", grants=granted(world, integration, "ada"))
    with pytest.raises(NotForCaller):
        integration.lend(added.key, person=name)
    with pytest.raises(ReauthorizationRequired):
        integration.client_for(name).get("people/me")
    assert integration.find_grants(name) == []
    assert integration.find_grants(f"{name}@example.com") == []
    assert integration.grant(name) is None
    assert integration.history(name, owner=name) == []
    for refused in (lambda: integration.authorization_request(owner=name), lambda: integration.adopt("r", owner=name)):
        with pytest.raises(ValueError, match="not every vault can keep"):
            refused()


@BOTH
def test_callers_are_kept_in_either_database(home: Home) -> None:
    vault: SqlVault = home.open(KEYS)
    make: Callable[[str, str], Caller] = lambda name, key: Caller("C1", name, Secret(key).digest(), ("g1", "g2"), NOW)  # noqa: E731
    assert vault.add_caller(make("b", "one"))
    assert vault.add_caller(make("a", "two"))
    assert not vault.add_caller(make("b", "three")), "the name is taken"
    assert vault.callers("C1") == [make("a", "two"), make("b", "one")]
    assert vault.callers("C2") == []
    assert vault.caller("C1", digest=Secret("one").digest()) == make("b", "one")
    assert vault.caller("C2", digest=Secret("one").digest()) is None
    assert not vault.remove_caller(make("b", "three")), "another key under that name: another caller"
    assert vault.remove_caller(make("b", "one"))
    assert not vault.remove_caller(make("b", "one"))
    assert vault.caller("C1", digest=Secret("one").digest()) is None
    vault.close()


@BOTH
def test_a_caller_and_the_event_that_tells_of_it_are_kept_together_or_not_at_all(home: Home) -> None:
    vault: SqlVault = home.open(KEYS)
    key = GrantKey("C1", "ada", "ada")
    told = Event("e1", NOW, Kind.CALLER_ADDED, "C1", "g1", "ada", "ada", actor="caller a", is_to_be_told=True)
    first, second = (Caller("C1", name, Secret(name).digest(), ("g1",), NOW) for name in ("a", "b"))
    assert vault.add_caller(first, events=[told])
    assert not vault.add_caller(first, events=[replace(told, id="e2")])
    assert vault.events(key) == [told]
    changes: list[Callable[[], bool]] = [
        lambda: vault.add_caller(second, events=[told]),
        lambda: vault.remove_caller(first, events=[told]),
    ]
    for change in changes:
        with pytest.raises((IntegrityError, UniqueViolation, VaultUnavailable)):  # no two events have one id
            change()
    assert vault.callers("C1") == [first]
    assert vault.events(key) == [told]
    assert vault.remove_caller(first, events=[replace(told, id="e3", kind=Kind.CALLER_REMOVED)])
    assert not vault.remove_caller(first, events=[replace(told, id="e4", kind=Kind.CALLER_REMOVED)])
    assert [event.id for event in vault.events(key)] == ["e1", "e3"]
    vault.close()
