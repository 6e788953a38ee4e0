"""Tokens that came and cannot be kept: nobody would use them, so they are not left alive at the platform."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest

from grantflow import Status, VaultUnavailable, WrongAccount
from grantflow.client.vault import sqlite
from tests.client.conftest import World
from tests.client.foreign import Answer
from tests.client.shells import Kinds, granted


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 0.3)


@contextmanager
def locked_from_the_exchange_on(world: World) -> Iterator[None]:
    """Another program locks the vault while the person is asked for: the state is spent, the grant not yet kept."""
    others: list[sqlite3.Connection] = []

    def lock() -> None:
        if not others:
            others.append(sqlite3.connect(world.path, isolation_level=None, check_same_thread=False))
            others[0].execute("BEGIN IMMEDIATE")

    world.platform.on_whoami = lock
    yield
    world.platform.on_whoami = lambda: None
    for other in others:
        other.close()


def revoked(world: World) -> list[str]:
    return [parse_qs(body.decode())["token"][0] for body in world.platform.bodies]


def test_tokens_that_the_vault_cannot_keep_are_revoked_before_the_error_is_told(world: World, either: Kinds) -> None:
    integration = either(revocation_url=f"{world.api_url}/revoke")
    with locked_from_the_exchange_on(world), pytest.raises(VaultUnavailable, match="another program keeps it locked"):
        granted(integration, world)
    assert revoked(world) == [world.platform.line().refresh]
    assert integration.grants() == []
    assert granted(integration, world).status is Status.ACTIVE


@pytest.mark.parametrize("fault", [Answer(0), Answer(503, "<html>"), Answer(200, "<html>")])
def test_a_platform_that_does_not_revoke_them_hides_no_error_and_the_log_tells(
    world: World, either: Kinds, fault: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    world.platform.revocation_answers.append(fault)
    with locked_from_the_exchange_on(world), pytest.raises(VaultUnavailable):
        granted(either(revocation_url=f"{world.api_url}/revoke"), world)
    assert "tokens that came and were not kept may live on at the platform" in caplog.text
    with locked_from_the_exchange_on(world), pytest.raises(VaultUnavailable):
        granted(either(), world, person="grace")
    assert "No revocation endpoint is configured" in caplog.text


def test_a_grant_of_the_same_person_that_lives_here_is_not_put_at_risk(
    world: World, either: Kinds, caplog: pytest.LogCaptureFixture
) -> None:
    """Some platforms end everything of a person's with any token of theirs."""
    integration = either(revocation_url=f"{world.api_url}/revoke")
    granted(integration, world, owner="u1")
    before = world.stored_tokens(world.integration(), owner="u1")
    with locked_from_the_exchange_on(world), pytest.raises(VaultUnavailable):
        granted(integration, world, owner="u2")
    assert revoked(world) == []
    assert "another grant of the same person lives here" in caplog.text
    assert world.stored_tokens(world.integration(), owner="u1") == before


def test_what_a_person_grants_in_anothers_place_is_ended_too(world: World, either: Kinds) -> None:
    integration = either(revocation_url=f"{world.api_url}/revoke")
    first = granted(integration, world)
    with pytest.raises(WrongAccount):
        granted(integration, world, person="grace", grant=first.id)
    assert revoked(world) == [world.platform.line("grace").refresh]
    assert integration.get("people/me").json()["id"] == "id-ada"


def test_that_the_credentials_have_served_is_not_worth_an_error_with_the_tokens_in_hand(
    world: World, either: Kinds
) -> None:
    integration = either()
    granted(integration, world, person="grace")
    world.platform.answers.append(Answer(401, '{"error": "invalid_client"}'))
    with pytest.raises(Exception, match="refuses the integration"):
        integration.refresh("id-grace")
    broken: Callable[..., None] = _locked
    world_vault: Any = integration.integration._parts.vault
    world_vault.set_standing = broken
    assert granted(integration, world).status is Status.ACTIVE


def _locked(*_: object, **__: object) -> None:
    raise VaultUnavailable("locked", retry_after=1)
