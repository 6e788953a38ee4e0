"""A client secret is replaced with no downtime: several are known, the one that works is found and remembered."""

import logging

import pytest

from grantflow import IntegrationRefused, Status
from grantflow.client import judging
from grantflow.client.events import Event, Kind
from grantflow.protocol.secret import Secret
from tests.client.conftest import World
from tests.client.foreign import CLIENT_SECRET, Answer
from tests.client.shells import Kinds, granted

NEW = "new-secret-9876543210"


def test_whichever_secret_the_platform_takes_the_refresh_goes_through(either: Kinds, world: World) -> None:
    integration = either(client_secret=[NEW, CLIENT_SECRET])
    granted(integration, world)
    assert integration.refresh().status is Status.ACTIVE
    world.platform.client_secret = NEW
    assert integration.refresh().status is Status.ACTIVE
    assert integration.refresh().status is Status.ACTIVE


def test_the_one_that_works_is_remembered_by_all_processes_over_one_vault(world: World) -> None:
    secrets = [NEW, CLIENT_SECRET]
    world.grant(world.integration(client_secret=secrets))
    asked = world.platform.counts["token"]
    assert asked == 2, "the code under the new secret, which is refused, then under the old one"
    for number in range(1, 4):
        world.integration(client_secret=secrets).refresh("id-ada")
        assert world.platform.counts["token"] == asked + number
        world.clock.advance(hours=1)
    assert world.platform.counts["refresh"] == 3


def test_a_secret_that_is_taken_away_is_left_at_the_first_refusal(world: World) -> None:
    integration = world.integration(client_secret=[CLIENT_SECRET, NEW])
    world.grant(integration)
    world.platform.client_secret = NEW
    world.platform.expire_access_tokens()
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    forms = [form["client_secret"] for form in world.platform.forms[-2:]]
    assert forms == [CLIENT_SECRET, NEW]
    refused = integration._parts.vault.standing(integration.client_id, credentials=Secret(CLIENT_SECRET).fingerprint())
    assert refused.refused_at is not None


def test_where_all_are_refused_the_operator_is_told_once_for_each_and_no_grant_is_harmed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Event] = []
    integration = world.integration(client_secret=["first", "second"], on_event=told.append)
    world.grant(world.integration())
    for _ in range(20):
        with pytest.raises(IntegrationRefused):
            integration.refresh("id-ada")
    assert world.platform.counts["token"] == 1 + 2
    assert [event.kind for event in told] == [Kind.SECRET_REFUSED, Kind.INTEGRATION_REFUSED, Kind.REFRESH_DELAYED]
    ours = [record for record in caplog.records if record.name.startswith("grantflow")]
    loud = [record.levelname for record in ours if record.levelno >= logging.WARNING]
    assert loud == ["WARNING", "ERROR", "WARNING"]
    assert told[0].token == Secret("first").fingerprint()
    grant = integration.grant("id-ada")
    assert grant is not None
    assert grant.status is Status.ACTIVE
    integration.use_secret([CLIENT_SECRET, "first"])
    assert integration.refresh("id-ada").generation == 2


def test_a_secret_that_was_refused_a_moment_ago_is_tried_at_once_when_the_working_one_is_taken_away(
    world: World,
) -> None:
    """The new one was made known before it was valid, and its back-off has grown long: nobody waits for that."""
    integration = world.integration(client_secret=[NEW, CLIENT_SECRET])
    world.grant(integration)
    name = Secret(NEW).fingerprint()
    vault = integration._parts.vault
    for _ in range(6):
        standing = vault.standing(integration.client_id, credentials=name)
        marked = judging.integration_refused(standing, reason="x", retry_after=None, now=world.clock.now())
        vault.set_standing(integration.client_id, credentials=name, standing=marked)
    world.platform.client_secret = NEW
    assert integration.refresh("id-ada").generation == 2


def test_a_revocation_finds_the_secret_that_works_too(world: World) -> None:
    world.grant(world.integration())
    url = f"{world.api_url.removesuffix('/v1')}/v1/revoke"
    world.platform.revocation_status = 401
    integration = world.integration(client_secret=["first", CLIENT_SECRET], revocation_url=url)
    assert integration.revoke("id-ada").at_platform is False
    assert world.platform.counts["revoke"] == 2


def test_a_code_that_is_refused_with_the_client_makes_refreshes_wait_and_the_operator_know(
    either: Kinds, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    granted(either(), world)
    told: list[Event] = []
    integration = either(client_secret="wrong", on_event=told.append)
    with pytest.raises(IntegrationRefused):
        granted(integration, world, person="grace")
    assert [event.kind for event in told] == [Kind.INTEGRATION_REFUSED]
    assert sum("the integration is refused" in record.getMessage() for record in caplog.records) == 1
    asked = world.platform.counts["token"]
    with pytest.raises(IntegrationRefused):
        integration.refresh()
    assert world.platform.counts["token"] == asked


@pytest.mark.parametrize("answer", [Answer(401, ""), Answer(403, '{"message": "no"}'), Answer(404, "not here")])
def test_a_refusal_that_may_be_the_codes_fault_makes_no_refresh_wait(
    either: Kinds, world: World, answer: Answer
) -> None:
    integration = either()
    granted(integration, world)
    world.platform.answers.append(answer)
    with pytest.raises(IntegrationRefused):
        granted(integration, world, person="mallory")
    assert integration.refresh().generation == 2


def test_an_empty_secret_among_several_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="client_secret is empty"):
        world.integration(client_secret=[CLIENT_SECRET, " "])
