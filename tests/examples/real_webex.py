"""Real Webex's address on this machine: a proxy of loopback that leads webexapis.com to a platform, and nothing on.

Programs find it as they find any company's proxy: by HTTPS_PROXY, and the authority of its certificate by
SSL_CERT_FILE or, for requests, REQUESTS_CA_BUNDLE.
"""

import asyncio
import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import httpx2
import trustme

from tests.parts import free_port
from tests.whole.person import Person
from tests.whole.running import GRANTFLOW, environment

API_URL = "https://webexapis.com/v1"
HOST = "webexapis.com"


@dataclass
class RealWebex:
    """`asked` are the addresses that anybody wanted to be led to."""

    platform_port: int
    authority: Path
    server: ssl.SSLContext
    proxy: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        authority = str(self.authority)
        return {"HTTPS_PROXY": self.proxy, "SSL_CERT_FILE": authority, "REQUESTS_CA_BUNDLE": authority}

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.decode("latin-1").split(" ", 2)
            self.asked.append(target)
            if (method, target) != ("CONNECT", f"{HOST}:443"):
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                await writer.start_tls(self.server)
                onward = await asyncio.open_connection("127.0.0.1", self.platform_port)
                await asyncio.gather(_pour(reader, onward[1]), _pour(onward[0], writer))
        writer.close()


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while read := await source.read(65_536):
            sink.write(read)
            await sink.drain()
    sink.close()


@contextmanager
def real_webex(folder: Path) -> Iterator[RealWebex]:
    """A platform on the data of `folder` that takes itself for webexapis.com, and the way there."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(server)
    certificate = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    webex = RealWebex(free_port(), certificate, server)
    with _platform(folder, port=webex.platform_port), _proxy(webex):
        yield webex


@contextmanager
def _platform(folder: Path, *, port: int) -> Iterator[None]:
    command = ["platform", "serve", "--json", "--public-url", f"https://{HOST}", "--port", str(port)]
    with subprocess.Popen(
        [GRANTFLOW, *command, "--data", str(folder)], stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["api_url"] == API_URL
            yield
        finally:
            process.terminate()


@contextmanager
def _proxy(webex: RealWebex) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    listener = loop.run_until_complete(asyncio.start_server(webex.lead, "127.0.0.1", 0))
    webex.proxy = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_end(listener), loop).result(timeout=60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(listener: asyncio.Server) -> None:
    listener.close()
    under_way = asyncio.all_tasks() - {asyncio.current_task()}
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)


class Visitor(Person):
    """A person whose browser is behind the proxy too."""

    def __init__(self, account: dict[str, str], *, webex: RealWebex) -> None:
        super().__init__(account)
        self._http.close()
        trusting = ssl.create_default_context(cafile=str(webex.authority))
        way = httpx2.HTTPTransport(proxy=webex.proxy, verify=trusting)
        self._http = httpx2.Client(trust_env=False, headers={"accept": "text/html"}, mounts={"https://": way})
