"""Bodies that are bombs, over real sockets, against the forms of a platform as anybody starts it: each is refused or
cut off, the process stays as small as it was, and others are answered meanwhile."""

import gzip
import re
import secrets
import socket
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from grantflow.cli.ports import holder_of
from grantflow.developer_portal.form import FORM_LIMIT
from tests.developer_portal.given import png
from tests.whole.person import Person
from tests.whole.running import Up, up

pytestmark = pytest.mark.slow

NEW = "/my-apps/new/integration"
MEGABYTE = 1_048_576
#: More than the two halves may grow by, whatever is sent: an Argon2id hash alone takes 46.
GROWTH = 96 * MEGABYTE


@dataclass
class Portal:
    """New Integration, opened by Ada, and the platform's process."""

    running: Up
    ada: Person

    @property
    def url(self) -> str:
        return self.running.platform_url

    @property
    def pid(self) -> str:
        holder = holder_of(urlsplit(self.url).port or 0)
        return holder.rpartition(" ")[2].rstrip(")") if holder else ""

    def fields(self) -> dict[str, str]:
        page = self.ada.open(self.url + NEW)
        form = next(form for form in page.forms if form.action == NEW)
        typed = {name: text for name, text in form.fields.items() if name != "icon_file"}
        return typed | {"name": f"Bomb {secrets.token_hex(4)}", "redirect_uris": "https://a.example/oauth"}

    def send(self, body: bytes, content_type: str, **headers: str) -> httpx2.Response:
        sent = {"content-type": content_type, "accept": "text/html", **headers}
        return self.ada._http.post(self.url + NEW, content=body, headers=sent, timeout=60)

    def upload(self, picture: bytes, *, name: str = "icon.png", kind: str = "image/png") -> httpx2.Response:
        fields = self.fields() | {"scope.spark:rooms_read": "on"}
        parts = [(field, (None, text)) for field, text in fields.items()] + [("icon_file", (name, picture, kind))]
        return self.ada._http.post(self.url + NEW, files=parts, headers={"accept": "text/html"}, timeout=60)

    def memory(self) -> int:
        """The most that the process has held so far, in bytes; only Linux tells."""
        if sys.platform != "linux":
            return 0
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def connection(self) -> socket.socket:
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=60)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with up(tmp_path_factory.mktemp("bombs") / "state") as running, Person(running.ada) as ada:
        ada.open(f"{running.platform_url}{NEW}")
        ada.sign_in()
        yield Portal(running, ada)


@pytest.fixture(autouse=True)
def unharmed(portal: Portal) -> Iterator[None]:
    """After each bomb the process is there, has hardly grown, and answers at once."""
    before = portal.memory()
    yield
    assert portal.memory() - before < GROWTH
    began = time.monotonic()
    assert portal.ada.open(portal.url + NEW).status == 200
    assert time.monotonic() - began < 20


