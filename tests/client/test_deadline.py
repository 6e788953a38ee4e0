"""One deadline over the whole of a token request: what could not leave in time does not leave, and nothing drips on."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from grantflow import Grant, Status, TransientTokenError
from tests.client.conftest import World

pytestmark = pytest.mark.slow

NAME = "token.localhost"

Refreshing = Callable[..., Grant]


def blocking(world: World, **options: Any) -> Grant:
    return world.integration(**options).refresh("id-ada")


def awaiting(world: World, **options: Any) -> Grant:
    async def refresh() -> Grant:
        async with world.async_integration(**options) as integration:
            return await integration.refresh("id-ada")

    return asyncio.run(refresh())


both = pytest.mark.parametrize("refresh", [blocking, awaiting])


@contextmanager
def answering(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """A token endpoint that reads a request and lets `speak` answer it; its origin without a scheme."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65_536)
                        speak(connection)
            except OSError:
                pass  # the other side has gone, or the test is over

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def silent_address(port: int) -> Iterator[str]:
    """An address of this machine that answers no attempt to connect: its queue is full and stays so."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.2", port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.2", port))
        yield "127.0.0.2"
        for each in waiting:
            each.close()


def resolve(monkeypatch: pytest.MonkeyPatch, addresses: list[str], *, seconds: float = 0) -> None:
    """Let `NAME` have these addresses, and its look-up take that long."""
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *arguments: Any, **options: Any) -> list[Any]:
        if host not in {NAME, NAME.encode()}:
            return real(host, port, *arguments, **options)
        time.sleep(seconds)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def endpoint(world: World) -> str:
    return world.api_url.replace("127.0.0.1", NAME) + "/access_token"


def unanswered_since(world: World) -> object:
    vault = world.made[0]._parts.vault
    stored = vault.find(world.made[0]._parts.key("id-ada", None))
    assert stored is not None
    return stored.unanswered_since


@both
@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 answers on Linux alone")
def test_an_address_that_is_silent_leaves_time_for_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, refresh: Refreshing
) -> None:
    world.grant(world.integration())
    world.platform.rotates = True
    port = int(world.api_url.rsplit(":", 1)[1].split("/")[0])
    with silent_address(port) as silent:
        resolve(monkeypatch, [silent, "127.0.0.1"])
        renewed = refresh(world, token_endpoint=endpoint(world), deadline=3.0)
    assert renewed.generation == 2
    assert world.platform.counts["refresh"] == 1


@both
@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 answers on Linux alone")
def test_where_every_address_is_silent_nothing_is_sent_and_nothing_in_doubt(
    world: World, monkeypatch: pytest.MonkeyPatch, refresh: Refreshing
) -> None:
    world.grant(world.integration())
    port = int(world.api_url.rsplit(":", 1)[1].split("/")[0])
    begun = time.monotonic()
    with silent_address(port) as silent:
        resolve(monkeypatch, [silent])
        with pytest.raises(TransientTokenError, match="no "):
            refresh(world, token_endpoint=endpoint(world), deadline=3.0)
    assert time.monotonic() - begun < 2.9, "half of it is for connecting"
    assert unanswered_since(world) is None


@both
def test_what_finds_its_connection_too_late_is_not_sent_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch, refresh: Refreshing
) -> None:
    """A refresh token that is sent when there is no time left to wait for the answer may be lost."""
    world.grant(world.integration())
    world.platform.rotates = True
    resolve(monkeypatch, ["127.0.0.1"], seconds=0.6)
    with pytest.raises(TransientTokenError):
        refresh(world, token_endpoint=endpoint(world), deadline=1.0)
    time.sleep(0.3)
    assert world.platform.counts["refresh"] == 0
    assert unanswered_since(world) is None
    monkeypatch.undo()
    world.clock.advance(seconds=2)
    assert world.integration().refresh("id-ada").status is Status.ACTIVE


def test_a_pause_before_writing_is_noticed_and_nothing_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine was put to sleep, or the process stopped, while it connected."""
    world.grant(world.integration())
    integration = world.integration(deadline=1.0)
    real = socket.create_connection

    def connect_and_sleep(*arguments: Any, **options: Any) -> socket.socket:
        connection = real(*arguments, **options)
        time.sleep(0.6)
        return connection

    monkeypatch.setattr(socket, "create_connection", connect_and_sleep)
    with pytest.raises(TransientTokenError, match="nothing was sent"):
        integration.refresh("id-ada")
    assert world.platform.counts["refresh"] == 0
    assert unanswered_since(world) is None


