"""Sockets bound beforehand, requests held to limits, and a clean end, over real sockets in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest

from grantflow import serving
from grantflow.cli.ports import holder_of

PROGRAM = """
import asyncio, logging, sys
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from grantflow import serving

serving.HEAD_SECONDS = 0.5
serving.BODY_SECONDS = 1.0
serving.ANSWER_SECONDS = 1.0

async def echo(request):
    await asyncio.sleep(float(request.query_params.get("wait", 0)))
    return JSONResponse({"url": str(request.url), "client": request.client.host})

async def sink(request):
    return JSONResponse({"size": len(await request.body())})

async def headers(request):
    await request.body()
    return JSONResponse(sorted(request.headers))

async def large(request):
    return Response(bytes(20_000_000))

@asynccontextmanager
async def lifespan(app):
    yield
    print("ended well", flush=True)

if "--log" in sys.argv:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
sockets = serving.bind("127.0.0.1", 0)
other = serving.bind("localhost", 0)
routes = [
    Route("/oauth", echo, methods=["GET", "POST"]), Route("/sink", sink, methods=["POST"]), Route("/large", large),
    Route("/headers", headers, methods=["POST"]),
]
apps = [Starlette(routes=routes, lifespan=lifespan) for _ in range(2)]
listeners = [serving.Listener(app, each) for app, each in zip(apps, (sockets, other))]
ended_by = serving.run(listeners, on_ready=lambda: print(serving.port_of(sockets), serving.port_of(other), flush=True))
print(ended_by.name, flush=True)
"""


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        first, second = process.stdout.readline().split()
        yield process, int(first), int(second)
    finally:
        process.kill()
        process.communicate()


def wait_until_under_way(port: int) -> None:
    """What was sent there before is: a request that came later has been answered."""
    assert httpx2.get(f"http://127.0.0.1:{port}/oauth", trust_env=False, timeout=30).status_code == 200


def test_localhost_is_one_port_in_each_family_that_the_machine_has() -> None:
    sockets = serving.bind("localhost", 0)
    try:
        assert sockets[0].getsockname()[0] == "127.0.0.1"
        assert len({each.getsockname()[1] for each in sockets}) == 1
        assert len(sockets) == 1 + has_loopback_of_ipv6()
    finally:
        for each in sockets:
            each.close()


def has_loopback_of_ipv6() -> bool:
    """A kernel may know IPv6 where the machine has no address of it, as in a container."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_taken_port_is_refused_and_its_holder_named() -> None:
    (taken,) = serving.bind("127.0.0.1", 0)
    port = serving.port_of([taken])
    try:
        with pytest.raises(serving.PortUnavailable) as refused:
            serving.bind("localhost", port)
        assert refused.value.taken
        assert refused.value.port == port
        assert f"(process {os.getpid()})" in str(holder_of(port))
    finally:
        taken.close()
    assert holder_of(port) is None


def test_a_name_that_is_not_of_this_machine_is_refused() -> None:
    with pytest.raises(serving.PortUnavailable) as refused:
        serving.bind("192.0.2.1", 0)
    assert not refused.value.taken


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_servers_within_two_seconds_even_while_requests_wait(ending: signal.Signals) -> None:
    with served() as (process, port, _), socket.create_connection(("127.0.0.1", port)) as waiting:
        waiting.sendall(b"GET /oauth?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until_under_way(port)
        began = time.monotonic()
        process.send_signal(ending)
        out, _ = process.communicate(timeout=30)
        assert serving.GRACE < 2
        assert time.monotonic() - began < 2 + 8  # and some for a busy machine
        assert out.split("\n") == ["ended well", "ended well", ending.name, ""]


@pytest.mark.slow
def test_a_request_that_is_under_way_at_the_end_is_told_so_and_to_come_again() -> None:
    with served() as (process, port, _), socket.create_connection(("127.0.0.1", port)) as waiting:
        waiting.sendall(b"GET /oauth?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until_under_way(port)
        process.send_signal(signal.SIGTERM)
        answer = until_closed(waiting)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert b'"error":"temporarily_unavailable"' in answer
        assert "Traceback" not in process.communicate(timeout=30)[1]


CHUNKED = b"POST /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n"


def test_what_trails_a_body_is_no_header_of_it() -> None:
    with served() as (_, port, _other), socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(30)
        client.sendall(CHUNKED.replace(b"/sink", b"/headers") + b"Authorization: Basic eDp5\r\n\r\n")
        assert b"200 OK" in (answer := client.recv(4096))
        assert b"authorization" not in answer


@pytest.mark.parametrize("endless", [b"X-1: " + b"y" * 1000 + b"\r\n", b"y" * 1000])
def test_trailers_without_end_are_cut_off(endless: bytes) -> None:
    with served() as (_, port, _other), socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(30)
        client.sendall(CHUNKED + b"X-0: ")
        sent = 0
        with suppress(ConnectionError):
            while sent < 5_000_000:
                sent += client.send(endless)
        assert sent < 5_000_000


def until_closed(client: socket.socket) -> bytes:
    client.settimeout(30)
    return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.mark.slow
def test_s89_headers_of_proxies_change_nothing_and_no_banner_tells_what_serves() -> None:
    forged = {"x-forwarded-for": "192.0.2.9", "x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
    with served() as (_, port, _other):
        answer = httpx2.get(f"http://127.0.0.1:{port}/oauth", headers=forged, trust_env=False, timeout=30)
        assert answer.json() == {"url": f"http://127.0.0.1:{port}/oauth", "client": "127.0.0.1"}
        assert "server" not in answer.headers


@pytest.mark.slow
def test_s94_the_log_of_requests_has_no_query() -> None:
    with served("--log") as (process, _, port):
        httpx2.get(f"http://localhost:{port}/oauth?code=secret-code&state=secret-state", trust_env=False, timeout=30)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        assert f"grantflow.access :{port} GET /oauth 200" in log
        assert "secret" not in log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET /oauth HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 200_000, b"HTTP/1.1 431 "),
        (b"GET /oauth?" + b"a" * 200_000, b"HTTP/1.1 431 "),
        (b"GET /oauth HTTP/1.1\r\nHost: ", b"HTTP/1.1 408 "),
        (b"", b""),
    ],
    ids=["a large header", "a long address", "a head that never ends", "a connection in advance"],
)
def test_a_head_that_is_too_large_or_too_slow_is_cut_off(sent: bytes, answer: bytes) -> None:
    with served() as (_, port, _other), socket.create_connection(("127.0.0.1", port), timeout=30) as browser:
        browser.sendall(sent)
        received = browser.recv(100)
        assert received[: len(answer)] == answer
        assert bool(received) == bool(answer)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /oauth HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /oauth HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET /oauth HTTP/1.1\r\nhOsT: a\r\n\r\n", b"200"),
        (b"GET /oauth HTTP/1.0\r\n\r\n", b"200"),
    ],
)
def test_a_request_names_its_host_once(head: bytes, status: bytes) -> None:
    with served() as (_, port, _), socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head)
        assert connection.recv(1_000).split(b" ")[1] == status


