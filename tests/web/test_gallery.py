"""The look, in a real browser: no barrier, no overflow, no foreign request, and everything works without JavaScript.

Screenshots of all pages lie in test-artifacts/gallery/ afterwards, at desktop and phone width, light and dark.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from urllib.parse import urlsplit

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from grantflow.web.site import Role
from tests.parts import ROOT
from tests.web.gallery import INTEGRATION, MESSAGES, PLATFORM, gallery

SHOTS = ROOT / "test-artifacts" / "gallery"
#: Width, colours, and whether barriers are searched for: each width and each scheme once is enough for that.
VARIANTS = [(1280, "light", False), (1280, "dark", True), (390, "light", True), (390, "dark", False)]
PATHS: list[tuple[Role, str]] = [
    *(("platform", path) for path in (*PLATFORM, "/missing")),
    *(("integration", path) for path in (*INTEGRATION, *MESSAGES, "/refused")),
]


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium)
        yield launched
        launched.close()


@contextmanager
def serving(role: Role, decisions: list[str] | None = None) -> Iterator[str]:
    """One half of the gallery at a free port of loopback; the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:  # who comes before the server does waits for it
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(gallery(role, address, decisions), log_level="critical"))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def halves() -> Iterator[dict[Role, str]]:
    with serving("platform") as platform, serving("integration") as integration:
        yield {"platform": platform, "integration": integration}


