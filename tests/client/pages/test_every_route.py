"""Every address of the pages, read off their route table: one that is added tomorrow is looked at from then on."""

import re
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from starlette.routing import Route

from grantflow.client.pages import integration_pages
from tests.client.conftest import World
from tests.client.pages.conftest import ABOUT, Both, Browser, Sample, Serve
from tests.every_page.test_headers import Loaded, check_page, is_page
from tests.every_page.test_markup import EVIL, check_harmless
from tests.every_page.test_ways import ELSEWHERE, SPOOFED
from tests.whole.person import Person

pytestmark = pytest.mark.slow

#: A link by another name: it takes no fields, changes nothing here, and begins what only this browser can finish.
LINKS = {"/connect"}
PARAMETERS = (
    "return_to",
    "grant",
    "switch",
    "moved",
    "note",
    "code",
    "state",
    "error",
    "error_description",
    "iss",
    "next",
)


def routes(world: World) -> list[Route]:
    integration = world.async_integration(redirect_uri="http://localhost:8000/oauth")
    try:
        return [
            route for route in integration_pages(integration, ABOUT, try_it=True).routes if isinstance(route, Route)
        ]
    finally:
        integration._parts.vault.close()


def paths(world: World, method: str) -> list[str]:
    return [route.path for route in routes(world) if method in (route.methods or {method}) and "{" not in route.path]


def test_s20_s21_s100_every_answer_at_every_address_is_a_safe_page_or_a_redirect_that_nobody_keeps(
    serve: Serve, world: World
) -> None:
    sample = serve(pages={"try_it": True})
    with sample.browser() as connected, sample.browser() as stranger:
        sample.grant(connected)
        for path in [*paths(world, "GET"), *paths(world, "POST"), "/nowhere"]:
            for visitor in (connected, stranger):
                for method in ("GET", "POST", "PUT", "OPTIONS"):
                    where = f"{method} {path}"
                    answer = visitor.see(method, sample.url + path)
                    assert answer.status_code < 500, where
                    if is_page(answer):
                        check_page(answer, where)
                    else:
                        assert answer.status_code == 303, where
                        assert answer.headers["cache-control"] == "no-store", where
                        assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin"), where


def test_s100_whatever_comes_to_the_redirect_uri_is_led_away_at_once_and_leaves_no_address_behind(
    sample: Sample,
) -> None:
    with sample.browser() as visitor:
        good = parse_qs(urlsplit(sample.accepted(visitor)).query)
        state, code = good["state"][0], good["code"][0]
        queries = [
            "",
            f"?state={state}",
            f"?state={state}x&code={code}",
            f"?code={code}",
            "?error=access_denied",
            f"?error=server_error&state={state}&error_description={EVIL}",
            f"?code={code}&code={code}&state={state}",
            "?%00=%ff&state=%ed%a0%80",
            f"?state={state}&code={code}",
            f"?state={state}&code={code}",
        ]
        for query in queries:
            answer = visitor.see("GET", f"{sample.url}/oauth{query}")
            assert (answer.status_code, answer.content) == (303, b""), query
            assert answer.headers["referrer-policy"] == "no-referrer", query
            assert answer.headers["cache-control"] == "no-store", query
            location = urlsplit(urljoin(sample.url, answer.headers["location"]))
            assert f"{location.scheme}://{location.netloc}" == sample.url, query
            assert location.path in ("/granted", "/declined", "/went-wrong"), query
            assert code not in answer.headers["location"], query
            assert state not in answer.headers["location"], query


def test_s95_an_answer_without_this_browsers_own_fresh_state_exchanges_nothing(sample: Sample, world: World) -> None:
    with sample.browser() as ada, sample.browser() as eve:
        answered = sample.accepted(ada)
        query = parse_qs(urlsplit(answered).query)
        eves_code = parse_qs(urlsplit(sample.accepted(eve, person="eve")).query)["code"][0]
        foreign = f"{sample.url}/oauth?code={query['code'][0]}&state={query['state'][0]}"
        for visitor, address in (
            (eve, foreign),
            (ada, f"{sample.url}/oauth?code={eves_code}"),
            (ada, f"{sample.url}/oauth?code={eves_code}&state="),
            (ada, f"{sample.url}/oauth?code={eves_code}&state={query['state'][0][:-1]}"),
        ):
            assert "connected" not in visitor.open(address).words.lower().partition("grant again")[0], address
            assert sample.elsewhere().grants() == []
        assert world.platform.counts["exchange"] == 0
        with ada.keeping_cookies():
            assert "You are connected, Ada" in ada.open(answered).words
        with ada.keeping_cookies():
            ada.open(answered)
        ada.open(answered)
        assert world.platform.counts["exchange"] == 1


