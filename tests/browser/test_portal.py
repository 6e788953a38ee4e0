"""The developer portal in a real browser: register, store the secret, get a first grant, look after it, delete it.

The pictures go to test-artifacts/portal: desktop and phone, light and dark.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect, sync_playwright

from tests.browser.test_story import VARIANTS, ColorScheme, Visit, visiting
from tests.developer_portal.given import png
from tests.parts import ROOT
from tests.whole.running import Up, up

PICTURES = ROOT / "test-artifacts" / "portal"
#: Nobody listens there: the browser is handed a page when it comes with the code.
REDIRECT_URI = "http://127.0.0.1:8471/oauth?from=portal,browser"
_REFUSED = "Failed to load resource: the server responded with a status of 400 (Bad Request)"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("portal") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(("variant", "width", "scheme"), VARIANTS)
def test_w17_to_w21_from_the_avatars_menu_to_a_first_grant_and_the_end_of_it(
    browser: Browser, platform: Up, tmp_path: Path, variant: str, width: int, scheme: ColorScheme
) -> None:
    ada, name = platform.people[VARIANTS.index((variant, width, scheme))], f"Standup {variant}"
    with visiting(browser, variant, width, scheme, folder=PICTURES) as visit:
        page = visit.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=platform.platform_url)

        # W17: sign in, the avatar's menu, My Webex Apps, the plus, Create an Integration.
        page.goto(f"{platform.platform_url}/connected-apps")
        sign_in(page, ada)
        page.locator("details.menu summary").click()
        page.get_by_role("link", name="My Webex Apps").click()
        visit.look("my-apps")
        page.get_by_role("link", name="Create a New App").click()
        visit.look("create-a-new-app")
        page.get_by_role("link", name="Create an Integration").click()
        visit.look("new-integration")

        # W18: what is wrong is told; what was typed and the chosen icon stay.
        page.get_by_label("Integration name").fill(name)
        page.get_by_label("Upload an icon instead").set_input_files(
            {"name": "icon.png", "mimeType": "image/png", "buffer": png()}
        )
        page.get_by_label("Description").fill("Asks everybody the three questions of the day.")
        page.get_by_label("Landing page").fill(platform.integration_url)
        page.get_by_label("Redirect URIs").fill("localhost:8056/oauth")
        expect(page.get_by_text("localhost:8056/oauth: needs http:// before it")).to_be_visible()
        page.get_by_label("Redirect URIs").fill(f"{REDIRECT_URI}, http://standup.example/oauth#here")
        expect(page.get_by_text("http://standup.example/oauth#here: no fragment")).to_be_visible()
        page.get_by_label("Search the scopes").fill("rooms_read")
        expect(page.get_by_text("Read the messages in your spaces")).to_be_hidden()
        page.get_by_label("See the titles of the spaces").check()
        visit.click("Create Integration")
        expect(page.get_by_role("alert")).to_be_focused()
        visit.look("what-is-wrong")
        visit.found.remove(_REFUSED)
        page.get_by_role("link", name="http://standup.example/oauth#here").click()
        expect(page.get_by_label("Redirect URIs")).to_be_focused()
        page.get_by_label("Redirect URIs").fill(REDIRECT_URI)
        expect(page.get_by_label("See the titles of the spaces")).to_be_checked()
        expect(page.get_by_label("Your picture")).to_be_checked()
        visit.click("Create Integration")

        # W19, W20: client ID, secret and authorization URL, to be copied; nobody leaves without the secret.
        expect(page.get_by_role("heading", name="Your integration's credentials")).to_be_visible()
        visit.look("created")
        client_id, secret = code(page, "Client ID"), code(page, "Client secret")
        page.get_by_role("button", name="Copy Client secret").click()
        expect(page.locator("[data-live]")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == secret
        with page.expect_download() as download:
            page.get_by_role("link", name="Download .env").click()
        download.value.save_as(tmp_path / "env")
        assert f"GRANTFLOW_CLIENT_SECRET={secret}" in (tmp_path / "env").read_text()
        url = code(page, "OAuth Authorization URL")
        assert leave(page) == ["beforeunload"]
        page.get_by_label("I have stored the secret").check()
        visit.click("Go to the integration", role="link")
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        assert secret not in page.content()
        visit.look("details")

        # The URL of the portal leads to a grant.
        code_received = granted(page, visit, url, answer_at="/oauth")
        tokens = exchange(platform, client_id, secret, grant_type="authorization_code", code=code_received)

        # W21: the App Hub leads to the landing page.
        page.goto(f"{platform.platform_url}/app-hub?q=standup")
        visit.look("app-hub")
        page.get_by_role("link", name=name).click()
        visit.look("app-hub-page")
        visit.click("Visit Site To Connect", role="link")
        expect(page).to_have_url(f"{platform.integration_url.rstrip('/')}/")

        # Who granted it access; their access tokens expire, and the integration refreshes.
        app = f"{platform.platform_url}/my-apps/{client_id}"
        page.goto(app)
        page.get_by_role("link", name="See who").click()
        visit.look("people")
        page.get_by_role("button", name="Expire now").click()
        expect(page.get_by_text("Refreshes at its next use")).to_be_visible()
        assert person_of(platform, tokens) is None
        renewed = exchange(
            platform, client_id, secret, grant_type="refresh_token", refresh_token=tokens["refresh_token"]
        )
        assert person_of(platform, renewed) == 200
        page.get_by_role("link", name="Revoke").click()
        visit.look("revoke")
        visit.click("Revoke")
        expect(page.get_by_text("Nobody yet")).to_be_visible()
        assert person_of(platform, renewed) is None

        # A lost secret, an edit, and the end.
        page.goto(f"{app}/secret")
        visit.look("regenerate")
        visit.click("Regenerate")
        assert code(page, "Client secret") != secret
        visit.look("new-secret")
        page.get_by_label("I have stored the secret").check()
        page.goto(f"{app}/registration")
        visit.look("edit")
        page.get_by_label("Description").fill("Other words.")
        visit.click("Save")
        expect(page.get_by_text("Your changes are saved.")).to_be_visible()
        page.goto(f"{platform.platform_url}/scopes")
        visit.look("scopes")
        page.goto(f"{app}/deletion")
        visit.look("delete")
        page.get_by_label("Type its name to go on").fill(name)
        visit.click("Delete")
        expect(page.get_by_text("It was deleted")).to_be_visible()

        assert visit.elsewhere == [], "no request leaves this machine"
        assert visit.found == []


def test_w17_w18_w19_the_keyboard_alone_suffices(browser: Browser, platform: Up) -> None:
    with visiting(browser, "keyboard", 1280, "light", folder=PICTURES) as visit:
        page = visit.page
        page.goto(platform.portal_url)
        expect(page.get_by_label("Email")).to_be_focused()
        page.keyboard.type(platform.grace["email"])
        page.keyboard.press("Tab")
        expect(page.get_by_label("Password", exact=True)).to_be_focused()
        page.keyboard.type(platform.grace["password"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="My Webex Apps")).to_be_visible(timeout=30_000)
        go_to(page, "Create a New App")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Create a New App")).to_be_visible()
        go_to(page, "Create an Integration")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Integration name")).to_be_focused()
        page.keyboard.type("By keyboard")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_label("Speech bubble")).to_be_checked()
        go_to(page, "redirect_uris")
        page.keyboard.type("https://keyboard.example/oauth")
        go_to(page, "scope.spark:rooms_read")
        page.keyboard.press("Space")
        go_to(page, "Create Integration")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Your integration's credentials")).to_be_visible()
        go_to(page, "stored")
        page.keyboard.press("Space")
        go_to(page, "Go to the integration")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="By keyboard")).to_be_visible()
        assert visit.found == []


def test_w18_without_javascript_an_integration_is_registered_all_the_same(browser: Browser, platform: Up) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(platform.portal_url)
    sign_in(page, platform.grace)
    page.goto(f"{platform.portal_url}/new/integration")
    expect(page.get_by_label("Search the scopes")).to_be_hidden()
    page.get_by_label("Integration name").fill("Without JavaScript")
    page.get_by_label("Redirect URIs").fill("https://plain.example/oauth")
    page.get_by_label("See the titles of the spaces").check()
    page.get_by_role("button", name="Create Integration").click()
    assert len(code(page, "Client secret")) == 64
    expect(page.get_by_role("link", name="Download .env")).to_be_visible()
    context.close()


def sign_in(page: Page, person: dict[str, str]) -> None:
    page.get_by_label("Email").fill(person["email"])
    page.get_by_label("Password", exact=True).fill(person["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Password", exact=True)).to_be_hidden()


def code(page: Page, label: str) -> str:
    block = page.locator("figure.code").filter(has=page.locator("figcaption", has_text=label)).first
    return block.locator("code").inner_text().strip()


def leave(page: Page) -> list[str]:
    """Try to leave, and stay: the dialogs that asked."""
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    with page.expect_event("dialog"):
        page.get_by_role("link", name="Go to the integration").click()
    return asked


def granted(page: Page, visit: Visit, url: str, *, answer_at: str) -> str:
    """Open the URL with a state of one's own, accept, and answer the code that the redirect URI is sent."""
    arrived: list[str] = []

    def answer(route: Route) -> None:
        arrived.append(route.request.url)
        route.fulfill(body="<!doctype html><title>Here</title>", content_type="text/html")

    page.context.route("http://127.0.0.1:8471/**", answer)
    page.goto(url.replace("set_state_here", "state-of-my-own"))
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    visit.look("consent")
    page.get_by_role("button", name="Accept").click()
    page.wait_for_url(f"**{answer_at}?**")
    query = parse_qs(urlsplit(arrived[0]).query)
    assert (query["state"], query["from"]) == (["state-of-my-own"], ["portal,browser"])
    return query["code"][0]


def exchange(platform: Up, client_id: str, secret: str, **fields: str) -> dict[str, Any]:
    form = {"client_id": client_id, "client_secret": secret, "redirect_uri": REDIRECT_URI, **fields}
    answer = httpx2.post(f"{platform.api_url}/access_token", data=form, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def person_of(platform: Up, tokens: dict[str, Any]) -> int | None:
    """The API's status with this access token; None where it knows the token no more."""
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    status = httpx2.get(f"{platform.api_url}/rooms", headers=headers, trust_env=False, timeout=30).status_code
    return None if status == 401 else status


def go_to(page: Page, wanted: str) -> None:
    """Press Tab until the focus is on what has this name, or says this."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate("[document.activeElement.name, document.activeElement.textContent.trim()]")
        if wanted in focused:
            return
    raise AssertionError(f"no Tab leads to {wanted}")
