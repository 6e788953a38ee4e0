"""What only a browser shows: the way back after a sign-out or an answer, two tabs, pages in a stranger's frame."""

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.whole.running import Up, up

SCOPES = "spark:people_read spark:rooms_read"


@contextmanager
def stranger(body: str) -> Iterator[str]:
    """A site of somebody else, on this machine."""

    class Frames(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Frames)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def redirect_uri() -> Iterator[str]:
    """Where the answers go: a page of the integration's, on a server of its own."""
    with stranger("<h1>Arrived</h1>") as url:
        yield f"{url}oauth"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("back") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """With Chromium's own cache of whole pages for the way back, which Playwright switches off by itself."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox"],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser."""
    context = browser.new_context()
    yield context
    context.close()


def sign_in(page: Page, person: dict[str, str]) -> None:
    page.get_by_label("Email").fill(person["email"])
    page.get_by_label("Password", exact=True).fill(person["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Password", exact=True)).to_be_hidden()


@dataclass(frozen=True)
class App:
    """An integration, as far as a browser sees one."""

    client_id: str
    redirect_uri: str
    authorize: str

    def asks(self, state: str) -> str:
        fields = {"client_id": self.client_id, "response_type": "code", "redirect_uri": self.redirect_uri}
        return f"{self.authorize}?{urlencode(fields | {'scope': SCOPES, 'state': state})}"

    def answer_to(self, state: str) -> re.Pattern[str]:
        return re.compile(rf"{re.escape(self.redirect_uri)}\?code=[^&]+&state={state}&")


@pytest.fixture(scope="module")
def apps(platform: Up, redirect_uri: str) -> list[App]:
    ids = [platform.register(f"Tabs {n}", redirect_uri, scopes=SCOPES)["client_id"] for n in range(3)]
    return [App(client_id, redirect_uri, f"{platform.api_url}/authorize") for client_id in ids]


def test_after_signing_out_the_back_button_shows_nothing_of_the_person(visit: BrowserContext, platform: Up) -> None:
    page = visit.new_page()
    pages = ("/connected-apps", "/my-apps", "/my-apps/new/integration")
    page.goto(f"{platform.platform_url}/connected-apps")
    sign_in(page, platform.ada)
    for path in pages:
        page.goto(f"{platform.platform_url}{path}")
        expect(page.locator("header")).to_contain_text(platform.ada["name"])
    page.locator("summary").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("main")).to_contain_text("You are signed out")
    for _ in pages:
        page.go_back(wait_until="commit")  # a page that was kept whole is never loaded
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert platform.ada["name"] not in page.content()
        assert platform.ada["email"] not in page.content()


def test_w25_the_way_back_after_an_answer_says_that_it_was_given_and_grants_nothing_more(
    visit: BrowserContext, platform: Up, apps: list[App]
) -> None:
    page = visit.new_page()
    page.goto(apps[0].asks("first"))
    sign_in(page, platform.grace)
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("heading", name="Arrived")).to_be_visible()
    codes = platform.sql("SELECT count(*) FROM codes")
    page.go_back(wait_until="commit")
    expect(page.get_by_role("button", name="Accept").or_(page.get_by_text("answered")).first).to_be_visible()
    if page.get_by_role("button", name="Accept").is_visible():  # Chromium may keep the page as it was, whole
        page.get_by_role("button", name="Accept").click()
    expect(page.locator("main")).to_contain_text("answered")
    assert page.get_by_role("button", name="Accept").count() == 0, "nothing is left to press again"
    assert platform.sql("SELECT count(*) FROM codes") == codes


def test_two_consents_in_two_tabs_each_get_their_own_answer(
    visit: BrowserContext, platform: Up, apps: list[App]
) -> None:
    one, other = visit.new_page(), visit.new_page()
    one.goto(apps[1].asks("one"))
    sign_in(one, platform.grace)
    expect(one.get_by_role("button", name="Accept")).to_be_visible()
    other.goto(apps[2].asks("other"))
    other.get_by_role("button", name="Accept").click()
    expect(other).to_have_url(apps[2].answer_to("other"))
    one.get_by_role("button", name="Accept").click()
    expect(one).to_have_url(apps[1].answer_to("one"))


