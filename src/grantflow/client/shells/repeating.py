"""A call of the API whose connection closes before an answer comes.

A server closes what rests, now and then in the very moment in which a call is sent there, and so it does where the
caller's process was suspended between connecting and sending. Nobody knows then whether the call was done, so it is
sent once more only where doing it twice is doing it once: with an idempotent method (RFC 9110 section 9.2.2), a body
that is still there, and on a connection of its own.
"""

import logging
import ssl
import threading
from typing import Any, Final

import httpx2

from grantflow.client.bodies import BODY, Body
from grantflow.client.shells.wire import FRESH_EACH_TIME, MANY

_logger = logging.getLogger("grantflow")

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_GONE: Final = (httpx2.RemoteProtocolError, httpx2.ReadError)


class RepeatingTransport(httpx2.BaseTransport):
    """Raises what the HTTP library raises."""

    def __init__(self, *, security: ssl.SSLContext, proxy: str | None) -> None:
        self._kept = _for_threads(httpx2.HTTPTransport(verify=security, limits=MANY, proxy=proxy))
        self._fresh = _for_threads(httpx2.HTTPTransport(verify=security, limits=FRESH_EACH_TIME, proxy=proxy))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return self._kept.handle_request(request)
        except _GONE as error:
            _check_repeatable(request, error)
        return self._fresh.handle_request(request)

    def close(self) -> None:
        self._kept.close()
        self._fresh.close()


class AsyncRepeatingTransport(httpx2.AsyncBaseTransport):
    """The same for awaiting callers."""

    def __init__(self, *, security: ssl.SSLContext, proxy: str | None) -> None:
        self._kept = httpx2.AsyncHTTPTransport(verify=security, limits=MANY, proxy=proxy)
        self._fresh = httpx2.AsyncHTTPTransport(verify=security, limits=FRESH_EACH_TIME, proxy=proxy)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return await self._kept.handle_async_request(request)
        except _GONE as error:
            _check_repeatable(request, error)
        return await self._fresh.handle_async_request(request)

    async def aclose(self) -> None:
        await self._kept.aclose()
        await self._fresh.aclose()


def _for_threads(transport: httpx2.HTTPTransport) -> httpx2.HTTPTransport:
    """The lock that the library wraps around Python's stays locked for ever where a signal handler raises in the moment
    of getting it, and every other thread waits for it: so its connections get Python's own, which `with` gives back."""
    connections: Any = getattr(transport, "_pool", None)
    if hasattr(connections, "_optional_thread_lock"):
        connections._optional_thread_lock = threading.RLock()
    return transport


def _check_repeatable(request: httpx2.Request, error: httpx2.TransportError) -> None:
    """Raises `error` where the request is not to be sent once more; else its body is back where it began."""
    if _is_an_answer(error):
        raise error
    if request.method not in _IDEMPOTENT:
        raise type(error)(_in_doubt(request, error), request=request) from error
    body: Body | None = request.extensions.get(BODY)
    if body is None or not body.replayable:
        raise error
    body.rewind()
    _logger.debug("%s %s met a connection that closed; sending it once more", request.method, request.url.host)


def _is_an_answer(error: httpx2.TransportError) -> bool:
    """Whether something came, though no HTTP: then the error is made of the parser's own."""
    made_of = error.__cause__.args if error.__cause__ else ()
    return isinstance(error, httpx2.RemoteProtocolError) and any(isinstance(each, Exception) for each in made_of)


def _in_doubt(request: httpx2.Request, error: httpx2.TransportError) -> str:
    return (
        f"The server closed the connection without an answer ({str(error) or type(error).__name__}), so nobody here "
        f"knows whether this {request.method} was done. Look there before you send it again."
    )
