"""The pages and the living client inside real web frameworks, over sockets, with real browsers' habits."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs, urlsplit

import flask
import httpx2
import pytest

from grantflow import Status
from grantflow.client.adapters import flask as in_flask
from grantflow.client.pages import About
from grantflow.client.pages.at_once import at_once
from tests.client.adapters.hosts import ABOUT, HOSTS, Host
from tests.client.conftest import World
from tests.client.foreign import Answer
from tests.client.pages.conftest import Browser
from tests.client.vault_troubles import garbage

pytestmark = pytest.mark.slow

Serve = Callable[..., str]
each_host = pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)


@pytest.fixture
def serve(world: World, host: Host) -> Iterator[Serve]:
    """Serves the application of a framework until the test ends; answers its URL."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(host.serve(world, **options))


def visitor(world: World, url: str, *, user: str = "grace") -> Browser:
    """A browser in which a user of the host application has signed in."""
    browser = Browser(stops=(f"{world.api_url}/authorize",))
    assert "signed in" in browser.open(f"{url}/sign-in?user={user}").text
    return browser


def accept(browser: Browser, world: World, *, person: str = "ada") -> None:
    """The browser stands on the landing page or at the platform, where the person accepts and comes back."""
    if "What you grant" in browser.page.words:
        browser.press("Grant")
    assert browser.page.url.startswith(f"{world.api_url}/authorize?")
    browser.open(world.platform.accept(browser.page.url, person=person))


def granted(world: World, url: str, **as_whom: str) -> Browser:
    browser = visitor(world, url, **as_whom)
    browser.open(f"{url}/spaces")
    accept(browser, world)
    return browser


@each_host
def test_w30_who_has_not_granted_is_led_to_the_grant_and_back_to_where_they_were(world: World, serve: Serve) -> None:
    url = serve()
    with visitor(world, url) as grace:
        grace.open(f"{url}/spaces?tab=2")
        assert "Post in your own name" in grace.page.words
        accept(grace, world)
        assert "You are connected, Ada" in grace.page.words
        assert "spaces of Ada" in grace.press("Go on where you were").text
        assert grace.page.url == f"{url}/spaces?tab=2"
    (grant,) = world.integration().grants(owner="grace")
    assert grant.person_id == "id-ada"


@each_host
def test_w34_who_must_grant_again_is_led_there_and_back_to_where_they_were(world: World, serve: Serve) -> None:
    url = serve()
    with granted(world, url) as grace:
        (before,) = world.integration().grants(owner="grace")
        world.platform.end_grants()
        grace.open(f"{url}/spaces?tab=3")
        assert grace.page.url.startswith(f"{world.api_url}/authorize?")
        accept(grace, world)
        assert "spaces of Ada" in grace.press("Go on where you were").text
        assert grace.page.url == f"{url}/spaces?tab=3"
    (after,) = world.integration().grants(owner="grace")
    assert (after.id, after.status) == (before.id, Status.ACTIVE)


@each_host
def test_who_sent_a_form_comes_back_to_the_page_that_it_stood_on(world: World, serve: Serve) -> None:
    url = serve()
    with httpx2.Client(base_url=url, trust_env=False) as http:
        http.get("/sign-in", params={"user": "grace"})
        for referer, place in ((f"{url}/form?a=1", ["/form?a=1"]), ("https://elsewhere.example/", None), ("", None)):
            sent = http.post("/spaces", headers={"referer": referer})
            assert sent.status_code == 303
            assert parse_qs(urlsplit(sent.headers["location"]).query).get("return_to") == place


@each_host
def test_a_program_is_told_where_the_person_must_go(world: World, serve: Serve) -> None:
    url = serve()
    with httpx2.Client(base_url=url, trust_env=False, headers={"accept": "application/json"}) as http:
        http.get("/sign-in", params={"user": "grace"})
        told = http.get("/spaces")
        assert (told.status_code, told.headers["content-type"]) == (409, "application/problem+json")
        assert told.json()["grant_url"] == f"{url}/webex/connect"


