"""A connection that the server closes in the moment in which a call is sent there, or before it is."""

import asyncio
import io
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from grantflow import TransientTokenError
from tests.client.conftest import World
from tests.client.foreign import Answer
from tests.client.misbehaving import says
from tests.client.shells import Awaiting, Either, Kinds, granted

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]
BODY = b"a body " * 20_000


def resets(connection: socket.socket) -> None:
    """Closed so that the other side is told by an error (RST) instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


CLOSES = [pytest.param(Answer(0), id="closes"), pytest.param(Answer(0, speak=resets), id="resets")]


def calling(either: Either, method: str, path: str = "messages", **options: Any) -> httpx2.Response:
    client: Any = either.integration.client_for("id-ada")
    calling = client.request(method, path, **options)
    answer: httpx2.Response = either._run(calling) if isinstance(either, Awaiting) else calling
    return answer


def ready(either: Kinds, world: World) -> Either:
    """An integration with a kept connection."""
    integration = either()
    granted(integration, world)
    assert calling(integration, "GET").status_code == 200
    world.platform.counts.clear()
    world.platform.bodies.clear()
    return integration


@pytest.mark.parametrize("gone", CLOSES)
@pytest.mark.parametrize("method", IDEMPOTENT)
def test_an_idempotent_call_that_meets_a_closing_connection_is_sent_once_more_on_a_fresh_one(
    either: Kinds, world: World, method: str, gone: Answer
) -> None:
    integration = ready(either, world)
    world.platform.api_answers = [gone]
    assert calling(integration, method).status_code == 200
    assert (world.platform.counts["call"], world.platform.counts["connection"]) == (2, 1)


@pytest.mark.parametrize("gone", CLOSES)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_not_be_done_twice_is_sent_once_and_the_error_says_what_is_not_known(
    either: Kinds, world: World, method: str, gone: Answer
) -> None:
    integration = ready(either, world)
    world.platform.api_answers = [gone]
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)) as caught:
        calling(integration, method, content=b"once")
    assert f"nobody here knows whether this {method} was done" in str(caught.value)
    assert caught.value.request.method == method
    assert world.platform.counts["call"] == 1


def test_it_is_sent_once_more_and_no_oftener(either: Kinds, world: World) -> None:
    integration = ready(either, world)
    world.platform.api_answers = [Answer(0)] * 3
    with pytest.raises(httpx2.RemoteProtocolError, match="disconnected"):
        calling(integration, "GET")
    assert world.platform.counts["call"] == 2


def test_the_second_time_never_meets_another_kept_connection(either: Kinds, world: World) -> None:
    """All of them may be closing: the server is going down."""
    integration = ready(either, world)
    keep_two(integration)
    world.platform.counts.clear()
    world.platform.api_answers = [Answer(0)]
    assert calling(integration, "GET").status_code == 200
    assert (world.platform.counts["call"], world.platform.counts["connection"]) == (2, 1)


def keep_two(either: Either) -> None:
    client: Any = either.integration.client_for("id-ada")

    async def awaited() -> None:
        async with client.stream("GET", "rooms") as one, client.stream("GET", "rooms") as other:
            await one.aread()
            await other.aread()

    if isinstance(either, Awaiting):
        either._run(awaited())
        return
    with client.stream("GET", "rooms") as one, client.stream("GET", "rooms") as other:
        one.read()
        other.read()


def test_a_connection_that_was_made_for_the_call_may_close_too(either: Kinds, world: World) -> None:
    """As it does where the caller's process was suspended between connecting and sending."""
    integration = ready(either, world)
    world.platform.api_answers = [Answer(200, headers={"Connection": "close"}), Answer(0)]
    assert calling(integration, "GET").status_code == 200
    assert calling(integration, "GET").status_code == 200
    assert (world.platform.counts["call"], world.platform.counts["connection"]) == (3, 2)


def test_an_answer_that_is_no_http_is_an_answer(either: Kinds, world: World) -> None:
    integration = ready(either, world)
    world.platform.api_answers = [says(b"what?\r\n\r\n")]
    with pytest.raises(httpx2.RemoteProtocolError):
        calling(integration, "GET")
    assert world.platform.counts["call"] == 1


def test_a_body_is_sent_again_from_where_it_began(either: Kinds, world: World) -> None:
    integration = ready(either, world)
    file = io.BytesIO(b"before" + BODY)
    file.seek(6)
    world.platform.api_answers = [Answer(0)]
    content: Any = file if not isinstance(integration, Awaiting) else BODY
    assert calling(integration, "PUT", content=content).json()["received"] == len(BODY)
    assert world.platform.bodies == [BODY]


def test_a_body_for_one_time_is_not_sent_again(either: Kinds, world: World) -> None:
    integration = ready(either, world)
    world.platform.api_answers = [Answer(0)]

    def once() -> Iterator[bytes]:
        yield BODY

    async def once_awaited() -> Any:
        yield BODY

    content: Any = once_awaited() if isinstance(integration, Awaiting) else once()
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        calling(integration, "PUT", content=content)
    assert world.platform.counts["call"] == 1
    assert world.platform.bodies == []


def test_a_request_made_by_hand_is_sent_again_from_where_its_body_began(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    client, file = integration.client_for("id-ada"), io.BytesIO(BODY)
    assert client.get("rooms").status_code == 200
    world.platform.api_answers = [Answer(0)]
    assert client.send(httpx2.Request("PUT", f"{world.api_url}/messages", content=file)).status_code == 200
    assert world.platform.bodies[-1] == BODY


@pytest.mark.parametrize("gone", CLOSES)
def test_a_refresh_is_sent_once_whatever_closes_and_never_on_a_kept_connection(
    either: Kinds, world: World, gone: Answer
) -> None:
    """It is a POST whose outcome is unknown then, so no connection that was merely kept may be the reason."""
    integration = ready(either, world)
    world.platform.answers = [gone]
    with pytest.raises(TransientTokenError):
        integration.refresh()
    assert (world.platform.counts["token"], world.platform.counts["connection"]) == (1, 1)


def test_many_calls_live_through_a_server_that_closes_whatever_it_kept(world: World) -> None:
    world.grant(world.integration())
    together = threading.Barrier(10)

    def all_have_come(_: socket.socket) -> None:
        """Else who calls once more could meet what was meant for another's first call."""
        together.wait(30)

    async def story() -> list[int]:
        async with world.async_integration() as integration:
            client = integration.client_for("id-ada")
            await asyncio.gather(*(client.get("rooms") for _ in range(10)))
            world.platform.api_answers = [Answer(0, speak=all_have_come)] * 10
            return [answer.status_code for answer in await asyncio.gather(*(client.get("rooms") for _ in range(10)))]

    assert asyncio.run(story()) == [200] * 10
