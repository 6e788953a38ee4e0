"""Bots at the API: accounts of their own, which see the rooms that they are in, and there what is said to them."""

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow.developer_portal.bots import new_bot_token
from grantflow.protocol.bearer import INVALID_TOKEN_MESSAGE
from grantflow.resource_server.mentions import MENTIONS_LIMIT, read_mentions
from grantflow.resource_server.records import Mention, PersonName, Words
from grantflow.storage.bots import BotStore
from grantflow.storage.sqlite import SqliteEngine
from tests.resource_server.given import NOW, ORG, Caller, Platform, refused, run, uuid


async def texts(caller: Caller, path: str = "messages", **query: str) -> list[str]:
    answer = await caller.get(path, **query)
    assert answer.status_code == 200, answer.text
    return [message["text"] for message in answer.json()["items"]]


# --- who it is -----------------------------------------------------------------------------------------------------


def test_w04_a_bot_is_an_account_of_its_own_of_type_bot(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        bot = await platform.bot("LockBot")
        me = (await platform.caller(bot).get("people/me")).json()
        assert (me["type"], me["emails"], me["displayName"]) == ("bot", ["lockbot@webex.bot"], "LockBot")
        ada = await platform.person("Ada")
        assert (await platform.caller(ada).get(f"people/{bot.id}")).json() == me
        assert (await platform.caller(ada).get("people", email=bot.email)).json()["items"] == [me]

    run(tmp_path, story)


def test_w04_a_bot_s_token_lives_for_a_hundred_years(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        bot = await platform.bot()
        for years, status in [(1, 200), (99, 200), (101, 401)]:
            platform.now = NOW + timedelta(days=365.25 * years)
            assert (await platform.caller(bot).get("people/me")).status_code == status, years

    run(tmp_path, story)


def test_w04_a_bot_sees_no_room_of_anybody_before_it_is_invited(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bot = await platform.person("Ada"), await platform.bot()
        caller, its = platform.caller(ada), platform.caller(bot)
        room_id = await caller.open_room("Engines")
        message_id = await caller.say(room_id, "to nobody in particular")
        assert (await its.get("rooms")).json() == {"items": []}
        assert (await its.get("memberships")).json() == {"items": []}
        for path in (f"rooms/{room_id}", f"messages/{message_id}", f"messages?roomId={room_id}&mentionedPeople=me"):
            assert (await its.get(path)).status_code == 404, path
        answer = await caller.post("memberships", roomId=room_id, personEmail="LockBot@webex.bot")
        assert (answer.status_code, answer.json()["personId"]) == (200, bot.id)
        assert [room["title"] for room in (await its.get("rooms")).json()["items"]] == ["Engines"]
        assert (await its.get("memberships")).json()["items"] == [answer.json()]

    run(tmp_path, story)


def test_w04_what_a_bot_posts_appears_in_its_own_name(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bot = await platform.person("Ada"), await platform.bot()
        caller, its = platform.caller(ada), platform.caller(bot)
        room_id = await caller.open_room()
        await caller.add(room_id, bot)
        posted = (await its.post("messages", roomId=room_id, markdown="**locked**")).json()
        assert (posted["personId"], posted["personEmail"]) == (bot.id, bot.email)
        assert (await its.get(f"messages/{posted['id']}")).json() == posted
        assert (await its.put(f"messages/{posted['id']}", roomId=room_id, text="unlocked")).json()["text"] == "unlocked"
        assert (await its.delete(f"messages/{posted['id']}")).status_code == 204
        direct = (await its.post("messages", toPersonEmail=ada.email, text="psst")).json()
        assert (direct["roomType"], direct["personId"]) == ("direct", bot.id)

    run(tmp_path, story)


# --- what it reads -------------------------------------------------------------------------------------------------


def test_w04_in_a_group_room_a_bot_sees_what_mentions_it_and_what_it_wrote_and_nothing_else(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bot = await platform.person("Ada"), await platform.bot()
        caller, its = platform.caller(ada), platform.caller(bot)
        room_id = await caller.open_room()
        await caller.add(room_id, bot)
        not_for_it = await caller.say(room_id, "between people")
        for_it = (await caller.post("messages", roomId=room_id, markdown=f"<@personEmail:{bot.email}> lock")).json()
        assert (for_it["text"], for_it["mentionedPeople"]) == ("LockBot lock", [bot.id])
        own = await its.say(room_id, "locked")
        assert refused(await its.get("messages", roomId=room_id))[0] == 403
        assert refused(await its.get(f"messages/{not_for_it}")) == (404, "Unable to get message.")
        assert refused(await its.get("messages", roomId=room_id, mentionedPeople="me", beforeMessage=not_for_it)) == (
            404,
            "Unable to get message.",
        )
        for who in ("me", bot.id, bot.uuid):
            assert await texts(its, roomId=room_id, mentionedPeople=who) == ["LockBot lock"]
        assert await texts(its, roomId=room_id, mentionedPeople="me", beforeMessage=own) == ["LockBot lock"]
        assert (await its.get(f"messages/{for_it['id']}")).json() == for_it
        assert await texts(caller, roomId=room_id) == ["locked", "LockBot lock", "between people"]

    run(tmp_path, story)


def test_w04_in_a_direct_room_a_bot_sees_everything(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bot = await platform.person("Ada"), await platform.bot()
        said = (await platform.caller(ada).post("messages", toPersonEmail=bot.email, text="hello")).json()
        its = platform.caller(bot)
        assert await texts(its, roomId=said["roomId"]) == ["hello"]
        assert await texts(its, "messages/direct", personEmail=ada.email) == ["hello"]
        assert (await its.get(f"messages/{said['id']}")).status_code == 200

    run(tmp_path, story)


def test_mentions_are_listed_page_by_page_and_a_person_may_list_their_own_alone(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob, bot = await platform.person("Ada"), await platform.person("Bob"), await platform.bot()
        caller, its = platform.caller(ada), platform.caller(bot)
        room_id, other = await caller.open_room(), await caller.open_room("Other")
        for room in (room_id, other):
            await caller.add(room, bot)
            await caller.add(room, bob)
        ids = []
        for number in range(7):
            mention = f"<@personId:{bot.id}|Lock>" if number % 2 else f"<@personEmail:{bob.email}>"
            sent = {"roomId": room_id, "markdown": f"{mention} {number}"}
            ids.append((await caller.post("messages", **sent)).json()["id"])
        await caller.post("messages", roomId=other, markdown=f"<@personId:{bot.id}> elsewhere")
        await caller.post("messages", roomId=room_id, parentId=ids[0], markdown=f"<@personId:{bot.id}> reply")
        assert await texts(its, roomId=room_id, mentionedPeople="me") == ["LockBot reply", "Lock 5", "Lock 3", "Lock 1"]
        assert await texts(its, roomId=room_id, mentionedPeople="me", parentId=ids[0]) == ["LockBot reply"]
        found: list[str] = []
        query: dict[str, str] = {"roomId": room_id, "mentionedPeople": "me", "max": "3"}
        answer = await its.get("messages", **query)
        while True:
            found += [message["text"] for message in answer.json()["items"]]
            if "next" not in answer.links:
                break
            answer = await its.send("GET", answer.links["next"]["url"].replace("https://platform.example/v1/", ""))
        assert found == ["LockBot reply", "Lock 5", "Lock 3", "Lock 1"]
        theirs = platform.caller(bob)
        assert await texts(theirs, roomId=room_id, mentionedPeople="me") == ["Bob 6", "Bob 4", "Bob 2", "Bob 0"]
        assert refused(await theirs.get("messages", roomId=room_id, mentionedPeople=bot.id))[0] == 400
        assert refused(await theirs.get("messages", roomId=room_id, mentionedPeople="everybody"))[0] == 400

    run(tmp_path, story)


def test_an_edit_mentions_whom_it_names_and_no_longer_whom_it_does_not(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bot = await platform.person("Ada"), await platform.bot()
        caller, its = platform.caller(ada), platform.caller(bot)
        room_id = await caller.open_room()
        await caller.add(room_id, bot)
        message_id = await caller.say(room_id, "plain")
        mentioning = {"roomId": room_id, "markdown": f"<@personId:{bot.id}> now"}
        assert (await caller.put(f"messages/{message_id}", **mentioning)).json()["mentionedPeople"] == [bot.id]
        assert await texts(its, roomId=room_id, mentionedPeople="me") == ["LockBot now"]
        assert "mentionedPeople" not in (await caller.put(f"messages/{message_id}", roomId=room_id, text="x")).json()
        assert await texts(its, roomId=room_id, mentionedPeople="me") == []
        assert (await its.get(f"messages/{message_id}")).status_code == 404

    run(tmp_path, story)


def test_whoever_is_not_in_the_room_is_not_mentioned(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bot = await platform.person("Ada"), await platform.bot()
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        for markdown, text in [
            (f"<@personEmail:{bot.email}|Lock> x", "Lock x"),
            (f"<@personEmail:{bot.email}> x", f"<@personEmail:{bot.email}> x"),
            ("<@personId:nonsense> <@all>", "<@personId:nonsense> <@all>"),
        ]:
            body = (await caller.post("messages", roomId=room_id, markdown=markdown)).json()
            assert (body["text"], body["markdown"], "mentionedPeople" in body) == (text, markdown, False)

    run(tmp_path, story)


EMAIL = PersonName(None, "a@x.example")
ID = "103d2285-fdf0-456e-aad4-a0dcec1ae0d5"  # it stands in the test's name, which no two workers may read differently


@pytest.mark.parametrize(
    ("markdown", "found"),
    [
        (None, ()),
        ("hello a@x.example", ()),
        ("<@personEmail:a@x.example>", (Mention("<@personEmail:a@x.example>", EMAIL, None),)),
        ("<@personEmail:a@x.example|A B>!", (Mention("<@personEmail:a@x.example|A B>", EMAIL, "A B"),)),
        (f"<@personId:{ID}|>", (Mention(f"<@personId:{ID}|>", PersonName(ID, None), None),)),
        (
            "<@personEmail:a@x.example> <@personEmail:a@x.example>",
            (Mention("<@personEmail:a@x.example>", EMAIL, None),),
        ),
        ("<@personEmail:> <@personId:x> <@all> <@personEmail:a b>", ()),
        ("<@personEmail:" * 500, ()),
    ],
)
def test_a_mention_is_read_as_webex_writes_it(markdown: str | None, found: Any) -> None:
    assert read_mentions(markdown) == found


def test_a_message_mentions_fifty_people_at_the_most() -> None:
    assert len(read_mentions("".join(f"<@personEmail:{n}@x>" for n in range(90)))) == MENTIONS_LIMIT


def test_a_text_that_somebody_wrote_themselves_is_left_alone() -> None:
    mention = Mention("<@personEmail:a@x>", EMAIL, None)
    assert Words("alone", "<@personEmail:a@x>", (mention,)).with_names({mention: "Ada"}).text == "alone"


# --- its end -------------------------------------------------------------------------------------------------------


def test_w04_a_new_token_takes_the_old_one_s_place_and_no_other_bot_s(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        bot, other = await platform.bot("LockBot"), await platform.bot("OtherBot")
        token, kept = new_bot_token(ORG, now=NOW, mint=secrets.token_bytes)
        assert await BotStore(platform.engine).replace_token(bot.uuid, kept)
        assert refused(await platform.caller(bot).get("people/me")) == (401, INVALID_TOKEN_MESSAGE)
        renewed = platform.caller(None, authorization=f"Bearer {token.reveal()}")
        assert (await renewed.get("people/me")).json()["displayName"] == "LockBot"
        assert (await platform.caller(other).get("people/me")).status_code == 200
        assert not await BotStore(platform.engine).replace_token(uuid(), kept)

    run(tmp_path, story)


def test_w04_no_person_is_given_a_bot_s_token(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        _, kept = new_bot_token(ORG, now=NOW, mint=secrets.token_bytes)
        assert not await BotStore(platform.engine).replace_token(ada.uuid, kept)
        assert not await BotStore(platform.engine).delete(ada.uuid, now=NOW)
        assert (await platform.caller(ada).get("people/me")).status_code == 200

    run(tmp_path, story)


def test_a_deleted_bot_is_out_of_every_group_and_found_no_more_but_what_it_said_stays(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bot = await platform.person("Ada"), await platform.bot()
        caller, its = platform.caller(ada), platform.caller(bot)
        room_id, bots = await caller.open_room(), BotStore(platform.engine)
        await caller.add(room_id, bot)
        await its.say(room_id, "goodbye")
        alone = await its.open_room("Alone")
        locked = await its.open_room("Locked", isLocked=True)
        await its.add(locked, ada)
        direct = (await its.post("messages", toPersonId=ada.id, text="psst")).json()["roomId"]
        assert await bots.rooms_of(bot.uuid) == 4
        assert await bots.delete(bot.uuid, now=NOW)
        assert not await bots.delete(bot.uuid, now=NOW)
        assert await bots.find("lockbot") is None
        assert await bots.list(limit=10) == []
        assert refused(await its.get("people/me"))[0] == 401
        assert refused(await caller.get(f"people/{bot.id}"))[0] == 404
        assert (await caller.get("people", displayName="Lock")).json()["items"] == []
        assert refused(await caller.post("memberships", roomId=room_id, personId=bot.id))[0] == 404
        assert refused(await caller.post("messages", toPersonEmail=bot.email, text="x"))[0] == 404
        members = (await caller.get("memberships", roomId=room_id)).json()["items"]
        assert [member["personEmail"] for member in members] == [ada.email]
        assert await texts(caller, roomId=room_id) == ["goodbye"]
        assert await texts(caller, roomId=direct) == ["psst"]
        assert (await caller.get(f"rooms/{direct}")).json()["title"] == "LockBot"
        # A locked room that lost its only moderator could never be changed again.
        assert (await caller.get(f"rooms/{locked}")).json()["isLocked"] is False
        assert await platform.rows("SELECT 1 FROM rooms WHERE title = 'Alone'") == []
        assert alone

    run(tmp_path, story)


def test_a_deleted_bot_s_username_stays_its_own(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        bot = await platform.bot()
        await BotStore(platform.engine).delete(bot.uuid, now=NOW)
        with pytest.raises(AssertionError):
            await platform.bot()

    run(tmp_path, story)


def test_what_mentions_a_bot_is_found_by_an_index_however_much_is_said(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bot = await platform.person("Ada"), await platform.bot()
        caller, its = platform.caller(ada), platform.caller(bot)
        room_id = await caller.open_room()
        await caller.add(room_id, bot)
        await caller.post("messages", roomId=room_id, markdown=f"<@personId:{bot.id}> x")
        statements: set[str] = set()
        assert isinstance(platform.engine, SqliteEngine)
        connections = (platform.engine._reader, platform.engine._writer)
        for connection in connections:
            connection.set_trace_callback(statements.add)
        assert await texts(its, roomId=room_id, mentionedPeople="me") == ["LockBot x"]
        await BotStore(platform.engine).list(limit=10)
        await BotStore(platform.engine).of_owner(ada.uuid, search="", limit=10)
        await BotStore(platform.engine).delete(bot.uuid, now=NOW)
        for connection in connections:
            connection.set_trace_callback(None)
        planned = [each for each in statements if each.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))]
        assert len(planned) > 8
        for statement in planned:
            plan = await platform.rows(f"EXPLAIN QUERY PLAN {statement}")
            steps = [step["detail"] for step in plan]
            assert not any("SCAN" in step or "TEMP B-TREE" in step for step in steps), (statement, steps)

    run(tmp_path, story)
