"""The HTTP client of a grant: where its token goes, what it sends again, and what it costs."""

import asyncio
import gc
import io
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import sentinel

import httpx2
import pytest

from grantflow import BodyNotReplayable, ForeignOrigin, ReauthorizationRequired
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.running import Run
from grantflow.client.steps import Flow, Now
from grantflow.client.vault.sqlite import SqliteVault
from tests.client.conftest import World
from tests.client.foreign import Answer, foreign_platform

BODY = bytes(range(256)) * 1000


def test_the_client_is_the_http_librarys_own_with_addresses_under_the_api(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    client = integration.client_for("id-ada")
    assert isinstance(client, httpx2.Client)
    for address in ("people/me", "/people/me", f"{world.api_url}/people/me"):
        assert client.get(address).json()["id"] == "id-ada"
    assert integration.client_for("id-ada").post("messages", json={"text": "hi"}).json()["person"] == "ada"


def test_w31_w32_a_token_that_the_api_refuses_is_renewed_and_the_call_tried_again(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    client = integration.client_for("id-ada")
    for _ in range(3):
        world.platform.expire_access_tokens()
        answer = client.get("people/me")
        assert answer.status_code == 200
        assert [earlier.status_code for earlier in answer.history] == [401]
    assert world.platform.counts["refresh"] == 3


def test_w32_nothing_is_renewed_by_a_timer(world: World) -> None:
    """Not even when the told lifetime is over: the platform decides."""
    integration = world.integration()
    world.platform.expires_in = 1
    world.grant(integration)
    world.clock.advance(days=15)
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    assert world.platform.counts["refresh"] == 0


def test_s104_a_token_that_dies_early_is_renewed_all_the_same(world: World) -> None:
    integration = world.integration()
    world.platform.expires_in = None
    world.grant(integration)
    world.platform.expire_access_tokens()
    assert integration.client_for("id-ada").get("people/me").status_code == 200


def test_a_second_401_is_the_callers_answer(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    client = integration.client_for("id-ada")
    world.platform.expire_access_tokens()
    world.platform.person_of = lambda authorization: None  # type: ignore[method-assign]
    assert client.get("people/me").status_code == 401
    assert world.platform.counts["refresh"] == 1


# --- where the token goes ------------------------------------------------------------------------------------------


def refuse_all(world: World) -> None:
    world.platform.person_of = lambda authorization: None  # type: ignore[method-assign]


def test_an_api_that_refuses_even_new_tokens_costs_one_refresh_for_each_step_of_the_back_off(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    refuse_all(world)
    clients = [integration.client_for("id-ada") for _ in range(2)]
    for refreshes, wait in enumerate([1, 2, 4, 8, 16, 32, 60, 60], 1):
        for client in clients * 10:
            assert client.get("people/me").status_code == 401
        assert world.platform.counts["refresh"] == refreshes
        world.clock.advance(seconds=wait - 0.5)
        assert clients[0].get("people/me").status_code == 401
        assert world.platform.counts["refresh"] == refreshes
        world.clock.advance(seconds=0.5)


def test_awaiting_callers_spare_the_token_endpoint_too(world: World) -> None:
    world.grant(world.integration())
    refuse_all(world)

    async def call() -> None:
        async with world.async_integration() as integration:
            for _ in range(3):
                answers = await asyncio.gather(*(integration.client_for("id-ada").get("rooms") for _ in range(5)))
                assert [answer.status_code for answer in answers] == [401] * 5

    asyncio.run(call())
    assert world.platform.counts["refresh"] == 1


def test_one_address_that_refuses_every_token_does_not_renew_them_for_the_others(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    client, refusal = integration.client_for("id-ada"), Answer(401, "{}")
    for _ in range(5):
        world.platform.api_answers += [refusal, refusal] if world.platform.counts["refresh"] == 0 else [refusal]
        assert client.get("odd").status_code == 401
        assert client.get("people/me").status_code == 200
    assert world.platform.counts["refresh"] == 1


def test_once_new_tokens_serve_again_each_dead_one_is_renewed_at_once(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    client, real = integration.client_for("id-ada"), world.platform.person_of
    refuse_all(world)
    assert client.get("people/me").status_code == 401
    world.platform.person_of = real  # type: ignore[method-assign]
    world.platform.expire_access_tokens()
    assert client.get("people/me").status_code == 401, "within the wait of one second"
    world.clock.advance(seconds=1)
    for _ in range(3):
        assert client.get("people/me").status_code == 200
        world.platform.expire_access_tokens()
    assert world.platform.counts["refresh"] == 4


def test_a_foreign_address_is_refused_before_anything_is_sent(world: World) -> None:
    with foreign_platform() as (stranger, stranger_url):
        integration = world.integration()
        world.grant(integration)
        client = integration.client_for("id-ada")
        host = world.api_url.removeprefix("http://").partition("/")[0]
        for address in (
            f"{stranger_url}/people/me",
            f"http://{host}@127.0.0.1:1/",
            f"https://{host}/v1/people/me",
            world.api_url.replace("127.0.0.1", "localhost") + "/people/me",
            "http://127.0.0.1/v1/people/me",
        ):
            with pytest.raises(ForeignOrigin, match="api_origins"):
                client.get(address)
        assert stranger.seen == []


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("https://ada:geheim@evil.example:443/v1?a=b#c", "https://evil.example"),
        ("http://evil.example:8080/v1", "http://evil.example:8080"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
    ],
)
def test_a_foreign_address_is_named_as_a_person_writes_it(world: World, address: str, written: str) -> None:
    integration = world.integration()
    world.grant(integration)
    with pytest.raises(ForeignOrigin) as caught:
        integration.client_for("id-ada").get(address)
    assert str(caught.value).startswith(f"{written} is not the API")
    assert "geheim" not in str(caught.value)


def test_a_redirect_to_a_foreign_host_is_refused_before_anything_is_sent(world: World) -> None:
    with foreign_platform() as (stranger, stranger_url):
        integration = world.integration()
        world.grant(integration)
        client = integration.client_for("id-ada")
        assert client.get("away", params={"to": f"{stranger_url}/x"}).status_code == 302
        with pytest.raises(ForeignOrigin):
            client.get("away", params={"to": f"{stranger_url}/x"}, follow_redirects=True)
        home = client.get("away", params={"to": f"{world.api_url}/people/me"}, follow_redirects=True)
        assert home.json()["id"] == "id-ada"
        assert stranger.seen == []


def test_a_redirect_to_a_foreign_host_is_refused_for_awaiting_callers_too(world: World) -> None:
    with foreign_platform() as (stranger, stranger_url):
        world.grant(world.integration())

        async def follow() -> None:
            async with world.async_integration() as integration:
                client = integration.client_for("id-ada")
                for address, query in ((f"{stranger_url}/x", {}), ("away", {"to": f"{stranger_url}/x"})):
                    with pytest.raises(ForeignOrigin):
                        await client.get(address, params=query, follow_redirects=True)

        asyncio.run(follow())
        assert stranger.seen == []


def test_a_named_further_origin_gets_the_token(world: World) -> None:
    with foreign_platform() as (files, files_url):
        integration = world.integration(api_origins=[files_url])
        world.grant(integration)
        files.lines = world.platform.lines
        assert integration.client_for("id-ada").get(f"{files_url}/contents/1").json()["person"] == "ada"


# --- bodies ----------------------------------------------------------------------------------------------------------


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


def a_generator() -> Iterator[bytes]:
    yield BODY[:1000]
    yield BODY[1000:]


@contextmanager
def files_at(folder: Path, *positions: int) -> Iterator[list[io.BufferedReader]]:
    """Open files that hold BODY, each standing at its position."""
    with ExitStack() as stack:
        files = []
        for number, position in enumerate(positions):
            path = folder / f"{number}.bin"
            path.write_bytes(BODY)
            files.append(stack.enter_context(path.open("rb")))
            files[-1].seek(position)
        yield files


def replayable(files: list[io.BufferedReader]) -> dict[str, tuple[dict[str, Any], bytes | None]]:
    """What to give to `post`, and what must arrive; None where it is a multipart body around BODY."""
    return {
        "bytes": ({"content": BODY}, BODY),
        "text": ({"content": "häuser"}, "häuser".encode()),
        "json": ({"json": {"a": 1}}, b'{"a":1}'),
        "form": ({"data": {"a": "1"}}, b"a=1"),
        "nothing": ({}, b""),
        "chunks": ({"content": [BODY[:9], BODY[9:]]}, BODY),
        "file": ({"content": files[0]}, BODY),
        "file from the middle": ({"content": files[1]}, BODY[70_001:]),
        "multipart bytes": ({"files": {"f": BODY}}, None),
        "multipart file": ({"files": {"f": files[2]}, "data": {"x": "1"}}, None),
        "multipart named": ({"files": [("f", ("name.bin", files[3], "image/png"))]}, None),
    }


def test_a_body_that_can_be_sent_again_arrives_whole_after_a_401(world: World, tmp_path: Path) -> None:
    integration = world.integration()
    world.grant(integration)
    with files_at(tmp_path, 0, 70_001, 0, 0) as files:
        for kind, (given, expected) in replayable(files).items():
            world.platform.expire_access_tokens()
            answer = integration.client_for("id-ada").post("messages", **given)
            assert answer.status_code == 200, kind
            received = world.platform.bodies.pop()
            if expected is None:
                assert received.count(BODY) == 1, kind
                assert len(received) < len(BODY) + 1000, kind
            else:
                assert received == expected, kind
    assert world.platform.bodies == []


@pytest.mark.parametrize(
    "given",
    [
        {"content": a_generator()},
        {"content": Unseekable(BODY)},
        {"files": {"f": Unseekable(BODY)}},
    ],
    ids=["generator", "pipe", "multipart pipe"],
)
def test_a_body_for_one_time_is_sent_once_and_never_silently_empty(world: World, given: dict[str, Any]) -> None:
    integration = world.integration()
    world.grant(integration)
    client = integration.client_for("id-ada")
    world.platform.expire_access_tokens()
    with pytest.raises(BodyNotReplayable, match=r"had no effect.*Call again"):
        client.post("messages", **given)
    assert world.platform.bodies == []
    assert client.post("messages", content=a_generator()).status_code == 200
    assert world.platform.bodies == [BODY]
    assert world.platform.counts["refresh"] == 1


@pytest.mark.filterwarnings("ignore:Use 'content=")
def test_a_body_that_is_given_as_data_and_is_no_form_counts_as_the_content_that_the_library_makes_of_it(
    world: World,
) -> None:
    integration = world.integration()
    world.grant(integration)
    client: Any = integration.client_for("id-ada")
    file = io.BytesIO(b"before" + BODY)
    file.seek(6)
    for once in (a_generator(), OneTime()):
        world.platform.expire_access_tokens()
        with pytest.raises(BodyNotReplayable):
            client.post("messages", data=once)
    assert world.platform.bodies == []
    world.platform.expire_access_tokens()
    assert client.post("messages", data=file).status_code == 200
    assert world.platform.bodies == [BODY]


class OneTime:
    """Can be read once, and whoever reads it again finds nothing."""

    def __init__(self) -> None:
        self._left = list(a_generator())

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            yield self._left.pop(0)


def test_a_body_for_one_time_goes_through_where_the_token_lives(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    assert integration.client_for("id-ada").post("messages", content=a_generator()).status_code == 200
    assert world.platform.bodies == [BODY]


def test_a_body_for_one_time_is_not_risked_on_a_token_whose_time_is_over(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    world.clock.advance(days=15)
    assert integration.client_for("id-ada").post("messages", content=a_generator()).status_code == 200
    assert world.platform.bodies == [BODY]
    assert world.platform.counts["unauthorized"] == 0


def test_a_request_made_by_hand_is_treated_alike(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    client = integration.client_for("id-ada")
    world.platform.expire_access_tokens()
    by_hand = httpx2.Request("POST", f"{world.api_url}/messages", content=b"bytes")
    assert client.send(by_hand).status_code == 200
    world.platform.expire_access_tokens()
    with pytest.raises(BodyNotReplayable):
        client.send(httpx2.Request("POST", f"{world.api_url}/messages", content=a_generator()))
    assert world.platform.bodies == [b"bytes"]


def test_awaiting_callers_have_the_same_bodies(world: World, tmp_path: Path) -> None:
    world.grant(world.integration())

    async def an_async_generator() -> AsyncIterator[bytes]:
        yield BODY

    async def post() -> None:
        with files_at(tmp_path, 0) as files:
            async with world.async_integration() as integration:
                client = integration.client_for("id-ada")
                for given in ({"content": BODY}, {"files": {"f": files[0]}}):
                    world.platform.expire_access_tokens()
                    assert (await client.post("messages", **given)).status_code == 200
                world.platform.expire_access_tokens()
                with pytest.raises(BodyNotReplayable):
                    await client.post("messages", content=an_async_generator())

    asyncio.run(post())
    assert len(world.platform.bodies) == 2
    assert world.platform.bodies[0] == BODY
    assert BODY in world.platform.bodies[1]


def test_a_streamed_answer_is_renewed_on_the_way_too(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    with integration.client_for("id-ada").stream("GET", "people/me") as answer:
        assert answer.status_code == 200
        assert b"id-ada" in b"".join(answer.iter_bytes())


# --- what a call costs -----------------------------------------------------------------------------------------------


def test_on_the_hot_path_no_row_is_read_and_nothing_is_unsealed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    integration = world.integration()
    world.grant(integration)
    client = integration.client_for("id-ada")
    client.get("people/me")
    monkeypatch.setattr(SqliteVault, "_row", sentinel.no_row_is_read)
    for _ in range(10):
        assert client.get("people/me").status_code == 200


def test_a_disconnect_on_another_node_takes_hold_within_two_seconds(world: World) -> None:
    here, there = world.integration(), world.integration()
    world.grant(here)
    client = here.client_for("id-ada")
    assert client.get("people/me").status_code == 200
    there.revoke("id-ada")
    world.clock.advance(seconds=1.01)
    calls = world.platform.counts["call"]
    with pytest.raises(ReauthorizationRequired, match="disconnected"):
        client.get("people/me")
    assert world.platform.counts["call"] == calls


def test_a_token_renewed_on_another_node_is_taken_up_within_two_seconds(world: World) -> None:
    here, there = world.integration(), world.integration()
    world.grant(here)
    client = here.client_for("id-ada")
    assert client.get("people/me").status_code == 200
    there.refresh("id-ada")
    world.clock.advance(seconds=1.01)
    unauthorized = world.platform.counts["unauthorized"]
    assert client.get("people/me").status_code == 200
    assert world.platform.counts["unauthorized"] == unauthorized


def test_clients_are_cheap_and_share_their_connections(world: World) -> None:
    integration = world.integration()
    for person in ("ada", "grace"):
        world.grant(integration, person=person)
    connections = world.platform.counts["connection"]
    for _ in range(20):
        for person in ("ada", "grace"):
            with integration.client_for(f"id-{person}") as client:
                assert client.get("people/me").status_code == 200
    assert world.platform.counts["connection"] == connections + 1


def test_a_refresh_never_goes_over_a_connection_that_was_kept(world: World) -> None:
    """It may be dead without our knowing, and then nobody could tell whether the request arrived."""
    integration = world.integration()
    world.grant(integration)
    before = world.platform.counts["connection"]
    for _ in range(3):
        integration.refresh("id-ada")
    assert world.platform.counts["connection"] == before + 3


def test_an_async_integration_serves_several_event_loops_one_after_another(world: World) -> None:
    integration = world.async_integration()

    async def grant() -> None:
        async with integration:
            begun = await integration.authorization_request()
            url = world.platform.accept(begun.url)
            await integration.complete_authorization(url, {begun.cookie.name: begun.cookie.value})

    async def call() -> int:
        world.platform.expire_access_tokens()
        async with integration, integration.client_for("id-ada") as client:
            return (await client.get("people/me")).status_code

    async def end() -> None:
        async with integration:
            assert [each.person_id for each in await integration.grants()] == ["id-ada"]
            assert not (await integration.revoke("id-ada")).at_platform
            assert await integration.grant("id-ada") is not None

    asyncio.run(grant())
    assert [asyncio.run(call()) for _ in range(3)] == [200] * 3
    asyncio.run(end())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_forks_while_another_thread_makes_the_connections_has_a_child_that_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = world.integration()
    world.grant(integration)
    integration.close()
    real = Shell._make

    def make_slowly(shell: Shell) -> Any:
        making.set()
        time.sleep(0.3)
        return real(shell)

    making = threading.Event()
    monkeypatch.setattr(Shell, "_make", make_slowly)
    threads = [threading.Thread(target=integration._shell.transport) for _ in range(2)]
    for thread in threads:
        thread.start()
    making.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if integration.client_for("id-ada").get("people/me").status_code == 200 else 1)
    assert os.waitpid(child, 0)[1] == 0
    for thread in threads:
        thread.join()
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    assert len(integration._shell._made) == 1


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_event_loops_that_end_with_nobody_closing_leave_neither_threads_nor_connections(world: World) -> None:
    """As where each job of a queue has one by `asyncio.run`, and all share an integration."""
    world.grant(world.integration())
    integration = world.async_integration()

    async def call() -> None:
        await integration.refresh("id-ada")
        assert (await integration.client_for("id-ada").get("people/me")).status_code == 200

    files = []
    for _ in range(10):
        asyncio.run(call())
        gc.collect()
        files.append(len(os.listdir("/dev/fd")))
    threads = [each for each in threading.enumerate() if each.name.startswith("grantflow-vault")]
    assert len(threads) <= 2
    assert max(files) <= files[1] + 2  # the platform's own ends close in their time
    asyncio.run(integration.close())
    gc.collect()


@pytest.mark.parametrize("answer", [Answer(0), Answer(200, "torn", {"Content-Encoding": "gzip"})])
def test_an_api_that_gives_no_readable_answer_raises_what_its_callers_know_from_the_http_library(
    world: World, answer: Answer
) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.api_answers += [answer, answer]  # what closes is asked once more
    with pytest.raises(httpx2.RequestError):
        integration.client_for("id-ada").get("people/me")


def test_a_flow_that_is_given_up_hides_no_error_that_is_on_its_way() -> None:
    """Ctrl-C between two steps: a flow that would give its lease back has nobody left who performs that."""

    def flow() -> Flow[None]:
        try:
            yield Now()
        finally:
            yield Now()

    def interrupted() -> None:
        with closing(Run(flow())):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
