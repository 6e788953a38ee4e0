"""Where pages lead: nobody is sent to another site, whatever an address or a header says, and nothing moves a link."""

import re
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx2
import pytest

from tests.developer_portal.given import URL, House, run
from tests.every_page.test_headers import Loaded, is_page
from tests.every_page.test_markup import PARAMETERS
from tests.every_page.walk import PAGES, PASSWORD, cast, routes, takes

#: Each of them leads a browser to evil.example from somewhere, or would if it were decoded once more.
ELSEWHERE = (
    "https://evil.example/",
    "HTTPS://evil.example",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http:///evil.example",
    "/%2fevil.example",
    "%2f%2fevil.example",
    "/%5cevil.example",
    "/\t/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\r\n/evil.example",
    "/connected-apps\r\nLocation: https://evil.example/",
    "\x00//evil.example",
    "/connected-apps/..//evil.example",
    "/connected-apps/../../evil.example",
    "/connected-apps//evil.example",
    "/connected-apps@evil.example",
    "/connected-apps.evil.example",
    "/my-apps\\..\\evil.example",
    "/my-apps;//evil.example",
    "@evil.example",
    ".evil.example",
    ":80@evil.example/",
    "javascript:alert('evil.example')",
    "data:text/html,evil.example",
    f"{URL}.evil.example/",
    f"{URL}@evil.example/",
    "http://127.0.0.1:9000/connected-apps@evil.example",
    "／／evil.example",
    "/。evil.example",
)
#: What proxies say, and what some frameworks believe from anybody.
SPOOFED = {
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-port": "4443",
    "x-forwarded-prefix": "//evil.example",
    "x-forwarded-server": "evil.example",
    "forwarded": "for=203.0.113.9;host=evil.example;proto=https",
    "x-original-url": "//evil.example/",
    "x-rewrite-url": "//evil.example/",
    "x-host": "evil.example",
}


def leads_home(target: str) -> bool:
    """As a browser reads it, on whatever page of ours it stands."""
    as_read = re.sub(r"[\t\r\n]", "", target.strip(" \x00")).replace("\\", "/")
    return urlsplit(urljoin(f"{URL}/my-apps/x", as_read)).netloc == "127.0.0.1:9000"


def check_way(answer: httpx2.Response, where: str) -> None:
    assert answer.status_code < 500, where
    location = answer.headers.get("location", "/")
    assert leads_home(location), (where, location)
    assert not re.search(r"[\r\n\t\x00\\]", location), where
    if is_page(answer):
        for target in Loaded(answer.text).led_to:
            if "lockbot.example" not in target:  # the landing page that Ada registered
                assert leads_home(target), (where, target)


@pytest.mark.slow
def test_s99_no_parameter_of_any_page_leads_to_another_site(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        given = await cast(house)
        stranger = house.visitor()
        names = (*PARAMETERS, "url", "continue", "redirect", "return", "home", "back", "goto")
        for elsewhere in ELSEWHERE:
            asked = dict.fromkeys(names, elsewhere)
            for template in PAGES:
                path = given.path(template).partition("?")[0]
                for browser in (given.browser, stranger):
                    for query in (asked, asked | {"request": given.request_id}):
                        check_way(await browser.client.get(path, params=query), f"{path} {elsewhere!r}")

    run(tmp_path, story)


def test_s99_signing_in_leads_to_no_other_site_whatever_next_says_and_to_every_page_that_sent_one(
    tmp_path: Path,
) -> None:
    async def story(house: House) -> None:
        given = await cast(house)
        for elsewhere in ELSEWHERE[:6]:
            stranger = house.visitor()
            page = await stranger.client.get("/signin", params={"next": elsewhere})
            answer = await stranger.send(page, email=given.ada.email, password=PASSWORD)
            assert (answer.status_code, answer.headers["location"]) == (303, "/connected-apps"), elsewhere
        for route in routes():
            if not takes(route, "GET"):
                continue
            stranger, path = house.visitor(), given.path(route.path)
            sent_to = (await stranger.open(path)).headers.get("location", "")
            if sent_to.startswith("/signin?next="):
                wanted = unquote(sent_to.partition("=")[2])
                answer = await given.browser.open(sent_to)
                assert answer.headers["location"] == wanted, "who is signed in already is led on at once"
                assert (await given.browser.open(wanted)).status_code in (200, 303), path

    run(tmp_path, story)


def test_s89_s99_no_header_of_anybody_moves_a_link_a_redirect_or_the_issuer(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        given = await cast(house)
        for browser in (given.browser, house.visitor()):
            for route in routes():
                if not takes(route, "GET"):
                    continue
                path = given.path(route.path)
                plain = await browser.open(path)
                for headers in (SPOOFED, {"host": "evil.example"}, SPOOFED | {"host": "evil.example:1/x?"}):
                    answer = await browser.client.get(path, headers=headers)
                    told = {name: text for name, text in answer.headers.items() if name not in CHANGING}
                    assert told == {n: text for n, text in plain.headers.items() if n not in CHANGING}, path
                    assert "evil.example" not in answer.text, path
                    assert _links(answer.text) == _links(plain.text), path
        issuer = (await given.browser.open("/.well-known/oauth-authorization-server/v1")).json()["issuer"]
        assert issuer == f"{URL}/v1"

    run(tmp_path, story)


#: New with every answer: ids, and a reference's length may be that of another.
CHANGING = {"set-cookie", "location-id", "trackingid", "content-length", "date"}


def _links(text: str) -> list[str]:
    found = re.findall(r'(?:href|src|action)="([^"]*)"|"(https?://[^"]*)"', text)
    return [re.sub(r"request=[\w-]+", "request=", one or other) for one, other in found]


def test_s99_the_addresses_tried_above_do_lead_elsewhere_where_nobody_looks() -> None:
    """Else the tests above would prove nothing: most of them, taken as they are, leave the site."""
    away = [elsewhere for elsewhere in ELSEWHERE if not leads_home(elsewhere)]
    assert len(away) >= 14
    assert quote("//evil.example", safe="") not in away
