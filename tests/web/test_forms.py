"""Reading posted forms."""

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from grantflow.web.errors import PageError, error_handlers
from grantflow.web.forms import read_form
from grantflow.web.pages import Pages
from grantflow.web.site import Site

FORM = {"content-type": "application/x-www-form-urlencoded"}
LIMIT = 1_000


async def echo(request: Request) -> Response:
    return JSONResponse(await read_form(request, limit_bytes=LIMIT))


def client() -> TestClient:
    pages = Pages(Site(name="Gallery", base_url="http://127.0.0.1:9000"))
    handlers = error_handlers(pages, new_reference=lambda: "GF-1")
    return TestClient(Starlette(routes=[Route("/", echo, methods=["POST"])], exception_handlers=handlers))


def test_a_form_is_read_as_it_was_typed() -> None:
    typed = {"name": "Zoë & Co = 100% +1", "description": "two\r\nlines"}
    assert client().post("/", data={**typed, "empty": ""}).json() == typed


@pytest.mark.parametrize(
    ("body", "headers", "status", "title"),
    [
        (b"a=1&a=2", FORM, 400, "This form could not be read"),
        (b"a=%ff", FORM, 400, "This form could not be read"),
        (b"a=\xff", FORM, 400, "This form could not be read"),
        (b"a=" + b"x" * LIMIT, FORM, 413, "This form is too large"),
        (b"&".join(b"f%d=1" % n for n in range(101)), FORM, 413, "This form is too large"),
        (b'{"a": 1}', {"content-type": "application/json"}, 415, "This form was sent in a way we cannot read"),
        (b"a=1", {}, 415, "This form was sent in a way we cannot read"),
    ],
)
def test_a_malformed_form_ends_in_a_page_that_says_so(
    body: bytes, headers: dict[str, str], status: int, title: str
) -> None:
    answer = client().post("/", content=body, headers=headers)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text


def test_an_endless_form_is_left_at_the_limit_whatever_length_it_announces() -> None:
    received = 0

    async def receive() -> Message:
        nonlocal received
        received += 100
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    headers = [(b"content-type", FORM["content-type"].encode()), (b"content-length", b"3")]
    scope = {"type": "http", "method": "POST", "raw_path": b"/", "query_string": b"", "headers": headers}
    with pytest.raises(PageError) as refused:
        anyio.run(read_form, Request(scope, receive), LIMIT)
    assert refused.value.status == 413
    assert received == LIMIT + 100
