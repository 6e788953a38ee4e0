"""W21: the App Hub leads to an integration's own landing page. W09: every scope in plain words. Both are public."""

from pathlib import Path

from grantflow.protocol.scope import MEANINGS
from tests.developer_portal.given import House, run, text_of

SITE = "https://lockbot.example/connect"


def test_w21_the_app_hub_page_leads_to_the_integrations_own_landing_page(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created(site_url=SITE, description="Locks spaces.", icon="key")
        stranger = house.visitor()
        hub = await stranger.open("/app-hub")
        assert f'href="/app-hub/{client_id}"' in hub.text
        page = await stranger.open(f"/app-hub/{client_id}")
        said = text_of(page)
        for words in ("LockBot", "Locks spaces.", "Published by Ada Lovelace", MEANINGS["spark:rooms_read"]):
            assert words in said
        assert "encrypted" not in said
        assert f'href="{SITE}" rel="noopener noreferrer">Visit Site To Connect' in page.text

    run(tmp_path, story)


def test_w21_what_has_no_landing_page_is_not_in_the_hub(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        assert "Nothing is listed yet" in text_of(await browser.open("/app-hub"))
        assert (await browser.open(f"/app-hub/{client_id}")).status_code == 404

    run(tmp_path, story)


def test_w21_the_hub_is_searched_and_paged(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        for number in range(25):
            await browser.created(name=f"App {number:02}", site_url=SITE)
        first, second = [text_of(await browser.open(f"/app-hub?page={page}")) for page in (1, 2)]
        assert ("App 23" in first, "App 24" in first, "App 24" in second) == (True, False, True)
        found = text_of(await browser.open("/app-hub?q=p%2007"))
        assert ("App 07" in found, "App 08" in found) == (True, False)

    run(tmp_path, story)


def test_w18_the_contact_email_is_shown_to_its_owner_and_to_nobody_else(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created(site_url=SITE, contact_email="secret@lockbot.example")
        assert "secret@lockbot.example" in text_of(await browser.open(f"/my-apps/{client_id}"))
        stranger = await house.signed_in(await house.person("Grace Hopper"))
        request = f"/v1/authorize?client_id={client_id}&response_type=code&scope=spark:rooms_read"
        consent = (await stranger.open(request)).headers["location"]
        for path in (
            "/app-hub",
            f"/app-hub/{client_id}",
            "/my-apps",
            f"/my-apps/{client_id}",
            consent,
            "/connected-apps",
        ):
            page = await stranger.open(path)
            assert "secret@" not in page.text, path

    run(tmp_path, story)


def test_w09_a_page_lists_every_scope_in_plain_words(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        page = text_of(await house.visitor().open("/scopes"))
        for token, words in MEANINGS.items():
            assert f"{words} {token}" in page
        assert page.count("Far-reaching") == 3

    run(tmp_path, story)


def test_w09_the_form_and_the_page_of_scopes_say_the_same_words(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        form = await browser.open("/my-apps/new/integration")
        for token, words in MEANINGS.items():
            offered = f'name="scope.{token}"' in form.text
            assert offered is (token != "spark:kms"), "that one is added by itself"
            assert words in text_of(form) or not offered

    run(tmp_path, story)
