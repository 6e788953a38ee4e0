"""The pages inside a host application: below a prefix, behind a public address, for the host's own users."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from grantflow import ReauthorizationRequired
from grantflow.client.pages import integration_pages
from grantflow.client.pages.viewer import AskHost
from tests.client.conftest import World
from tests.client.pages.conftest import ABOUT, Browser, Sample, hosting, listening, served

pytestmark = pytest.mark.slow


def signed_in(request: Request) -> str | None:
    """The host application's own user, by its own cookie."""
    return request.cookies.get("host_user")


async def signed_in_later(request: Request) -> str | None:
    return signed_in(request)


@contextmanager
def host(world: World, *, prefix: str = "/webex", **options: Any) -> Iterator[Sample]:
    async def notes(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"Notes of {signed_in(request)}")

    with listening() as (listener, url):
        home = url + prefix
        integration = world.async_integration(redirect_uri=f"{home}/oauth")
        pages = integration_pages(integration, ABOUT, **options)
        with served(hosting(integration, Route("/notes", notes), Mount(prefix, pages)), listener):
            yield Sample(world, home, integration)


def user(browser: Browser, name: str) -> Browser:
    browser._http.cookies.set("host_user", name, domain="localhost.local")
    return browser


def test_below_a_prefix_every_address_keeps_to_it(world: World) -> None:
    with host(world) as sample, sample.browser() as visitor:
        pages = [visitor.open(f"{sample.url}/"), sample.grant(visitor), visitor.open(f"{sample.url}/")]
        pages += [visitor.open(f"{sample.url}/oauth?code=c&state=s"), visitor.open(f"{sample.url}/declined")]
        for page in pages:
            assert page.url.startswith(f"{sample.url}/")
            addresses = re.findall(r"(?:href|src|action)=\"([^\"]*)", page.text)
            assert len(addresses) > 4
            assert all(address.startswith(("/webex/", "#")) for address in addresses), addresses
            for address in addresses:
                assert visitor.see("GET", urljoin(page.url, address)).status_code != 404
        assert "Connected as Ada" in pages[2].words


def test_w34_a_person_who_must_grant_again_is_sent_to_the_pages_wherever_they_are_mounted(world: World) -> None:
    with host(world) as sample, sample.browser() as visitor:
        sample.grant(visitor)
        world.platform.end_grants()
        with pytest.raises(ReauthorizationRequired) as caught:
            sample.elsewhere().client_for("id-ada").get("people/me")
        assert caught.value.grant_url.startswith(f"{sample.url}/connect?grant=")
        again = visitor.open(caught.value.grant_url).url
        assert "You are connected, Ada" in visitor.open(world.platform.accept(again)).words


def test_the_person_comes_back_to_the_page_of_the_host_that_sent_them(world: World) -> None:
    with host(world) as sample, sample.browser() as visitor:
        page = sample.grant(visitor, start="/connect?return_to=/notes")
        assert page.url.startswith(f"{sample.url}/granted")
        assert visitor.press("Go on where you were").text == "Notes of None"


@pytest.mark.parametrize("owner_of", [signed_in, signed_in_later])
def test_w02_grants_belong_to_the_hosts_own_users(world: World, owner_of: AskHost) -> None:
    with host(world, owner_of=owner_of) as sample, sample.browser() as one, sample.browser() as other:
        user(one, "alice")
        user(other, "bob")
        for visitor, person in ((one, "ada"), (other, "grace")):
            page = sample.grant(visitor, person=person)
            assert f"You are connected, {person.title()}" in page.words
        assert {(grant.owner, grant.person_id) for grant in sample.elsewhere().grants()} == {
            ("alice", "id-ada"),
            ("bob", "id-grace"),
        }
        assert "Connected as Ada" in one.open(f"{sample.url}/").words
        assert "Connected as Grace" in other.open(f"{sample.url}/").words
        assert "Connected as" not in user(one, "nobody").open(f"{sample.url}/").words
        assert not [name for name in one.cookies if name.endswith("_person")], "the host says who is looking"


