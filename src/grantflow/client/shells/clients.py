"""HTTP clients whose calls carry the grant: a living token on each, a new one where the API refuses it.

They are the HTTP library's own clients with its own interface. Relative addresses lie under the API's URL, absolute
ones must lie at one of its origins; a redirect to anywhere else is refused as well.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from grantflow.client.bodies import Body, body_of
from grantflow.client.errors import ForeignOrigin
from grantflow.client.flows.calling import UNAUTHORIZED
from grantflow.client.shells.awaiting import AsyncShell
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.running import Run
from grantflow.client.shells.wire import USER_AGENT
from grantflow.client.steps import Call, Flow, call_api
from grantflow.protocol.bearer import write_bearer
from grantflow.protocol.secret import Secret

#: Of one operation (connect, send, read), in seconds; change it as `client.timeout`.
TIMEOUT: Final = 30.0
#: The most that the body of a 401 may hold, in bytes on the wire.
_REFUSAL_LIMIT: Final = 64 * 1024
_BODY: Final = "grantflow.body"

#: What a call raises where no answer came or none that can be read, for callers who do not know the HTTP library.
NoAnswer: Final = httpx2.RequestError


@dataclass(frozen=True, slots=True)
class Origins:
    """Where tokens may go."""

    origins: frozenset[httpx2.Origin]

    @classmethod
    def of(cls, *urls: str) -> "Origins":
        return cls(frozenset(httpx2.Origin(url) for url in urls))

    def check(self, request: httpx2.Request) -> None:
        """Raises ForeignOrigin."""
        if request.url.origin not in self.origins:
            raise ForeignOrigin(
                f"{_written(request.url)} is not the API of this integration, so nothing was sent there: whoever gets "
                "an access token can use it. If it belongs to the API, name it in Integration(api_origins=[...])."
            )


def _written(url: httpx2.URL) -> str:
    """Its origin as a person writes it: no user, no password, no port that goes without saying."""
    return str(url.copy_with(username=None, password=None, path="/", query=None, fragment=None)).removesuffix("/")


#: Makes the flow of one call; the argument says whether its body can be sent again.
Conversation = Callable[[bool], Flow[None]]


class GrantAuth(httpx2.Auth):
    """Lets a flow decide which token a call carries, and whether it is sent once more."""

    def __init__(self, conversation: Conversation, *, shell: Shell | AsyncShell) -> None:
        self._conversation = conversation
        self._shell = shell

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        assert isinstance(self._shell, Shell)
        body, run = self._begin(request)
        while run.step is not None:
            if isinstance(run.step, Call):
                response = yield _carrying(run.step, request, body)
                run.feed(response.status_code)
            else:
                self._shell.advance(run)

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        assert isinstance(self._shell, AsyncShell)
        body, run = self._begin(request)
        while run.step is not None:
            if isinstance(run.step, Call):
                response = yield _carrying(run.step, request, body)
                run.feed(response.status_code)
            else:
                await self._shell.advance(run)

    def _begin(self, request: httpx2.Request) -> tuple[Body, Run[None]]:
        body = request.extensions.get(_BODY)
        if body is None:
            body = Body(replayable=isinstance(request.stream, httpx2.ByteStream))
        return body, Run(self._conversation(body.replayable))


def _carrying(call: Call, request: httpx2.Request, body: Body) -> httpx2.Request:
    if call.again:
        body.rewind()
    request.headers["Authorization"] = write_bearer(call.access_token)
    return request


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
    if size > _REFUSAL_LIMIT:
        raise httpx2.ReadError(f"The API refused the token (401) with more than {_REFUSAL_LIMIT} bytes; try again.")


class _Shared(httpx2.BaseTransport):
    """The shell's connections, for the API alone; closing one client leaves them to the others.

    Every request comes by here, redirected ones too, so this is where a foreign address is refused.
    """

    def __init__(self, shell: Shell, *, origins: Origins) -> None:
        self._shell = shell
        self._origins = origins

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._origins.check(request)
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
        self._origins.check(request)
        response = await self._shell.transport().handle_async_request(request)
        if response.status_code == UNAUTHORIZED:
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _AsyncShort(response.stream)
        return response


class GrantClient(httpx2.Client):
    """An `httpx2.Client` that acts for one person. Cheap to make; connections are shared with its siblings."""

    def __init__(self, conversation: Conversation, *, shell: Shell, api_url: str, origins: Origins) -> None:
        super().__init__(
            base_url=f"{api_url}/",
            auth=GrantAuth(conversation, shell=shell),
            transport=_Shared(shell, origins=origins),
            headers={"user-agent": USER_AGENT},
            timeout=TIMEOUT,
        )

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        return _remembering(super().build_request(method, url, **options), options)


class AsyncGrantClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` that acts for one person. Cheap to make; connections are shared with its siblings."""

    def __init__(self, conversation: Conversation, *, shell: AsyncShell, api_url: str, origins: Origins) -> None:
        super().__init__(
            base_url=f"{api_url}/",
            auth=GrantAuth(conversation, shell=shell),
            transport=_AsyncShared(shell, origins=origins),
            headers={"user-agent": USER_AGENT},
            timeout=TIMEOUT,
        )

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        return _remembering(super().build_request(method, url, **options), options)


def _remembering(request: httpx2.Request, options: dict[str, Any]) -> httpx2.Request:
    request.extensions[_BODY] = body_of(options.get("content"), options.get("files"))
    return request


def bearing(access_token: Secret) -> Conversation:
    """The conversation of a token that has no grant yet: it is sent, and what the API answers is the answer."""

    def conversation(_replayable: bool) -> Flow[None]:
        yield from call_api(access_token)

    return conversation
