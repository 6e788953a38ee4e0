"""The walkthrough in a real browser, from the landing page to granting again, with pictures of each page.

The pictures go to test-artifacts/story: desktop and phone, light and dark.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Request, expect, sync_playwright

from tests.parts import ROOT
from tests.whole.running import Up, up

ColorScheme: TypeAlias = Literal["light", "dark"]
PICTURES = ROOT / "test-artifacts" / "story"
VARIANTS: list[tuple[str, int, ColorScheme]] = [
    ("desktop-light", 1280, "light"),
    ("desktop-dark", 1280, "dark"),
    ("phone-light", 390, "light"),
    ("phone-dark", 390, "dark"),
]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("story") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """One person's browser, watched: where its requests go, how often it was clicked, what axe finds."""

    page: Page
    variant: str
    clicks: int = 0
    elsewhere: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    pictures: int = 0
    folder: Path = PICTURES

    def watch(self, request: Request) -> None:
        host = urlsplit(request.url).hostname
        if request.url.startswith("http") and host not in {"localhost", "127.0.0.1"}:
            self.elsewhere.append(request.url)

    def click(self, words: str, *, role: str = "button") -> None:
        self.clicks += 1
        self.page.get_by_role("link" if role == "link" else "button", name=words, exact=True).first.click()

    def look(self, name: str) -> None:
        """Take the picture and let axe read the page, once it is there."""
        self.page.wait_for_load_state()
        self.pictures += 1
        self.page.screenshot(path=self.folder / self.variant / f"{self.pictures:02}-{name}.png", full_page=True)
        for violation in Axe().run(self.page).response["violations"]:
            nodes = [node["html"][:120] for node in violation["nodes"]]
            self.found.append(f"{name}: {violation['id']}: {nodes}")
        overflow = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if overflow > 0:
            self.found.append(f"{name}: {overflow} pixels wider than the screen")


@contextmanager
def visiting(
    browser: Browser, variant: str, width: int, scheme: ColorScheme, *, folder: Path = PICTURES
) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    visit = Visit(context.new_page(), variant, folder=folder)
    context.on("request", visit.watch)
    visit.page.on("pageerror", lambda error: visit.found.append(f"script: {error}"))
    visit.page.on("console", lambda said: visit.found.append(said.text) if said.type == "error" else None)
    yield visit
    context.close()