def test_a_user_who_is_called_as_a_person_does_not_find_that_persons_grant(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with host(world, owner_of=signed_in) as sample, sample.browser() as visitor:
        world.grant(sample.elsewhere(), person="ada")
        page = user(visitor, "id-ada").open(f"{sample.url}/")
        assert "Connected as" not in page.words
        assert "names no user of the host application" in caplog.text
        assert "You are connected, Grace" in sample.grant(user(visitor, "id-ada"), person="grace").words


def test_a_host_that_knows_persons_says_who_is_looking(world: World) -> None:
    with host(world, person_of=signed_in) as sample, sample.browser() as visitor:
        assert "You are connected, Ada" in sample.grant(visitor).words
        assert "Connected as" not in visitor.open(f"{sample.url}/").words
        assert "Connected as Ada" in user(visitor, "id-ada").open(f"{sample.url}/").words


def test_w29_a_page_of_the_host_is_told_whose_browser_asks_and_comes_next_after_granting(world: World) -> None:
    with listening() as (listener, url):
        integration = world.async_integration(redirect_uri=f"{url}/webex/oauth", grant_url=f"{url}/webex/connect")
        pages = integration_pages(integration, ABOUT, home="/notes")

        async def notes(request: Request) -> PlainTextResponse:
            grant = await pages.grant(request)
            return PlainTextResponse(f"Notes of {grant.called if grant else 'nobody'}")

        with served(hosting(integration, Route("/notes", notes), Mount("/webex", pages)), listener):
            sample = Sample(world, f"{url}/webex", integration)
            with sample.browser() as adas, sample.browser() as graces, sample.browser() as strangers:
                for visitor, person in [(adas, "ada"), (graces, "grace")]:
                    sample.grant(visitor, person=person)
                    visitor.press("Continue")
                assert adas.page.url == f"{url}/notes"
                assert "Notes of Ada" in adas.page.text
                assert "Notes of Grace" in graces.page.text
                assert "Notes of nobody" in strangers.open(f"{url}/notes").text


def test_s99_the_page_that_comes_next_lies_on_the_hosts_own_site(world: World) -> None:
    integration = world.async_integration(redirect_uri="https://app.example/oauth")
    with pytest.raises(ValueError, match="home must be a path of this site"):
        integration_pages(integration, ABOUT, home="https://elsewhere.example/")
    integration._parts.vault.close()


def test_s90_behind_a_public_https_address_cookies_are_bound_to_this_host_and_secure(world: World) -> None:
    with listening() as (listener, url):
        integration = world.async_integration(redirect_uri="https://app.example/webex/oauth")
        app = hosting(integration, Mount("/webex", integration_pages(integration, ABOUT)))
        with served(app, listener), Browser() as visitor:
            http = visitor._http
            http.headers["host"] = "app.example"
            begun = http.get(f"{url}/webex/connect")
            asked = parse_qs(urlsplit(begun.headers["location"]).query)
            assert asked["redirect_uri"] == ["https://app.example/webex/oauth"]
            pending = begun.headers["set-cookie"]
            assert re.match(r"__Host-grantflow-\w+=", pending)
            assert pending.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
            assert begun.headers["strict-transport-security"]

            answer = world.platform.accept(begun.headers["location"])
            sent = {"cookie": pending.partition(";")[0]}
            done = http.get(f"{url}/webex/oauth?{urlsplit(answer).query}", headers=sent)
            assert done.headers["location"] == "/webex/granted"
            person, discarded = done.headers.get_list("set-cookie")
            assert re.match(r"__Host-\w+_person=.*; HttpOnly; Path=/; SameSite=lax; Secure$", person)
            assert re.match(r"__Host-grantflow-\w+=\"\"; .*Max-Age=0; Path=/; SameSite=lax; Secure$", discarded)
            person = person.partition(";")[0]
            assert "You are connected, Ada" in http.get(f"{url}/webex/granted", headers={"cookie": person}).text


def test_w14_the_redirect_uri_may_be_the_plain_root_of_a_development_server(world: World) -> None:
    with listening() as (listener, url):
        integration = world.async_integration(redirect_uri=url, grant_url=f"{url}/connect")
        with served(hosting(integration, Mount("/", integration_pages(integration, ABOUT))), listener):
            sample = Sample(world, url, integration)
            with sample.browser() as visitor:
                assert "Post in your own name" in visitor.open(url).words
                assert "You are connected, Ada" in sample.grant(visitor).words
                assert "Connected as Ada" in visitor.open(url).words
                state = parse_qs(urlsplit(visitor.open(f"{url}/connect").url).query)["state"][0]
                declined = visitor.open(f"{url}/?error=access_denied&state={state}")
                assert "You declined" in declined.words


@pytest.mark.parametrize(
    ("redirect_uri", "base_url"),
    [
        ("mydemoapp://oauth", None),
        ("https://app.example/oauth", "https://other.example/"),
        ("https://app.example/oauth", "https://app.example/webex"),
        ("https://app.example/webexoauth", "https://app.example/webex"),
        ("https://app.example:8443/oauth", "https://app.example"),
    ],
)
def test_a_redirect_uri_that_the_pages_cannot_serve_is_refused_at_the_start(
    world: World, redirect_uri: str, base_url: str | None
) -> None:
    integration = world.async_integration(redirect_uri=redirect_uri)
    with pytest.raises(ValueError, match="redirect URI"):
        integration_pages(integration, ABOUT, base_url=base_url)
    integration._parts.vault.close()


@pytest.mark.parametrize(
    ("grant_url", "warned"),
    [("https://app.example/connect", True), ("https://app.example/webex/connect", False), (None, False)],
)
def test_a_grant_url_that_leads_past_the_pages_is_told_to_the_operator(
    world: World, caplog: pytest.LogCaptureFixture, grant_url: str | None, warned: bool
) -> None:
    home = "https://app.example/webex"
    integration = world.async_integration(redirect_uri=f"{home}/oauth", grant_url=grant_url)
    caplog.set_level(logging.WARNING, "grantflow.pages")
    integration_pages(integration, ABOUT)
    assert ("grant_url" in caplog.text) is warned
    integration._parts.vault.close()


@pytest.mark.parametrize(("mounted_at", "warned"), [("/webex", 0), ("/elsewhere", 1)])
def test_pages_that_are_mounted_where_the_redirect_uri_does_not_lie_say_so_once(
    world: World, caplog: pytest.LogCaptureFixture, mounted_at: str, warned: int
) -> None:
    with listening() as (listener, url):
        integration = world.async_integration(redirect_uri=f"{url}/webex/oauth")
        app = hosting(integration, Mount(mounted_at, integration_pages(integration, ABOUT)))
        with served(app, listener), Browser() as visitor:
            for _ in range(2):
                visitor.see("GET", f"{url}{mounted_at}/")
    told = [record.getMessage() for record in caplog.records if "mounted at" in record.getMessage()]
    assert len(told) == warned
    assert all(f"mounted at {mounted_at}," in text and "mount them at /webex" in text for text in told)
