"""From a server's request to the protocol's, with real ASGI scopes and messages."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.requests import Request as HttpRequest

from grantflow.protocol.errors import InvalidRequest, RequestTooLarge
from grantflow.web.wire import read_request

pytestmark = pytest.mark.slow


def asked(
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    messages: Iterable[dict[str, Any]] = ({"type": "http.request", "body": b"", "more_body": False},),
) -> HttpRequest:
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/a?b",
        "raw_path": b"/v1/a%3Fb",
        "query_string": b"x=1&y",
        "headers": list(headers),
    }
    return HttpRequest(scope, receive)


def chunk(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_s89_the_url_is_path_and_query_whatever_host_the_request_claims() -> None:
    request = asyncio.run(read_request(asked(headers=[(b"host", b"evil.example"), (b"x-forwarded-host", b"evil")])))
    assert request.url == "/v1/a%3Fb?x=1&y"


def test_of_a_header_that_was_sent_twice_the_first_is_taken() -> None:
    request = asyncio.run(read_request(asked(headers=[(b"x-one", b"1"), (b"x-one", b"2")])))
    assert request.headers["x-one"] == "1"


def test_two_authorization_headers_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="more than once"):
        asyncio.run(read_request(asked(headers=[(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")])))


def test_a_body_is_joined_from_its_chunks_and_bounded() -> None:
    chunks = [chunk(b"abc", more=True), chunk(b"def")]
    assert asyncio.run(read_request(asked(messages=chunks), limit=6)).body == b"abcdef"
    with pytest.raises(RequestTooLarge):
        asyncio.run(read_request(asked(messages=chunks), limit=5))


def test_a_connection_that_ends_within_the_body_is_a_bad_request_and_no_crash() -> None:
    with pytest.raises(InvalidRequest, match="ended before"):
        asyncio.run(read_request(asked(messages=[chunk(b"abc", more=True), {"type": "http.disconnect"}])))