@pytest.mark.slow
def test_a_connection_may_rest_between_requests_and_a_slow_answer_is_no_slow_head() -> None:
    with served() as (_, port, _other), httpx2.Client(trust_env=False, timeout=30) as browser:
        for wait in (0, 2.5, 0):
            assert browser.get(f"http://127.0.0.1:{port}/oauth", params={"wait": str(wait)}).status_code == 200
            time.sleep(1.6)


POST = b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n"


def received_until_the_end(browser: socket.socket) -> bytes:
    """All that the server sends until it closes; a reset is an end too. Fails where it never does."""
    received = b""
    while True:
        try:
            part = browser.recv(65_536)
        except ConnectionError:
            return received
        if not part:
            return received
        received += part


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1], ids=["the first server", "the second server"])
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (POST % (b"/sink", b"Content-Length: 10") + b"ab", b"HTTP/1.1 408 "),
        (POST % (b"/sink", b"Transfer-Encoding: chunked") + b"2\r\nab\r\n", b"HTTP/1.1 408 "),
        (POST % (b"/sink", b"Content-Length: 10\r\nExpect: 100-continue"), b"HTTP/1.1 100 "),
        (POST % (b"/oauth", b"Content-Length: 10") + b"ab", b"HTTP/1.1 200 "),
    ],
    ids=["a body", "a chunked body", "a body that waits to be asked for", "a body that nobody reads"],
)
def test_what_stalls_in_the_middle_of_a_request_is_cut_off_by_either_server(
    sent: bytes, answer: bytes, which: int
) -> None:
    with served() as (_, *ports), socket.create_connection(("127.0.0.1", ports[which]), timeout=30) as browser:
        browser.sendall(sent)
        received = received_until_the_end(browser)
        assert received[: len(answer)] == answer
        assert (b"408 Request Timeout" in received) == (b"/sink" in sent)


@pytest.mark.slow
def test_a_body_that_drips_steadily_is_cut_off_too() -> None:
    with served() as (_, port, _other), socket.create_connection(("127.0.0.1", port), timeout=30) as browser:
        browser.sendall(POST % (b"/sink", b"Content-Length: 1000"))
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 30:
                browser.sendall(b"a")
                time.sleep(0.1)
        assert time.monotonic() - began < 20


@pytest.mark.slow
def test_an_answer_that_nobody_takes_is_thrown_away_and_one_that_is_taken_is_whole() -> None:
    with served() as (_, port, _other), socket.create_connection(("127.0.0.1", port), timeout=30) as browser:
        browser.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(4)
        assert len(received_until_the_end(browser)) < 20_000_000
        assert len(httpx2.get(f"http://127.0.0.1:{port}/large", trust_env=False, timeout=30).content) == 20_000_000


@pytest.mark.slow
def test_a_connection_that_rests_is_closed_after_a_while() -> None:
    with served() as (_, port, _other), socket.create_connection(("127.0.0.1", port), timeout=30) as browser:
        browser.sendall(b"GET /oauth HTTP/1.1\r\nHost: x\r\n\r\n")
        assert received_until_the_end(browser).startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
def test_empty_lines_after_an_answer_keep_no_connection_open() -> None:
    with served() as (_, port, _other), socket.create_connection(("127.0.0.1", port), timeout=30) as browser:
        browser.sendall(b"GET /oauth HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += browser.recv(65_536)
        browser.sendall(b"\r\n")
        assert received_until_the_end(browser).startswith(b"HTTP/1.1 408 ")
