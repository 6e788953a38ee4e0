"""Text of strangers on every page: shown as the text that it is, wherever it was stored or whatever sent it along."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from tests.developer_portal.given import House, run
from tests.every_page.test_headers import Loaded, is_page
from tests.every_page.walk import FORMS, PAGES, Cast, cast, sent

#: It leaves an attribute in either kind of quotes, a comment, a textarea, a title, and would run in each place.
EVIL = "\"'--></textarea></title><script>alert(1)</script><img src=x onerror=alert(1)><b class=evil>{{7*7}}"
#: One value in every parameter that a page of ours may read.
PARAMETERS = (
    "q", "next", "request", "revoked", "expired", "deleted", "deleted-bot", "proof", "signed-out", "switch", "from",
    "page", "name", "description", "contact_email", "site_url", "redirect_uris", "icon", "icon_sent", "kind",
    "username",
    "other_scopes", "client_id", "redirect_uri", "response_type", "scope", "state", "prompt", "login_hint", "error",
    "error_description", "decision", "form_id", "version", "return_to", "saved", "created",
)  # fmt: skip
CHOOSABLE = ("client_id", "grant_id", "person_id", "username")


class Tags(HTMLParser):
    """Every tag of a page, as a browser would read it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def check_harmless(answer: httpx2.Response, where: str) -> None:
    """No tag or attribute of `EVIL` came to life, and no link leads to a script."""
    assert Loaded(answer.text).inline == [], where
    for _, attributes in Tags(answer.text).found:
        assert attributes.get("class") != "evil", where
        assert attributes.get("src") != "x", where
        for name in ("href", "src", "action", "formaction"):
            target = attributes.get(name, "")
            assert not re.match(r"\s*(javascript|vbscript)\s*:|data:(?!image/|text/plain)", target, re.IGNORECASE), (
                where,
                target,
            )
    assert "49" not in re.findall(r"evil>(\d\d)", answer.text), where


@pytest.mark.parametrize("who", ["ada", "nobody"])
def test_s31_stored_markup_in_every_name_and_text_is_text_on_every_page(tmp_path: Path, who: str) -> None:
    async def story(house: House) -> None:
        given = await cast(house, text=EVIL)
        browser = given.browser if who == "ada" else house.visitor()
        named = 0
        for template in PAGES:
            answer = await browser.open(given.path(template))
            if is_page(answer):
                check_harmless(answer, template)
                named += "&lt;script&gt;alert(1)" in answer.text
        assert named > (20 if who == "ada" else 1), "the pages do show these names"

    run(tmp_path, story)


def test_s31_stored_markup_is_text_in_the_answer_to_every_form_too(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        given = await cast(house, text=EVIL)
        forms = {template: await given.form(given.browser, template) for template in FORMS}
        for template in sorted(FORMS, key=lambda template: template.startswith("/sign")):  # a session ends with those
            form = forms[template]
            form.fields |= {name: EVIL for name in form.fields if name not in ("form_token", "version", "email")}
            answer = await sent(given.browser, form)
            assert answer.status_code < 500, template
            check_harmless(answer, template)

    run(tmp_path, story)


def test_s31_reflected_markup_in_every_parameter_path_and_header_is_text_on_every_page(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        given = await cast(house)
        asked = dict.fromkeys(PARAMETERS, EVIL) | {f"scope.{EVIL}": "on", EVIL: EVIL}
        evil = quote(EVIL, safe="")
        for browser in (given.browser, house.visitor()):
            for template in [*PAGES, "/nowhere"]:
                paths = {given.path(template).partition("?")[0], *_with_evil_path(given, template, evil)}
                for path in paths:
                    for query in (asked, {"request": EVIL}, {}):
                        answer = await browser.client.get(
                            path, params=query, headers={"referer": f"https://x/{EVIL}", "accept-language": EVIL}
                        )
                        assert answer.status_code < 500, path
                        assert "<" not in "".join(answer.headers.values()), path
                        if is_page(answer):
                            check_harmless(answer, f"{path} {list(query)[:1]}")

    run(tmp_path, story)


def _with_evil_path(given: Cast, template: str, evil: str) -> list[str]:
    values = given.values
    try:
        given.values = values | dict.fromkeys(CHOOSABLE, evil)
        return [given.path(template).partition("?")[0], f"{given.path(template).partition('?')[0]}/{evil}"]
    finally:
        given.values = values
