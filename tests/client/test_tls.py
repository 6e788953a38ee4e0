"""TLS as the client checks it, against a server with certificates of our own (BCP 195; S103)."""

import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import trustme

from grantflow import Status, TransientTokenError
from tests.client.conftest import World
from tests.client.foreign import Answer, Platform, foreign_platform
from tests.client.shells import Kinds, granted, jar


@contextmanager
def secured(certificate: trustme.LeafCert) -> Iterator[tuple[Platform, str]]:
    """A platform behind this certificate, and its API's URL under the name `localhost`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with foreign_platform(security=context) as (platform, url):
        yield platform, url.replace("127.0.0.1", "localhost")


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """The one authority that this machine trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


def past(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1))


def test_s103_a_certificate_of_a_trusted_authority_for_this_name_is_taken(
    world: World, either: Kinds, authority: trustme.CA
) -> None:
    with secured(authority.issue_cert("localhost")) as (platform, url):
        world.platform = platform
        integration = either(api_url=url)
        assert granted(integration, world).status is Status.ACTIVE
        assert integration.refresh().status is Status.ACTIVE
        assert integration.get("people/me").json()["id"] == "id-ada"


@contextmanager
def tunnelling() -> Iterator[str]:
    """A proxy on this machine that opens every tunnel that it is asked for (CONNECT)."""

    class Tunnel(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            near: socket.socket = self.request
            port = int(near.recv(65_536).split()[1].rpartition(b":")[2])
            with socket.create_connection(("127.0.0.1", port)) as far:
                near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                other = {near: far, far: near}
                with suppress(OSError):
                    while pieces := [(each, each.recv(65_536)) for each in select.select([near, far], [], [])[0]]:
                        if not all(piece for _, piece in pieces):
                            return
                        for each, piece in pieces:
                            other[each].sendall(piece)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as proxy:
        proxy.daemon_threads = True
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}"
        finally:
            proxy.shutdown()
            thread.join()


@pytest.mark.parametrize("tunnel", [False, True], ids=["directly", "through a proxy"])
def test_over_tls_too_a_call_that_meets_a_closing_connection_is_sent_once_more(
    world: World, either: Kinds, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tunnel: bool
) -> None:
    with tunnelling() as proxy, secured(authority.issue_cert("localhost")) as (platform, url):
        if tunnel:
            monkeypatch.setenv("https_proxy", proxy)
            monkeypatch.setenv("no_proxy", "")
        world.platform = platform
        integration = either(api_url=url)
        granted(integration, world)
        assert integration.get("rooms").status_code == 200
        platform.counts.clear()
        platform.api_answers = [Answer(0)]
        assert integration.get("rooms").status_code == 200
        assert (platform.counts["call"], platform.counts["connection"]) == (2, 1)


@pytest.mark.parametrize("wrong", ["authority", "name", "time"])
def test_s103_to_a_server_whose_certificate_is_wrong_nothing_is_sent(
    world: World, either: Kinds, authority: trustme.CA, wrong: str
) -> None:
    granted(either(), world)
    certificate = {
        "authority": lambda: trustme.CA().issue_cert("localhost"),
        "name": lambda: authority.issue_cert("elsewhere.example"),
        "time": lambda: past(authority),
    }[wrong]()
    with secured(certificate) as (impostor, url):
        integration = either(api_url=url, revocation_url=f"{url}/revoke")
        with pytest.raises(TransientTokenError, match=r"(?i)certificate"):
            integration.refresh()
        with pytest.raises(httpx2.ConnectError, match=r"(?i)certificate"):
            integration.get("people/me")
        begun = integration.begin()
        answer = world.platform.accept(begun.url, person="grace")
        with pytest.raises(TransientTokenError, match=r"(?i)certificate"):
            integration.complete(answer, jar(begun))
        assert "certificate" in str(integration.revoke().reason).lower()
        assert impostor.seen == []
