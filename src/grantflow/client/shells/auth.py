"""The conversation of one call as an `Auth` of httpx and of its continuation httpx2, which have the same interface.

Each has classes of its own, so this is the part beside the base: `class GrantAuth(AuthFlows, httpx2.Auth)`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import closing
from typing import Any, ClassVar, Final

from grantflow.client.bodies import BODY, Body, Reading, body_of, is_spent_by_reading
from grantflow.client.flows.calling import UNAUTHORIZED
from grantflow.client.shells.awaiting import AsyncShell
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.calls import Calls
from grantflow.client.shells.running import Run
from grantflow.client.steps import Call
from grantflow.protocol.bearer import write_bearer

_LIBRARIES: Final = ("httpx", "httpx2")
_ONE_TIME: Final = Body(replayable=False)
#: For an answer that says nothing of the token.
_NOT_ASKED: Final = 0


class Resent:
    """The body of a request, from where it began each time that the library sends it: the part beside the streams of
    either library."""

    def __init__(self, stream: Any, body: Body) -> None:
        self._stream = stream
        self._reading = Reading(body)

    def __iter__(self) -> Iterator[bytes]:
        self._reading.begin()
        return self._reading.watch(iter(self._stream))

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._reading.begin()
        stream: AsyncIterator[bytes] = self._stream.__aiter__()
        return self._reading.watch_awaiting(stream)


class AuthFlows:
    """Lets a flow decide which token a call carries, and whether it is sent once more."""

    resent: ClassVar[type[Resent]]

    def __init__(self, calls: Calls[Shell] | Calls[AsyncShell]) -> None:
        self._calls = calls

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        shell = self._calls.shell
        if not isinstance(shell, Shell):
            raise TypeError("A blocking client needs the auth of an Integration, not of an AsyncIntegration.")
        with closing(self._begin(request, read_by="__iter__")) as run:
            while call := shell.until_call(run):
                response = yield _carrying(call, request)
                run.feed(_status(response, request))

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        shell = self._calls.shell
        if not isinstance(shell, AsyncShell):
            raise TypeError("An awaiting client needs the auth of an AsyncIntegration, not of an Integration.")
        with closing(self._begin(request, read_by="__aiter__")) as run:
            while call := await shell.until_call(run):
                response = yield _carrying(call, request)
                run.feed(_status(response, request))

    def _begin(self, request: Any, *, read_by: str) -> Run[None]:
        """`read_by`: what the client's kind asks of a stream; of the other kind's it tells the caller by itself."""
        stream, url = request.stream, request.url
        body: Body = request.extensions.get(BODY) or _body_of_stream(stream)
        request.extensions[BODY] = body
        in_memory = body.replayable and not body.files
        if not in_memory and hasattr(stream, read_by) and not isinstance(stream, Resent):
            request.stream = self.resent(stream, body)
        return self._calls.begin(url.scheme, url.raw_host.decode("ascii"), url.port, replayable=body.replayable)


def _carrying(call: Call, request: Any) -> Any:
    request.headers["Authorization"] = write_bearer(call.access_token)
    return request


def _status(response: Any, request: Any) -> int:
    """What the answer says of the token. Where a redirect led to another origin, the library took the token off."""
    status: int = response.status_code
    if status != UNAUTHORIZED or response.request is request:
        return status
    carried = response.request.headers.get("Authorization") == request.headers["Authorization"]
    return status if carried else _NOT_ASKED


def _body_of_stream(stream: Any) -> Body:
    """The body of a request that the client of somebody else has built. It looks into the library's own streams, and
    whatever it does not know there counts as good for one time."""
    if type(stream).__module__.partition(".")[0] not in _LIBRARIES:
        return Body(replayable=False, begins_anew=not is_spent_by_reading(stream))
    fields = getattr(stream, "fields", None)
    if fields is not None:
        return body_of(None, [("", field.file) for field in fields if hasattr(field, "file")])
    content = getattr(stream, "_stream", None)
    return _ONE_TIME if content is None else body_of(content, None)
