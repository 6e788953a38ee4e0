"""Messages: said in a room or to one person, listed newest first, changed and deleted by whoever may."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.resource_server.given import NOW, Platform, refused, run, uuid

DESTINATIONS = "Exactly one of the destination fields must not be empty (roomId, toPersonEmail, toPersonId)"


def test_a_message_appears_in_the_name_of_the_person_who_granted(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        platform.now = NOW + timedelta(seconds=1)
        answer = await caller.post("messages", roomId=room_id, text="plain", markdown="**rich** ✨")
        body = answer.json()
        assert answer.status_code == 200
        assert body == {
            "id": body["id"],
            "roomId": room_id,
            "roomType": "group",
            "text": "plain",
            "markdown": "**rich** ✨",
            "personId": ada.id,
            "personEmail": "ada@example.com",
            "created": "2026-11-23T12:00:01.000Z",
            "isVoiceClip": False,
        }
        assert (await caller.get(f"messages/{body['id']}")).json() == body
        assert (await caller.get("messages", roomId=room_id)).json() == {"items": [body]}
        assert (await caller.get(f"rooms/{room_id}")).json()["lastActivity"] == "2026-11-23T12:00:01.000Z"

    run(tmp_path, story)


def test_markdown_alone_is_also_the_text(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        answer = await ada.post("messages", roomId=await ada.open_room(), markdown="*hi*", text=None)
        assert (answer.json()["text"], answer.json()["markdown"]) == ("*hi*", "*hi*")

    run(tmp_path, story)


def test_a_direct_message_makes_the_one_room_of_the_two(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob", org_id=uuid())
        first, second = platform.caller(ada), platform.caller(bob)
        messages = [
            await first.post("messages", toPersonEmail="BOB@example.com", text="1"),
            await first.post("messages", toPersonId=bob.id, text="2"),
            await second.post("messages", toPersonId=ada.id, roomId="", text="3"),
        ]
        bodies = [answer.json() for answer in messages]
        assert bodies[0]["toPersonEmail"] == "BOB@example.com"
        assert bodies[1]["toPersonId"] == bob.id
        assert {body["roomType"] for body in bodies} == {"direct"}
        (room_id,) = {body["roomId"] for body in bodies}
        for caller, other in [(first, "Bob"), (second, "Ada")]:
            room = (await caller.get(f"rooms/{room_id}")).json()
            assert (room["title"], room["type"], room["isLocked"]) == (other, "direct", False)
        for query in ({"personId": bob.id}, {"personEmail": "bob@example.com"}):
            listed = (await first.get("messages/direct", **query)).json()["items"]
            assert [message["text"] for message in listed] == ["3", "2", "1"]

    run(tmp_path, story)


def test_a_direct_room_keeps_its_two_people_and_its_name(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob, eve = [await platform.person(name) for name in ("Ada", "Bob", "Eve")]
        caller = platform.caller(ada)
        room_id = (await caller.post("messages", toPersonId=bob.id, text="1")).json()["roomId"]
        member = (await caller.get("memberships", roomId=room_id)).json()["items"][0]
        for refusal in [
            await caller.put(f"rooms/{room_id}", title="x"),
            await caller.delete(f"rooms/{room_id}"),
            await caller.post("memberships", roomId=room_id, personId=eve.id),
            await caller.put(f"memberships/{member['id']}", isModerator=True),
            await caller.delete(f"memberships/{member['id']}"),
        ]:
            assert refused(refusal)[0] == 400
        assert len((await caller.get("memberships", roomId=room_id)).json()["items"]) == 2

    run(tmp_path, story)


def test_twenty_first_messages_at_once_from_both_sides_make_one_direct_room(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        first, second = platform.caller(ada), platform.caller(bob)
        sending = [first.post("messages", toPersonId=bob.id, text=f"a{n}") for n in range(10)]
        sending += [second.post("messages", toPersonEmail=ada.email, text=f"b{n}") for n in range(10)]
        answers = await asyncio.gather(*sending)
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["roomId"] for answer in answers}) == 1

    run(tmp_path, story)


def test_a_new_message_shows_a_hidden_room_again(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        caller = platform.caller(ada)
        room_id = (await caller.post("messages", toPersonId=bob.id, text="1")).json()["roomId"]
        (mine,) = (await caller.get("memberships", roomId=room_id, personId=ada.id)).json()["items"]
        assert (await caller.put(f"memberships/{mine['id']}", isRoomHidden=True)).json()["isRoomHidden"] is True
        await platform.caller(bob).say(room_id, "2")
        assert (await caller.get(f"memberships/{mine['id']}")).json()["isRoomHidden"] is False

    run(tmp_path, story)


LONGEST = "é" * 3719 + "x"
BAD_MESSAGES: list[tuple[dict[str, Any], int, str]] = [
    ({"text": None}, 400, "Both text and file cannot be empty."),
    ({"text": "", "markdown": ""}, 400, "Both text and file cannot be empty."),
    ({"text": 1}, 400, "The field 'text' must be a string."),
    ({"text": LONGEST + "x"}, 400, "The field 'text' is longer than 7439 bytes."),
    ({"markdown": LONGEST + "x"}, 400, "The field 'markdown' is longer than 7439 bytes."),
    ({"files": ["http://x"]}, 400, "The field 'files' is not served by this platform; leave it out."),
    ({"attachments": [{}]}, 400, "The field 'attachments' is not served by this platform; leave it out."),
    ({"html": "<b>x</b>"}, 400, "The field 'html' is not served by this platform; leave it out."),
    ({"roomId": None}, 400, DESTINATIONS),
    ({"roomId": ""}, 400, DESTINATIONS),
    ({"toPersonEmail": "bob@example.com"}, 400, DESTINATIONS),
    ({"roomId": 5}, 400, "The field 'roomId' must be a string."),
    ({"roomId": "x"}, 400, "Expect base64 ID or UUID."),
    ({"roomId": uuid()}, 404, "Room not found"),
    ({"roomId": None, "toPersonId": uuid()}, 404, "Person not found"),
    ({"roomId": None, "toPersonEmail": "nobody@example.com"}, 404, "Person not found"),
    ({"parentId": uuid()}, 400, "The parentId names no message of this room."),
    ({"parentId": "x"}, 400, "Expect base64 ID or UUID."),
]


def test_a_bad_message_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        caller = platform.caller(ada)
        fine = {"roomId": await caller.open_room(), "text": LONGEST}
        assert (await caller.post("messages", **fine)).status_code == 200
        for changed, status, message in BAD_MESSAGES:
            assert refused(await caller.post("messages", **{**fine, **changed})) == (status, message), changed
        for oneself in ({"toPersonId": ada.id}, {"toPersonEmail": "ADA@example.com"}):
            assert refused(await caller.post("messages", text="x", **oneself))[0] == 400
        assert len(await platform.rows("SELECT 1 FROM rooms")) == 1

    run(tmp_path, story)


def test_a_reply_answers_a_message_of_the_same_room_that_is_no_reply_itself(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        room_id, elsewhere = await ada.open_room(), await ada.open_room()
        top = await ada.say(room_id, "top")
        reply = await ada.say(room_id, "reply", parentId=top)
        await ada.say(room_id, "other")
        assert (await ada.get(f"messages/{reply}")).json()["parentId"] == top
        thread = (await ada.get("messages", roomId=room_id, parentId=top)).json()["items"]
        assert [message["text"] for message in thread] == ["reply"]
        for where, parent in [(elsewhere, top), (room_id, reply)]:
            assert refused(await ada.post("messages", roomId=where, text="x", parentId=parent))[0] == 400
        await ada.delete(f"messages/{top}")
        assert "parentId" not in (await ada.get(f"messages/{reply}")).json()

    run(tmp_path, story)


def test_messages_come_newest_first_and_before_a_time_or_a_message(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        room_id = await ada.open_room()
        ids = []
        for second in range(1, 5):
            platform.now = NOW + timedelta(seconds=second)
            ids.append(await ada.say(room_id, f"{second}"))

        async def said(**query: str) -> str:
            answer = await ada.get("messages", roomId=room_id, **query)
            assert answer.status_code == 200, answer.text
            return "".join(message["text"] for message in answer.json()["items"])

        for query, expected in [
            ({}, "4321"),
            ({"max": "2"}, "43"),
            ({"before": "2026-11-23T12:00:03.000Z"}, "21"),
            ({"before": "2026-11-23T13:00:03.001+01:00"}, "321"),
            ({"before": "2026-11-23T13:00:03.001 01:00"}, "321"),
            ({"before": "0001-01-01T00:00:00Z"}, ""),
            ({"before": "9999-12-31T23:59:59Z"}, "4321"),
            ({"beforeMessage": ids[2]}, "21"),
            ({"beforeMessage": ids[2], "before": "2026-11-23T12:00:02.000Z"}, "1"),
            ({"beforeMessage": ids[1], "before": "2026-11-23T12:00:04.000Z"}, "1"),
        ]:
            assert await said(**query) == expected, query

    run(tmp_path, story)


def test_a_list_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        caller = platform.caller(ada)
        room_id, elsewhere = await caller.open_room(), await caller.open_room()
        foreign = await caller.say(elsewhere, "x")
        for path, query, status, message in [
            ("messages", {}, 400, "Required String parameter 'roomId' is not present"),
            ("messages", {"roomId": "x"}, 400, "Expect base64 ID or UUID."),
            ("messages", {"roomId": room_id, "before": "yesterday"}, 400, None),
            ("messages", {"roomId": room_id, "before": "2026-11-23T12:00:00"}, 400, None),
            ("messages", {"roomId": room_id, "before": "0001-01-01T00:00:00+23:59"}, 400, None),
            ("messages", {"roomId": room_id, "beforeMessage": foreign}, 404, "Unable to get message."),
            ("messages", {"roomId": room_id, "beforeMessage": uuid()}, 404, "Unable to get message."),
            ("messages", {"roomId": room_id, "mentionedPeople": uuid()}, 400, None),
            ("messages/direct", {}, 400, "Must specify either personId or personEmail."),
            ("messages/direct", {"personEmail": "nobody@example.com"}, 404, "Room not found"),
            ("messages/direct", {"personId": ada.id}, 404, "Room not found"),
        ]:
            found = refused(await caller.get(path, **query))
            assert found == (status, message or found[1]), (path, query)

    run(tmp_path, story)


def test_messages_of_one_instant_keep_their_order_even_if_the_clock_goes_back(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        room_id = await ada.open_room()
        for step in (3, 3, 3, -3600, -3600, 4):
            platform.now = NOW + timedelta(seconds=step)
            await ada.say(room_id, "x")
        items = (await ada.get("messages", roomId=room_id)).json()["items"]
        created = [message["created"] for message in items]
        assert created == sorted(set(created), reverse=True)
        assert created[0] == "2026-11-23T12:00:04.000Z"

    run(tmp_path, story)


def test_its_author_changes_a_message_ten_times(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        await caller.add(room_id, bob, isModerator=True)
        path = f"messages/{await caller.say(room_id, 'first')}"
        assert refused(await platform.caller(bob).put(path, roomId=room_id, text="x"))[0] == 403
        assert refused(await caller.put(path, roomId=await caller.open_room(), text="x"))[0] == 400
        assert refused(await caller.put(path, text="x")) == (400, "roomId cannot be null")
        assert refused(await caller.put(path, roomId=room_id))[0] == 400
        platform.now = NOW + timedelta(seconds=9)
        for edit in range(10):
            answer = await caller.put(path, roomId=room_id, markdown=f"**{edit}**")
            assert answer.status_code == 200, answer.text
        body = (await caller.get(path)).json()
        assert (body["text"], body["markdown"], body["updated"]) == ("**9**", "**9**", "2026-11-23T12:00:09.000Z")
        assert refused(await caller.put(path, roomId=room_id, text="x"))[0] == 400

    run(tmp_path, story)


def test_author_and_moderators_delete_a_message_and_nobody_else(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob, eve = [await platform.person(name) for name in ("Ada", "Bob", "Eve")]
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        await caller.add(room_id, bob)
        await caller.add(room_id, eve, isModerator=True)
        first, second = await caller.say(room_id, "1"), await caller.say(room_id, "2")
        assert refused(await platform.caller(bob).delete(f"messages/{first}"))[0] == 403
        for who, message in [(ada, first), (eve, second)]:
            answer = await platform.caller(who).delete(f"messages/{message}")
            assert (answer.status_code, answer.content) == (204, b"")
        assert refused(await caller.delete(f"messages/{first}")) == (404, "Unable to delete message.")
        assert (await caller.get("messages", roomId=room_id)).json() == {"items": []}

    run(tmp_path, story)
