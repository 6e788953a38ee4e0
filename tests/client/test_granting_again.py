"""To grant again: the same grant lives on, its story knows why, and the person is back where they were."""

from urllib.parse import parse_qs, urlsplit

import pytest

from grantflow import Kind, ReauthorizationRequired, Status, TransientTokenError
from tests.client.conftest import World
from tests.client.foreign import Answer
from tests.client.shells import Kinds, granted, jar
from tests.engines import BOTH

pytestmark = BOTH


def test_whoever_grants_again_has_the_same_grant_and_is_back_where_they_were(world: World, either: Kinds) -> None:
    integration = either()
    first = granted(integration, world, owner="user-17")
    old = world.stored_tokens(integration.integration, owner="user-17")
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired) as required:
        world.integration().refresh("id-ada", owner="user-17")
    dead = required.value.grant
    assert dead is not None
    (grant_id,) = parse_qs(urlsplit(required.value.grant_url).query)["grant"]
    assert grant_id == first.id

    begun = integration.begin(grant=grant_id, return_to="/rooms/7?tab=2")
    again = integration.complete(world.platform.accept(begun.url), jar(begun))
    assert (again.id, again.owner, again.return_to) == (first.id, "user-17", "/rooms/7?tab=2")
    assert (again.status, again.generation) == (Status.ACTIVE, first.generation + 1)
    assert (again.incident, again.reason, again.retry_at) == (None, None, None)
    assert not set(world.stored_tokens(integration.integration, owner="user-17")) & set(old)

    history = world.integration().history("id-ada", owner="user-17")
    assert [event.kind for event in history] == [Kind.GRANTED, Kind.REAUTHORIZATION_REQUIRED, Kind.GRANTED]
    assert {event.grant_id for event in history} == {first.id}
    assert (history[1].incident, history[1].reason) == (dead.incident, dead.reason)
    assert str(dead.incident) in str(required.value)


def test_whoever_grants_again_ends_the_waiting_that_an_outage_began(world: World) -> None:
    integration = world.integration()
    first = world.grant(integration)
    world.platform.answers = [Answer(503)]
    with pytest.raises(TransientTokenError):
        integration.refresh("id-ada")
    again = world.grant(integration, grant=first.id)
    assert (again.id, again.status, again.retry_at) == (first.id, Status.ACTIVE, None)
    assert integration.refresh("id-ada").generation == 3


def test_what_was_brought_in_and_refused_is_granted_again_as_any_other(world: World, either: Kinds) -> None:
    integration = either()
    adopted = integration.adopt("refresh-that-is-dead", person="id-ada", owner="user-17")
    with pytest.raises(ReauthorizationRequired) as required:
        world.integration().refresh("id-ada", owner="user-17")
    (grant_id,) = parse_qs(urlsplit(required.value.grant_url).query)["grant"]
    begun = integration.begin(grant=grant_id, return_to="/home")
    again = integration.complete(world.platform.accept(begun.url), jar(begun))
    assert (again.id, again.owner, again.return_to) == (adopted.id, "user-17", "/home")
    unchanged = integration.adopt("refresh-that-is-dead", person="id-ada", owner="user-17", replace=True)
    assert unchanged.generation == again.generation, "what is dead does not come back over what works"
