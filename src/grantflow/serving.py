"""Serves ASGI apps on sockets that are bound beforehand, in one event loop, until a signal ends it.

The sockets come first because the apps need to know their own addresses: with port 0 only the bound socket does.
"""

import asyncio
import errno
import gc
import logging
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass

import httptools
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from grantflow.proxies import BehindProxies, Network

access_log = logging.getLogger("grantflow.access")

#: Seconds that requests under way have to end, once the server is told to stop.
GRACE = 1
#: Seconds that the head of a request may take to arrive, and bytes that it may have.
HEAD_SECONDS = 10.0
HEAD_LIMIT = 64 * 1024
#: Seconds that its body may take after that, however steadily it drips.
BODY_SECONDS = 30.0
#: Seconds that an answer may lie here before the client has taken all of it.
ANSWER_SECONDS = 60.0
CONNECTION_LIMIT = 10_000
_BACKLOG = 2_048
#: In the shape of RFC 6749 and in that of the API at once: the server does not know which of the two was asked.
_ENDING = {
    "error": "temporarily_unavailable",
    "error_description": "The server is being stopped; try again shortly.",
    "message": "The server is being stopped; try again shortly.",
}


class PortUnavailable(Exception):
    """Nothing can listen at this address; ``taken`` says that somebody else does already."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(f"{host}:{port} cannot be listened at: {error.strerror}")
        self.host = host
        self.port = port
        self.taken = error.errno == errno.EADDRINUSE
        self.reason = error.strerror or str(error)


@dataclass(frozen=True, slots=True)
class Listener:
    """An app, the sockets it is reached by, its TLS context where it speaks https, and the proxies that stand before
    it: they alone are believed about a client's address.
    """

    app: Starlette
    sockets: Sequence[socket.socket]
    tls: ssl.SSLContext | None = None
    trusted_proxies: Sequence[Network] = ()


# --- sockets -----------------------------------------------------------------------------------------------------


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for each address of ``host``, all on one port; 0 picks a free one.

    A browser that is sent to localhost may try ::1 first and 127.0.0.1 second: both must be ours.

    Raises:
        PortUnavailable: the address is taken, forbidden or not of this machine.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host):
            port = port_of(sockets) if sockets else port
            sockets.append(_listen(family, address, port))
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise PortUnavailable(host, port, error) from error
    return sockets


def port_of(sockets: Sequence[socket.socket]) -> int:
    port: int = sockets[0].getsockname()[1]
    return port


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    if host == "localhost":  # whatever the hosts file says, browsers know both
        both = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
        return [(family, address) for family, address in both if _is_here(family, address)]
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _is_here(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a restart waits out TIME_WAIT
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.listen(_BACKLOG)  # at once: with SO_REUSEADDR two may bind one port, but only one can listen
    except OSError:
        opened.close()
        raise
    return opened


# --- servers -----------------------------------------------------------------------------------------------------


def run(listeners: Sequence[Listener], *, on_ready: Callable[[], None], lifeline: int | None = None) -> signal.Signals:
    """Serve until SIGINT or SIGTERM, which is answered; ``on_ready`` is called once every app answers.

    Requests under way get ``GRACE`` seconds; a second signal cuts them off. ``lifeline`` is the reading end of a pipe
    to which nobody writes: its end is like a SIGTERM, but never a second one.
    """
    servers = [_server(listener) for listener in listeners]
    with asyncio.Runner(loop_factory=servers[0].config.get_loop_factory()) as runner:
        return runner.run(_serve(listeners, servers, on_ready=on_ready, lifeline=lifeline))


async def _serve(
    listeners: Sequence[Listener], servers: Sequence["_Server"], *, on_ready: Callable[[], None], lifeline: int | None
) -> signal.Signals:
    async with AsyncExitStack() as running:
        for listener in listeners:
            await running.enter_async_context(listener.app.router.lifespan_context(listener.app))
        ended = _until_signal(servers, lifeline=lifeline)
        async with asyncio.TaskGroup() as tasks:
            for listener, server in zip(listeners, servers, strict=True):
                tasks.create_task(server.serve(sockets=list(listener.sockets)))
            for server in servers:
                await server.answering.wait()
            _spare_the_collector()
            on_ready()
            watch = tasks.create_task(_cut_off_slow_clients(servers))
            received = await ended
            watch.cancel()
    return received


def _spare_the_collector() -> None:
    """What is loaded by now stays to the end, and requests make few cycles: looking for them seldom keeps the slowest
    answers quick.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def _until_signal(servers: Sequence["_Server"], *, lifeline: int | None) -> asyncio.Future[signal.Signals]:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[signal.Signals] = loop.create_future()

    def stop(received: signal.Signals) -> None:
        for server in servers:
            server.force_exit = server.should_exit
            server.should_exit = True
        if not ended.done():
            ended.set_result(received)

    def lifeline_ended(end: int) -> None:
        loop.remove_reader(end)
        if not ended.done():
            stop(signal.SIGTERM)

    for received in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(received, stop, received)
    if lifeline is not None:
        loop.add_reader(lifeline, lifeline_ended, lifeline)
    return ended


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Several servers share one process here: signals are handled once, by ``run``."""
        yield


def _server(listener: Listener) -> _Server:
    tls = listener.tls
    app: ASGIApp = listener.app
    if listener.trusted_proxies:
        app = BehindProxies(app, listener.trusted_proxies)
    app = CutOff(app)
    if access_log.isEnabledFor(logging.INFO):
        app = AccessLog(app)
    return _Server(
        uvicorn.Config(
            app,
            http=_BoundedConnection,
            ws="none",
            lifespan="off",  # entered by _serve, so that what goes wrong there reaches the caller
            log_config=None,
            access_log=False,  # it would print the code of ?code=
            server_header=False,
            proxy_headers=False,  # it would believe X-Forwarded-Proto too; see proxies.py
            limit_concurrency=CONNECTION_LIMIT,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=GRACE,
            ssl_context_factory=(lambda config, default: tls) if tls else None,
        )
    )


class _BoundedConnection(HttpToolsProtocol):
    """Gives up on whoever sends too much of a head, sends too slowly, or does not take the answer: the parser and the
    transport by themselves wait and grow for ever.
    """

    #: When what is arriving must be here, on the loop's clock; None while nothing is owed to us.
    _due: float | None = None
    _in_head = True
    _head_size = 0
    #: Bytes that came since the last of the body: trailers, which the parser would collect without end.
    _trailing = 0
    #: When an answer began to lie here; None while there is none.
    _untaken_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def data_received(self, data: bytes) -> None:
        self._trailing += len(data)
        super().data_received(data)
        if self._due is None and self.timeout_keep_alive_task is None and self._is_idle():
            self._begin_head()  # an empty line, which the parser passes over, has ended the wait for a request
        if self._due is not None and self._in_head:  # all that has come so far, and still no end of the head
            self._head_size += len(data)
            if self._head_size > HEAD_LIMIT:
                self._refuse("431 Request Header Fields Too Large")
        if self._due is not None and not self._in_head and self._trailing > HEAD_LIMIT:
            self._give_up("431 Request Header Fields Too Large")

    def on_header(self, name: bytes, value: bytes) -> None:
        if (
            self._in_head
        ):  # what comes after the body must not count as if it stood in the head (RFC 9110 section 6.5.1)
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        self._trailing = 0

    def on_body(self, body: bytes) -> None:
        self._trailing = 0
        super().on_body(body)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._due is None:
            self._begin_head()

    def on_headers_complete(self) -> None:
        if not self._names_its_host():
            raise httptools.HttpParserError("Host is missing or comes twice")  # answered 400, and the connection ends
        self._due, self._in_head = self.loop.time() + BODY_SECONDS, False
        self._trailing = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._due = None
        super().on_message_complete()

    def look(self) -> None:
        """Asked every second."""
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._untaken_since = None
        elif self._untaken_since is None:
            self._untaken_since = now
        elif now - self._untaken_since > ANSWER_SECONDS:
            self.transport.abort()  # close() would wait for the client to take what it does not take
        if self._due is not None and self._due < now and not self.flow.read_paused and not self.transport.is_closing():
            self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        if self._in_head and not self._head_size:
            self.transport.close()  # a browser's connection in advance: an answer without a question would confuse it
        else:
            self._give_up("408 Request Timeout")

    def _give_up(self, status: str) -> None:
        if not self._in_head and self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(status)

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing is offered to upgrade to, and nobody here has to install anything for it."""

    def _names_its_host(self) -> bool:
        """Once; only before HTTP/1.1 it may be missing (RFC 9112 section 3.2)."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        return hosts == 1 or (hosts == 0 and self.parser.get_http_version() == "1.0")

    def _is_idle(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete and not self.transport.is_closing()

    def _refuse(self, status: str) -> None:
        self.transport.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        self.transport.close()

    def _begin_head(self) -> None:
        self._due, self._in_head = self.loop.time() + HEAD_SECONDS, True
        self._head_size = 0


async def _cut_off_slow_clients(servers: Sequence[_Server]) -> None:
    while True:
        await asyncio.sleep(1)
        for server in servers:
            for connection in list(server.server_state.connections):
                if isinstance(connection, _BoundedConnection):
                    connection.look()


@dataclass(frozen=True, slots=True)
class CutOff:
    """Requests that are still under way when the server's time is over are told so, and to come again."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except asyncio.CancelledError:
            if has_begun:
                raise
            headers = {"retry-after": str(GRACE), "cache-control": "no-store", "connection": "close"}
            await JSONResponse(_ENDING, status_code=503, headers=headers)(scope, receive, send)


@dataclass(frozen=True, slots=True)
class AccessLog:
    """One line a request: port, method, path without its query (there stand codes), status, milliseconds."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            taken = (time.perf_counter() - began) * 1000
            port, path = scope["server"][1], scope["raw_path"].decode("latin-1")
            access_log.info(":%d %s %s %d %.1f ms", port, scope["method"], path, status, taken)