@each_host
def test_each_user_of_the_host_application_has_a_grant_of_their_own(world: World, serve: Serve) -> None:
    url = serve()
    with granted(world, url) as grace, visitor(world, url, user="alan") as alan:
        alan.open(f"{url}/spaces")
        accept(alan, world, person="edith")
        assert "spaces of Edith" in alan.open(f"{url}/spaces").text
        assert "spaces of Ada" in grace.open(f"{url}/spaces").text


@each_host
def test_w34_disconnect_ends_it_for_this_user_alone(world: World, serve: Serve) -> None:
    url = serve()
    with granted(world, url) as grace, granted(world, url, user="alan") as alan:
        grace.open(f"{url}/webex/")
        assert "Disconnected" in grace.press("Disconnect").words
        assert "What you grant" in grace.open(f"{url}/spaces").words, "nobody is connected again without being asked"
        assert "spaces of Ada" in alan.open(f"{url}/spaces").text


@each_host
def test_a_form_of_another_site_disconnects_nobody(world: World, serve: Serve) -> None:
    url = serve()
    with granted(world, url) as grace:
        grace.open(f"{url}/webex/")
        (form,) = [form for form in grace.page.forms if form.action.endswith("/disconnect")]
        sent = grace._http.post(
            f"{url}/webex/disconnect", data=form.fields, headers={"origin": "https://elsewhere.example"}
        )
        assert sent.status_code == 403
        assert "spaces of Ada" in grace.open(f"{url}/spaces").text


@each_host
def test_who_declines_reads_so_and_nothing_is_stored(world: World, serve: Serve) -> None:
    url = serve()
    with visitor(world, url) as grace:
        grace.open(f"{url}/spaces")
        (state,) = parse_qs(urlsplit(grace.press("Grant").url).query)["state"]
        grace.open(f"{url}/webex/oauth?error=access_denied&state={state}")
        assert "You declined" in grace.page.words
        assert world.integration().grants() == []


@each_host
def test_a_vault_in_trouble_is_a_503_that_says_when_to_come_again(world: World, serve: Serve) -> None:
    url = serve()
    with granted(world, url) as grace:
        with garbage(world):
            answers = [grace.see("GET", f"{url}{address}") for address in ("/spaces", "/webex/")]
        for told in answers:
            assert told.status_code == 503
            assert int(told.headers["retry-after"]) >= 1
            assert "cannot use its own records at the moment" in told.text


@each_host
def test_a_platform_that_is_away_is_a_503_that_says_when_to_come_again(world: World, serve: Serve) -> None:
    url = serve()
    with granted(world, url) as grace:
        world.platform.expire_access_tokens()
        world.platform.answers.append(Answer(503, "", {"Retry-After": "7"}))
        told = grace.see("GET", f"{url}/spaces")
        assert (told.status_code, told.headers["retry-after"]) == (503, "7")
        assert "cannot be reached right now" in grace.open(f"{url}/spaces?tab=2").words
        world.clock.advance(seconds=8)
        assert "spaces of Ada" in grace.press("Try again").text
        assert grace.page.url == f"{url}/spaces?tab=2"


@each_host
def test_an_integration_that_the_platform_refuses_is_a_503_and_no_fault_of_the_persons(
    world: World, serve: Serve
) -> None:
    url = serve()
    with granted(world, url) as grace:
        world.platform.expire_access_tokens()
        world.platform.client_secret = "another secret by now"
        told = grace.see("GET", f"{url}/spaces")
        assert told.status_code == 503
        assert "is not set up correctly" in told.text
        assert "the help desk" in told.text


@each_host
def test_the_hosts_own_mistake_stays_the_hosts_own_500(world: World, serve: Serve) -> None:
    url = serve()
    with granted(world, url) as grace:
        assert grace.see("GET", f"{url}/wrong").status_code == 500


