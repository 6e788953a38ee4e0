"""The renderer: where pages link, what they escape, and what a template may leave out."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from starlette.requests import Request
from starlette.testclient import TestClient

from grantflow.web.pages import Pages, initials, shorten, tone, utc_machine, utc_text
from grantflow.web.site import Site
from tests.web.gallery import gallery


def request(path: str = "/") -> Request:
    return Request({"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []})


def site(base_url: str = "http://127.0.0.1:9000") -> Site:
    return Site(name="Gallery", base_url=base_url)


def pages(folder: Path, template: str, base_url: str = "http://127.0.0.1:9000") -> Pages:
    (folder / "own.html").write_text(template)
    return Pages(site(base_url), templates=(folder,))


def test_what_a_person_typed_is_escaped_everywhere(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'"
    every = (
        "{{ text }}{{ ui.who(text, text) }}{{ ui.field(text, 'a', value=text, errors={'a': text}) }}"
        "{{ ui.error_summary({'': text, 'a': text}) }}{{ ui.copyable(text, text) }}{{ ui.code_block(text, text) }}"
        "{{ ui.definitions([(text, text)]) }}{{ ui.scope_list([(text, text)]) }}{{ ui.chips([text]) }}"
        "{{ ui.heading(text, text) }}{{ ui.link_button(text, text) }}{{ ui.csrf_field(text) }}"
        "{{ ui.pairing(text, text) }}"
        "{{ ui.textarea(text, 'b', value=text) }}{{ ui.checkbox(text, 'c', hint=text) }}{{ ui.steps([text]) }}"
    )
    body = bytes(pages(tmp_path, every).page(request(), "own.html", text=evil).body).decode()
    assert "<script" not in body
    assert "&lt;script&gt;" in body
    assert "\"'" not in body.replace("&#34;&#39;", "")


def test_a_forgotten_value_is_an_error_and_not_an_empty_string(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError):
        pages(tmp_path, "{{ forgotten }}").page(request(), "own.html")


def test_a_roles_own_template_comes_before_the_shared_one(tmp_path: Path) -> None:
    (tmp_path / "message.html").write_text("our own")
    assert Pages(site(), templates=(tmp_path,)).page(request(), "message.html").body == b"our own"


def test_links_stay_below_the_prefix_that_the_app_is_mounted_at(tmp_path: Path) -> None:
    under = pages(tmp_path, "{{ url('/apps') }} {{ static('grantflow.css') }}", "https://app.example/webex/")
    link, stylesheet = bytes(under.page(request(), "own.html").body).decode().split()
    assert link == "/webex/apps"
    assert stylesheet.startswith("/webex/static/")
    assert under.redirect("/apps").headers["location"] == "/webex/apps"


def test_s89_no_header_of_a_request_moves_a_pages_links_or_cookies() -> None:
    client = TestClient(gallery("platform", "https://platform.example/p"), base_url="https://platform.example")
    spoofed = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "http"}
    assert client.get("/app", headers=spoofed).text == client.get("/app").text


def test_s19_after_a_form_the_browser_is_sent_on_with_303(tmp_path: Path) -> None:
    assert Pages(site()).redirect("/apps").status_code == 303


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "apps", ""])
def test_s99_the_renderer_redirects_to_its_own_paths_alone(elsewhere: str) -> None:
    with pytest.raises(ValueError, match="own app"):
        Pages(site()).redirect(elsewhere)


@pytest.mark.parametrize(
    "base_url", ["", "platform.example", "ftp://host", "https://", "https://host/?a", "https://host/#a"]
)
def test_a_public_address_that_is_none_is_refused_at_the_start(base_url: str) -> None:
    with pytest.raises(ValueError, match="public address"):
        site(base_url)


@pytest.mark.parametrize(
    ("base_url", "origin", "prefix"),
    [
        ("https://Host.example:443/a/", "https://host.example", "/a"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", ""),
        ("http://[::1]:9000/", "http://[::1]:9000", ""),
    ],
)
def test_the_origin_is_written_as_browsers_write_it(base_url: str, origin: str, prefix: str) -> None:
    assert (site(base_url).origin, site(base_url).prefix) == (origin, prefix)


def test_an_error_is_announced_in_the_title() -> None:
    assert "<title>Error: Sign in" in TestClient(gallery("platform")).get("/sign-in-wrong").text
    assert "<title>Sign in" in TestClient(gallery("platform")).get("/sign-in").text


def test_a_password_is_never_written_back_into_its_field(tmp_path: Path) -> None:
    shown = pages(tmp_path, "{{ ui.field('Password', 'password', type='password', value='hunter2') }}")
    assert b"hunter2" not in shown.page(request(), "own.html").body


@pytest.mark.parametrize("role", ["platform", "integration"])
def test_every_page_says_that_it_is_not_ciscos_and_the_sandbox_says_what_it_is(role: str) -> None:
    page = TestClient(gallery("platform" if role == "platform" else "integration")).get("/connected").text
    assert "Not affiliated with or endorsed by Cisco; Webex is its trademark." in page
    assert ("<strong>Sandbox.</strong>" in page) is (role == "platform")


def test_a_long_address_breaks_between_its_parts_and_stays_escaped(tmp_path: Path) -> None:
    shown = pages(tmp_path, "{{ ui.breakable(text) }}").page(request(), "own.html", text="a<b@c.d")
    assert shown.body == b"a&lt;b<wbr>@c<wbr>.d"


def test_small_words() -> None:
    assert initials("Ada Byron King") == "AB"
    assert initials("(Lockbot)") == "?"
    assert shorten("abcdefghijklmnop", 7) == "abc…nop"
    assert shorten("short", 7) == "short"
    assert tone("Lockbot") == tone("Lockbot")


def test_times_are_told_in_utc_whatever_their_zone() -> None:
    moment = datetime(2026, 11, 23, 1, 5, tzinfo=timezone(timedelta(hours=2)))
    assert (utc_text(moment), utc_machine(moment)) == ("22 Nov 2026, 23:05 UTC", "2026-11-22T23:05:00Z")
    assert utc_text(moment.astimezone(UTC)) == utc_text(moment)
