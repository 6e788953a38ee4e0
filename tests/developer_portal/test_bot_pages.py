"""Bots in the portal: created in one page, their token shown once, looked after by their owner alone."""

import asyncio
import json
from pathlib import Path

import httpx2
import pytest

from tests.developer_portal.given import URL, Browser, House, code_of, run, text_of

NEW_BOT = "/my-apps/new/bot"
FILLED = {"name": "LockBot", "username": "LockBot", "description": "Locks spaces.", "icon": "key"}


async def created(browser: Browser, **changed: str) -> str:
    """The token of a bot that was just made."""
    answer = await browser.send(await browser.open(NEW_BOT), {**FILLED, **changed})
    assert answer.status_code == 201, text_of(answer)
    return code_of(answer, "Bot access token")


async def who_is(house: House, token: str) -> httpx2.Response:
    return await house.visitor().client.get("/v1/people/me", headers={"authorization": f"Bearer {token}"})


def test_w04_w17_a_bot_is_created_beside_integrations_and_its_token_is_shown_once(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        assert f'href="{NEW_BOT}"' in (await browser.open("/my-apps/new")).text
        answer = await browser.send(await browser.open(NEW_BOT), FILLED)
        token = code_of(answer, "Bot access token")
        assert code_of(answer, "Bot email") == "lockbot@webex.bot"
        assert code_of(answer, ".env").startswith(f"WEBEX_ACCESS_TOKEN={token}")
        assert answer.headers["cache-control"] == "no-store"
        me = (await who_is(house, token)).json()
        assert (me["type"], me["displayName"], me["emails"]) == ("bot", "LockBot", ["lockbot@webex.bot"])
        assert token.encode() not in house.stored()
        mine = await browser.open("/my-apps")
        details = await browser.open("/my-apps/bots/lockbot")
        for page in (mine, details):
            assert "lockbot@webex.bot" in text_of(page)
            assert "/static/" in page.text
            assert "app-key" in page.text
            assert token not in page.text
        assert "Locks spaces." in text_of(details)
        assert "It is in no space yet" in text_of(details)

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": " "}, "The bot needs a name"),
        ({"username": "lock bot"}, "The username must have 1 to 60 letters"),
        ({"icon": "skull"}, "Choose one of these icons"),
        ({"description": "x" * 1_001}, "The description must have at most 1000"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_typed_is_lost(
    tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        filled = {**FILLED, "description": "Keep <this>.", **changed}
        answer = await browser.send(await browser.open(NEW_BOT), filled)
        assert answer.status_code == 400
        assert words in text_of(answer)
        if "description" not in changed:
            assert "Keep &lt;this&gt;." in answer.text
        assert "<title>Error: " in answer.text
        assert await house.rows("SELECT 1 FROM bots") == []

    run(tmp_path, story)


def test_a_username_that_somebody_has_is_refused_and_one_s_own_is_led_to(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, bob = await house.signed_in(), await house.signed_in(await house.person("Bob Noyce"))
        first = await created(ada)
        others = await bob.send(await bob.open(NEW_BOT), FILLED)
        assert others.status_code == 400
        assert "has this username already" in text_of(others)
        twice = await ada.send(await ada.open(NEW_BOT), FILLED)
        assert twice.status_code == 409
        assert "You have this bot already" in text_of(twice)
        assert (await who_is(house, first)).status_code == 200

    run(tmp_path, story)


def test_w04_regenerating_shows_another_token_once_and_the_old_one_ends(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        old = await created(browser)
        asked = await browser.open("/my-apps/bots/lockbot/token")
        assert "The old token stops working at once" in text_of(asked)
        answer = await browser.send(asked)
        new = code_of(answer, "Bot access token")
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
        assert [(await who_is(house, token)).status_code for token in (old, new)] == [401, 200]

    run(tmp_path, story)


def test_w04_a_token_form_that_is_sent_twice_makes_one_token_and_the_first_answer_s_lives(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        await created(browser)
        asked = await browser.open("/my-apps/bots/lockbot/token")
        answers = await asyncio.gather(*(browser.send(asked) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        (made,) = (answer for answer in answers if answer.status_code == 201)
        refused = await browser.send(asked)
        assert "Nothing was regenerated" in text_of(refused)
        assert "shown in the first answer" in text_of(refused)
        for version in ("", "0", "x", "²", "9" * 400, None):
            assert (await browser.send(asked, version=version)).status_code == 409
        assert (await who_is(house, code_of(made, "Bot access token"))).status_code == 200
        again = await browser.send(await browser.open("/my-apps/bots/lockbot/token"))
        assert (await who_is(house, code_of(again, "Bot access token"))).status_code == 200

    run(tmp_path, story)


def test_a_bot_is_deleted_once_its_username_was_typed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        token = await created(browser)
        page = await browser.open("/my-apps/bots/lockbot/deletion")
        wrong = await browser.send(page, username="lock")
        assert wrong.status_code == 400
        assert "Type the bot's username" in text_of(wrong)
        assert (await who_is(house, token)).status_code == 200
        done = await browser.send(page, username="LockBot")
        assert done.headers["location"].startswith("/my-apps?deleted-bot=lockbot&proof=")
        assert (await who_is(house, token)).status_code == 401
        told = text_of(await browser.open(done.headers["location"]))
        assert "The bot was deleted" in told
        for made_up in ("lockbot", "never", "never&proof=x"):
            assert "was deleted" not in text_of(await browser.open(f"/my-apps?deleted-bot={made_up}"))
        assert (await browser.open("/my-apps/bots/lockbot")).status_code == 404

    run(tmp_path, story)


def test_nobody_else_sees_or_touches_a_bot(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, bob = await house.signed_in(), await house.signed_in(await house.person("Bob Noyce"))
        token = await created(ada)
        await created(bob, username="bobs")
        assert "lockbot" not in text_of(await bob.open("/my-apps"))
        for path in ("", "/token", "/deletion"):
            page = await ada.open(f"/my-apps/bots/lockbot{path}")
            theirs = await bob.open(f"/my-apps/bots/lockbot{path}")
            assert theirs.status_code == 404
            assert (await house.visitor().open(f"/my-apps/bots/lockbot{path}")).status_code == 303
            if path:
                forged = await bob.send(page, username="lockbot")
                assert forged.status_code == 404
                sent = {"form_token": "x", "username": "lockbot"}
                assert (await ada.client.post(f"/my-apps/bots/lockbot{path}", data=sent)).status_code == 400
        assert "The bot was deleted" not in text_of(await bob.open("/my-apps?deleted-bot=lockbot"))
        assert (await who_is(house, token)).status_code == 200

    run(tmp_path, story)


def test_bots_are_found_by_name_beside_integrations(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        await browser.created()
        await created(browser, username="standup", name="Standup")
        for search, found in [("", [True, True]), ("stand", [False, True]), ("lock", [True, False])]:
            words = text_of(await browser.open(f"/my-apps?q={search}"))
            assert ["LockBot" in words, "Standup" in words] == found, search
        assert "No app of yours has" in text_of(await browser.open("/my-apps?q=zzz"))

    run(tmp_path, story)


def test_a_form_of_an_earlier_session_is_shown_again_as_typed_and_makes_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        browser = await house.signed_in(ada)
        page = await browser.open(NEW_BOT)
        await browser.sign_in(ada)
        stale = await browser.send(page, FILLED)
        assert stale.status_code == 400
        assert "opened before you signed in" in text_of(stale)
        assert 'value="LockBot"' in stale.text
        assert (await browser.send(stale)).status_code == 201

    run(tmp_path, story)


def test_w04_first_steps_show_how_a_person_invites_the_bot_and_the_form_what_cannot_be_changed(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        form = await browser.open(NEW_BOT)
        assert "cannot be changed later" in text_of(form)
        answer = await browser.send(form, {**FILLED, "name": "\uff2cock"})
        assert "Lock is registered" in text_of(answer)
        invitation = code_of(answer, "curl, as a person")
        assert invitation.startswith(f'curl "{URL}/v1/memberships" -H "Authorization: Bearer $PERSONS_ACCESS_TOKEN"')
        body = json.loads(invitation.partition("--json '")[2].rpartition("'")[0])
        assert body == {"roomId": "...", "personEmail": "lockbot@webex.bot"}

    run(tmp_path, story)
