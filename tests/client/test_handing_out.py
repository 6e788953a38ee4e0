"""An access token for a program that calls the API by its own means: it lives, and is renewed no more than needed."""

import asyncio

import httpx2
import pytest

from grantflow import AccessToken, Integration, IntegrationRefused, ReauthorizationRequired, TransientTokenError
from grantflow.client.events import Kind
from grantflow.protocol.secret import Secret
from tests.client.conftest import World
from tests.client.foreign import Answer


def call(world: World, handed: AccessToken) -> int:
    bearer = {"authorization": f"Bearer {handed.token.reveal()}"}
    return httpx2.get(f"{world.api_url}/people/me", headers=bearer, trust_env=False).status_code


def test_the_stored_token_is_handed_out_as_long_as_it_lives(world: World) -> None:
    integration = world.integration()
    granted = world.grant(integration)
    world.clock.advance(days=13)
    handed = integration.access_token("id-ada")
    assert call(world, handed) == 200
    assert handed.expires_at == granted.access_expires_at
    assert handed.grant.person_id == "id-ada"
    assert handed.token.reveal() not in repr(handed)
    assert world.platform.counts["refresh"] == 0


@pytest.mark.parametrize(
    ("lifetime", "passed", "renewals"), [(60, 53, 0), (60, 55, 1), (3600, 3569, 0), (3600, 3571, 1)]
)
def test_a_token_whose_time_is_as_good_as_over_is_renewed_first(
    world: World, lifetime: int, passed: int, renewals: int
) -> None:
    integration = world.integration()
    world.platform.expires_in = lifetime
    world.grant(integration)
    world.clock.advance(seconds=passed)
    assert call(world, integration.access_token("id-ada")) == 200
    assert world.platform.counts["refresh"] == renewals


def test_a_rejected_token_is_renewed_once_however_often_it_is_reported(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    first = integration.access_token("id-ada")
    world.platform.expire_access_tokens()
    others = [integration.access_token("id-ada", rejected=first.token.reveal()) for _ in range(3)]
    assert {call(world, other) for other in others} == {200}
    assert world.platform.counts["refresh"] == 1
    assert integration.access_token("id-ada", rejected="some other token").token == others[0].token
    assert world.platform.counts["refresh"] == 1


def reject(world: World, integration: Integration, token: Secret, *, wait: float) -> None:
    """However often, it costs nothing."""
    before = world.platform.counts["refresh"]
    for _ in range(3):
        with pytest.raises(TransientTokenError, match="another would fare no better") as refused:
            integration.access_token("id-ada", rejected=token)
        assert refused.value.retry_after == wait
    assert world.platform.counts["refresh"] == before


def test_new_tokens_that_are_rejected_cost_one_refresh_for_each_step_of_the_back_off(world: World) -> None:
    integration = world.integration()
    token = integration.access_token(world.grant(integration).person_id).token
    for refreshes, wait in enumerate([1, 2, 4, 8, 16, 32, 60, 60], 1):
        token = integration.access_token("id-ada", rejected=token).token
        assert world.platform.counts["refresh"] == refreshes
        reject(world, integration, token, wait=wait)
        world.clock.advance(seconds=wait - 0.5)
        reject(world, integration, token, wait=0.5)
        assert integration.access_token("id-ada").token == token, "whoever does not report it has it still"
        world.clock.advance(seconds=0.5)


def test_calls_and_reports_of_rejected_tokens_share_one_back_off(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.person_of = lambda authorization: None  # type: ignore[method-assign]
    client = integration.client_for("id-ada")
    assert client.get("people/me").status_code == 401
    reject(world, integration, integration.access_token("id-ada").token, wait=1)
    world.clock.advance(seconds=1)
    token = integration.access_token("id-ada", rejected=integration.access_token("id-ada").token).token
    reject(world, integration, token, wait=2)
    world.clock.advance(seconds=1.5)
    assert client.get("people/me").status_code == 401
    assert world.platform.counts["refresh"] == 2


def test_a_rejected_token_that_has_served_is_renewed_at_once_and_ends_the_back_off(world: World) -> None:
    integration = world.integration()
    token = integration.access_token(world.grant(integration).person_id).token
    for wait in (1, 2, 4):
        token = integration.access_token("id-ada", rejected=token).token
        reject(world, integration, token, wait=wait)
        world.clock.advance(seconds=wait)
    for _ in range(3):
        world.clock.advance(minutes=2)
        token = integration.access_token("id-ada", rejected=token).token
    assert world.platform.counts["refresh"] == 6
    reject(world, integration, token, wait=1)


def test_a_rejected_token_whose_time_was_over_was_not_issued_in_vain(world: World) -> None:
    integration = world.integration()
    world.platform.expires_in = 10
    token = integration.access_token(world.grant(integration).person_id).token
    for refreshes in range(1, 6):
        world.clock.advance(seconds=10)
        token = integration.access_token("id-ada", rejected=token).token
        assert world.platform.counts["refresh"] == refreshes


def test_who_is_given_a_token_is_in_the_audit_log_where_that_is_said(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    before = len(integration.history("id-ada"))
    integration.access_token("id-ada")
    assert len(integration.history("id-ada")) == before
    token = integration.access_token("id-ada", actor="a report").token
    event = integration.history("id-ada")[-1]
    assert (event.kind, event.actor, event.token) == (Kind.HANDED_OUT, "a report", token.fingerprint())


def test_while_the_platform_is_away_a_token_with_some_life_left_is_better_than_none(world: World) -> None:
    integration = world.integration()
    world.platform.expires_in = 3600
    world.grant(integration)
    world.clock.advance(seconds=3590)
    world.platform.answers = [Answer(503)]
    assert call(world, integration.access_token("id-ada")) == 200
    world.clock.advance(seconds=10)
    world.platform.answers = [Answer(503)]
    with pytest.raises(TransientTokenError):
        integration.access_token("id-ada")


def test_a_grant_without_a_refresh_token_is_not_given_up_before_its_time(world: World) -> None:
    integration = world.integration()
    world.platform.sends_refresh_token = False
    world.platform.expires_in = 60
    world.grant(integration)
    world.clock.advance(seconds=59)
    assert call(world, integration.access_token("id-ada")) == 200
    world.clock.advance(seconds=1)
    with pytest.raises(ReauthorizationRequired):
        integration.access_token("id-ada")


def test_w34_where_the_person_must_grant_again_it_says_so_and_a_refused_integration_too(world: World) -> None:
    integration = world.integration()
    with pytest.raises(ReauthorizationRequired):
        integration.access_token("id-ada")
    world.grant(integration)
    token = integration.access_token("id-ada").token
    world.platform.client_secret = "another"
    with pytest.raises(IntegrationRefused):
        integration.access_token("id-ada", rejected=token)
    assert integration.access_token("id-ada").token == token, "it may live on"


def test_the_awaiting_kind_hands_out_the_same(world: World) -> None:
    async def story() -> None:
        async with world.async_integration() as integration:
            begun = await integration.authorization_request()
            answer = world.platform.accept(begun.url)
            await integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
            handed = await integration.access_token("id-ada")
            assert (await integration.access_token("id-ada", rejected=handed.token)).token != handed.token

    asyncio.run(story())
