"""What holds at every address of the whole platform, found in its table of routes: no new page is forgotten."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest
from starlette.routing import Route

from tests.developer_portal.given import Browser, House, run
from tests.resource_owner.test_every_page import Addresses

#: Where scripts of other origins are served: tokens, metadata, the API.
FOR_SCRIPTS = re.compile(r"/v1/(?!authorize$)|/idb/oauth2/v1/(?!authorize$)|/\.well-known/")
NOBODYS = "00000000-0000-4000-8000-000000000000"
JUNK = {"decision": "accept", "name": "<b>", "redirect_uris": "https://evil.example/", "return_to": "//evil.example/"}


async def every_answer(house: House, visitor: str) -> list[tuple[str, httpx2.Response]]:
    """Each address of the platform, got and posted to without the form's own token; `visitor` is nobody, or an
    administrator with an integration, a bot and people who granted.
    """
    ada = await house.person(is_admin=True)
    adas = await house.signed_in(ada)
    client_id = await adas.created(site_url="https://lockbot.example/")
    bot = await adas.send(await adas.open("/my-apps/new/bot"), {"name": "Bot", "username": "lockbot"})
    assert bot.status_code == 201
    grant_id = await house.grant(client_id, await house.person("Grace Hopper"))
    there = {"client_id": client_id, "grant_id": grant_id, "person_id": ada.id, "username": "lockbot"}
    browser = adas if visitor == "administrator" else house.visitor()
    return [answer for path in addresses(house, there) for answer in await both(browser, path)]


def addresses(house: House, there: Mapping[str, str]) -> Iterator[str]:
    """Each route twice: of what is there, and of what nobody has."""
    paths = [route.path for route in house.app.routes if isinstance(route, Route)]
    for names in (there, dict.fromkeys(there, NOBODYS)):
        yield from (filled_in(path, names) for path in paths)


def filled_in(path: str, names: Mapping[str, str]) -> str:
    return re.sub(r"{(\w+)(:\w+)?}", lambda found: names.get(found[1], "x"), path)


async def both(browser: Browser, path: str) -> list[tuple[str, httpx2.Response]]:
    headers = {"origin": "https://evil.example", "accept": "text/html"}
    return [
        (f"GET {path}", await browser.client.get(path, headers=headers)),
        (f"POST {path}", await browser.client.post(path, data=JUNK)),
        (f"POST {path} from elsewhere", await browser.client.post(path, data=JUNK, headers=headers)),
    ]


@pytest.mark.parametrize("visitor", ["nobody", "administrator"])
def test_s17_s19_s20_s21_s31_no_address_fails_is_framed_is_read_by_strangers_or_leads_away(
    tmp_path: Path, visitor: str
) -> None:
    async def story(house: House) -> None:
        answers = await every_answer(house, visitor)
        for asked, answer in answers:
            assert answer.status_code < 500, asked
            assert answer.status_code != 307, asked
            if "location" in answer.headers:
                assert answer.status_code == 303, asked
                assert re.match(r"/(?!/)", answer.headers["location"]), asked
            if not FOR_SCRIPTS.match(asked.split()[1]):
                assert "access-control-allow-origin" not in answer.headers, asked
            if answer.headers.get("content-type", "").startswith("text/html"):
                check_page(asked, answer)
        shown = [asked for asked, answer in answers if answer.status_code == 200 and "<main" in answer.text]
        assert len(shown) > (20 if visitor == "administrator" else 2)

    run(tmp_path, story)


def check_page(asked: str, page: httpx2.Response) -> None:
    policy = page.headers["content-security-policy"]
    for rule in ("frame-ancestors 'none'", "default-src 'none'", "script-src 'self'", "base-uri 'none'"):
        assert rule in policy, asked
    assert page.headers["x-frame-options"] == "DENY", asked
    assert page.headers["x-content-type-options"] == "nosniff", asked
    assert page.headers["referrer-policy"] in ("same-origin", "no-referrer"), asked
    assert page.headers["cache-control"] == "no-store", asked
    found = Addresses(page.text)
    assert all(re.match(r"/static/|/icons/|data:image/", address) for address in found.loaded), asked
    assert not found.inline, asked
