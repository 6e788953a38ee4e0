"""docs/walkthrough.md walked through in Chromium, by the commands that it tells to type.

On the way it takes the document's pictures, into test-artifacts/walkthrough. To make those of the document anew:
./dev pytest tests/browser/test_walkthrough.py --pictures docs/images/walkthrough
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.browser.pictures import HEIGHT, WIDTH, Pictures
from tests.docs import walkthrough as document
from tests.examples.running import checkout as checkout_in
from tests.parts import ROOT
from tests.whole.running import Up, up

CLIENT_ID, CLIENT_SECRET = "C5d" + "07b3e9" * 10 + "51", "8f2" + "c46d1a" * 10 + "9"

_SORT = "(list) => list.append(...[...list.children].sort((a, b) => a.textContent.localeCompare(b.textContent)))"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    assert document.START == "./dev up\n"
    with up(tmp_path_factory.mktemp("walkthrough") / "state") as running:
        yield running


@dataclass
class Walk:
    """Ada's browser, the two servers that she goes to and fro between, and whoever takes the pictures."""

    page: Page
    platform: Up
    checkout: Path
    port: int
    pictures: Pictures
    listed_at: str = ""
    """Its page in the App Hub."""

    @property
    def home(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def redirect_uri(self) -> str:
        return f"{self.home}/oauth"

    def press(self, words: str) -> None:
        """The button or the link that says so."""
        button, link = (self.page.get_by_role(role, name=words, exact=True) for role in ("button", "link"))
        button.or_(link).first.click()

    def sign_in(self) -> None:
        self.page.get_by_label("Email").fill(self.platform.ada["email"])
        self.page.get_by_label("Password", exact=True).fill(self.platform.ada["password"])
        self.press("Sign in")

    def open_menu(self) -> None:
        self.page.locator("details.menu summary").click()

    def code(self, label: str) -> str:
        """What a block of the portal with this label shows."""
        return self.page.locator("figure.code").filter(has_text=label).locator("code").first.inner_text().strip()

    def card(self, title: str) -> Locator:
        return self.page.locator("section.card").filter(has=self.page.get_by_role("heading", name=title, exact=True))

    def post(self, text: str) -> None:
        self.page.get_by_label("Message").fill(text)
        self.press("Post message")
        expect(self.page.locator("main")).to_contain_text(text)
        self.show_made_up("Y2lzY29zcGF…YTdiYWRkNzA0")

    def show_made_up(self, shown: str) -> None:
        """In pictures, in the place of the first id on the page, which is another one in each run."""
        self.pictures.replacements[self.page.locator(".copyable code").first.inner_text()] = shown


@pytest.fixture(scope="module")
def walk(
    chromium: str, platform: Up, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Walk]:
    folder = Path(request.config.getoption("--pictures") or ROOT / "test-artifacts/walkthrough")
    checkout = checkout_in(tmp_path_factory.mktemp("checkout") / "grantflow")
    port = document.own_port(platform.folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", accept_downloads=True
        )
        shown = {
            urlsplit(platform.platform_url).netloc: "127.0.0.1:9000",
            f"localhost:{port}": f"localhost:{document.PORT}",
            quote(f"localhost:{port}", safe=""): quote(f"localhost:{document.PORT}", safe=""),
        }
        yield Walk(page, platform, checkout, port, Pictures(page, folder, shown))
        browser.close()


def test_w14_w17_to_w22_w24_w25_w29_to_w34_w36_the_document_is_walked_from_the_portal_to_granting_again(
    walk: Walk,
) -> None:
    authorization_url = registered(walk)
    found_in_the_app_hub(walk)
    signed_out(walk)
    with document.terminal(document.SERVE, checkout=walk.checkout, data=walk.platform.folder):
        asked = dict(parse_qsl(granted(walk)))
        assert all(asked[name] == value for name, value in authorization_url.items() if name != "state")
        kept_alive(walk)
        granted_again(walk)
    with document.terminal(document.SET_UP, document.FLASK, checkout=walk.checkout, data=walk.platform.folder):
        granted_from_python(walk)
    assert sorted(walk.pictures.taken) == sorted(name for _, name in document.PICTURES)


def registered(walk: Walk) -> dict[str, str]:
    """Section 4: from the avatar's menu to the credentials; the parameters of the OAuth Authorization URL."""
    page, pictures = walk.page, walk.pictures
    page.goto(f"{walk.platform.platform_url}/connected-apps")
    walk.sign_in()
    walk.open_menu()
    pictures.take("avatar-menu", last=page.get_by_role("button", name="Sign out"))
    walk.press("My Webex Apps")
    pictures.take("my-apps", last=page.get_by_role("link", name="Create a New App"))
    walk.press("Create a New App")
    walk.press("Create an Integration")

    page.get_by_label("Integration name").fill("Notice Board")
    page.get_by_label("Speech bubble").check()
    page.get_by_label("Description").fill("Posts to your spaces in your name.")
    page.get_by_label("Landing page").fill(f"{walk.home}/")
    page.get_by_label("Redirect URIs").fill(walk.redirect_uri)
    for scope in ("See who you are", "See the titles of the spaces", "Post and delete messages"):
        page.get_by_label(scope).check()
    pictures.take("new-integration", first=page.locator("h1"), last=page.get_by_label("Landing page"))
    pictures.take(
        "redirect-uris-and-scopes", first=walk.card("Where the answer goes"), last=walk.card("What it may do")
    )
    walk.press("Create Integration")

    pictures.replacements |= {walk.code("Client ID"): CLIENT_ID, walk.code("Client secret"): CLIENT_SECRET}
    pictures.take("credentials", last=page.locator(".banner-warning"))
    pictures.take("authorization-url", first=walk.card("OAuth Authorization URL"), last=page.locator("dl.parameters"))
    with page.expect_download() as download:
        walk.press("Download .env")
    assert download.value.suggested_filename == "notice-board.env"
    download.value.save_as(walk.checkout / "notice-board.env")
    parameters = dict(parse_qsl(urlsplit(walk.code("OAuth Authorization URL")).query))
    assert list(parameters) == document.names_of(document.AUTHORIZATION_URL)
    page.get_by_label("I have stored the secret").check()
    walk.press("Go to the integration")
    return parameters


def found_in_the_app_hub(walk: Walk) -> None:
    walk.press("App Hub")
    walk.press("Notice Board")
    walk.listed_at = walk.page.url
    walk.pictures.take("app-hub", last=walk.page.locator(".perforation"))


def signed_out(walk: Walk) -> None:
    walk.open_menu()
    walk.press("Sign out")
    expect(walk.page.locator("main")).to_contain_text("You are signed out")


def granted(walk: Walk) -> str:
    """Section 6: declined first, then accepted, and a message posted; what was asked, in the browser's address."""
    page, pictures, went = walk.page, walk.pictures, list[str]()
    page.on("request", lambda request: went.append(request.url))
    page.goto(walk.listed_at)
    walk.press("Visit Site To Connect")
    expect(page).to_have_url(f"{walk.home}/")
    pictures.take("landing-page")
    walk.press("Grant")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    pictures.take("sign-in", first=page.locator("main > :first-child"), slim=True)
    walk.sign_in()
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    pictures.take("prompt", first=page.locator("main > :first-child"), slim=True)
    walk.press("Decline")
    expect(page.get_by_role("heading", name="You declined")).to_be_visible()
    assert page.url.startswith(f"{walk.home}/declined?note=")
    pictures.take("declined")
    walk.press("Grant after all")
    walk.press("Accept")
    expect(page.get_by_role("heading", level=1)).to_contain_text("You are connected, Ada Lovelace")
    assert page.url == f"{walk.home}/granted", "code and state are gone from the address"
    pictures.take("granted", first=page.locator("main > :first-child"), slim=True)

    asked = urlsplit(next(url for url in reversed(went) if "/authorize?client_id=" in url)).query
    declined, answer = (dict(parse_qsl(urlsplit(url).query)) for url in went if url.startswith(f"{walk.redirect_uri}?"))
    assert declined["error"] == "access_denied"
    assert list(answer) == document.names_of(document.ANSWER)
    assert answer["state"] == dict(parse_qsl(asked))["state"]
    walk.press("Continue")
    walk.post("Tea is at four.")
    pictures.take("message-posted", last=page.get_by_role("button", name="Post message"))
    return asked


def kept_alive(walk: Walk) -> None:
    """Section 7: the access token expires by the portal's button, and nobody notices."""
    page, platform = walk.page, walk.platform
    page.goto(platform.portal_url)
    walk.press("Notice Board")
    walk.press("See who")
    page.get_by_role("button", name="Expire now").click()
    expect(page.get_by_text("Refreshes at its next use")).to_be_visible()
    walk.pictures.take("expired", last=page.locator("table"))
    page.goto(walk.home)
    walk.post("Cake as well.")
    walk.pictures.take("still-works", last=page.get_by_role("button", name="Post message"))
    authors = platform.sql(
        "SELECT email, text FROM messages JOIN people ON people.id = person_id WHERE text IN (?, ?) ORDER BY text DESC",
        *("Tea is at four.", "Cake as well."),
    )
    assert authors == [(platform.ada["email"], "Tea is at four."), (platform.ada["email"], "Cake as well.")]


def granted_again(walk: Walk) -> None:
    """Section 7: revoked at the platform, asked for at the integration."""
    page = walk.page
    page.goto(f"{walk.platform.platform_url}/connected-apps")
    walk.pictures.take("connected-apps")
    page.get_by_role("link", name="Revoke", exact=True).click()
    walk.press("Revoke")
    expect(page.locator("main")).to_contain_text("can no longer act for you")
    page.goto(walk.home)
    expect(page.get_by_role("link", name="Grant again")).to_be_visible()
    walk.show_made_up("inc-sjde6j6e")
    walk.pictures.take("grant-again")
    walk.press("Grant again")
    walk.press("Accept")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Ada Lovelace")


def granted_from_python(walk: Walk) -> None:
    walk.page.goto(walk.home)
    walk.press("Grant")
    expect(walk.page.get_by_role("heading", level=1)).to_have_text("Granted, Ada Lovelace")
    main = walk.page.locator("main")
    main.locator("ul").evaluate(_SORT)  # the API lists them by their ids, which are others in each run
    walk.pictures.take("flask-granted", first=main, last=main, slim=True)
