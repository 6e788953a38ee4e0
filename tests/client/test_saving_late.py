"""Tokens that came while the vault did not work: kept by this process until they are saved, or ended."""

import asyncio
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from grantflow import (
    AsyncIntegration,
    Event,
    Kind,
    ReauthorizationRequired,
    Status,
    TransientTokenError,
    VaultUnavailable,
)
from grantflow.client.flows import parts, saving_late, settling
from grantflow.client.flows.parts import UnsavedTokens
from grantflow.client.grant import GrantKey, StoredGrant
from grantflow.client.vault.sql_vault import SqlVault
from tests.client.conftest import World
from tests.client.shells import Blocking, Either, Kinds, granted, jar
from tests.client.vault_records import stored

#: Those of tests before this one, which may still be on their way.
EARLIER: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    EARLIER.clear()
    EARLIER.update(threading.enumerate())
    monkeypatch.setattr(settling, "_PAUSES_BETWEEN_TRIES", ())
    monkeypatch.setattr(saving_late, "_TRY_AGAIN_AFTER", 60.0)


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving_late, "_TRY_AGAIN_AFTER", 0.05)


@contextmanager
def nothing_can_be_saved(*, by: Either | None = None) -> Iterator[None]:
    """A full disk, but at once: the vault can still be read. By everybody, or by this one alone."""
    real = SqlVault.save

    def save(vault: SqlVault, *what: Any, **how: Any) -> bool:
        if by is None or vault is by.integration._parts.vault:
            raise VaultUnavailable("The disk is full.", retry_after=1.0)
        return real(vault, *what, **how)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SqlVault, "save", save)
        yield


def leave_unsaved(world: World, integration: Either, *, person: str = "id-ada") -> None:
    world.platform.rotates = True
    world.platform.expire_access_tokens()
    with nothing_can_be_saved(), pytest.raises(VaultUnavailable):
        integration.refresh(person)


def waiting(integration: Either) -> int:
    return len(integration.integration._parts.unsaved)


def ended(world: World) -> list[str]:
    """What was sent to the platform to be ended."""
    return [form["token"][0] for form in (parse_qs(body.decode()) for body in world.platform.bodies) if "token" in form]


def test_tokens_that_come_while_a_watcher_hears_of_those_before_are_not_dropped_with_them(
    world: World, either: Kinds
) -> None:
    def on_event(event: Event) -> None:
        if event.kind is Kind.REFRESHED:
            unsaved.keep(newer)

    integration = either(on_event=on_event)
    granted(integration, world)
    unsaved, key = integration.integration._parts.unsaved, integration.integration._parts.key("id-ada", None)
    leave_unsaved(world, integration)
    late = unsaved.get(key)
    assert late is not None
    newer = replace(late)
    assert integration.get("people/me").status_code == 200
    assert unsaved.get(key) is newer


def test_a_new_refresh_token_without_an_access_token_that_can_be_used_is_saved_late_as_well(
    world: World, either: Kinds
) -> None:
    integration = either()
    granted(integration, world)
    world.platform.revokes_families = True
    world.platform.token_type = "mac"
    leave_unsaved(world, integration)
    with pytest.raises(TransientTokenError, match="not Bearer"):
        integration.refresh()
    assert world.stored_tokens(integration.integration)[1] == world.platform.line().refresh
    assert world.integration().history("id-ada")[-1].kind is Kind.REFRESH_DELAYED
    world.platform.token_type = "Bearer"
    world.clock.advance(seconds=2)
    assert integration.get("people/me").status_code == 200