def test_s22_who_signs_in_as_another_in_the_other_tab_grants_nothing_by_the_first_tabs_form(
    visit: BrowserContext, platform: Up, apps: list[App]
) -> None:
    alan = platform.people[2]
    katherine = platform.people[3]
    one, other = visit.new_page(), visit.new_page()
    one.goto(apps[0].asks("mine"))
    sign_in(one, alan)
    expect(one.get_by_role("button", name="Accept")).to_be_visible()
    other.goto(f"{platform.platform_url}/signin?switch=yes")
    sign_in(other, katherine)
    expect(other.locator("header")).to_contain_text(katherine["name"])
    grants = platform.sql("SELECT count(*) FROM grants")
    one.get_by_role("button", name="Accept").click()
    expect(one.get_by_role("heading", name="This form has expired")).to_be_visible()
    assert platform.sql("SELECT count(*) FROM grants") == grants
    one.get_by_role("link", name="Open the form again").click()
    expect(one.locator("main")).to_contain_text(katherine["name"])
    one.get_by_role("button", name="Decline").click()
    expect(one.get_by_role("heading", name="Arrived")).to_be_visible()
    assert "error=access_denied" in one.url
    assert platform.sql("SELECT count(*) FROM grants") == grants


def test_s20_s22_a_strangers_site_can_neither_frame_a_page_nor_send_its_forms(
    visit: BrowserContext, platform: Up, apps: list[App]
) -> None:
    page = visit.new_page()
    page.goto(apps[2].asks("framed"))
    sign_in(page, platform.ada)
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    token = page.locator("main [name=form_token]").first.get_attribute("value")
    assert token
    addresses = [
        page.url,
        f"{platform.platform_url}/signin",
        f"{platform.platform_url}/my-apps",
        platform.integration_url,
    ]
    addresses += [
        f"{platform.platform_url}/nowhere",
        f"{platform.api_url}/authorize",
        f"{platform.integration_url}nowhere",
    ]
    form = (
        f'<form method="post" action="{page.url}"><input name="form_token" value="{token}">'
        '<button name="decision" value="accept">Win</button></form>'
    )
    frames = "".join(f'<iframe src="{address}"></iframe>' for address in addresses)
    grants = platform.sql("SELECT count(*) FROM grants")
    with stranger(frames + form) as url:
        page.goto(url)
        page.wait_for_load_state("networkidle")
        assert len(page.frames) == len(addresses) + 1
        for frame in page.frames[1:]:
            assert not frame.url.startswith("http"), "the browser shows its own refusal in its place"
        page.get_by_role("button", name="Win").click()
        expect(page.locator("main")).to_contain_text("Nothing was changed")
    assert platform.sql("SELECT count(*) FROM grants") == grants


def test_w18_after_a_form_met_no_session_the_way_back_shows_what_was_typed(visit: BrowserContext, platform: Up) -> None:
    page = visit.new_page()
    page.goto(f"{platform.platform_url}/my-apps/new/integration")
    sign_in(page, platform.ada)
    page.get_by_label("Integration name").fill("Typed With Care")
    page.get_by_label("Redirect URIs").fill("https://typed.example/oauth")
    page.get_by_label("Landing page").fill("https://typed.example/")
    visit.clear_cookies()
    page.get_by_role("button", name="Create Integration").click()
    expect(page.locator("main")).to_contain_text("your browser still has what you typed")
    other = visit.new_page()
    other.goto(f"{platform.platform_url}/my-apps")
    sign_in(other, platform.ada)
    expect(other.get_by_role("heading", name="My Webex Apps")).to_be_visible()
    page.go_back(wait_until="commit")
    expect(page.get_by_label("Redirect URIs")).to_have_value("https://typed.example/oauth")
    expect(page.get_by_label("Integration name")).to_have_value("Typed With Care")
    expect(page.get_by_label("Landing page")).to_have_value("https://typed.example/")
