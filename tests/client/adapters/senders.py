"""Each HTTP library with a grant of ours, by one set of names: what a test shows of one, it shows of all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import aiohttp
import httpx
import httpx2
from requests_toolbelt import MultipartEncoder

from grantflow import AsyncIntegration, Integration
from grantflow.client.adapters import aiohttp as in_aiohttp
from grantflow.client.adapters import httpx as in_httpx
from grantflow.client.adapters import httpx2 as in_httpx2
from grantflow.client.adapters import requests as in_requests
from tests.client.conftest import World

BODY = bytes(range(256)) * 1000
MIDDLE = 70_001


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


#: Sends a request of that method to that address, with the library's own options.
Send = Callable[..., Answer]
#: What to give to the library for a body of each kind.
Bodies = Callable[[Callable[[int], IO[bytes]]], Mapping[str, dict[str, Any]]]


@dataclass(frozen=True)
class Library:
    """`open` lets the library send for one person; `bodies` can be sent again, `one_time` cannot, nor can `unknown`, of
    which no library knows that."""

    name: str
    open: Callable[[World, ExitStack, Any], Send]
    bodies: Bodies
    one_time: Callable[[], dict[str, Any]]
    unknown: Callable[[], dict[str, Any]]
    integration: type[Integration | AsyncIntegration] = field(default=Integration)


def a_generator() -> Iterator[bytes]:
    yield BODY[:1000]
    yield BODY[1000:]


async def an_async_generator() -> AsyncIterator[bytes]:
    yield BODY[:1000]
    yield BODY[1000:]


class AnAsyncIterator:
    """No generator, and as good for one time."""

    def __init__(self) -> None:
        self._left = [BODY[:1000], BODY[1000:]]

    def __aiter__(self) -> "AnAsyncIterator":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


class BeginsAnew:
    """No iterator: each reading makes one of its own."""

    def __iter__(self) -> Iterator[bytes]:
        return a_generator()


class BeginsAnewAwaiting:
    """The same for awaiting callers."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return an_async_generator()


def an_iterator() -> Iterator[bytes]:
    return iter([BODY[:1000], BODY[1000:]])


def file_at(folder: Path, stack: ExitStack) -> Callable[[int], IO[bytes]]:
    """Opens a file that holds BODY and stands at that position."""

    def opened(position: int) -> IO[bytes]:
        path = folder / "body.bin"
        path.write_bytes(BODY)
        file = stack.enter_context(path.open("rb"))
        file.seek(position)
        return file

    return opened


# --- httpx2 and httpx ------------------------------------------------------------------------------------------------


def _blocking(library: Any, adapter: Any) -> Callable[[World, ExitStack, Any], Send]:
    def open_in(world: World, stack: ExitStack, integration: Any) -> Send:
        auth = adapter.grant_auth(integration, "id-ada")
        client = stack.enter_context(library.Client(auth=auth, trust_env=False, follow_redirects=True))

        def send(method: str, url: str, **options: Any) -> Answer:
            response = client.request(method, url, **options)
            return Answer(response.status_code, response.content)

        return send

    return open_in


def _awaiting(library: Any, adapter: Any) -> Callable[[World, ExitStack, Any], Send]:
    def open_in(world: World, stack: ExitStack, integration: Any) -> Send:
        run = stack.enter_context(asyncio.Runner()).run
        auth = adapter.grant_auth(integration, "id-ada")
        client = library.AsyncClient(auth=auth, trust_env=False, follow_redirects=True)
        stack.callback(lambda: run(integration.close()))
        stack.callback(lambda: run(client.aclose()))

        def send(method: str, url: str, **options: Any) -> Answer:
            response = run(client.request(method, url, **options))
            return Answer(response.status_code, response.content)

        return send

    return open_in


def _httpx_bodies(file: Callable[[int], IO[bytes]]) -> Mapping[str, dict[str, Any]]:
    return {
        "nothing": {},
        "bytes": {"content": BODY},
        "chunks": {"content": [BODY[:9], BODY[9:]]},
        "file": {"content": file(0)},
        "file from the middle": {"content": file(MIDDLE)},
        "multipart": {"files": {"f": file(0)}, "data": {"x": "1"}},
    }


def _httpx_0_28_bodies(file: Callable[[int], IO[bytes]]) -> Mapping[str, dict[str, Any]]:
    """It announces the whole length of a file that stands in its middle, and then fails by itself, with us or not."""
    return {kind: body for kind, body in _httpx_bodies(file).items() if kind != "file from the middle"}


