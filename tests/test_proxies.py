"""Whom a throttle counts a request against, behind proxies and without, over real sockets (S89)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from threading import Thread

import httpx2
import pytest

from grantflow.proxies import client_of
from tests.whole.running import running

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("192.0.2.1"), ip_network("2001:db8::/32")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["made up, 198.51.100.66, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.66", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.66, 198.51.100.1, 192.0.2.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db9::7]:443"], "2001:db9::7"),
        ("10.0.0.1", ["2001:DB9:0::7"], "2001:db9::7"),
        ("2001:db8::1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["", " , "], "10.0.0.1"),
    ],
)
def test_s89_the_client_is_the_last_address_that_no_trusted_proxy_has(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_of(peer, forwarded, trusted=TRUSTED) == client


# --- a platform behind a real proxy ------------------------------------------------------------------------------

PROXY, ADA, GRACE, MALLORY = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
WRONG = {"grant_type": "refresh_token", "refresh_token": "x", "client_secret": "0" * 64}
FREE = 10


@contextmanager
def proxy_before(url: str) -> Iterator[str]:
    """A proxy as they are: it appends whom it was asked by, and asks from an address of its own."""
    upstream = httpx2.URL(url)

    class Forward(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            hops = [*self.headers.get_all("x-forwarded-for", []), self.client_address[0]]
            headers = {"content-type": self.headers["content-type"], "x-forwarded-for": ", ".join(hops)}
            connection = HTTPConnection(str(upstream.host), upstream.port, source_address=(PROXY, 0))
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def asking(url: str, *, of: str) -> Iterator["Asking"]:
    transport = httpx2.HTTPTransport(local_address=of)
    with httpx2.Client(transport=transport, base_url=url, trust_env=False, timeout=30) as client:
        yield Asking(client)


class Asking:
    """Somebody at an address of their own who does not know the client's secret."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client

    def guess(self, client_id: str, *, forwarded: str | None = None) -> int:
        headers = {"x-forwarded-for": forwarded} if forwarded else None
        data = {**WRONG, "client_id": client_id}
        return self.client.post("/v1/access_token", data=data, headers=headers).status_code

    def is_slowed(self, client_id: str, *, forwarded: str | None = None) -> bool:
        """By one of a few guesses: where a second has passed since the last one, that lets one more through, after
        which the wait is longer."""
        return any(self.guess(client_id, forwarded=forwarded) == 429 for _ in range(4))


@contextmanager
def platform(folder: Path, *flags: str) -> Iterator[tuple[str, str]]:
    """Its address, and a client ID: that nobody has it makes no difference to who guesses."""
    with running(folder, "platform", "serve", "--port", "0", *flags) as served:
        yield served.said["platform_url"], "C" + "0" * 64


only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on loopback")


@only_linux
@pytest.mark.slow
def test_s89_behind_a_trusted_proxy_the_failures_of_one_lock_out_nobody_else(tmp_path: Path) -> None:
    with platform(tmp_path / "data", "--trusted-proxy", PROXY) as (url, app), proxy_before(url) as public:
        with asking(public, of=ADA) as ada, asking(public, of=GRACE) as grace:
            assert [ada.guess(app) for _ in range(FREE)] == [401] * FREE
            assert ada.is_slowed(app)
            assert ada.is_slowed(app, forwarded=GRACE), "what she writes herself counts for nothing"
            assert grace.guess(app) == 401
        with asking(url, of=PROXY) as beside:
            assert beside.guess(app) == 401, "the proxy itself has failed at nothing"


@only_linux
@pytest.mark.slow
def test_s89_a_direct_client_moves_nothing_by_what_it_says_was_forwarded(tmp_path: Path) -> None:
    with (
        platform(tmp_path / "data", "--trusted-proxy", PROXY, "--trusted-proxy", "10.0.0.0/8") as (url, app),
        asking(url, of=MALLORY) as mallory,
        asking(url, of=GRACE) as grace,
    ):
        assert [mallory.guess(app, forwarded=GRACE) for _ in range(FREE)] == [401] * FREE
        assert mallory.is_slowed(app, forwarded="203.0.113.77")
        assert grace.guess(app) == 401


@only_linux
@pytest.mark.slow
def test_s89_without_the_setting_no_proxy_is_believed(tmp_path: Path) -> None:
    with (
        platform(tmp_path / "data") as (url, app),
        proxy_before(url) as public,
        asking(public, of=ADA) as ada,
        asking(public, of=GRACE) as grace,
    ):
        assert [ada.guess(app) for _ in range(FREE)] == [401] * FREE
        assert grace.is_slowed(app)