@pytest.mark.parametrize(("width", "scheme", "search"), VARIANTS)
def test_every_page_is_free_of_barriers_overflow_and_foreign_requests(
    chrome: Browser, halves: dict[Role, str], width: int, scheme: str, search: bool
) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    context = chrome.new_context(
        viewport={"width": width, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    found: dict[str, list[str]] = {}
    for role, path in PATHS:
        page.goto(halves[role] + path)
        name = f"{role}{path.replace('/', '-')}-{width}-{scheme}"
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[name] = ["is wider than the window"]
        page.evaluate("document.querySelectorAll('details').forEach(menu => { menu.open = true })")
        if search and (results := Axe().run(page)).violations_count:
            found[name] = [f"{rule['id']}: {rule['nodes'][0]['html']}" for rule in results.response["violations"]]
    context.close()
    assert not found, found
    assert wrong == []
    assert {urlsplit(url).hostname for url in asked} == {"127.0.0.1"}


def test_at_400_percent_zoom_no_page_scrolls_sideways(chrome: Browser, halves: dict[Role, str]) -> None:
    page = chrome.new_page(viewport={"width": 320, "height": 256})
    wide = []
    for role, path in PATHS:
        page.goto(halves[role] + path)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(path)
    page.close()
    assert not wide


def test_without_javascript_nothing_is_shown_that_does_not_work(chrome: Browser, halves: dict[Role, str]) -> None:
    page = chrome.new_page(java_script_enabled=False)
    page.goto(halves["platform"] + "/app")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    expect(page.get_by_role("button", name="light and dark")).to_have_count(0)
    page.locator("summary").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(halves["platform"] + "/consent")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("heading", name="Connected apps")).to_be_visible()
    page.close()


def test_accept_and_decline_are_alike_in_size(chrome: Browser, halves: dict[Role, str]) -> None:
    for width in (1280, 390, 320):
        page = chrome.new_page(viewport={"width": width, "height": 800})
        page.goto(halves["platform"] + "/consent-long")
        boxes = [page.get_by_role("button", name=name).bounding_box() for name in ("Accept", "Decline")]
        accept, decline = (box for box in boxes if box)
        assert (accept["width"], accept["height"]) == (decline["width"], decline["height"])
        page.close()


def test_a_double_click_sends_a_form_once_and_the_back_button_opens_it_again(chrome: Browser) -> None:
    decisions: list[str] = []
    with serving("platform", decisions) as address:
        page = chrome.new_page()
        page.goto(address + "/consent")
        page.get_by_role("button", name="Accept").dblclick(no_wait_after=True)
        page.wait_for_url("**/connected")
        assert decisions == ["accept"]
        page.go_back()
        page.get_by_role("button", name="Decline").click()
        page.wait_for_url("**/connected")
        assert decisions == ["accept", "decline"]
        page.close()


def test_a_form_is_sent_once_even_before_its_buttons_are_shut_and_reopens_when_the_page_is_shown_again(
    chrome: Browser, halves: dict[Role, str]
) -> None:
    page = chrome.new_page()
    page.route("**/decide", lambda route: route.fulfill(status=204))
    page.goto(halves["platform"] + "/consent")
    page.evaluate("window.sent = 0; addEventListener('submit', event => { sent += !event.defaultPrevented })")
    accept = page.get_by_role("button", name="Accept")
    for times in (1, 2):
        accept.evaluate("button => { button.form.requestSubmit(button); button.form.requestSubmit(button); }")
        expect(accept).to_be_disabled()
        assert page.evaluate("sent") == times
        page.evaluate("dispatchEvent(new Event('pageshow'))")
        expect(accept).to_be_enabled()
    page.close()


def test_the_chosen_colours_are_remembered_and_choosing_the_systems_own_forgets_them(
    chrome: Browser, halves: dict[Role, str]
) -> None:
    page = chrome.new_page(color_scheme="light")
    page.goto(halves["platform"] + "/sign-in")
    light = ground(page)
    page.get_by_role("button", name="light and dark").click()
    dark = ground(page)
    assert dark != light
    page.reload()
    assert ground(page) == dark
    page.get_by_role("button", name="light and dark").click()
    assert ground(page) == light
    assert page.evaluate("localStorage.length") == 0
    page.close()


def ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_copying_is_confirmed_to_eye_and_ear(chrome: Browser, halves: dict[Role, str]) -> None:
    context = chrome.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.clock.install(time="2026-11-23T16:05:00Z")
    page.goto(halves["platform"] + "/app")
    page.clock.pause_at("2026-11-23T17:05:00Z")
    page.get_by_role("button", name="Copy Client secret").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    expect(page.get_by_role("button", name="Copied Client secret")).to_be_visible()
    page.clock.run_for(2_000)
    expect(page.get_by_role("button", name="Copy Client secret")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("8f2b1c3e")
    context.close()


def test_a_time_is_told_as_people_say_it_with_the_whole_of_it_at_hand(chrome: Browser, halves: dict[Role, str]) -> None:
    page = chrome.new_page(timezone_id="Europe/Vienna")
    page.clock.set_fixed_time("2026-11-23T16:05:00Z")
    page.goto(halves["platform"] + "/app")
    moment = page.locator("time").first
    expect(moment).to_have_text("2 hours ago")
    expect(moment).to_have_attribute("title", re.compile("November 23, 2026 at 3:05:00"))
    expect(moment).to_have_attribute("datetime", "2026-11-23T14:05:00Z")
    page.close()


def test_a_password_can_be_shown_and_hidden(chrome: Browser, halves: dict[Role, str]) -> None:
    page = chrome.new_page()
    page.goto(halves["platform"] + "/sign-in")
    field = page.get_by_label("Password", exact=True)
    field.fill("a password")
    page.get_by_role("button", name="Show password").click()
    expect(field).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide password").click()
    expect(field).to_have_attribute("type", "password")
    page.close()


def test_an_error_summary_takes_the_focus_and_leads_to_its_field(chrome: Browser, halves: dict[Role, str]) -> None:
    page = chrome.new_page()
    page.goto(halves["platform"] + "/sign-in-wrong")
    expect(page.get_by_role("alert")).to_be_focused()
    page.get_by_role("link", name="Enter your password").click()
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.close()


def test_the_avatar_menu_opens_and_closes_by_keyboard(chrome: Browser, halves: dict[Role, str]) -> None:
    page = chrome.new_page()
    page.goto(halves["platform"] + "/app")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Connected apps")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("summary")).to_be_focused()
    expect(page.get_by_role("link", name="Connected apps")).to_be_hidden()
    page.close()