def _async_httpx_bodies(file: Callable[[int], IO[bytes]]) -> Mapping[str, dict[str, Any]]:
    """Their awaiting clients take no file but in a form."""
    return {kind: body for kind, body in _httpx_bodies(file).items() if kind in ("nothing", "bytes", "multipart")}


# --- requests --------------------------------------------------------------------------------------------------------


def _requests(world: World, stack: ExitStack, integration: Any) -> Send:
    session = stack.enter_context(in_requests.GrantSession(integration, "id-ada"))
    session.trust_env = False

    def send(method: str, url: str, **options: Any) -> Answer:
        response = session.request(method, url, **options)
        return Answer(response.status_code, response.content)

    return send


def _requests_bodies(file: Callable[[int], IO[bytes]]) -> Mapping[str, dict[str, Any]]:
    encoder = MultipartEncoder({"x": "1", "f": ("body.bin", file(0), "image/png")})
    return {
        "nothing": {},
        "bytes": {"data": BODY},
        "file": {"data": file(0)},
        "file from the middle": {"data": file(MIDDLE)},
        "multipart": {"files": {"f": file(0)}, "data": {"x": "1"}},
        "multipart of requests_toolbelt": {"data": encoder, "headers": {"Content-Type": encoder.content_type}},
    }


# --- aiohttp ---------------------------------------------------------------------------------------------------------


def _aiohttp(world: World, stack: ExitStack, integration: Any) -> Send:
    run = stack.enter_context(asyncio.Runner()).run

    async def opened() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(middlewares=[in_aiohttp.grant_middleware(integration, "id-ada")])

    session = run(opened())
    stack.callback(lambda: run(integration.close()))
    stack.callback(lambda: run(session.close()))

    async def ask(method: str, url: str, options: dict[str, Any]) -> Answer:
        if "fields" in options:
            options = {"data": aiohttp.FormData(options["fields"])}
        async with session.request(method, url, **options) as response:
            return Answer(response.status, await response.read())

    return lambda method, url, **options: run(ask(method, url, options))


def _aiohttp_bodies(file: Callable[[int], IO[bytes]]) -> Mapping[str, dict[str, Any]]:
    return {
        "nothing": {},
        "bytes": {"data": BODY},
        "file": {"data": file(0)},
        "file from the middle": {"data": file(MIDDLE)},
        "multipart": {"fields": {"x": "1", "f": file(0)}},
    }


# --- our own ---------------------------------------------------------------------------------------------------------


def _own(world: World, stack: ExitStack, integration: Any) -> Send:
    client = stack.enter_context(integration.client_for("id-ada"))

    def send(method: str, url: str, **options: Any) -> Answer:
        response = client.request(method, url, follow_redirects=True, **options)
        return Answer(response.status_code, response.content)

    return send


def _own_awaiting(world: World, stack: ExitStack, integration: Any) -> Send:
    run = stack.enter_context(asyncio.Runner()).run
    client = integration.client_for("id-ada")
    stack.callback(lambda: run(integration.close()))
    stack.callback(lambda: run(client.aclose()))

    def send(method: str, url: str, **options: Any) -> Answer:
        response = run(client.request(method, url, follow_redirects=True, **options))
        return Answer(response.status_code, response.content)

    return send


def _blocking_library(name: str, opening: Any, bodies: Bodies, *, given_as: str = "content") -> Library:
    return Library(name, opening, bodies, lambda: {given_as: a_generator()}, lambda: {given_as: an_iterator()})


def _awaiting_library(name: str, opening: Any, bodies: Bodies, *, given_as: str = "content") -> Library:
    def one_time() -> dict[str, Any]:
        return {given_as: an_async_generator()}

    return Library(name, opening, bodies, one_time, lambda: {given_as: AnAsyncIterator()}, AsyncIntegration)


LIBRARIES = [
    _blocking_library("httpx2", _blocking(httpx2, in_httpx2), _httpx_bodies),
    _awaiting_library("httpx2, awaiting", _awaiting(httpx2, in_httpx2), _async_httpx_bodies),
    _blocking_library("httpx", _blocking(httpx, in_httpx), _httpx_0_28_bodies),
    _awaiting_library("httpx, awaiting", _awaiting(httpx, in_httpx), _async_httpx_bodies),
    _blocking_library("requests", _requests, _requests_bodies, given_as="data"),
    _awaiting_library("aiohttp", _aiohttp, _aiohttp_bodies, given_as="data"),
]
OWN = [
    _blocking_library("client_for", _own, _httpx_bodies),
    _awaiting_library("client_for, awaiting", _own_awaiting, _async_httpx_bodies),
]
