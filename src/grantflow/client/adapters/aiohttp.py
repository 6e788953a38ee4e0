"""The living client in aiohttp (from 3.12 on): a middleware of its client session, which sees each redirect too."""

from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.payload import AsyncIterablePayload, BytesPayload, IOBasePayload

from grantflow.client.bodies import Body, Reading, body_of, is_spent_by_reading
from grantflow.client.errors import VaultUnavailable
from grantflow.client.integration import AsyncIntegration
from grantflow.client.shells.calls import REFUSAL_LIMIT, TOO_LONG_A_REFUSAL
from grantflow.protocol.bearer import write_bearer

Middleware: TypeAlias = Callable[[aiohttp.ClientRequest, aiohttp.ClientHandlerType], Awaitable[aiohttp.ClientResponse]]

_ONE_TIME: Final = Body(replayable=False)


def grant_middleware(integration: AsyncIntegration, person_id: str, *, owner: str | None = None) -> Middleware:
    """For `aiohttp.ClientSession(middlewares=[...])`, or for one of its calls.

    Calls raise what those of `client_for` raise; `ForeignOrigin` for each address outside of the API, also where the
    API redirects there: nothing is sent.
    """
    calls = integration.calls_for(person_id, owner=owner)
    #: aiohttp before 3.14 would send them once more where the API redirects a call, and then empty.
    sent = _Sent()

    async def carry(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        url, once = request.url, _read_once(request.body)
        Reading(_ONE_TIME, has_begun=any(sent.holds(each) for each in once)).check()
        run = calls.begin(url.scheme, url.raw_host or "", url.port, replayable=not once)
        try:
            with closing(run):
                while call := await calls.shell.until_call(run):
                    for each in once:
                        sent.note(each)
                    # aiohttp rewinds the body by itself.
                    request.headers["Authorization"] = write_bearer(call.access_token)
                    response = await send(request)
                    run.feed(response.status)
                    if run.step is not None:
                        await _read(response)
        except VaultUnavailable as error:
            if isinstance(error, OSError):  # which aiohttp would take for a failure of the network
                raise VaultUnavailable(str(error), retry_after=error.retry_after) from error
            raise
        return response

    return carry


class _Sent:
    """Which bodies were sent, of those that hold nothing more then: these very ones, whatever they are equal to."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def note(self, body: Any) -> None:
        for each in _spent_by_reading(body):
            if getattr(type(each), "__weakrefoffset__", 0):
                self._known[id(each)] = each

    def holds(self, body: Any) -> bool:
        return any(self._known.get(id(each)) is each for each in _spent_by_reading(body))


async def _read(response: aiohttp.ClientResponse) -> None:
    """Read a refusal whole, so that its connection can serve the second try. The first is no longer being written
    then, and the body is free to be sent again."""
    read = bytearray()
    async for chunk in response.content.iter_chunked(8192):
        read += chunk
        if len(read) > REFUSAL_LIMIT:
            response.close()
            raise aiohttp.ClientPayloadError(TOO_LONG_A_REFUSAL)
    response._body = bytes(read)
    await response.read()


def _read_once(body: Any) -> list[Any]:
    """The parts of a body that are not known to be readable again: of generators, of pipes."""
    if isinstance(body, aiohttp.MultipartWriter):
        return [each for part, _, _ in body for each in _read_once(part)]
    if isinstance(body, IOBasePayload):
        return [] if body_of(body._value, None).replayable else [body]
    return [] if not body or isinstance(body, BytesPayload) else [body]


def _spent_by_reading(body: Any) -> list[Any]:
    """A payload of an iterable has asked it for an iterator when it was made, so it is spent even where that is not."""
    value = getattr(body, "_value", body)
    spent = [value] if is_spent_by_reading(value) else []
    return [body, *spent] if isinstance(body, AsyncIterablePayload) else spent
