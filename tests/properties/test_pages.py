"""What browsers send to either half's pages: forms, files, headers, cookies."""

import asyncio
import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from grantflow import KeyRing
from grantflow.client.pages.sealed import SealedTexts
from grantflow.developer_portal.form import read_typed
from grantflow.developer_portal.icons import SIDE_LIMIT, UnfitIcon, read_icon
from grantflow.developer_portal.registration import InvalidRegistration, register
from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.http import FORM
from grantflow.protocol.redirect_uri import check_registrable
from grantflow.proxies import client_of
from grantflow.resource_owner.way_out import destination, form_targets
from grantflow.settings import read_address, read_networks
from grantflow.web.addresses import own_query, with_query
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.csrf import FORM_FIELD, FormGuard
from grantflow.web.errors import PageError, prefers_json
from grantflow.web.forms import MULTIPART, Upload, read_form, read_upload_form
from grantflow.web.site import Site
from grantflow.web.wire import read_request, tracking_id
from tests.parts import ROOT
from tests.properties.reading import ANY_TEXT, TEXT, URIS, read_or_refused

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


def request(body: bytes, content_type: str, query: str = "", **headers: bytes) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": query.encode("utf-8", "replace"),
        "headers": [
            (b"content-type", content_type.encode("latin-1", "replace")),
            *((name.replace("_", "-").encode(), value) for name, value in headers.items()),
        ],
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


CONTENTS = st.binary(min_size=1, max_size=300)


@given(
    st.dictionaries(st.sampled_from(["name", "site_url", "kind"]), TEXT.filter(bool)),
    st.dictionaries(st.sampled_from(["icon", "é"]), CONTENTS),
)
def test_w18_a_form_reads_back_as_an_http_client_sends_it(fields: dict[str, str], files: dict[str, bytes]) -> None:
    plain = httpx2.Request("POST", "https://host/", data=fields)
    assert asyncio.run(read_form(request(plain.read(), FORM))) == fields
    with_files = httpx2.Request("POST", "https://host/", data=fields, files=files or {"none": ("", b"")})
    sent = request(with_files.read(), with_files.headers["content-type"])
    read, uploads = asyncio.run(read_upload_form(sent, limit_bytes=1_000_000))
    # A browser's form turns a line's end of either kind into CRLF; what is sent is read as it is.
    assert read == fields
    assert {name: upload.content for name, upload in uploads.items()} == files


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


LATIN = st.binary(max_size=200)
SITE = Site("Grantflow", "https://platform.example")
COOKIES = Cookies(SITE)
SESSION_COOKIE = COOKIES.name(SESSION)


@given(LATIN | TEXT.map(lambda value: f"{SESSION_COOKIE}={value}".encode()))
def test_any_cookie_header_holds_a_session_or_none(header: bytes) -> None:
    value = COOKIES.read(request(b"", FORM, cookie=header), SESSION)
    assert value is None or value


@given(st.text(st.sampled_from("aZ09-_"), min_size=1))
def test_s08_a_cookie_reads_back_as_it_was_set(value: str) -> None:
    response = Response()
    COOKIES.set(response, SESSION, value)
    header = response.headers["set-cookie"]
    assert COOKIES.read(request(b"", FORM, cookie=header.partition(";")[0].encode("latin-1")), SESSION) == value
    assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in header.split(";")}


GUARD = FormGuard(SITE, key=b"k" * 32, mint=lambda: "visitor-0123456789")


@given(st.dictionaries(st.just(FORM_FIELD), TEXT), st.none() | TEXT, LATIN, LATIN, LATIN)
def test_s08_no_form_passes_that_our_page_did_not_show_whatever_its_headers_say(
    form: dict[str, str], binding: str | None, origin: bytes, fetch_site: bytes, cookie: bytes
) -> None:
    sent = request(b"", FORM, origin=origin, sec_fetch_site=fetch_site, cookie=cookie)
    with pytest.raises(PageError):
        GUARD.check(sent, form, binding=binding)
    GUARD.visitor(sent)
    if binding:
        GUARD.check(request(b"", FORM), {FORM_FIELD: GUARD.token(binding)}, binding=binding)


NOW = datetime(2026, 11, 25, tzinfo=UTC)
TEXTS = SealedTexts(KeyRing(KeyRing.new_key()), clock=lambda: NOW)
FIELDS = st.dictionaries(TEXT, TEXT)


@given(FIELDS, TEXT, TEXT)
def test_s95_what_one_page_tells_another_reads_back_there_alone(fields: dict[str, str], place: str, other: str) -> None:
    written = TEXTS.write(fields, place=place)
    assert quote(written, safe="") == written
    if len(written) <= 4_096:
        assert TEXTS.read(written, place=place, seconds=1) == fields
    assert place == other or TEXTS.read(written, place=other, seconds=1) is None


@given(ANY_TEXT | LATIN.map(lambda sealed: base64.urlsafe_b64encode(sealed).decode()))
def test_s95_any_note_is_one_of_ours_or_nothing(text: str) -> None:
    assert TEXTS.read(text, place="/", seconds=1) is None


@given(st.binary(max_size=60), LATIN, LATIN, LATIN)
def test_s31_any_bytes_are_a_request_or_refused(body: bytes, query: bytes, header: bytes, tracking: bytes) -> None:
    sent = request(body, FORM, query.decode("latin-1"), x=header, trackingid=tracking)
    read = read_or_refused(lambda: asyncio.run(read_request(sent, limit=5)), InvalidRequest)
    assert (read is None) is (len(body) > 5)
    assert read is None or (read.body, read.headers["x"]) == (body, header.decode("latin-1"))
    assert re.fullmatch(r"[A-Za-z0-9_\-.:]{1,128}", tracking_id(sent, mint_uuid=uuid4))


@given(st.sampled_from(["https://a/x?y='z'", "http://127.0.0.1:1/", "com.example:/x", "mydemoapp://oauth"]) | URIS)
def test_s02_a_registered_address_is_shown_and_let_pass_as_it_is(uri: str) -> None:
    if read_or_refused(lambda: check_registrable(uri, strict=False), InvalidRequest) is not None:
        assert destination(uri)
        assert form_targets(uri)[0] == uri


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
