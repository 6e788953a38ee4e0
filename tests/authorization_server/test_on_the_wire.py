"""What no HTTP client would send, over real sockets to the platform as anybody starts it, with two workers."""

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest

from tests.whole.running import running

pytestmark = pytest.mark.slow

FORM = b"content-type: application/x-www-form-urlencoded\r\n"
MEGABYTE = b"x" * 1_000_000


def sent(body: bytes = b"", *headers: bytes, method: bytes = b"POST", target: bytes = b"/v1/access_token") -> bytes:
    length = b"content-length: %d\r\n" % len(body) if body else b""
    head = b"%s %s HTTP/1.1\r\nhost: x\r\n%s%s\r\n" % (method, target, length, b"".join(headers))
    return head + body


def chunked(body: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:500_000], body[500_000:]))
    return sent(b"", FORM, b"transfer-encoding: chunked\r\n") + chunks + b"0\r\n\r\n"


def asked(query: bytes) -> bytes:
    return sent(method=b"GET", target=b"/v1/authorize?" + query)


#: What is sent, and what may be answered; 0 is a connection that ends without a word.
ODD = [
    (sent(b"grant_type=" + MEGABYTE, FORM), {413}),
    (chunked(b"grant_type=" + MEGABYTE), {413}),
    (sent(b"grant_type=" + MEGABYTE, FORM, b"expect: 100-continue\r\n"), {100, 413}),
    (sent(b"", FORM), {400}),
    (sent(b"\xff\xfe", FORM), {400}),
    (sent(b"client_id=%c3%28", FORM), {400}),
    (sent(b"client_id=\0&grant_type=\0&code=\0", FORM), {400, 401}),
    (sent(b"\x1f\x8b\x08\0", FORM, b"content-encoding: gzip\r\n"), {400}),
    (sent(b"{}", b"content-type: application/json\r\n"), {415}),
    (sent(b"a=b"), {415}),
    (sent(b"a=b", FORM, b"content-type: application/json\r\n"), {400, 415}),
    (sent(b"a=b", FORM, b"authorization: Basic \xff\xfe\r\n"), {401}),
    (sent(b"a=b", FORM, b"authorization: Basic \r\n"), {401}),
    (sent(b"a=b", FORM, b"authorization: Basic QTpi\r\n", b"authorization: Basic QTpi\r\n"), {400}),
    (sent(b"a=b", FORM, b"trackingid: \xff\"'<script>\r\n"), {400}),
    (sent(b"a=b", FORM, b"x: " + MEGABYTE[:100_000] + b"\r\n"), {0, 400, 431}),
    (sent(b"a=b", FORM, target=b"/v1/access_token?client_secret=x"), {400}),
    (sent(b"a=b", FORM, target=b"/v1/access_token?%00=%ff&&&=;"), {400}),
    (sent(b"a=b", FORM, target=b"/v1/access_token/"), {404, 405}),
    *((sent(method=method), {405}) for method in (b"GET", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"PROPFIND")),
    *((sent(method=method, target=b"/v1/authorize"), {400, 405}) for method in (b"POST", b"PUT", b"TRACE")),
    (asked(b"client_id=\xff\xfe"), {400}),
    (asked(b"client_id=%ff"), {400}),
    (asked(b"client_id=%00&redirect_uri=%00&state=%00"), {400}),
    (asked(b"&&&;;;===%%%"), {400}),
    (asked(b"state=" + MEGABYTE[:60_000]), {400, 413}),
    (asked(b"state=" + MEGABYTE), {0, 400, 413, 414, 431}),
    (asked(b"request=%ff%00"), {400}),
    (b"GET /v1/authorize HTTP/1.0\r\n\r\n", {400}),
    (b"POST /v1/access_token HTTP/1.1\r\nhost: x\r\ncontent-length: nine\r\n\r\n", {0, 400}),
    (b"POST /v1/access_token HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", {0, 400}),
    (b"\0\xff\0\xff\r\n\r\n", {0, 400}),
]


def test_s31_nothing_that_arrives_over_a_socket_ends_in_a_fault_and_the_workers_serve_on(tmp_path: Path) -> None:
    with running(tmp_path / "data", "platform", "serve", "--port", "0", "--workers", "2") as served:
        where = urlsplit(served.said["platform_url"])
        wrong = [(request[:90], status) for request, allowed, status in answers(where) if status not in allowed]
        assert wrong == []
        written = served.errors.read_text()
    assert " 500 " not in written
    assert "ended" not in written, "no worker had to be replaced"


HEADERS = [b"authorization", b"content-type", b"content-encoding", b"cookie", b"origin", b"referer", b"sec-fetch-site"]
HEADERS += [b"accept", b"accept-language", b"trackingid", b"x-forwarded-for", b"forwarded", b"range", b"if-none-match"]
VALUES = [b"\xff\xfe", b"Bearer \xff", b"Basic \xff", b'";,=\xc3\xa9', b"multipart/form-data", b"9" * 30]
VALUES += [b"multipart/form-data; boundary=\xff", b"application/x-www-form-urlencoded; charset=utf-16", b"bytes=9-1"]
PLACES = [
    *(
        (b"POST", path)
        for path in (b"/v1/access_token", b"/v1/revoke", b"/signin", b"/consent?request=x", b"/v1/rooms")
    ),
    *((b"GET", path) for path in (b"/v1/authorize", b"/signin", b"/v1/people/me", b"/my-apps", b"/")),
]


def test_s31_no_value_of_any_header_ends_in_a_fault_at_any_endpoint(tmp_path: Path) -> None:
    with running(tmp_path / "data", "platform", "serve", "--port", "0") as served:
        where = urlsplit(served.said["platform_url"])
        for (method, target), name, value in itertools.product(PLACES, HEADERS, VALUES):
            body = b"a=b" if method == b"POST" else b""
            kind = () if name == b"content-type" else (FORM,)
            status = status_of(sent(body, b"%s: %s\r\n" % (name, value), *kind, method=method, target=target), where)
            assert 200 <= status < 500, (method, target, name, value)
        assert " 500 " not in served.errors.read_text()


def answers(where: SplitResult) -> Iterator[tuple[bytes, set[int], int]]:
    for request, allowed in ODD:
        for _ in range(2):
            yield request, allowed, status_of(request, where)


def status_of(request: bytes, where: SplitResult) -> int:
    """The first status; 0 where the connection ended before one."""
    with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
        try:
            connection.sendall(request)
            answer = connection.recv(64)
        except ConnectionError:
            return 0
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.") else 0
