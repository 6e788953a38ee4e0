"""What holds on every page of the resource owner: no framing, no strangers' resources, no dead end."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from grantflow.storage.engine import Row, Statement, StorageUnavailable
from tests.resource_owner.given import House, run, text_of


class Addresses(HTMLParser):
    """Collects what a page loads, and where its links and forms lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.led_to: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "srcset") or (tag == "link" and name == "href"):
                self.loaded.append(value or "")
            elif name in ("href", "action"):
                self.led_to.append(value or "")
            elif name == "style" or name.startswith("on"):
                self.inline.append(name)


async def all_pages(house: House) -> dict[str, str]:
    """The path of each page, and who opens it: nobody, or a person."""
    ada = await house.person()
    client_id = await house.integration()
    grant = await house.grant(ada, client_id)
    await house.grant(ada, await house.integration("Standup"))
    request_id = await house.question(client_id)
    await house.person("grace@sandbox.example", "Grace Hopper", is_admin=True)
    return {
        "/": "nobody",
        "/signin": "nobody",
        f"/signin?request={request_id}": "nobody",
        "/signin?request=unknown": "nobody",
        "/nowhere": "nobody",
        f"/consent?request={request_id}": "ada",
        f"/consent?request={await house.question(client_id, answered_at=1)}": "ada",
        "/connected-apps": "ada",
        "/connected-apps/revocation": "ada",
        f"/connected-apps/{grant}/revocation": "ada",
        "/administration/people": "ada",
        "/administration/people?q=a": "grace",
        "/administration/people?q=nobody": "grace",
        "/administration/integrations": "grace",
        f"/administration/people/{ada.id}": "grace",
        f"/administration/people/{ada.id}/revocation": "grace",
        f"/administration/integrations/{client_id}": "grace",
        f"/administration/integrations/{client_id}/revocation": "grace",
        f"/administration/grants/{grant}/revocation": "grace",
    }


def test_s20_s21_no_page_can_be_framed_loads_from_elsewhere_or_is_kept(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        pages = await all_pages(house)
        ids = {row["email"]: row["id"] for row in await house.rows("SELECT id, email FROM people")}
        visitors = {"nobody": house.browser()}
        for name in ("ada", "grace"):
            visitors[name] = await house.signed_in_by_id(ids[f"{name}@sandbox.example"])
        for path, visitor in pages.items():
            page = await visitors[visitor].open(path)
            policy = page.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert page.headers["x-frame-options"] == "DENY"
            assert page.headers["referrer-policy"] == "same-origin"
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["x-content-type-options"] == "nosniff"
            found = Addresses(page.text)
            assert found.loaded
            assert all(address.startswith("/static/") for address in found.loaded)
            assert not found.inline
            assert all(re.match(r"/|#|http://localhost:8000/$", address) for address in found.led_to)

    run(tmp_path, story)


def test_the_front_page_welcomes_strangers_and_sends_people_to_their_apps(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        page = await house.browser().open("/")
        for said in ("Sign in", "http://127.0.0.1:9000/v1", "Server metadata"):
            assert said in text_of(page)
        assert "signed out" not in text_of(page)
        browser = await house.signed_in(await house.person())
        assert (await browser.open("/")).headers["location"] == "/connected-apps"

    run(tmp_path, story)


def test_where_storage_is_gone_every_page_is_a_clean_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in(await house.person())

        async def gone(statement: Statement) -> list[Row]:
            raise StorageUnavailable("the disk is full")

        monkeypatch.setattr(house.engine, "read", gone)
        for path in ("/", "/signin?request=x", "/consent?request=x", "/connected-apps"):
            page = await browser.open(path)
            assert page.status_code == 503
            assert page.headers["retry-after"] == "1"
            assert "This does not work just now" in text_of(page)
            assert "disk" not in page.text

    run(tmp_path, story)


def test_everything_works_below_the_path_that_the_platform_is_mounted_at(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.person()
        page = await house.browser().client.get("http://127.0.0.1:9000/signin")
        assert 'action="/webex/signin"' in page.text
        answer = await house.browser().client.get("http://127.0.0.1:9000/connected-apps")
        assert answer.headers["location"] == "/webex/signin?next=%2Fconnected-apps"

    run(tmp_path, story, base_url="http://127.0.0.1:9000/webex")