def lines(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(30):
        connection.sendall(b"X-Slow-%d: 1\r\n" % number)
        time.sleep(0.2)


def early_hints(connection: socket.socket) -> None:
    for _ in range(30):
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        time.sleep(0.2)


def body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(30):
        connection.sendall(b"{")
        time.sleep(0.2)


@pytest.mark.slow
@both
@pytest.mark.parametrize("speak", [lines, early_hints, body])
def test_an_answer_that_drips_is_given_up_at_the_deadline(
    world: World, refresh: Refreshing, speak: Callable[[socket.socket], None]
) -> None:
    """Longer, and the lease would end under it: then another sends the same token beside it."""
    world.grant(world.integration())
    begun = time.monotonic()
    with answering(speak) as origin, pytest.raises(TransientTokenError, match="no answer within 1 s"):
        refresh(world, token_endpoint=f"http://{origin}/token", deadline=1.0)
    assert 0.9 < time.monotonic() - begun < 4, "it would drip on for six seconds, which is as long as the lease"
    assert unanswered_since(world) is not None


def test_an_answer_that_came_while_the_event_loop_stood_still_is_kept_though_the_time_is_over(world: World) -> None:
    """A platform that swaps refresh tokens has swapped this one."""
    world.grant(world.integration())
    world.platform.rotates = world.platform.revokes_families = True
    arrived = threading.Event()

    def answer_soon() -> None:
        arrived.set()
        time.sleep(0.2)

    world.platform.on_refresh = answer_soon

    async def story() -> Grant:
        async with world.async_integration(deadline=2.0) as integration:
            refreshing = asyncio.create_task(integration.refresh("id-ada"))
            while not arrived.is_set():  # noqa: ASYNC110  set in the platform's thread
                await asyncio.sleep(0.01)
            time.sleep(2.5)  # noqa: ASYNC251  as a host application may, or a process that is stopped
            return await refreshing

    assert asyncio.run(story()).generation == 2
    assert world.stored_tokens(world.integration())[1] == world.platform.line().refresh


def test_tls_that_never_comes_about_is_given_up_in_time_and_nothing_is_in_doubt(world: World) -> None:
    world.grant(world.integration())
    over = threading.Event()

    def keep_silent(_: socket.socket) -> None:
        over.wait(20)

    begun = time.monotonic()
    with answering(keep_silent) as origin, pytest.raises(TransientTokenError):
        world.integration(token_endpoint=f"https://{origin}/token", deadline=3.0).refresh("id-ada")
    assert time.monotonic() - begun < 2.9, "half of it is for connecting"
    over.set()
    assert unanswered_since(world) is None


def test_a_process_stopped_while_a_proxy_answers_sends_nothing_after_its_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads what lies there, for a moment; that moment is none for beginning with TLS and the request."""
    world.grant(world.integration())
    stopped, came = [0.0], [b"nothing yet"]
    over = threading.Event()

    def answer_while_the_process_is_stopped(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n")
        time.sleep(0.05)
        stopped[0] = 60.0
        for part in (b"X-Proxy: slow\r\n", b"\r\n"):
            connection.sendall(part)
            time.sleep(0.05)
        came[0] = connection.recv(65_536)
        over.set()

    with answering(answer_while_the_process_is_stopped) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy}")
        integration = world.integration(token_endpoint="https://token.example.org/token", deadline=1.0)
        monkeypatch.setattr(integration._shell, "_monotonic", lambda: time.monotonic() + stopped[0])
        with pytest.raises(TransientTokenError, match="nothing was sent"):
            integration.refresh("id-ada")
        assert over.wait(20)
    assert came == [b""]
    assert unanswered_since(world) is None


@both
def test_a_token_request_goes_through_the_proxy_that_the_environment_names(
    world: World, monkeypatch: pytest.MonkeyPatch, refresh: Refreshing
) -> None:
    world.grant(world.integration())
    monkeypatch.setenv("http_proxy", world.api_url.removesuffix("/v1"))
    there = "http://token.example.org/v1/access_token"
    assert refresh(world, token_endpoint=there, allow_plain_http=True).generation == 2
    assert world.platform.seen[-1][0] == there


def test_the_revocation_keeps_the_deadline_too(world: World) -> None:
    with answering(lines) as origin:
        integration = world.integration(revocation_url=f"http://{origin}/revoke", deadline=1.0)
        world.grant(integration)
        begun = time.monotonic()
        assert not integration.revoke("id-ada").at_platform
    assert time.monotonic() - begun < 4