@each_host
def test_the_pages_look_and_are_guarded_alike_in_every_framework(world: World, serve: Serve) -> None:
    url = serve()
    with visitor(world, url) as grace:
        page = grace.see("GET", f"{url}/webex/")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert (page.headers["x-frame-options"], page.headers["cache-control"]) == ("DENY", "no-store")
        assert "Post in your own name" in page.text
        style = grace.see("GET", url + page.text.split('<link rel="stylesheet" href="')[1].partition('"')[0])
        assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
        begun = grace.see("GET", f"{url}/webex/connect")
        assert begun.status_code == 303
        assert "HttpOnly" in begun.headers["set-cookie"]
        assert "SameSite=Lax" in begun.headers["set-cookie"]
        assert grace.see("HEAD", f"{url}/webex/oauth?code=c&state=s").status_code == 405
        assert grace.see("GET", f"{url}/webex/missing").status_code == 404
        assert grace.see("GET", f"{url}/webexes").status_code == 404
        assert grace.see("GET", f"{url}/webex").status_code in (200, 307, 308)


@each_host
def test_a_form_that_is_too_long_is_not_read_to_its_end(world: World, serve: Serve) -> None:
    url = serve()
    with visitor(world, url) as grace:
        sent = grace._http.post(f"{url}/webex/disconnect", data={"a": "b" * 100_000}, headers={"origin": url})
        assert sent.status_code == 413


@pytest.mark.parametrize("host", HOSTS[1:2], ids=["Django"])
def test_in_django_who_is_not_signed_in_is_sent_to_sign_in_before_they_grant(world: World, serve: Serve) -> None:
    url = serve()
    sent = httpx2.get(f"{url}/webex/connect?return_to=/spaces", trust_env=False)
    assert (sent.status_code, sent.headers["location"]) == (
        302,
        "/sign-in?next=%2Fwebex%2Fconnect%3Freturn_to%3D%2Fspaces",
    )


def test_without_users_of_its_own_the_host_knows_a_person_by_the_pages_cookie(world: World) -> None:
    app = flask.Flask("host")
    webex = in_flask.mount(app, world.integration(redirect_uri="http://localhost/webex/oauth"), ABOUT)
    app.add_url_rule("/me", view_func=lambda: webex.client().get("people/me").json()["displayName"], endpoint="me")
    browser = app.test_client()
    begun = browser.get("/webex/connect?return_to=/me").headers["location"]
    browser.get(world.platform.accept(begun))
    assert browser.get("/me").text == "Ada"
    assert app.test_client().get("/me").headers["location"] == "http://localhost/webex/?return_to=%2Fme"


def test_an_application_below_a_path_that_the_server_takes_away_has_its_pages_there(world: World) -> None:
    app = flask.Flask("host")
    integration = world.integration(redirect_uri="http://localhost/suite/webex/oauth")
    in_flask.mount(app, integration, ABOUT, at="/webex")
    client = app.test_client()
    page = client.get("/webex/", environ_overrides={"SCRIPT_NAME": "/suite"})
    assert (page.status_code, 'href="/suite/webex/connect"' in page.text) == (200, True)


def test_a_redirect_uri_at_the_root_would_take_the_hosts_own_addresses(world: World) -> None:
    with pytest.raises(ValueError, match="Register one in a folder"):
        in_flask.mount(flask.Flask("host"), world.integration(redirect_uri="http://localhost:8000/oauth"), ABOUT)


def test_pages_at_once_run_in_the_thread_of_the_request_without_any_event_loop(world: World) -> None:
    seen: list[Any] = []

    def owner_of() -> str | None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        seen.append((threading.get_ident(), flask.request.path, set(threading.enumerate()) - before))
        return None

    app = flask.Flask("host")
    integration = world.integration(redirect_uri="http://localhost/webex/oauth")
    in_flask.mount(app, integration, About("Host", does="Something"), owner_of=owner_of)
    before = set(threading.enumerate())
    assert app.test_client().get("/webex/").status_code == 200
    assert seen == [(threading.get_ident(), "/webex/", set())]


def test_what_waits_for_an_event_loop_is_told_so() -> None:
    with pytest.raises(RuntimeError, match="waits for an event loop"):
        at_once(asyncio.sleep(0))
