"""Reading posted forms."""

import time

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from grantflow.web.errors import PageError, error_handlers
from grantflow.web.forms import read_form, read_upload_form
from grantflow.web.pages import Pages
from grantflow.web.site import Site

FORM = {"content-type": "application/x-www-form-urlencoded"}
LIMIT = 1_000


async def echo(request: Request) -> Response:
    return JSONResponse(await read_form(request, limit_bytes=LIMIT))


async def echo_upload(request: Request) -> Response:
    fields, files = await read_upload_form(request, limit_bytes=300_000)
    return JSONResponse(fields | {name: len(upload.content) for name, upload in files.items()})


def client() -> TestClient:
    pages = Pages(Site(name="Gallery", base_url="http://127.0.0.1:9000"))
    routes = [Route("/", echo, methods=["POST"]), Route("/upload", echo_upload, methods=["POST"])]
    handlers = error_handlers(pages, new_reference=lambda: "GF-1")
    return TestClient(Starlette(routes=routes, exception_handlers=handlers))


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


def part(name: str, value: bytes) -> bytes:
    return b'--BB\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)


@pytest.mark.parametrize(
    "parameters", ["boundary=BB", 'Boundary="BB"', 'charset="UTF-8"; boundary=BB', "boundary=BB;x=y"]
)
def test_a_form_with_files_is_read_as_utf_8(parameters: str) -> None:
    body = part("name", "Zoë".encode()) + part("note", rb"\ud800") + b"--BB--\r\n"
    answer = client().post("/upload", content=body, headers={"content-type": f"multipart/form-data; {parameters}"})
    assert answer.json() == {"name": "Zoë", "note": r"\ud800"}


@pytest.mark.parametrize("charset", ["punycode", '"punycode"', "unicode_escape", "idna", "utf-16", "zip", "nope", ""])
def test_no_form_chooses_the_codec_that_it_is_read_with(charset: str) -> None:
    """punycode takes a quarter of a megabyte apart in minutes, and would stop all else that the process does."""
    body = part("name", b"a-" + b"a" * 240_000) + part("note", rb"\ud800") + b"--BB--\r\n"
    for before, after in ((f"; charset={charset}", ""), ("", f"; Charset = {charset}")):
        content_type = f"multipart/form-data{before}; boundary=BB{after}"
        began = time.monotonic()
        answer = client().post("/upload", content=body, headers={"content-type": content_type})
        assert time.monotonic() - began < 20
        assert answer.status_code == 400
        assert "forms are read as UTF-8" in answer.text


@pytest.mark.parametrize(
    "parameters", ["", "; boundary=", f"; boundary={'b' * 71}", '; boundary="a\\"b"', "; boundary*=BB"]
)
def test_a_form_with_files_needs_a_boundary(parameters: str) -> None:
    content_type = f"multipart/form-data{parameters}"
    answer = client().post("/upload", content=b"--BB--\r\n", headers={"content-type": content_type})
    assert (answer.status_code, "no boundary" in answer.text) == (400, True)


@pytest.mark.parametrize("charset", ["punycode", "utf-16", "nope"])
def test_an_urlencoded_form_is_utf_8_whatever_it_says(charset: str) -> None:
    headers = {"content-type": f"{FORM['content-type']}; charset={charset}"}
    assert client().post("/", content=b"name=Zo%C3%AB", headers=headers).json() == {"name": "Zoë"}


@pytest.mark.parametrize(("called", "there"), [(b"", {}), (b"empty.png", {"icon": 0})])
def test_a_file_that_was_chosen_is_there_though_it_be_empty(called: bytes, there: dict[str, int]) -> None:
    """Where none was chosen, a browser sends a part without a name for its file (HTML 4.10.21.4)."""
    head = b'--BB\r\nContent-Disposition: form-data; name="icon"; filename="%s"\r\n' % called
    body = head + b"Content-Type: application/octet-stream\r\n\r\n\r\n--BB--\r\n"
    answer = client().post("/upload", content=body, headers={"content-type": "multipart/form-data; boundary=BB"})
    assert answer.json() == there
