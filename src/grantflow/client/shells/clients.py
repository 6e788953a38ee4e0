"""HTTP clients whose calls carry the grant: a living token on each, a new one where the API refuses it.

They are the HTTP library's own clients with its own interface. Relative addresses lie under the API's URL, absolute
ones must lie at one of its origins; a redirect to anywhere else is refused as well.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import httpx2

from grantflow.client.bodies import BODY, body_of
from grantflow.client.flows.calling import UNAUTHORIZED
from grantflow.client.shells.auth import AuthFlows, Resent
from grantflow.client.shells.awaiting import AsyncShell
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.calls import REFUSAL_LIMIT, TOO_LONG_A_REFUSAL, Calls, Conversation, Origins
from grantflow.client.shells.wire import USER_AGENT
from grantflow.client.steps import Flow, call_api
from grantflow.protocol.secret import Secret

#: Of one operation (connect, send, read), in seconds; change it as `client.timeout`.
TIMEOUT: Final = 30.0

#: What a call raises where no answer came or none that can be read, for callers who do not know the HTTP library.
NoAnswer: Final = httpx2.RequestError


class _Resent(Resent, httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """For httpx2."""


class GrantAuth(AuthFlows, httpx2.Auth):
    """For httpx2."""

    resent = _Resent


class _Short(httpx2.SyncByteStream):
    """The body of a 401. The HTTP library reads it whole before the call is sent again, so it is not to be endless."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        read = 0
        for chunk in self._stream:
            read += len(chunk)
            _check_refusal(read)
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _AsyncShort(httpx2.AsyncByteStream):
    """The same for awaiting callers."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._stream:
            read += len(chunk)
            _check_refusal(read)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _check_refusal(size: int) -> None:
    if size > REFUSAL_LIMIT:
        raise httpx2.ReadError(TOO_LONG_A_REFUSAL)


class _Shared(httpx2.BaseTransport):
    """The shell's connections, for the API alone; closing one client leaves them to the others.

    Every request comes by here, redirected ones too, so this is where a foreign address is refused.
    """

    def __init__(self, shell: Shell, *, origins: Origins) -> None:
        self._shell = shell
        self._origins = origins

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        _check_origin(request, self._origins)
        response = self._shell.transport().handle_request(request)
        if response.status_code == UNAUTHORIZED:
            assert isinstance(response.stream, httpx2.SyncByteStream)
            response.stream = _Short(response.stream)
        return response


class _AsyncShared(httpx2.AsyncBaseTransport):
    """The same for awaiting callers."""

    def __init__(self, shell: AsyncShell, *, origins: Origins) -> None:
        self._shell = shell
        self._origins = origins

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        _check_origin(request, self._origins)
        response = await self._shell.transport().handle_async_request(request)
        if response.status_code == UNAUTHORIZED:
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _AsyncShort(response.stream)
        return response


def _check_origin(request: httpx2.Request, origins: Origins) -> None:
    url = request.url
    origins.check(url.scheme, url.raw_host.decode("ascii"), url.port)


class GrantClient(httpx2.Client):
    """An `httpx2.Client` that acts for one person. Cheap to make; connections are shared with its siblings."""

    def __init__(self, calls: Calls[Shell], *, api_url: str) -> None:
        super().__init__(
            base_url=f"{api_url}/",
            auth=GrantAuth(calls),
            transport=_Shared(calls.shell, origins=calls.origins),
            headers={"user-agent": USER_AGENT},
            timeout=TIMEOUT,
        )

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        return _remembering(super().build_request(method, url, **options), options)


class AsyncGrantClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` that acts for one person. Cheap to make; connections are shared with its siblings."""

    def __init__(self, calls: Calls[AsyncShell], *, api_url: str) -> None:
        super().__init__(
            base_url=f"{api_url}/",
            auth=GrantAuth(calls),
            transport=_AsyncShared(calls.shell, origins=calls.origins),
            headers={"user-agent": USER_AGENT},
            timeout=TIMEOUT,
        )

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        return _remembering(super().build_request(method, url, **options), options)


def _remembering(request: httpx2.Request, options: dict[str, Any]) -> httpx2.Request:
    content, files, data = options.get("content"), options.get("files"), options.get("data")
    if data is not None and not isinstance(data, Mapping):  # no form: the library takes it for the content
        content, files = data, None
    request.extensions[BODY] = body_of(content, files)
    return request


def bearing(access_token: Secret) -> Conversation:
    """The conversation of a token that has no grant yet: it is sent, and what the API answers is the answer."""

    def conversation(_replayable: bool) -> Flow[None]:
        yield from call_api(access_token)

    return conversation
