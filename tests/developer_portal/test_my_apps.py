"""W17: sign in, the avatar's menu, My Webex Apps, the blue plus, Create an Integration: New Integration."""

from pathlib import Path
from re import findall
from urllib.parse import quote

from tests.developer_portal.given import NEW, House, run, text_of


def test_w17_whoever_is_not_signed_in_signs_in_first_and_comes_back(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = house.visitor()
        for path in ("/my-apps", "/my-apps/new", NEW, f"/my-apps/C{'0' * 64}/people"):
            answer = await browser.open(path)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/signin?next={quote(path, safe='')}")
            page = await browser.open(answer.headers["location"])
            assert page.status_code == 200
            assert f"next={quote(path, safe='')}" in page.text

    run(tmp_path, story)


def test_w17_from_the_avatars_menu_by_the_blue_plus_to_new_integration(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        menu = (await browser.open("/connected-apps")).text.partition("data-menu")[2].partition("</details>")[0]
        assert '<a href="/my-apps">My Webex Apps</a>' in menu
        mine = await browser.open("/my-apps")
        assert "Nothing here yet" in text_of(mine)
        assert 'class="plus"' in mine.text
        assert 'href="/my-apps/new"' in mine.text
        chooser = await browser.open("/my-apps/new")
        assert "Create an Integration" in text_of(chooser)
        assert f'href="{NEW}"' in chooser.text
        assert "New Integration" in text_of(await browser.open(NEW))

    run(tmp_path, story)


def test_w17_the_list_tells_name_client_id_scopes_active_grants_and_last_use(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        grace = await house.person("Grace Hopper")
        browser = await house.signed_in()
        client_id = await browser.created()
        await house.grant(client_id, grace)
        await house.grant(client_id, await house.person("Alan Turing"), revoked_at=1)
        page = await browser.open("/my-apps")
        said = text_of(page)
        assert "LockBot" in said
        assert f'data-copy="{client_id}"' in page.text
        assert "23 Nov 2026, 11:55 UTC" in said
        assert "1 active grants to LockBot" in said
        assert f" {client_id} Copy the client ID of LockBot 3 " in said, (
            "whole, so that it can be read and copied by hand"
        )

    run(tmp_path, story)


def test_w17_the_list_is_searched_by_part_of_a_name_and_paged(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, browser = await house.person(), house.visitor()
        await browser.sign_in(ada)
        for number in range(30):
            await house.save(
                "integrations",
                client_id=f"C{number:064x}",
                name=f"App {number:02}",
                owner_id=ada.id,
                profile="webex",
                client_type="confidential",
                scopes="spark:rooms_read",
                created_at=1,
            )
        first, second = await browser.open("/my-apps"), await browser.open("/my-apps?page=2")
        assert ("App 24" in text_of(first), "App 25" in text_of(first)) == (True, False)
        assert ("App 24" in text_of(second), "App 29" in text_of(second)) == (False, True)
        found = text_of(await browser.open("/my-apps?q=p+1"))
        assert ("App 10" in found, "App 20" in found) == (True, False)
        assert "Page 1" not in found
        assert "No app of yours" in text_of(await browser.open("/my-apps?q=100%25"))
        beyond = await browser.open("/my-apps?q=p&page=9")
        assert beyond.headers["location"] == "/my-apps?q=p&page=2"

    run(tmp_path, story)


def test_w17_nobody_sees_what_somebody_else_has_registered(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created()
        grant_id = await house.grant(client_id, await house.person("Alan Turing"))
        stranger = await house.signed_in(await house.person("Grace Hopper"))
        assert "LockBot" not in text_of(await stranger.open("/my-apps"))
        below = ("", "/registration", "/secret", "/deletion", "/people", f"/people/{grant_id}/revocation")
        for path in below:
            page = await stranger.open(f"/my-apps/{client_id}{path}")
            assert page.status_code == 404, path
            assert "There is no such app of yours" in text_of(page)
            assert (await browser.open(f"/my-apps/{client_id}{path}")).status_code == 200, path

    run(tmp_path, story)


def test_w17_the_menu_is_the_same_on_the_pages_of_every_role_and_signing_in_leads_to_each(tmp_path: Path) -> None:
    def menu_of(page: str) -> list[str]:
        return findall(r'<a href="([^"]*)"', page.partition("data-menu")[2].partition("</details>")[0])

    async def story(house: House) -> None:
        admin = await house.signed_in(await house.person("Grace Hopper", is_admin=True))
        other = await house.signed_in()
        for path in ("/my-apps", "/connected-apps", "/app-hub"):
            everybody = ["/connected-apps", "/my-apps"]
            assert menu_of((await other.open(path)).text) == everybody, path
            assert menu_of((await admin.open(path)).text) == [*everybody, "/administration"], path
        for path in ("/my-apps/new", "/connected-apps", "/administration/people"):
            assert (await admin.open(f"/signin?next={quote(path, safe='')}")).headers["location"] == path
        assert (await other.open("/signin")).headers["location"] == "/connected-apps"

    run(tmp_path, story)


def test_the_front_page_leads_developers_to_the_portal(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        page = (await house.visitor().open("/")).text
        for path in ("/my-apps", "/app-hub", "/scopes"):
            assert f'<a href="{path}">' in page

    run(tmp_path, story)
