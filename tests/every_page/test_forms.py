"""Every form of the platform: who may send it, what a second sending does, and what comes of it without its session."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx2
import pytest

from tests.developer_portal.given import Browser, House, run, text_of
from tests.every_page.test_headers import check_page, is_page
from tests.every_page.walk import FORMS, PASSWORD, Cast, cast, routes, sent, takes

ELSEWHERE = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9001"},
    {"origin": "http://127.0.0.1:9000.evil.example"},
    {"sec-fetch-site": "cross-site"},
    {"origin": "http://127.0.0.1:9000", "sec-fetch-site": "cross-site"},
    {"origin": "http://127.0.0.1:9001", "sec-fetch-site": "same-site"},
]
REFUSED = {400, 401, 403}


@pytest.mark.slow
def test_s22_every_form_stands_on_a_page_and_whoever_it_is_for_can_send_it(tmp_path: Path) -> None:
    """Else the refusals below would prove nothing: the very same fields are taken from whom they are for."""
    for number, template in enumerate(FORMS):
        folder = tmp_path / str(number)
        folder.mkdir()

        async def story(house: House, template: str = template) -> None:
            given = await cast(house)
            form = await given.form(given.browser, template)
            before = await given.everything()
            answer = await sent(given.browser, form)
            assert answer.status_code in (201, 303), (template, text_of(answer))
            assert await given.everything() != before, f"{template} has changed nothing"

        run(folder, story)


def test_s22_no_post_to_any_route_does_anything_without_the_token_of_this_very_session(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        given = await cast(house)
        graces = await house.signed_in(given.grace)
        theirs = {name: (await given.form(graces, name)).fields["form_token"] for name in ("/signin", "/signout")}
        for template in FORMS:
            form = await given.form(given.browser, template)
            before = await given.everything()
            own, not_ours = form.fields["form_token"], theirs.get(template, theirs["/signout"])
            for token in ("", "x", not_ours, own[:-1], own + own, "é"):
                answer = await sent(given.browser, replace(form, fields=form.fields | {"form_token": token}))
                assert answer.status_code in REFUSED, (template, token, answer.status_code)
                check_page(answer, template)
            without = {name: text for name, text in form.fields.items() if name != "form_token"} | {"other": "x"}
            assert (await sent(given.browser, replace(form, fields=without))).status_code in REFUSED, template
            for headers in ELSEWHERE:
                answer = await sent(given.browser, form, headers=headers)
                assert answer.status_code == 403, (template, headers)
                check_page(answer, template)
            assert await given.everything() == before, template

    run(tmp_path, story)


def test_s22_what_a_browser_sends_by_itself_does_nothing_at_any_route_of_any_method(tmp_path: Path) -> None:
    """A page of another site can make the browser send any simple request, with the cookies: programs' addresses too
    are without effect then, since none of them looks at a cookie."""

    async def story(house: House) -> None:
        given = await cast(house)
        before = await given.everything()
        for route in routes():
            path = given.path(route.path)
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                answers = [
                    await given.browser.client.request(method, path, headers=ELSEWHERE[0]),
                    await given.browser.client.request(method, path, data={"name": "x", "decision": "accept"}),
                    await given.browser.client.request(
                        method, path, content=b'{"title": "x"}', headers={"content-type": "text/plain"}
                    ),
                    await given.browser.client.request(method, path, json={"title": "x", "text": "x"}),
                ]
                for answer in answers:
                    assert 400 <= answer.status_code < 500, (method, path, answer.status_code)
            assert await given.everything() == before, path

    run(tmp_path, story)


def test_s22_who_may_send_a_form_is_asked_of_every_route_that_takes_one() -> None:
    """The table of routes itself: whatever takes POST is a form above, or one of these, which no cookie opens."""
    programs = re.compile(r"/(v1|idb/oauth2/v1)(/|$)")
    for route in routes():
        if takes(route, "POST"):
            assert route.path in FORMS or programs.match(route.path), route.path
    assert len(FORMS) >= 15


# --- twice -------------------------------------------------------------------------------------------------------


async def one_after_the_other(
    browser: Browser, once: Callable[[], Awaitable[httpx2.Response]]
) -> list[httpx2.Response]:
    return [await once(), await once(), await once()]


async def all_at_once(browser: Browser, once: Callable[[], Awaitable[httpx2.Response]]) -> list[httpx2.Response]:
    return list(await asyncio.gather(*(once() for _ in range(8))))


@pytest.mark.slow
@pytest.mark.parametrize("times", [one_after_the_other, all_at_once])
def test_every_form_that_is_sent_twice_does_what_it_does_once(tmp_path: Path, times: Callable[..., object]) -> None:
    for number, template in enumerate(FORMS):
        counts: list[dict[str, int]] = []
        for how in ("once", "twice"):
            folder = tmp_path / f"{number}-{how}"
            folder.mkdir()

            async def story(
                house: House, template: str = template, how: str = how, counts: list[dict[str, int]] = counts
            ) -> None:
                given = await cast(house)
                form = await given.form(given.browser, template)
                if how == "once":
                    await sent(given.browser, form)
                else:
                    answers = await times(given.browser, lambda: sent(given.browser, form))  # type: ignore[misc]
                    for answer in answers:
                        assert answer.status_code < 500, template
                        assert answer.status_code in (201, 303) or is_page(answer), template
                        if answer.status_code >= 400:
                            assert ways_on(answer), (template, text_of(answer))
                    assert [a.status_code for a in answers].count(201) <= 1, "a secret is shown once"
                found = await given.counted()
                del found["sessions"]  # who signs in eight times at once is signed in eight times
                counts.append(found)

            run(folder, story)
        assert counts[0] == counts[1], template


def ways_on(page: httpx2.Response) -> list[str]:
    """Where the page itself leads, leaving header and footer aside."""
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return [unescape(found) for found in re.findall(r'(?:href|action)="(/[^"]*)"', main)]


# --- without its session, or in another's ---------------------------------------------------------------------------


async def expired(given: Cast) -> None:
    given.house.now += timedelta(hours=13)


async def signed_out(given: Cast) -> None:
    page = await given.browser.open("/my-apps")
    await given.browser.send(page, to="/signout")


async def cookies_gone(given: Cast) -> None:
    given.browser.client.cookies.clear()


async def somebody_else(given: Cast) -> None:
    """In another tab of the same browser."""
    await given.browser.sign_in(given.grace)


@pytest.mark.slow
@pytest.mark.parametrize("meanwhile", [expired, signed_out, cookies_gone, somebody_else])
def test_a_form_whose_session_ended_changes_nothing_and_its_page_leads_on(
    tmp_path: Path, meanwhile: Callable[[Cast], Awaitable[None]]
) -> None:
    for number, template in enumerate(FORMS):
        if template in ("/signin", "/signout"):  # these are for who is not signed in; see test_sign_in.py
            continue
        folder = tmp_path / str(number)
        folder.mkdir()

        async def story(house: House, template: str = template) -> None:
            given = await cast(house)
            form = await given.form(given.browser, template)
            await meanwhile(given)
            before = await given.everything()
            answer = await sent(given.browser, form)
            assert answer.status_code in {400, 401, 403, 404}, template
            assert await given.everything() == before, template
            check_page(answer, template)
            found = ways_on(answer)
            assert found, (template, text_of(answer))
            for way in found:
                await led_on(given, way)

        run(folder, story)


async def led_on(given: Cast, way: str) -> None:
    """Follow a link as its reader would, through signing in as Ada where that is asked for; it ends on a page."""
    browser = given.browser
    for _ in range(6):
        answer = await browser.open(way)
        if answer.status_code == 303:
            way = answer.headers["location"]
            continue
        if 'type="password"' in answer.text:
            answer = await browser.send(answer, email=given.ada.email, password=PASSWORD)
            way = answer.headers["location"]
            continue
        over = {404, 410} if not way.startswith("/v1/authorize?request=") else {400}  # what was asked is too old by now
        assert answer.status_code in {200, *over}, (way, answer.status_code, text_of(answer))
        return
    raise AssertionError(f"no end of redirects: {way}")
