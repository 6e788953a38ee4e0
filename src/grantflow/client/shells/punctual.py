"""Connections that keep one deadline over everything: the name, each address, a proxy, TLS, sending, and every read.

The HTTP library's timeouts bound one operation each and begin anew with the next address and the next read, so an
address that is silent, or headers that come line by line, would stretch a request far beyond the lease on its grant.
No thread is needed to keep the time: each operation is given what is left of it.
"""

import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore2
import httpx2

from grantflow.client.shells.wire import Remaining, too_late
from grantflow.client.steps import Unanswered

#: The most that one address is waited for while there are others, in seconds: a packet lost is sent again after one.
_LONGEST_FOR_ONE_ADDRESS: Final = 3.0
_NO_ANSWER: Final = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)
_NEVER_LEFT: Final = (
    httpcore2.ConnectError,
    httpcore2.ConnectTimeout,
    httpcore2.PoolTimeout,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)


class PunctualTransport(httpx2.BaseTransport):
    """For requests that carry their `Remaining` as timeouts: each has a connection of its own, closed with the answer.

    Raises Unanswered. One thing can take longer, the system's look-up of a name; then nothing is sent any more.
    """

    def __init__(self, *, security: ssl.SSLContext, proxy: str | None) -> None:
        self._security = security
        self._proxy = _read_proxy(proxy) if proxy else None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        remaining: Remaining = request.extensions["timeout"]
        connections = httpcore2.ConnectionPool(
            ssl_context=self._security,
            proxy=self._proxy,
            network_backend=_Network(remaining),
        )
        try:
            with _told(remaining):
                answer = connections.handle_request(_written(request))
        except BaseException:
            connections.close()
            raise
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer, connections, remaining))


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response, connections: httpcore2.ConnectionPool, remaining: Remaining) -> None:
        self._answer = answer
        self._connections = connections
        self._remaining = remaining

    def __iter__(self) -> Iterator[bytes]:
        with _told(self._remaining):
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
        self._connections.close()


class _Network(httpcore2.NetworkBackend):
    """Opens the connections of one request."""

    def __init__(self, remaining: Remaining) -> None:
        self._remaining = remaining
        self._network = httpcore2.SyncBackend()

    def connect_tcp(self, host: str, port: int, *_: Any, **options: Any) -> httpcore2.NetworkStream:
        """Try one address after another, each for its share of the time, so that a silent one leaves some for the
        next."""
        addresses = _addresses(host, port)
        while True:
            address = addresses.pop(0)
            left = self._remaining.to_connect()
            options["timeout"] = min(left / (len(addresses) + 1), _LONGEST_FOR_ONE_ADDRESS) if addresses else left
            try:
                return _Stream(self._network.connect_tcp(address, port, **options), self._remaining)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if not addresses:
                    raise


class _Stream(httpcore2.NetworkStream):
    """A connection on which nothing takes longer than what is left."""

    def __init__(self, stream: httpcore2.NetworkStream, remaining: Remaining) -> None:
        self._stream = stream
        self._remaining = remaining

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=self._remaining.to_read())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:  # the last time there is nothing left, and all has been sent
            self._stream.write(buffer, timeout=self._remaining.to_answer())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout=self._remaining.to_connect())
        return _Stream(secured, self._remaining)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int) -> list[str]:
    """All addresses of a host, in the system's order of preference (RFC 6724)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error
    return list(dict.fromkeys(_numeric(*each[4]) for each in found))


def _numeric(host: str | int, _port: int | bytes, _flow: int = 0, scope: int = 0) -> str:
    return f"{host}%{scope}" if scope else str(host)


def _written(request: httpx2.Request) -> httpcore2.Request:
    url, body = request.url, request.stream
    assert isinstance(body, Iterable)
    return httpcore2.Request(
        request.method,
        httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=body,
        extensions=request.extensions,
    )


def _read_proxy(url: str) -> httpcore2.Proxy:
    proxy = httpx2.Proxy(url)
    at = proxy.url
    address = httpcore2.URL(scheme=at.raw_scheme, host=at.raw_host, port=at.port, target=at.raw_path)
    return httpcore2.Proxy(address, auth=proxy.raw_auth)


@contextmanager
def _told(remaining: Remaining) -> Iterator[None]:
    """Raises Unanswered."""
    try:
        yield
    except (httpcore2.ReadTimeout, httpcore2.WriteTimeout):
        raise too_late(remaining.deadline) from None
    except _NO_ANSWER as error:
        words = str(error) or type(error).__name__
        raise Unanswered(f"no answer ({words})", sent=not isinstance(error, _NEVER_LEFT)) from error
