"""What a browser is told with every page, whoever asks and whatever comes of it: no frame, no stranger, no copy."""

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest

from grantflow.storage.engine import Row, Statement, StorageUnavailable
from grantflow.web.site import Site
from tests.developer_portal.given import House, form_of, forms_of, run
from tests.every_page.walk import FOR_PROGRAMS, PAGES, PASSWORD, cast, routes

#: Pages that lead on at once where there is nothing to ask.
LEAD_ON = {"/", "/administration"}


class Loaded(HTMLParser):
    """The addresses that a page loads by itself, those that it leads to, and what it holds of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.led_to: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        loads = {"src", "srcset", "poster", "data", "background"} | (
            {"href"} if tag in ("link", "use", "base") else set()
        )
        for name, value in attrs:
            if name in loads:
                self.loaded.append(value or "")
            elif name in ("href", "action", "formaction"):
                self.led_to.append(value or "")
            elif name == "style" or name.startswith("on") or name == "srcdoc":
                self.inline.append(f"{tag} {name}")
        if tag == "style" or (tag == "script" and "src" not in given) or tag in ("iframe", "object", "embed", "base"):
            self.inline.append(tag)


def check_page(answer: httpx2.Response, where: str) -> None:
    """That this page can be put in no frame, loads nothing from elsewhere, tells nobody where one was, is not kept."""
    told = answer.headers
    policy = dict(part.strip().partition(" ")[::2] for part in told["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == "'none'", where
    assert policy["default-src"] == "'none'", where
    assert policy["base-uri"] == "'none'", where
    assert (policy["script-src"], policy["style-src"], policy["img-src"]) == ("'self'", "'self'", "'self' data:"), where
    assert policy["form-action"].startswith("'self'"), where
    assert told["x-frame-options"] == "DENY", where
    assert told["referrer-policy"] in ("same-origin", "no-referrer"), where
    assert told["x-content-type-options"] == "nosniff", where
    assert told["cache-control"] == "no-store", where
    found = Loaded(answer.text)
    assert found.loaded, where
    assert all(re.match(r"/(static|icons)/|data:image/(png|jpeg|gif|webp);base64,", each) for each in found.loaded), (
        where
    )
    assert found.inline == [], where


def is_page(answer: httpx2.Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html")


def test_s20_s21_every_page_of_every_role_and_every_error_has_the_headers_and_loads_nothing_foreign(
    tmp_path: Path,
) -> None:
    async def story(house: House) -> None:
        given = await cast(house)
        stranger = house.visitor()
        graces = await house.signed_in(given.grace)
        for route in [*routes_and_nowhere()]:
            path = given.path(route)
            for who, browser in (("ada", given.browser), ("grace", graces), ("nobody", stranger)):
                for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
                    where = f"{method} {path} by {who}"
                    answer = await browser.client.request(method, path)
                    assert answer.status_code < 500, where
                    if is_page(answer) and method != "HEAD":
                        check_page(answer, where)
                    elif 300 <= answer.status_code < 400:
                        assert answer.status_code == 303, where
                        assert answer.headers["cache-control"] == "no-store", where
                    elif not FOR_PROGRAMS.match(route) and method != "HEAD":
                        raise AssertionError(f"{where} is neither a page nor a redirect: {answer.headers}")
            if route in PAGES and route not in LEAD_ON | {"/v1/authorize", "/idb/oauth2/v1/authorize"}:
                assert (await given.browser.open(path)).status_code == 200, "whom it is for sees the page itself"

    run(tmp_path, story)


def routes_and_nowhere() -> list[str]:
    return [*(route.path for route in routes()), "/nowhere", "/my-apps/", "/signin/nothing"]


@pytest.mark.parametrize("trouble", [StorageUnavailable("the disk is full"), RuntimeError("a fault of ours")])
def test_s20_s21_where_storage_is_gone_or_the_fault_is_ours_the_page_is_as_safe_and_says_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    async def story(house: House) -> None:
        given = await cast(house)
        given.browser.client._transport.raise_app_exceptions = False  # type: ignore[attr-defined]

        async def gone(statement: Statement) -> list[Row]:
            raise trouble

        monkeypatch.setattr(house.storage.engine, "read", gone)
        pages = 0
        for template in PAGES:
            answer = await given.browser.open(given.path(template))
            if answer.status_code >= 500:
                pages += 1
                assert is_page(answer)
                check_page(answer, template)
                assert str(trouble) not in answer.text
                assert (
                    ('href="/' in answer.text.partition("<main")[2])
                    or "reload this page" in answer.text
                    or ("try again" in answer.text.lower())
                )
        assert pages > 25

    run(tmp_path, story)


def test_what_is_no_page_is_never_taken_for_one(tmp_path: Path) -> None:
    """Icons, files and programs' answers: no browser guesses a type, and none of them can be framed as a page."""

    async def story(house: House) -> None:
        given = await cast(house)
        for route in (route.path for route in routes() if FOR_PROGRAMS.match(route.path)):
            answer = await given.browser.open(given.path(route))
            assert not is_page(answer), route
            if answer.headers.get("content-type", "").startswith("text/") or route.startswith(("/icons/", "/static/")):
                assert answer.headers["x-content-type-options"] == "nosniff", route
        missing = await given.browser.open("/icons/nothing")
        assert (missing.status_code, missing.headers["x-content-type-options"]) == (404, "nosniff")

    run(tmp_path, story)


def test_s90_over_https_every_page_insists_on_it_and_every_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        given = await cast(house)
        address = "https://platform.example"
        secure = House(house.storage, house.folder, Site("Grantflow", address))
        names = set[str]()
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=secure.app), base_url=address) as browser:
            form = form_of(await browser.get("/signin")).fields
            sent = form | {"email": given.ada.email, "password": PASSWORD}
            answers = [await browser.post("/signin", data=sent, headers={"origin": address})]
            assert answers[0].status_code == 303
            answers += [await browser.get(given.path(template)) for template in PAGES]
            token = next(found.fields["form_token"] for found in forms_of(await browser.get("/my-apps")))
            answers.append(await browser.post("/signout", data={"form_token": token}))
        for answer in answers:
            assert answer.headers["strict-transport-security"] == "max-age=31536000", answer.url
            for cookie in answer.headers.get_list("set-cookie"):
                names.add(cookie.partition("=")[0])
                attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
                assert cookie.startswith("__Host-"), cookie
                assert attributes >= {"secure", "httponly", "samesite=lax", "path=/"}, cookie
                assert not any(part.startswith("domain") for part in attributes), cookie
        assert {name.rpartition("_")[2] for name in names} == {"session", "visitor"}

    run(tmp_path, story)
