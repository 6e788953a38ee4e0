"""The grant flow in a real browser: twenty tabs at once, answers in another order, and an answer in another browser."""

import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.whole.running import Up, up


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("tabs") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser, patient on a busy machine."""
    context = browser.new_context()
    context.set_default_timeout(60_000)
    yield context
    context.close()


def begin(page: Page, platform: Up, person: dict[str, str]) -> None:
    """To the consent page, by way of the sign-in page where nobody is signed in."""
    page.goto(f"{platform.integration_url}/connect")
    if page.get_by_label("Email").is_visible():
        page.get_by_label("Email").fill(person["email"])
        page.get_by_label("Password", exact=True).fill(person["password"])
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Accept")).to_be_visible()


def grants(platform: Up) -> list[tuple[str, int]]:
    """Person and generation, as the integration's vault has them."""
    with closing(sqlite3.connect(platform.folder / "integration.db")) as vault:
        return vault.execute("SELECT email, generation FROM grants ORDER BY email").fetchall()


def codes(platform: Up) -> tuple[int, int]:
    """How many were issued, and how many exchanged."""
    return platform.sql("SELECT count(*), count(spent_at) FROM codes")[0]


def test_w10_twenty_tabs_of_one_browser_all_end_granted_in_whatever_order_they_are_answered(
    visit: BrowserContext, platform: Up
) -> None:
    before = codes(platform)
    tabs = [visit.new_page() for _ in range(20)]
    for tab in tabs:
        begin(tab, platform, platform.ada)
    for tab in random.Random(20).sample(tabs, k=20):
        tab.get_by_role("button", name="Accept").click(no_wait_after=True)
    for tab in tabs:
        expect(tab).to_have_url(re.compile(r"/granted$"), timeout=60_000)
        expect(tab.locator("main")).to_contain_text(platform.ada["name"])
    assert codes(platform) == (before[0] + 20, before[1] + 20)
    assert (platform.ada["email"], 20) in grants(platform)


def test_w10_s95_an_answer_that_is_opened_in_another_browser_grants_nothing_and_still_serves_its_own(
    visit: BrowserContext, browser: Browser, platform: Up
) -> None:
    """Somebody sends a link with their own answer, so that another person's account is bound to theirs (login CSRF)."""
    page, told = visit.new_page(), "This answer does not belong to this browser"
    begin(page, platform, platform.grace)
    kept, (_, exchanged) = grants(platform), codes(platform)
    pending = [cookie for cookie in visit.cookies() if re.search(r"grantflow-[0-9a-f]{24}", cookie["name"])]
    visit.clear_cookies(name=re.compile(r"grantflow-[0-9a-f]{24}"))
    with page.expect_request(re.compile(r"/oauth\?")) as asked:
        page.get_by_role("button", name="Accept").click()
    answer = asked.value.url
    expect(page.get_by_role("heading", level=1)).to_have_text(told)

    other = browser.new_context()
    stranger = other.new_page()
    stranger.goto(answer)
    expect(stranger.get_by_role("heading", level=1)).to_have_text(told)
    other.close()
    assert (grants(platform), codes(platform)[1]) == (kept, exchanged)

    assert len(pending) == 1
    visit.add_cookies(
        [{"url": platform.integration_url, "name": each["name"], "value": each["value"]} for each in pending]
    )
    page.goto(answer)
    expect(page.locator("main")).to_contain_text(platform.grace["name"])
    assert codes(platform)[1] == exchanged + 1