def test_s22_no_post_to_any_address_does_anything_without_the_persons_own_token(both: Both, world: World) -> None:
    with both.person(0) as ada, both.person(2) as alan:
        both.connect(ada)
        both.connect(alan)
        forms = {form.action: form.fields | {"text": "forged"} for form in ada.page.forms}
        theirs = {form.action: form.fields["form_token"] for form in alan.page.forms}
        for path in paths(world, "POST"):
            if path in LINKS:
                continue
            own = forms[path]
            for token in ("", "x", theirs[path], own["form_token"] + "x"):
                answer = ada._http.post(both.url + path, data=own | {"form_token": token})
                assert answer.status_code == 400, (path, token)
                check_page(answer, path)
            for headers in (
                {"origin": "https://evil.example"},
                {"origin": "null"},
                {"origin": both.platform_url},
                {"sec-fetch-site": "cross-site"},
                {"sec-fetch-site": "same-site", "origin": both.platform_url},
            ):
                answer = ada._http.post(both.url + path, data=own, headers=headers)
                assert answer.status_code == 403, (path, headers)
                check_page(answer, path)
            assert _posted_by_a_stranger(both, path, own) == 400
        assert both.authors_of("forged") == []
        assert "Connected as Ada Lovelace" in ada.open(both.url).words


def _posted_by_a_stranger(both: Both, path: str, fields: dict[str, str]) -> int:
    with Browser() as stranger:
        return stranger._http.post(both.url + path, data=fields).status_code


def test_a_form_that_was_open_when_the_browser_was_disconnected_or_another_person_granted_changes_nothing(
    both: Both,
) -> None:
    """The first tab's form, after the second tab went on without it."""
    with both.person(3) as visitor:
        both.connect(visitor)
        opened = visitor.page
        visitor.press("Disconnect")
        for button, filled in (("Post message", {"text": "Too late"}), ("Disconnect", {})):
            visitor.page = opened
            page = visitor.press(button, **filled)
            assert page.status == 400
            assert "Nothing was changed" in page.words
            assert ("Open the form again", "/") in page.links
        assert both.authors_of("Too late") == []
        _switch_person(both, visitor, to=1)
        visitor.page = opened
        assert visitor.press("Post message", text="In whose name?").status == 400
        assert both.authors_of("In whose name?") == []


def _switch_person(both: Both, visitor: Person, *, to: int) -> None:
    """Another person signs in at the platform in the same browser, and grants."""
    visitor.open(f"{both.platform_url}/signin?switch=yes")
    account = both.sandbox.people[to]
    visitor.press("Sign in", email=account.email, password=account.password.reveal())
    visitor.open(f"{both.url}/connect")
    visitor.press("Accept")
    assert account.name in visitor.open(both.url).words


def test_s31_titles_of_rooms_names_of_people_and_all_that_comes_along_are_text(both: Both, world: World) -> None:
    rooms, names = both.sql("SELECT id, title FROM rooms"), both.sql("SELECT id, display_name FROM people")
    try:
        both.sql("UPDATE rooms SET title = ?", EVIL)
        both.sql("UPDATE people SET display_name = ?", EVIL)
        with both.person(0) as ada:
            page = both.connect(ada)
            assert EVIL in page.words
            check_harmless(_answer(ada, both.url), "the start page")
            posted = ada.press("Post message", text=EVIL)
            assert EVIL in posted.words
            check_harmless(_answer(ada, posted.url), "posted")
            for path in [*paths(world, "GET"), "/nowhere"]:
                asked = dict.fromkeys((*PARAMETERS, EVIL), EVIL)
                answer = ada._http.get(both.url + path, params=asked, headers={"referer": f"https://x/{EVIL}"})
                assert answer.status_code < 500, path
                if is_page(answer):
                    check_harmless(answer, path)
    finally:
        for row_id, title in rooms:
            both.sql("UPDATE rooms SET title = ? WHERE id = ?", title, row_id)
        for row_id, name in names:
            both.sql("UPDATE people SET display_name = ? WHERE id = ?", name, row_id)


def _answer(person: Person, url: str) -> httpx2.Response:
    return person._http.get(url)


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_s99_no_parameter_of_any_address_leads_to_another_site(sample: Sample, world: World, elsewhere: str) -> None:
    asked = dict.fromkeys((*PARAMETERS, "home", "url", "continue", "redirect"), elsewhere)
    platform = urlsplit(world.api_url).netloc
    with sample.http() as http:
        for path in paths(world, "GET"):
            for query in (asked, {"return_to": elsewhere}, {"moved": "1", "return_to": elsewhere}):
                answer = http.get(path, params=query)
                assert answer.status_code < 500, path
                location = urljoin(f"{sample.url}{path}", answer.headers.get("location", ""))
                assert urlsplit(location).netloc in (urlsplit(sample.url).netloc, platform), (path, location)
                if is_page(answer):
                    for target in Loaded(answer.text).led_to:
                        assert re.match(r"/(?![/\\])|#", target), (path, target)


def test_s89_no_header_of_anybody_moves_a_link_or_a_redirect(sample: Sample, world: World) -> None:
    with sample.browser() as visitor:
        for path in paths(world, "GET"):
            plain = visitor.see("GET", sample.url + path)
            answer = visitor._http.get(sample.url + path, headers=SPOOFED)
            assert "evil" not in answer.text + answer.headers.get("location", ""), path
            assert Loaded(answer.text).led_to == Loaded(plain.text).led_to, path
