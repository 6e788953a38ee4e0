"""What browsers send to either half's pages: forms, files, headers, cookies."""

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from grantflow.developer_portal.form import read_typed
from grantflow.developer_portal.icons import SIDE_LIMIT, UnfitIcon, read_icon
from grantflow.developer_portal.registration import InvalidRegistration, register
from grantflow.protocol.http import FORM
from grantflow.proxies import client_of
from grantflow.settings import read_address, read_networks
from grantflow.web.addresses import own_query, with_query
from grantflow.web.errors import PageError, prefers_json
from grantflow.web.forms import MULTIPART, Upload, read_form, read_upload_form
from tests.parts import ROOT
from tests.properties.reading import ANY_TEXT, TEXT, read_or_refused

PICTURES = [file.read_bytes() for file in sorted(Path(ROOT / "docs/images").glob("*.png"))[:1]]
STARTS = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"RIFF\x10\0\0\0WEBPVP8X",
    b"RIFF\x10\0\0\0WEBPVP8 ",
    b"<svg",
]
CUT = st.builds(
    lambda picture, end: picture[:end], st.sampled_from([p[:2_000] for p in PICTURES]), st.integers(0, 2_000)
)
FILES = st.binary(max_size=300) | st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary(max_size=300)) | CUT
FIELD_NAMES = st.sampled_from(["name", "icon", "icon_sent", "redirect_uris", "scope.spark:all", "kind", "site_url"])


def request(body: bytes, content_type: str, query: str = "") -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": query.encode("utf-8", "replace"),
        "headers": [(b"content-type", content_type.encode("latin-1", "replace"))],
    }
    return Request(scope, receive)


PART = st.builds(
    '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'.format,
    FIELD_NAMES,
    st.sampled_from(["", '; filename="a.png"', "; filename*=UTF-8''%ff", "\r\nContent-Type: image/png; charset=\xff"]),
    TEXT,
)
MULTIPARTS = st.lists(PART, max_size=4).map(lambda parts: ("".join(parts) + "--x--\r\n").encode("utf-8"))
TYPES = st.sampled_from([FORM, MULTIPART, f"{MULTIPART}; boundary=x", f"{MULTIPART}; boundary=\xff", "text/plain"])


@given(MULTIPARTS | st.binary(max_size=300), TYPES | TEXT)
def test_s31_any_post_is_a_form_or_a_page_that_says_what_is_wrong_with_it(body: bytes, content_type: str) -> None:
    sent = request(body, content_type)
    read_or_refused(lambda: asyncio.run(read_upload_form(sent, limit_bytes=10_000)), PageError)
    read_or_refused(lambda: asyncio.run(read_form(request(body, content_type))), PageError)


@given(FILES)
def test_any_file_is_an_icon_of_bounded_size_or_unfit(content: bytes) -> None:
    icon = read_or_refused(lambda: read_icon(content), UnfitIcon)
    assert icon is None or (icon.content == content and icon.type.startswith("image/"))
    assert SIDE_LIMIT == 1_024


@given(st.dictionaries(FIELD_NAMES, TEXT), st.none() | FILES, FILES)
def test_w18_any_form_of_an_integration_is_registered_or_told_what_is_wrong(
    fields: dict[str, str], file: bytes | None, earlier: bytes
) -> None:
    fields = {**fields, "icon_sent": base64.b64encode(earlier).decode()}
    typed = read_typed(fields, {"icon_file": Upload(file)} if file else {})
    application = typed.application(owner_id="x")
    now = datetime(2026, 11, 25, tzinfo=UTC)
    read_or_refused(lambda: register(application, now=now, mint=lambda n: b"m" * n, sandbox=True), InvalidRegistration)


@given(ANY_TEXT)
def test_any_accept_header_is_understood(accept: str) -> None:
    assert prefers_json(accept) in (True, False)


@given(TEXT)
def test_what_is_asked_leads_on_as_it_was_asked(text: str) -> None:
    asked = with_query("", q=text)
    assert own_query(request(b"", FORM, asked.removeprefix("?"))) == (asked if len(asked) <= 2_000 else "")


@given(ANY_TEXT, st.lists(ANY_TEXT, max_size=4))
def test_s89_whatever_a_header_says_the_address_is_the_peers_unless_a_proxy_is_trusted(
    peer: str, lines: list[str]
) -> None:
    assert client_of(peer, lines, trusted=()) == peer
    client_of("10.0.0.1", lines, trusted=read_networks("10.0.0.0/8"))


@given(
    ANY_TEXT | st.sampled_from(["http://[", "https://host:x", "http://localhost:99999", "https://@", "https://[::1"])
)
def test_any_setting_of_an_address_is_one_or_told_wrong(text: str) -> None:
    address = read_or_refused(lambda: read_address(text), ValueError)
    assert address is None or address.lower().startswith(("https://", "http://"))
    read_or_refused(lambda: read_networks(text), ValueError)
