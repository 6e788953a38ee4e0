"""The living client in aiohttp (from 3.12 on): a middleware of its client session, which sees each redirect too."""

from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any, TypeAlias

import aiohttp
from aiohttp.payload import BytesPayload, IOBasePayload

from grantflow.client.bodies import body_of
from grantflow.client.errors import VaultUnavailable
from grantflow.client.integration import AsyncIntegration
from grantflow.client.shells.calls import REFUSAL_LIMIT, TOO_LONG_A_REFUSAL
from grantflow.protocol.bearer import write_bearer

Middleware: TypeAlias = Callable[[aiohttp.ClientRequest, aiohttp.ClientHandlerType], Awaitable[aiohttp.ClientResponse]]


def grant_middleware(integration: AsyncIntegration, person_id: str, *, owner: str | None = None) -> Middleware:
    """For `aiohttp.ClientSession(middlewares=[...])`, or for one of its calls.

    Calls raise what those of `client_for` raise; `ForeignOrigin` for each address outside of the API, also where the
    API redirects there: nothing is sent.
    """
    calls = integration.calls_for(person_id, owner=owner)

    async def carry(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        url = request.url
        run = calls.begin(url.scheme, url.raw_host or "", url.port, replayable=_is_replayable(request.body))
        try:
            with closing(run):
                while call := await calls.shell.until_call(run):
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


def _is_replayable(body: Any) -> bool:
    if isinstance(body, aiohttp.MultipartWriter):
        return all(_is_replayable(part) for part, _, _ in body)
    if isinstance(body, IOBasePayload):
        return body_of(body._value, None).replayable
    return not body or isinstance(body, BytesPayload)
