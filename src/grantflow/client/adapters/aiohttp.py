"""The living client in aiohttp (from 3.12 on): a middleware of its client session, which sees each redirect too."""

from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any, Final, TypeAlias
from weakref import WeakSet

import aiohttp
from aiohttp.payload import BytesPayload, IOBasePayload

from grantflow.client.bodies import Body, Reading, body_of
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
    sent: WeakSet[Any] = WeakSet()

    async def carry(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        url, once = request.url, _read_once(request.body)
        Reading(_ONE_TIME, has_begun=any(each in sent for each in once)).check()
        run = calls.begin(url.scheme, url.raw_host or "", url.port, replayable=not once)
        try:
            with closing(run):
                while call := await calls.shell.until_call(run):
                    sent.update(each for each in once if _is_noted(each))
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
    """The parts of a body that can be read one time: generators, pipes."""
    if isinstance(body, aiohttp.MultipartWriter):
        return [each for part, _, _ in body for each in _read_once(part)]
    if isinstance(body, IOBasePayload):
        return [] if body_of(body._value, None).replayable else [body._value]
    return [] if not body or isinstance(body, BytesPayload) else [getattr(body, "_value", body)]


def _is_noted(each: Any) -> bool:
    return getattr(type(each), "__weakrefoffset__", 0) != 0
