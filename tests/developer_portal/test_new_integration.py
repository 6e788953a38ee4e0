"""W18: the form of a new integration takes what is right, says what is wrong, and loses nothing that was typed."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.developer_portal.given import FILLED, NEW, URL, House, code_of, form_of, png, run, text_of

PNG = ("icon.png", png(), "image/png")


def test_w18_an_integration_is_registered_with_every_field_of_the_form(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        browser = await house.signed_in(ada)
        client_id = await browser.created(
            picture=PNG,
            name="  Lock   Bot ",
            contact_email="dev@lockbot.example",
            description="Locks spaces.\r\nUnlocks them, too.",
            site_url="https://lockbot.example/",
            redirect_uris="https://a.example/oauth, mydemoapp://oauth,https://b.example/oauth",
            other_scopes="meeting:schedules_read",
            kind="webex",
        )
        found = await house.storage.registrations.find(client_id)
        assert found is not None
        assert found.registration.name == "Lock Bot"
        assert found.registration.redirect_uris == (
            "https://a.example/oauth",
            "mydemoapp://oauth",
            "https://b.example/oauth",
        )
        assert str(found.registration.scopes) == (
            "spark:rooms_read spark:messages_write meeting:schedules_read spark:kms"
        )
        assert (found.contact_email, found.description) == (
            "dev@lockbot.example",
            "Locks spaces.\nUnlocks them, too.",
        )
        assert (found.site_url, found.owner_id) == ("https://lockbot.example/", ada.id)
        assert found.icon is not None
        icon = await browser.open(f"/icons/{found.icon}")
        assert icon.content == png()

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("typed", "registered"),
    [
        ("https://a.example/o,https://b.example/o", ("https://a.example/o", "https://b.example/o")),
        ("https://a.example/o,   https://b.example/o,", ("https://a.example/o", "https://b.example/o")),
        ("https://a.example/o\r\nhttps://b.example/o", ("https://a.example/o", "https://b.example/o")),
        ("https://a.example/o?x=1,2", ("https://a.example/o?x=1,2",)),
        ("https://a.example/o?next=%2Chttps://b.example", ("https://a.example/o?next=%2Chttps://b.example",)),
    ],
)
def test_w18_redirect_uris_are_split_at_a_comma_before_a_scheme_and_a_literal_one_is_written_2c(
    tmp_path: Path, typed: str, registered: tuple[str, ...]
) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        found = await house.storage.registrations.find(await browser.created(redirect_uris=typed))
        assert found is not None
        assert found.registration.redirect_uris == registered

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"name": "   "}, "name", "needs a name"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"contact_email": "nobody"}, "contact_email", "name@example.com"),
        ({"redirect_uris": ""}, "redirect_uris", "At least one"),
        (
            {"redirect_uris": "https://a.example/ok, javascript:alert(1)"},
            "redirect_uris",
            "javascript:alert(1): The scheme javascript: is never a redirect URI",
        ),
        (
            {"redirect_uris": "https://a.example/ok,https://b.example/#here"},
            "redirect_uris",
            "https://b.example/#here: A redirect URI has no fragment",
        ),
        ({"redirect_uris": "http://b.example/oauth"}, "redirect_uris", "http://b.example/oauth: Plain http is allowed"),
        ({"redirect_uris": "mydemoapp://oauth", "kind": "strict"}, "redirect_uris", "has no period"),
        ({"redirect_uris": "mydemoapp://oauth", "kind": "public"}, "redirect_uris", "has no period"),
        ({"scope.spark:rooms_read": None, "scope.spark:messages_write": None}, "scopes", "At least one scope"),
        ({"other_scopes": "openid"}, "scopes", "not registered"),
        ({"site_url": "http://lockbot.example/"}, "site_url", "must begin with https://"),
        ({"site_url": "javascript:alert(1)"}, "site_url", "must be a web address"),
        ({"description": "x" * 1_001}, "description", "at most 1000"),
        ({"icon": "nonsense"}, "icon", "no such icon"),
        ({"kind": "nonsense"}, "kind", "Choose one of these"),
    ],
)
def test_w18_what_is_wrong_is_told_above_and_beside_its_field_and_all_that_was_typed_stays(
    tmp_path: Path, changed: dict[str, str | None], field: str, words: str
) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        typed = {**FILLED, "description": "Locks spaces.", "contact_email": "dev@lockbot.example", "icon": "key"}
        typed = {name: value for name, value in {**typed, **changed}.items() if value is not None}
        answer = await browser.create({**dict.fromkeys(FILLED), **typed})
        assert answer.status_code == 400
        assert "<title>Error: New Integration" in answer.text
        summary = answer.text.partition('class="error-summary"')[2].partition("</ul>")[0]
        assert f'href="#field-{field}"' in summary
        assert f'id="field-{field}"' in answer.text
        assert text_of(answer).count(words) == 2
        again = form_of(answer).fields
        kept = {name: value for name, value in typed.items() if name not in ("icon", "kind") or name != field}
        assert {name: again.get(name, "") for name in kept} == kept
        assert await house.rows("SELECT 1 FROM integrations") == []

    run(tmp_path, story)


def test_w18_a_name_that_is_taken_whatever_its_case_is_told_at_the_name(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await (await house.signed_in()).created()
        answer = await (await house.signed_in(await house.person("Grace Hopper"))).create(name="LOCKBOT")
        assert answer.status_code == 400
        assert 'href="#field-name"' in answer.text
        assert "Another integration has this name already" in text_of(answer)

    run(tmp_path, story)


def test_w18_an_icon_that_came_along_is_still_there_after_another_field_was_wrong(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        wrong = await browser.create(picture=PNG, name="")
        assert form_of(wrong).fields["icon"] == "sent"
        assert "data:image/png;base64," in wrong.text
        client_id = code_of(await browser.send(wrong, name="LockBot"), "Client ID")
        found = await house.storage.registrations.find(client_id)
        assert found is not None
        assert found.icon is not None
        assert (await browser.open(f"/icons/{found.icon}")).content == png()

    run(tmp_path, story)


def test_w18_a_form_sent_twice_makes_one_integration_and_says_what_to_do_about_the_secret(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        page = await browser.open(NEW)
        once, twice = await asyncio.gather(browser.send(page, FILLED), browser.send(page, FILLED))
        assert {once.status_code, twice.status_code} == {201, 409}
        reloaded = await browser.send(page, FILLED)
        assert reloaded.status_code == 409
        assert "was created already" in text_of(reloaded)
        (row,) = await house.rows("SELECT client_id FROM integrations")
        assert f'href="/my-apps/{row["client_id"]}/secret"' in reloaded.text
        assert len(await house.rows("SELECT 1 FROM client_secrets")) == 1
        other = await browser.send(page, {**FILLED, "name": "Another"})  # back, another name, sent again
        assert other.status_code == 201

    run(tmp_path, story)


def test_w18_a_form_of_an_earlier_session_is_shown_again_filled_in_and_saves_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        browser = await house.signed_in(ada)
        page = await browser.open(NEW)
        await browser.sign_in(ada)
        stale = await browser.send(page, FILLED, picture=PNG)
        assert stale.status_code == 400
        assert "opened before you signed in" in text_of(stale)
        assert form_of(stale).fields["redirect_uris"] == FILLED["redirect_uris"]
        assert await house.rows("SELECT 1 FROM integrations") == []
        assert (await browser.send(stale)).status_code == 201

    run(tmp_path, story)


def test_w18_without_a_session_a_form_is_kept_by_the_browser_and_the_page_says_how_to_go_on(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        page = await browser.open(NEW)
        browser.client.cookies.clear()
        answer = await browser.send(page, FILLED)
        assert answer.status_code == 401
        assert "your browser still has what you typed" in text_of(answer)
        assert 'href="/signin?next=%2Fmy-apps%2Fnew%2Fintegration"' in answer.text
        assert await house.rows("SELECT 1 FROM integrations") == []

    run(tmp_path, story)


def test_w18_a_name_that_is_taken_is_told_together_with_all_else_that_is_wrong(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        await browser.created()
        mine = await browser.created(name="Other")
        wrong = text_of(await browser.create(name=" lockbot ", redirect_uris="http://lockbot.example/"))
        edit = await browser.open(f"/my-apps/{mine}/registration")
        for words in (
            wrong,
            text_of(await browser.send(edit, name="LOCKBOT", redirect_uris="http://lockbot.example/")),
        ):
            assert "Another integration has this name already" in words
            assert "use https" in words
        own = text_of(await browser.send(edit, name="OTHER", redirect_uris="http://lockbot.example/"))
        assert "has this name already" not in own
        page = await browser.open(f"/my-apps/{mine}")
        assert mine in text_of(page), "whole, to be selected where there is no JavaScript"
        assert "Looks" not in text_of(page)

    run(tmp_path, story)


def test_w18_what_an_address_fills_in_beforehand_is_there_after_signing_in(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        browser = house.visitor()
        asked = await browser.open(f"{NEW}?name=Lock%20Bot&redirect_uris=https://a.example/o?x=%26&scope.spark:all=on")
        await browser.sign_in(ada)
        back = await browser.open(asked.headers["location"])
        fields = form_of(await browser.open(back.headers["location"])).fields
        assert (fields["name"], fields["redirect_uris"]) == ("Lock Bot", "https://a.example/o?x=&")
        assert fields["scope.spark:all"] == "on"
        too_long = await browser.house.visitor().open(f"{NEW}?name={'x' * 2000}")
        assert too_long.headers["location"] == f"/signin?next={quote(NEW, safe='')}"

    run(tmp_path, story)


def test_w18_an_address_can_fill_the_form_in_beforehand(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        fields = form_of(
            await browser.open(f"{NEW}?name=Lock%20Bot&redirect_uris=https://a.example/o&scope.spark:rooms_read=on")
        ).fields
        assert (fields["name"], fields["redirect_uris"]) == ("Lock Bot", "https://a.example/o")
        assert fields["scope.spark:rooms_read"] == "on"
        assert fields["contact_email"] == "ada@sandbox.example"

    run(tmp_path, story)


def test_w18_w11_each_rule_of_redirect_uris_and_each_profile_is_explained_in_place(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        said = text_of(await (await house.signed_in()).open(NEW))
        for words in ("%2C", "no fragment", "http://127.0.0.1:8000/oauth", "mydemoapp://oauth", "RFC 9700", "PKCE"):
            assert words in said

    run(tmp_path, story)


def test_s04_outside_a_sandbox_neither_redirect_uri_nor_landing_page_may_be_plain_http_on_localhost(
    tmp_path: Path,
) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        local = {"redirect_uris": "http://localhost:8000/oauth", "site_url": "http://localhost:8000/"}
        summary = (await browser.create(local)).text.partition('class="error-summary"')[2].partition("</ul>")[0]
        assert "#field-redirect_uris" in summary
        assert "#field-site_url" in summary

    run(tmp_path, story, sandbox=False)


def test_s31_a_form_that_is_too_large_or_malformed_is_refused_on_a_page(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        token = form_of(await browser.open(NEW)).fields["form_token"]
        multipart = "multipart/form-data; boundary=x"
        twice = b'--x\r\ncontent-disposition: form-data; name="name"\r\n\r\na\r\n' * 2 + b"--x--\r\n"
        for body, kind, status in (
            (b"a" * 700_000, multipart, 413),
            (b"nothing of the kind", multipart, 400),
            (twice, multipart, 400),
            (b"--x", "multipart/form-data", 400),
            (b"{}", "application/json", 415),
            (f"form_token={token}&name=a&name=b".encode(), "application/x-www-form-urlencoded", 400),
        ):
            headers = {"content-type": kind, "origin": URL}
            answer = await browser.client.post(NEW, content=body, headers=headers)
            assert answer.status_code == status, (kind, text_of(answer))
            assert "<h1>" in answer.text

    run(tmp_path, story)
