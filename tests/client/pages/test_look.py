"""Every ending in a real browser: no barrier, no overflow, no foreign request, and it works without JavaScript.

The pictures go to test-artifacts/pages: desktop and phone, light and dark. The way itself is in tests/browser.
"""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from grantflow import ReauthorizationRequired, RefusalHeldBack
from grantflow.client.errors import AccessDenied
from grantflow.client.pages import About
from grantflow.client.pages.endings import ENDINGS
from grantflow.client.pages.mount import DECLINED, LANDING, WENT_WRONG
from grantflow.client.pages.notes import Notes
from grantflow.client.pages.sealed import SealedTexts
from tests.client.pages.conftest import Sample, Serve
from tests.parts import ROOT

SHOTS = ROOT / "test-artifacts" / "pages"
#: Width, colours, and whether barriers are searched for: each width and each scheme once is enough for that.
VARIANTS = [(1280, "light", True), (1280, "dark", False), (390, "light", False), (390, "dark", True)]
ABOUT = About("Space Helper", does="Post to your spaces in your own name", operator="the help desk")


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


def addresses(sample: Sample) -> dict[str, str]:
    """A page for each ending and each notice, by what the picture is called."""
    integration = sample.integration
    notes = Notes(SealedTexts(integration.keys.derive("pages"), integration.now))
    particulars = {"reference": "Zk3_9xQw", "expected": "a•••@example.com", "came": "Grace Hopper"}
    shown = {
        name: notes.address(WENT_WRONG, ending=name, **particulars) for name in ENDINGS if name != AccessDenied.code
    }
    return shown | {
        "declined": notes.address(DECLINED, ending=AccessDenied.code),
        "posted": notes.address(LANDING, told="posted", space="Engine", text="Hello " + "x" * 100, id="Y2lzY29" * 11),
        "disconnected": notes.address(LANDING, told="disconnected", at_platform="yes"),
        "disconnected-here": notes.address(LANDING, told="disconnected", reason="The platform did not answer."),
        "landing": LANDING,
    }


@pytest.mark.parametrize(("width", "scheme", "search"), VARIANTS)
def test_every_ending_is_free_of_barriers_overflow_and_foreign_requests(
    chrome: Browser, serve: Serve, width: int, scheme: str, search: bool
) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    sample = serve(ABOUT, pages={"try_it": True, "sandbox": True})
    context = chrome.new_context(
        viewport={"width": width, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
        found[name] = problems(page, search=search)

    for name, path in addresses(sample).items():
        page.goto(sample.url + path)
        look(name)
    begun = sample.elsewhere().authorization_request()
    context.add_cookies([{"name": begun.cookie.name, "value": begun.cookie.value, "url": sample.url}])
    narrow = sample.world.platform.accept(begun.url)
    next(iter(sample.world.platform.codes.values()))["scope"] = "spark:people_read"
    page.goto(narrow)
    look("granted-less")
    page.goto(sample.url)
    look("connected-nowhere")
    sample.world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        sample.elsewhere().client_for("id-ada").get("people/me")
    page.goto(sample.url)
    look("ended")
    refuse_everybody(sample)
    sample.world.clock.advance(seconds=2)  # the pages look at the vault once a second
    page.goto(sample.url)
    look("held-back")
    context.close()
    assert not {name: barriers for name, barriers in found.items() if barriers}
    assert [url for url in asked if not url.startswith(sample.url)] == []


def refuse_everybody(sample: Sample) -> None:
    world, others = sample.world, sample.elsewhere()
    people = ["ada", *(f"p{number}" for number in range(21))]
    for person in people:
        world.grant(others, person=person)
    world.platform.expire_access_tokens()
    world.platform.on_refresh = lambda: (400, {"error": "invalid_grant"})
    for person in reversed(people):
        with pytest.raises((ReauthorizationRequired, RefusalHeldBack)):
            others.refresh(f"id-{person}")


def problems(page: Page, *, search: bool) -> list[str]:
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    wide = [f"{overflow} pixels too wide"] if overflow > 0 else []
    return wide + ([violation["id"] for violation in Axe().run(page).response["violations"]] if search else [])