def test_whoever_comes_between_two_tries_to_save_takes_the_new_tokens_and_sends_no_old_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease has ended by then, so nothing but the tokens themselves keeps the second one from asking."""
    monkeypatch.setattr(settling, "_PAUSES_BETWEEN_TRIES", (3.0,))
    integration = world.integration(deadline=0.5, _lease_margin=0.1)
    world.grant(integration)
    world.platform.rotates = world.platform.revokes_families = True
    world.platform.expire_access_tokens()
    first_try, real = threading.Event(), SqlVault.save

    def save(vault: SqlVault, *what: Any, **how: Any) -> bool:
        if not first_try.is_set():
            first_try.set()
            raise VaultUnavailable("The disk is full.", retry_after=1.0)
        return real(vault, *what, **how)

    monkeypatch.setattr(SqlVault, "save", save)
    with ThreadPoolExecutor(1) as another:
        calling = another.submit(integration.client_for("id-ada").get, "people/me")
        assert first_try.wait(10)
        time.sleep(1.0)
        assert integration.refresh("id-ada").status is Status.ACTIVE
        assert world.platform.counts["refresh"] == 1
        assert calling.result(10).status_code == 200
    assert len(integration._parts.unsaved) == 0
    assert [event.kind for event in integration.history("id-ada")] == [Kind.GRANTED, Kind.REFRESHED]
    assert integration.refresh("id-ada").status is Status.ACTIVE


def test_older_tokens_never_take_the_place_of_newer_ones_that_wait_too() -> None:
    """A slow caller whose save fails again may come after one who has renewed once more."""
    unsaved, older = UnsavedTokens(), stored()
    newer = replace(older, grant=replace(older.grant, generation=2))
    unsaved.keep(newer)
    unsaved.keep(older)
    assert unsaved.get(older.grant.key) is newer
    another = replace(older, grant=replace(older.grant, id="g-granted-anew"))
    unsaved.keep(another)
    assert unsaved.get(older.grant.key) is another


def test_who_disconnects_ends_the_newest_tokens_though_they_were_not_saved_yet(world: World, either: Kinds) -> None:
    integration = either(revocation_url=f"{world.api_url}/revoke")
    granted(integration, world)
    leave_unsaved(world, integration)
    assert integration.revoke().at_platform
    assert ended(world) == [world.platform.line().refresh]
    assert waiting(integration) == 0
    assert integration.grants()[0].status is Status.REVOKED


def test_tokens_that_were_not_saved_yet_are_ended_where_another_process_has_disconnected(
    world: World, either: Kinds
) -> None:
    integration = either(revocation_url=f"{world.api_url}/revoke")
    granted(integration, world)
    (_, old) = world.stored_tokens(integration.integration)
    leave_unsaved(world, integration)
    assert world.integration(revocation_url=f"{world.api_url}/revoke").revoke("id-ada").at_platform
    with pytest.raises(ReauthorizationRequired, match="disconnected"):
        integration.get("people/me")
    assert ended(world) == [old, world.platform.line().refresh]
    assert waiting(integration) == 0


@pytest.mark.usefixtures("_often")
def test_a_grant_that_does_not_open_keeps_no_other_from_being_saved(world: World, either: Kinds) -> None:
    integration = either()
    for person in ("ada", "grace", "edsger"):
        granted(integration, world, person=person)
    with nothing_can_be_saved():
        leave_unsaved(world, integration)
        leave_unsaved(world, integration, person="id-grace")
        vault = integration.integration._parts.vault
        writer = vault._here().writer  # type: ignore[attr-defined]
        (sealed,) = writer.execute("SELECT tokens FROM grants WHERE person_id = 'id-ada'").fetchone()
        writer.execute("UPDATE grants SET tokens = zeroblob(80) WHERE person_id = 'id-ada'")
    rest_until(either, lambda: waiting(integration) == 1)
    assert world.stored_tokens(integration.integration, "id-grace")[1] == world.platform.line("grace").refresh
    assert integration.refresh("id-edsger").generation == 2
    writer.execute("UPDATE grants SET tokens = ? WHERE person_id = 'id-ada'", (sealed,))
    rest_until(either, lambda: waiting(integration) == 0)
    assert world.stored_tokens(integration.integration)[1] == world.platform.line().refresh


@contextmanager
def no_tokens_of_ada_can_be_saved(error: Exception) -> Iterator[None]:
    real = SqlVault.save

    def save(vault: SqlVault, stored: StoredGrant, **how: Any) -> bool:
        if stored.grant.person_id == "id-ada":
            raise error
        return real(vault, stored, **how)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SqlVault, "save", save)
        yield


@pytest.mark.parametrize(
    "error", [VaultUnavailable("The row is locked.", retry_after=1.0), sqlite3.IntegrityError("a trigger says no")]
)
def test_a_grant_that_cannot_be_saved_keeps_no_other_unsaved_at_close_and_no_person_from_being_renewed(
    world: World, either: Kinds, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    integration = either()
    for person in ("ada", "grace", "edsger"):
        granted(integration, world, person=person)
    for person in ("id-ada", "id-grace"):
        leave_unsaved(world, integration, person=person)
    with no_tokens_of_ada_can_be_saved(error):
        assert integration.refresh("id-edsger").generation == 2
        close(either, integration)
    assert world.stored_tokens(world.integration(), "id-grace")[1] == world.platform.line("grace").refresh
    assert "the new tokens of 1 grants could not be saved: they are lost with this process" in caplog.text
    assert not threads()


@pytest.mark.usefixtures("_often")
def test_many_grants_that_cannot_be_saved_keep_no_other_unsaved(world: World, either: Kinds) -> None:
    """More than the vault is taken to be away for: each time another one is tried first."""
    integration = either()
    granted(integration, world)
    granted(integration, world, person="grace")
    with nothing_can_be_saved():
        leave_unsaved(world, integration)
        unsaved = integration.integration._parts.unsaved
        ada = unsaved.waiting()[0]
        for owner in "abcdefgh":
            unsaved.keep(replace(ada, grant=replace(ada.grant, owner=owner)))
        leave_unsaved(world, integration, person="id-grace")
    real = SqlVault.find

    def find(vault: SqlVault, key: GrantKey) -> StoredGrant | None:
        if key.person_id == "id-ada":
            raise VaultUnavailable("The row is locked.", retry_after=1.0)
        return real(vault, key)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SqlVault, "find", find)
        rest_until(either, lambda: waiting(integration) == 9)
    assert world.stored_tokens(integration.integration, "id-grace")[1] == world.platform.line("grace").refresh
    rest_until(either, lambda: waiting(integration) == 0)


@pytest.mark.usefixtures("_often")
def test_a_platform_that_is_silent_when_one_grant_is_ended_keeps_no_other_unsaved(world: World, either: Kinds) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        integration = either(revocation_url=f"http://127.0.0.1:{silent.getsockname()[1]}/revoke", deadline=40.0)
        for person in ("ada", "grace", "edsger"):
            granted(integration, world, person=person)
        with nothing_can_be_saved(by=integration):
            leave_unsaved(world, integration)
            leave_unsaved(world, integration, person="id-grace")
            world.integration().revoke("id-ada")
        begun = time.monotonic()
        key = integration.integration._parts.key("id-grace", None)
        rest_until(either, lambda: integration.integration._parts.unsaved.get(key) is None)
        assert world.stored_tokens(world.integration(), "id-grace")[1] == world.platform.line("grace").refresh
        assert integration.refresh("id-edsger").generation == 2
        assert time.monotonic() - begun < 20


@pytest.mark.usefixtures("_often")
def test_whoever_watches_and_takes_their_time_keeps_no_other_unsaved(world: World, either: Kinds) -> None:
    heard, over = threading.Event(), threading.Event()

    def on_event(event: Event) -> Any:
        if event.kind is not Kind.REFRESHED:
            return None
        heard.set()
        return awaited() if either._awaits else over.wait(30)

    async def awaited() -> None:
        while not over.is_set():  # noqa: ASYNC110  set from another thread
            await asyncio.sleep(0.05)

    integration = either(on_event=on_event)
    granted(integration, world)
    granted(integration, world, person="grace")
    try:
        leave_unsaved(world, integration)
        rest_until(either, heard.is_set)
        leave_unsaved(world, integration, person="id-grace")
        rest_until(either, lambda: waiting(integration) == 0)
    finally:
        over.set()


def test_on_an_event_loop_closing_saves_before_it_waits_for_whoever_watches(world: World) -> None:
    async def story() -> None:
        heard, over = asyncio.Event(), asyncio.Event()

        async def on_event(event: Event) -> None:
            if event.kind is Kind.REFRESHED:
                heard.set()
                await over.wait()

        integration = world.async_integration(on_event=on_event)
        begun = await integration.authorization_request()
        await integration.complete_authorization(world.platform.accept(begun.url, person="grace"), jar(begun))
        refreshing = asyncio.create_task(integration.refresh("id-grace"))
        await heard.wait()
        await hold_unsaved(world, integration)
        closing = asyncio.create_task(integration.close())
        async with asyncio.timeout(30):
            while len(integration._parts.unsaved):  # noqa: ASYNC110  nobody is told here
                await asyncio.sleep(0.05)
        over.set()
        await asyncio.gather(refreshing, closing)

    asyncio.run(story())


def test_what_waits_to_be_saved_is_bounded_and_the_oldest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_LIVE_LIMIT", 2)
    unsaved = UnsavedTokens()
    first, second, third = stored("ada"), stored("grace"), stored("edsger")
    for each in (first, second, third):
        unsaved.keep(each)
    assert {each.grant.person_id for each in unsaved.waiting()} == {"grace", "edsger"}
    unsaved.drop(replace(second))
    assert len(unsaved) == 2, "it is not the same one"
    assert unsaved.drop(second)
    assert not unsaved.drop(second), "by one alone"
    assert unsaved.waiting() == [third]


# --- while nobody calls ----------------------------------------------------------------------------------------------


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "grantflow-meanwhile" and each not in EARLIER]


def rest_until(either: Kinds, came: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not came():
        assert time.monotonic() < end
        either.rest(0.05)


@pytest.mark.usefixtures("_often")
def test_tokens_are_saved_as_soon_as_the_vault_works_though_nobody_calls(world: World, either: Kinds) -> None:
    """Else another process would send the old token when the lease has ended, and a strict server end the grant."""
    told: list[Event] = []
    integration, other = either(on_event=told.append), world.integration(deadline=0.5, _lease_margin=0.5)
    granted(integration, world)
    granted(integration, world, person="grace")
    world.platform.revokes_families = True
    with nothing_can_be_saved():
        leave_unsaved(world, integration)
        leave_unsaved(world, integration, person="id-grace")
        either.rest(0.3)
        assert waiting(integration) == 2
        assert len(threads()) <= 1, "one for all"
    rest_until(either, lambda: waiting(integration) == 0 and len(told) == 4)
    assert [event.kind for event in told[2:]] == [Kind.REFRESHED] * 2
    rest_until(either, lambda: not threads())
    for person in ("ada", "grace"):
        assert world.stored_tokens(other, f"id-{person}")[1] == world.platform.line(person).refresh
        assert other.client_for(f"id-{person}").get("people/me").status_code == 200
    # And once more: what has ended begins again.
    leave_unsaved(world, integration)
    rest_until(either, lambda: waiting(integration) == 0)
    assert world.stored_tokens(other)[1] == world.platform.line().refresh


@pytest.mark.usefixtures("_often")
def test_tokens_are_ended_though_nobody_calls_where_another_process_has_disconnected(
    world: World, either: Kinds
) -> None:
    integration = either(revocation_url=f"{world.api_url}/revoke")
    granted(integration, world)
    with nothing_can_be_saved(by=integration):
        leave_unsaved(world, integration)
        world.integration().revoke("id-ada")
    rest_until(either, lambda: ended(world) == [world.platform.line().refresh])
    assert waiting(integration) == 0


@pytest.mark.usefixtures("_often")
def test_a_failure_that_nobody_foresaw_does_not_stop_the_trying(
    world: World, either: Kinds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    integration = either()
    granted(integration, world)

    def find(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    leave_unsaved(world, integration)
    with monkeypatch.context() as patched:
        patched.setattr(SqlVault, "find", find)
        rest_until(either, lambda: "are saved later: ZeroDivisionError" in caplog.text)
    rest_until(either, lambda: waiting(integration) == 0)


def test_closing_saves_what_waits_and_ends_the_trying(world: World, either: Kinds) -> None:
    integration = either()
    granted(integration, world)
    leave_unsaved(world, integration)
    begun = time.monotonic()
    close(either, integration)
    assert time.monotonic() - begun < 5
    assert not threads()
    assert world.stored_tokens(world.integration())[1] == world.platform.line().refresh


def test_closing_with_the_vault_away_says_what_is_lost_and_does_not_hang(
    world: World, either: Kinds, caplog: pytest.LogCaptureFixture
) -> None:
    integration = either()
    granted(integration, world)
    leave_unsaved(world, integration)
    with nothing_can_be_saved():
        close(either, integration)
    assert "the new tokens of 1 grants could not be saved: they are lost with this process" in caplog.text
    assert not threads()
    assert integration.get("people/me").status_code == 200, "it opens again when it is used again"


@pytest.mark.usefixtures("_often")
def test_closing_does_not_hang_where_it_comes_while_a_grant_is_ended_and_another_cannot_be_saved(
    world: World, either: Kinds
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        integration = either(revocation_url=f"http://127.0.0.1:{silent.getsockname()[1]}/revoke", deadline=1.0)
        for person in ("ada", "grace"):
            granted(integration, world, person=person)
        with nothing_can_be_saved():
            leave_unsaved(world, integration)
            leave_unsaved(world, integration, person="id-grace")
        world.integration().revoke("id-grace")
        with no_tokens_of_ada_can_be_saved(VaultUnavailable("The row is locked.", retry_after=1.0)):
            rest_until(either, lambda: waiting(integration) == 1)
            if isinstance(integration.integration, AsyncIntegration):
                either._runner.run(asyncio.wait_for(integration.integration.close(), 10))
            else:
                integration.integration.close()
    assert not threads()


@pytest.mark.usefixtures("_often")
def test_who_is_told_of_tokens_saved_late_may_close_the_integration(world: World) -> None:
    closed = threading.Event()

    def on_event(event: Event) -> None:
        if event.kind is Kind.REFRESHED:
            integration.close()
            closed.set()

    integration = world.integration(on_event=on_event)
    world.grant(integration)
    leave_unsaved(world, Blocking(integration))
    assert closed.wait(30)


@pytest.mark.usefixtures("_often")
def test_on_an_event_loop_who_is_told_of_tokens_saved_late_may_close_the_integration(world: World) -> None:
    async def story() -> None:
        closed = asyncio.Event()

        async def on_event(event: Event) -> None:
            if event.kind is Kind.REFRESHED:
                await integration.close()
                closed.set()

        integration = world.async_integration(on_event=on_event)
        await hold_unsaved(world, integration)
        async with asyncio.timeout(30):
            await closed.wait()

    asyncio.run(story())


@pytest.mark.usefixtures("_often")
def test_an_event_loop_that_ends_meanwhile_leaves_them_to_the_next_one(world: World) -> None:
    integration = world.async_integration()

    async def next_one() -> None:
        with pytest.raises(ReauthorizationRequired):
            await integration.client_for("id-nobody").get("people/me")  # whatever is asked, it begins anew
        async with asyncio.timeout(30):
            while len(integration._parts.unsaved):  # noqa: ASYNC110  nobody is told here
                await asyncio.sleep(0.05)
        await integration.close()

    with nothing_can_be_saved():
        asyncio.run(hold_unsaved(world, integration))
    assert len(integration._parts.unsaved) == 1
    asyncio.run(next_one())
    assert world.stored_tokens(world.integration())[1] == world.platform.line().refresh


async def hold_unsaved(world: World, integration: AsyncIntegration) -> None:
    begun = await integration.authorization_request()
    await integration.complete_authorization(world.platform.accept(begun.url), jar(begun))
    world.platform.rotates = True
    world.platform.expire_access_tokens()
    with nothing_can_be_saved(), pytest.raises(VaultUnavailable):
        await integration.refresh("id-ada")


def close(either: Kinds, integration: Either) -> None:
    if isinstance(integration.integration, AsyncIntegration):
        either.close()
    else:
        integration.integration.close()
