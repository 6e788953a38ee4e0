"""Tokens that came while the vault did not work: kept by this process until they are saved, or ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from grantflow import Event, Kind, ReauthorizationRequired, Status, VaultUnavailable
from grantflow.client.flows import parts, settling
from grantflow.client.flows.parts import UnsavedTokens
from grantflow.client.vault.sql_vault import SqlVault
from tests.client.conftest import World
from tests.client.shells import Either, Kinds, granted
from tests.client.vault_records import stored


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_PAUSES_BETWEEN_TRIES", ())


@contextmanager
def nothing_can_be_saved() -> Iterator[None]:
    """A full disk, but at once: the vault can still be read."""

    def save(*_: Any, **__: Any) -> bool:
        raise VaultUnavailable("The disk is full.", retry_after=1.0)

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


def test_a_grant_that_does_not_open_keeps_no_other_from_being_saved(world: World, either: Kinds) -> None:
    integration = either()
    for person in ("ada", "grace", "edsger"):
        granted(integration, world, person=person)
    leave_unsaved(world, integration)
    leave_unsaved(world, integration, person="id-grace")
    vault = integration.integration._parts.vault
    writer = vault._here().writer  # type: ignore[attr-defined]
    (sealed,) = writer.execute("SELECT tokens FROM grants WHERE person_id = 'id-ada'").fetchone()
    writer.execute("UPDATE grants SET tokens = zeroblob(80) WHERE person_id = 'id-ada'")
    assert integration.refresh("id-edsger").generation == 2
    assert world.stored_tokens(integration.integration, "id-grace")[1] == world.platform.line("grace").refresh
    assert waiting(integration) == 1
    writer.execute("UPDATE grants SET tokens = ? WHERE person_id = 'id-ada'", (sealed,))
    assert integration.refresh("id-edsger").generation == 3
    assert world.stored_tokens(integration.integration)[1] == world.platform.line().refresh


def test_what_waits_to_be_saved_is_bounded_and_the_oldest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_LIVE_LIMIT", 2)
    unsaved = UnsavedTokens()
    first, second, third = stored("ada"), stored("grace"), stored("edsger")
    for each in (first, second, third):
        unsaved.keep(each)
    assert unsaved.waiting() == [second.grant.key, third.grant.key]
    unsaved.drop(replace(second))
    assert len(unsaved) == 2, "it is not the same one"
    unsaved.drop(second)
    assert unsaved.waiting() == [third.grant.key]
