"""Roles at addresses of their own: whom each trusts, whose cookies it reads, what it answers and what it leaves."""

import asyncio
from os import urandom
from pathlib import Path

import httpx2
import pytest

from grantflow.app import Storage, platform
from grantflow.authorization_server import Settings
from grantflow.roles import Addresses, Role
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.headers import page_headers
from grantflow.web.pages import Pages
from grantflow.web.site import Site

pytestmark = pytest.mark.slow

APART = Addresses(*(f"http://127.0.0.1:{port}" for port in (9001, 9002, 9003, 9004)))
URLS = {
    Role.AUTHORIZATION_SERVER: APART.authorization_server,
    Role.RESOURCE_OWNER: APART.resource_owner,
    Role.RESOURCE_SERVER: APART.resource_server,
    Role.DEVELOPER_PORTAL: APART.developer_portal or "",
}


def alone(role: Role, folder: Path, path: str) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        app = platform(
            Storage.open(folder / "platform.db"),
            Settings(issuer=f"{APART.authorization_server}/v1"),
            site=Site("Grantflow", URLS[role]),
            form_key=urandom(32),
            roles=[role],
            addresses=APART,
        )
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=URLS[role]) as browser,
        ):
            return await browser.get(path, headers={"accept": "text/html"})

    return asyncio.run(ask())


OWN = {
    Role.AUTHORIZATION_SERVER: ("/v1/authorize", "/.well-known/oauth-authorization-server/v1"),
    Role.RESOURCE_OWNER: ("/signin", "/connected-apps"),
    Role.RESOURCE_SERVER: ("/v1/people/me", "/v1/rooms"),
    Role.DEVELOPER_PORTAL: ("/my-apps", "/app-hub", "/scopes"),
}


@pytest.mark.parametrize("role", Role)
def test_w03_each_role_alone_answers_at_its_own_addresses_and_leaves_those_of_the_others(
    role: Role, tmp_path: Path
) -> None:
    for owner, paths in OWN.items():
        for path in paths:
            assert (alone(role, tmp_path, path).status_code != 404) == (owner is role), path


@pytest.mark.parametrize("role", Role)
def test_w03_each_role_alone_tells_whether_it_is_well(role: Role, tmp_path: Path) -> None:
    assert alone(role, tmp_path, "/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("role", [Role.AUTHORIZATION_SERVER, Role.RESOURCE_SERVER, Role.DEVELOPER_PORTAL])
def test_w03_a_process_without_a_front_page_leads_to_the_one_there_is(role: Role, tmp_path: Path) -> None:
    assert alone(role, tmp_path, "/").headers["location"] == "http://127.0.0.1:9002/"


def test_w03_the_roles_that_show_pages_share_one_session() -> None:
    sites = [APART.share(Site("Grantflow", url)) for url in URLS.values()]
    assert {Cookies(site).name(SESSION) for site in sites} == {"grantflow_platform_9002_session"}


@pytest.mark.parametrize("elsewhere", ["http://localhost:9002", "https://127.0.0.1:9002", "http://127.0.0.2:9002"])
def test_w03_roles_whose_session_could_not_be_shared_are_refused(elsewhere: str) -> None:
    with pytest.raises(ValueError, match="one host name and several ports"):
        Addresses(APART.authorization_server, elsewhere, APART.resource_server, APART.developer_portal)


def test_w03_the_api_may_be_anywhere() -> None:
    Addresses("https://id.example", "https://id.example", "https://api.example.org", "https://id.example:8443")


def test_w03_forms_may_lead_to_the_other_roles_that_show_pages_and_to_nobody_else() -> None:
    site = APART.share(Site("Grantflow", APART.resource_owner))
    policy = page_headers(site)["Content-Security-Policy"]
    assert "form-action 'self' http://127.0.0.1:9001 http://127.0.0.1:9004;" in policy


def test_w03_a_platform_at_one_address_lets_forms_lead_to_itself_alone() -> None:
    site = Addresses.at("http://127.0.0.1:9000").share(Site("Grantflow", "http://127.0.0.1:9000"))
    assert "form-action 'self';" in page_headers(site)["Content-Security-Policy"]


def test_w03_browsers_say_where_a_form_came_from_also_to_the_other_roles() -> None:
    """Under same-origin, Chromium sends `Origin: null` to another port (Fetch, section 3.2.5)."""
    apart = APART.share(Site("Grantflow", APART.resource_owner))
    assert page_headers(apart)["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert page_headers(apart, referrer="no-referrer")["Referrer-Policy"] == "no-referrer"
    assert page_headers(Site("Grantflow", APART.resource_owner))["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("target", ["http://127.0.0.1:9001/v1/authorize", "http://127.0.0.1:9004/apps", "/signin"])
def test_w03_pages_redirect_to_the_other_roles(target: str) -> None:
    pages = Pages(APART.share(Site("Grantflow", APART.resource_owner)))
    assert pages.redirect(target).headers["location"] == target


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:9001", "http://127.0.0.1:9001.evil.example/", "http://127.0.0.1:90011/", "//evil/"]
)
def test_s99_pages_redirect_to_nobody_else(target: str) -> None:
    pages = Pages(APART.share(Site("Grantflow", APART.resource_owner)))
    with pytest.raises(ValueError, match="siblings only"):
        pages.redirect(target)


def test_w03_w17_the_portal_alone_sends_people_to_the_sign_in_elsewhere_and_they_come_back(tmp_path: Path) -> None:
    asked = alone(Role.DEVELOPER_PORTAL, tmp_path, "/my-apps/new/integration").headers["location"]
    back = "http%3A%2F%2F127.0.0.1%3A9004%2Fmy-apps%2Fnew%2Fintegration"
    assert asked == f"http://127.0.0.1:9002/signin?next={back}"
    page = alone(Role.RESOURCE_OWNER, tmp_path, asked.removeprefix("http://127.0.0.1:9002"))
    assert f'action="/signin?next={back}"' in page.text
