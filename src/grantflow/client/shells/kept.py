"""Connections to the API that are kept for the next call, and the call that meets one which the server is closing.

A server closes what rests, now and then in the very moment in which a call is sent there. Nobody knows then whether it
was done, so it is sent once more only where doing it twice is doing it once: with an idempotent method (RFC 9110
section 9.2.2), a body that is still there, and on a connection of its own.
"""

import logging
import ssl
from typing import Any, Final

import httpx2

from grantflow.client.bodies import BODY, Body
from grantflow.client.shells.wire import FRESH_EACH_TIME, MANY

_logger = logging.getLogger("grantflow")

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_GONE: Final = (httpx2.RemoteProtocolError, httpx2.ReadError)


class _Timeouts(dict[str, Any]):
    """The timeouts of one request, which tell whether a connection was made for it: the HTTP library asks for that of
    connecting then, and only then. Its own way to tell (`trace`) would be called ten times for each call."""

    __slots__ = ("connected",)

    def __init__(self, timeouts: dict[str, Any]) -> None:
        super().__init__(timeouts)
        self.connected = False

    def get(self, phase: str, default: Any = None, /) -> Any:
        if phase == "connect":
            self.connected = True
        return super().get(phase, default)


class KeptTransport(httpx2.BaseTransport):
    """Raises what the HTTP library raises."""

    def __init__(self, *, security: ssl.SSLContext, proxy: str | None) -> None:
        self._kept = httpx2.HTTPTransport(verify=security, limits=MANY, proxy=proxy)
        self._fresh = httpx2.HTTPTransport(verify=security, limits=FRESH_EACH_TIME, proxy=proxy)
        self._tells = proxy is None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        timeouts = _watch(request)
        try:
            return self._kept.handle_request(request)
        except _GONE as error:
            _check_repeatable(request, error, kept=not (timeouts.connected and self._tells))
        return self._fresh.handle_request(request)

    def close(self) -> None:
        self._kept.close()
        self._fresh.close()


class AsyncKeptTransport(httpx2.AsyncBaseTransport):
    """The same for awaiting callers."""

    def __init__(self, *, security: ssl.SSLContext, proxy: str | None) -> None:
        self._kept = httpx2.AsyncHTTPTransport(verify=security, limits=MANY, proxy=proxy)
        self._fresh = httpx2.AsyncHTTPTransport(verify=security, limits=FRESH_EACH_TIME, proxy=proxy)
        self._tells = proxy is None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        timeouts = _watch(request)
        try:
            return await self._kept.handle_async_request(request)
        except _GONE as error:
            _check_repeatable(request, error, kept=not (timeouts.connected and self._tells))
        return await self._fresh.handle_async_request(request)

    async def aclose(self) -> None:
        await self._kept.aclose()
        await self._fresh.aclose()


def _watch(request: httpx2.Request) -> _Timeouts:
    timeouts = request.extensions["timeout"] = _Timeouts(request.extensions.get("timeout", {}))
    return timeouts


def _check_repeatable(request: httpx2.Request, error: httpx2.TransportError, *, kept: bool) -> None:
    """Raises `error` where the request is not to be sent once more; else its body is back where it began.

    `kept`: whether the connection was, or may have been: in a proxy's tunnel the HTTP library asks for the timeout of
    connecting each time. One that was made for this request, and closed on it, may have been closed because of it.
    """
    if _is_an_answer(error):
        raise error
    if request.method not in _IDEMPOTENT:
        raise type(error)(_in_doubt(request, error), request=request) from error
    body: Body | None = request.extensions.get(BODY)
    if not kept or body is None or not body.replayable:
        raise error
    body.rewind()
    _logger.debug("%s %s met a connection that was closing; sending it once more", request.method, request.url.host)


def _is_an_answer(error: httpx2.TransportError) -> bool:
    """Whether something came, though no HTTP: then the error is made of the parser's own."""
    made_of = error.__cause__.args if error.__cause__ else ()
    return isinstance(error, httpx2.RemoteProtocolError) and any(isinstance(each, Exception) for each in made_of)


def _in_doubt(request: httpx2.Request, error: httpx2.TransportError) -> str:
    return (
        f"The server closed the connection without an answer ({str(error) or type(error).__name__}), so nobody here "
        f"knows whether this {request.method} was done. Look there before you send it again."
    )