def bomb(width: int, height: int, *, unpacked: int) -> bytes:
    """A PNG of that size whose pixels, or a comment, unpack to many times what was sent."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packed = zlib.compress(bytes(unpacked), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    comment = chunk(b"zTXt", b"Comment\0\0" + packed[: len(packed) // 2])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + comment + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (bomb(60_000, 60_000, unpacked=64 * MEGABYTE), "60000 by 60000 pixels"),
        (png() + bytes(FORM_LIMIT // 2), "larger than 200 KB"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "SVG file can carry scripts"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'>]><svg>&a;</svg>", "SVG file can carry"),
        (b"GIF89a<script>alert(1)</script>", "damaged or cut off"),
        (b"<html><script>alert(1)</script></html>", "must be a PNG"),
        (gzip.compress(bytes(64 * MEGABYTE)), "must be a PNG"),
        (b"PK\x03\x04" + bytes(1_000), "must be a PNG"),
        (b"%PDF-1.7" + bytes(1_000), "must be a PNG"),
    ],
)
def test_w18_s31_a_picture_that_is_a_bomb_or_none_is_told_and_nothing_typed_is_lost(
    portal: Portal, picture: bytes, words: str
) -> None:
    answer = portal.upload(picture, kind="image/png")
    assert answer.status_code == 400
    assert words in answer.text
    assert "https://a.example/oauth" in answer.text


def test_w18_a_small_picture_that_would_unpack_to_a_hundred_megabytes_is_unpacked_by_nobody(portal: Portal) -> None:
    """It is served as it came: a browser reads as many pixels as its head says and no more."""
    picture = bomb(64, 64, unpacked=96 * MEGABYTE)
    assert len(picture) < FORM_LIMIT
    answer = portal.upload(picture)
    assert answer.status_code == 201, answer.text


def multipart(parts: int, *, end: bool = True, size: int = 1) -> bytes:
    one = '--x\r\nContent-Disposition: form-data; name="f{}"\r\n\r\n{}\r\n'
    return ("".join(one.format(n, "v" * size) for n in range(parts)) + ("--x--\r\n" if end else "")).encode()


@pytest.mark.parametrize(
    ("body", "kind", "statuses"),
    [
        (multipart(5_000), "multipart/form-data; boundary=x", {400, 413}),
        (multipart(9_000, end=False), "multipart/form-data; boundary=x", {400, 413}),
        (b"--x\r\n" * 100_000, "multipart/form-data; boundary=x", {400, 413}),
        (b"--x\r\n" + b"A: b\r\n" * 90_000, "multipart/form-data; boundary=x", {400, 413}),
        (b"--x\r\nContent-Disposition: form-data; name=" + b"n" * 500_000, "multipart/form-data; boundary=x", {400}),
        (b"&".join(b"a%d=1" % n for n in range(40_000)), "application/x-www-form-urlencoded", {400, 413}),
        (b"&" * 500_000, "application/x-www-form-urlencoded", {400, 413}),
        (b"%" * 500_000, "application/x-www-form-urlencoded", {400, 413}),
        (b"a=" + b"%41" * 150_000, "application/x-www-form-urlencoded", {400, 413}),
        (bytes(FORM_LIMIT + 1), "multipart/form-data; boundary=x", {413}),
        (bytes(20 * MEGABYTE), "application/x-www-form-urlencoded", {413}),
        (b"{}", "application/json", {415}),
        (b"x", "multipart/form-data", {400}),
        (b"x", "multipart/form-data; boundary=" + "y" * 300, {400}),
        (b"x", "multipart/form-data; boundary=x; charset=utf-7", {400}),
    ],
)
def test_s31_a_form_of_thousands_of_parts_or_far_too_large_is_refused_on_a_page(
    portal: Portal, body: bytes, kind: str, statuses: set[int]
) -> None:
    began = time.monotonic()
    answer = portal.send(body, kind)
    assert answer.status_code in statuses, answer.text[:500]
    assert "<h1" in answer.text
    assert time.monotonic() - began < 20


def test_s31_a_packed_body_is_not_unpacked(portal: Portal) -> None:
    packed = gzip.compress(b"name=" + bytes(64 * MEGABYTE))
    answer = portal.send(packed, "application/x-www-form-urlencoded", **{"content-encoding": "gzip"})
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("path", [NEW, "/signin", "/consent", "/my-apps/new/bot", "/signout"])
def test_s31_a_chunked_body_without_end_is_answered_at_the_limit_and_the_rest_thrown_away(
    portal: Portal, path: str
) -> None:
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in portal.ada._http.cookies.jar)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\naccept: text/html\r\ncookie: {cookies}\r\n"
        "content-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    with portal.connection() as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.02)
        answer, sent = b"", 0
        while not answer and sent < 8 * MEGABYTE:
            connection.settimeout(60)
            connection.sendall(chunk)
            sent += len(chunk)
            connection.settimeout(0.02)
            with suppress(TimeoutError):
                answer = connection.recv(65_536)
        connection.settimeout(60)
        answer = answer or connection.recv(65_536)
        assert answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 401")), answer[:200]
        with suppress(OSError):  # it may be cut off by now; what still comes is thrown away
            for _ in range(1_000):
                connection.sendall(chunk)