def sign_in(page: Page, person: dict[str, str]) -> None:
    """And wait until the question for consent is there, as it is to be looked at."""
    page.get_by_label("Email").fill(person["email"])
    page.get_by_label("Password", exact=True).fill(person["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    page.wait_for_load_state()


def test_w24_both_answers_are_seen_without_scrolling_and_alike_in_size_however_much_is_asked_for(
    browser: Browser, platform: Up
) -> None:
    with visiting(browser, "phone-light", 390, "light") as visit:
        page = visit.page
        page.goto(platform.app["authorization_url"])
        sign_in(page, platform.ada)
        boxes = [page.get_by_role("button", name=name).bounding_box() for name in ("Accept", "Decline")]
        sizes = {(box["width"], box["height"]) for box in boxes if box}
        assert len(sizes) == 1
        assert all(box and box["y"] + box["height"] <= 844 for box in boxes)
        page.get_by_label("Only ask when").focus()
        checkbox, accept = (page.locator(found).bounding_box() for found in ("[name=remember]", "[value=accept]"))
        assert checkbox is not None
        assert accept is not None
        assert checkbox["y"] + checkbox["height"] <= accept["y"], "what has the focus is seen"
        page.get_by_role("button", name="Decline").click()


def is_seen(page: Page, selector: str) -> bool:
    """Whether the middle of it is on the screen with nothing before it, and no part of it below the screen."""
    return bool(
        page.locator(selector).evaluate(
            """found => {
                const box = found.getBoundingClientRect()
                const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
                return box.y >= 0 && box.bottom <= innerHeight && (top === found || found.contains(top))
            }"""
        )
    )


def test_w24_what_is_ticked_beforehand_is_seen_with_the_two_answers_on_every_screen(
    browser: Browser, platform: Up
) -> None:
    page = browser.new_page()
    page.goto(platform.app["authorization_url"])
    sign_in(page, platform.ada)
    for width, height in ((1280, 900), (1280, 720), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for selector in ("[name=remember]", "label[for=field-remember]", "[value=accept]", "[value=decline]"):
            assert is_seen(page, selector), f"{selector} at {width} by {height}"
    page.close()


@pytest.mark.parametrize(("variant", "width", "scheme"), VARIANTS)
def test_w22_to_w34_the_story_from_the_landing_page_to_granting_again(
    browser: Browser, platform: Up, variant: str, width: int, scheme: ColorScheme
) -> None:
    ada = platform.people[VARIANTS.index((variant, width, scheme))]  # whom nothing is remembered of
    with visiting(browser, variant, width, scheme) as visit:
        page = visit.page

        # W22: the landing page says what will be granted.
        page.goto(platform.integration_url)
        visit.look("landing")
        visit.click("Grant", role="link")

        # W24: the platform's own sign-in page, then consent. A wrong password first.
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        visit.look("sign-in")
        page.get_by_label("Email").fill(ada["email"])
        page.get_by_label("Password", exact=True).fill("not this one")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert").or_(page.locator(".error-summary")).first).to_be_visible()
        visit.look("wrong-password")
        visit.found.remove("Failed to load resource: the server responded with a status of 400 (Bad Request)")
        page.get_by_label("Password", exact=True).fill(ada["password"])
        visit.click("Sign in")
        expect(page.get_by_role("button", name="Accept")).to_be_visible()
        visit.look("consent")

        # W25: Decline leads back with a reason and a way on.
        page.get_by_role("button", name="Decline").click()
        expect(page.get_by_role("heading", name="You declined")).to_be_visible()
        assert page.url.startswith(f"{platform.integration_url.rstrip('/')}/declined?note=")
        visit.look("declined")
        page.get_by_role("link", name="Grant").first.click()

        # W30: from the README to one's own name it takes at most six clicks.
        visit.click("Accept")
        expect(page.get_by_role("heading", level=1)).to_contain_text(ada["name"])
        assert visit.clicks <= 6
        assert "code=" not in page.url
        assert "state=" not in page.url
        visit.look("granted")

        # W04, W29: a message in the person's name.
        page.goto(platform.integration_url)
        post(page, f"Hello from {variant}")
        visit.look("connected")
        (author,) = platform.sql(
            "SELECT email FROM messages JOIN people ON people.id = person_id WHERE text = ?", f"Hello from {variant}"
        )
        assert author == (ada["email"],)

        # W31, W32: the access token dies and the next call still works.
        platform.expire_access_tokens()
        post(page, f"Still here, {variant}")

        # W02, W34: the person takes it back at the platform, and is asked to grant again.
        page.goto(f"{platform.platform_url}/connected-apps")
        visit.look("connected-apps")
        page.get_by_role("link", name="Revoke", exact=True).click()
        visit.look("revoke")
        page.get_by_role("button", name="Revoke").click()
        expect(page.locator("main")).to_contain_text("can no longer act for you")
        visit.look("revoked")
        page.goto(platform.integration_url)
        expect(
            page.get_by_role("link", name="Grant again").or_(page.get_by_role("button", name="Grant again"))
        ).to_be_visible()
        visit.look("grant-again")
        page.get_by_role("link", name="Grant again").or_(page.get_by_role("button", name="Grant again")).click()
        page.get_by_role("button", name="Accept").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(ada["name"])
        visit.look("granted-again")

        # The person disconnects at the integration.
        page.goto(platform.integration_url)
        page.get_by_role("button", name="Disconnect").click()
        expect(page.locator("main")).to_contain_text("Disconnected")
        visit.look("disconnected")

        assert visit.elsewhere == [], "no request leaves this machine"
        assert visit.found == []


def grant_again(page: Page) -> Locator:
    return page.get_by_role("link", name="Grant again").or_(page.get_by_role("button", name="Grant again")).first


def post(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Post message").click()
    expect(page.locator("main")).to_contain_text(text)


def test_w24_at_1280_by_800_all_that_matters_is_seen_before_anybody_answers(platform: Up, browser: Browser) -> None:
    redirect_uri, scopes = "http://localhost:8471/oauth", "spark:people_read spark:rooms_read spark:messages_write"
    app = platform.register("Three Scopes", redirect_uri, scopes=scopes)
    asked = {"client_id": app["client_id"], "response_type": "code", "redirect_uri": redirect_uri, "scope": scopes}
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{platform.api_url}/authorize?{urlencode(asked | {'state': 'x'})}")
    sign_in(page, platform.ada)
    answers = page.locator(".form-answered-below > .actions").bounding_box()
    heading, destination = (
        page.locator(selector).bounding_box() for selector in ("h1", "dd:has-text('localhost:8471')")
    )
    page.close()
    assert answers is not None
    assert heading is not None
    assert destination is not None
    assert heading["y"] > 0
    assert destination["y"] + destination["height"] <= answers["y"], "the bar of answers covers where they lead"
    assert answers["y"] + answers["height"] <= 800


def test_the_readmes_picture_shows_these_pages(browser: Browser) -> None:
    """Three pages of the phone side by side; `test-artifacts/story/story.png` is what docs/images/story.png is."""
    shown = [PICTURES / "phone-light" / f"{name}.png" for name in ("01-landing", "04-consent", "06-granted")]
    assert all(picture.is_file() for picture in shown)
    figures = "".join(f'<img src="{picture.as_uri()}" width="390">' for picture in shown)
    style = "body{margin:0;display:flex;gap:40px;padding:40px;background:#e4e1d8;width:max-content}"
    frame = "img{height:844px;object-fit:cover;object-position:top;border-radius:24px;box-shadow:0 8px 40px #0003}"
    page = browser.new_page(viewport={"width": 1330, "height": 924})
    (PICTURES / "story.html").write_text(f"<style>{style}{frame}</style>{figures}", encoding="utf-8")
    page.goto((PICTURES / "story.html").as_uri())
    page.screenshot(path=PICTURES / "story.png")
    page.close()
    assert (PICTURES / "story.png").stat().st_size > 50_000
