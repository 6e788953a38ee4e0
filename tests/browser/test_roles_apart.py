"""The walkthrough in a real browser, led from process to process: cookies, forms and redirects as they are."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.whole.apart import ADA, SCOPES, Apart, apart


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    with apart(tmp_path_factory.mktemp("apart") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[tuple[BrowserContext, list[str]]]:
    """A fresh browser, and what it complained of: a form that was blocked stands there."""
    context, found = browser.new_context(), list[str]()
    context.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    yield context, found
    context.close()


def sign_in(page: Page) -> None:
    page.get_by_label("Email").fill(ADA["email"])
    page.get_by_label("Password", exact=True).fill(ADA["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Password", exact=True)).to_be_hidden()


def revoke(page: Page, house: Apart) -> None:
    page.goto(f"{house.urls['resource-owner']}/connected-apps")
    page.get_by_role("link", name="Revoke", exact=True).click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator("main")).to_contain_text("Apart can no longer act for you")


def test_w03_a_browser_is_led_from_process_to_process_and_back_again(
    house: Apart, visit: tuple[BrowserContext, list[str]]
) -> None:
    context, found = visit
    page = context.new_page()
    page.goto(house.urls["integration"])
    page.get_by_role("link", name="Grant", exact=True).first.click()
    sign_in(page)
    page.get_by_role("button", name="Accept").click()
    expect(page).to_have_url(f"{house.urls['integration']}/granted")
    expect(page.locator("main")).to_contain_text("Ada Lovelace")

    revoke(page, house)
    page.goto(f"{house.urls['integration']}/connect")
    page.get_by_role("button", name="Accept").click()
    expect(page).to_have_url(f"{house.urls['integration']}/granted")
    expect(page.locator("main")).to_contain_text("Ada Lovelace")

    page.goto(f"{house.urls['developer-portal']}/my-apps")  # its sign-out leads to another port
    page.locator("summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("main")).to_contain_text("You are signed out")
    page.goto(f"{house.urls['developer-portal']}/my-apps")
    sign_in(page)
    expect(page).to_have_url(f"{house.urls['developer-portal']}/my-apps")

    page.goto(house.urls["authorization-server"])  # leads to the person's own pages
    expect(page).to_have_url(f"{house.urls['resource-owner']}/connected-apps")
    page.locator("summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("main")).to_contain_text("You are signed out")
    page.goto(f"{house.urls['integration']}/connect")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert found == []


def test_w03_w11_a_form_may_lead_on_to_the_other_roles_where_its_end_is_an_app_on_the_device(
    house: Apart, visit: tuple[BrowserContext, list[str]]
) -> None:
    """Here form-action names no http address but the roles' own, and Chromium holds every redirect against it."""
    context, found = visit
    app = house.register("Native", "com.example.demo:/oauth")
    asked = {
        "client_id": app["client_id"],
        "response_type": "code",
        "redirect_uri": "com.example.demo:/oauth",
        "scope": SCOPES,
    }
    page = context.new_page()
    page.goto(f"{house.issuer}/authorize?{urlencode(asked)}")
    sign_in(page)
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    assert page.url.startswith(f"{house.urls['resource-owner']}/consent?request=")
    assert found == []
