"""Rooms: seen by their members alone, changed by whoever may, locked against the rest."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from grantflow.protocol.bearer import ApiError
from grantflow.resource_server.records import Deletion, Room, RoomType
from grantflow.resource_server.rooms import Wish, grant_wish, what_goes
from tests.resource_server.given import NOW, Platform, refused, run, uuid

ADA, BOB = "a1000000-0000-4000-8000-000000000001", "b0b00000-0000-4000-8000-000000000002"


def room(**changed: Any) -> Room:
    values: dict[str, Any] = {
        "id": uuid(),
        "title": "Engines",
        "type": RoomType.GROUP,
        "is_locked": False,
        "description": "old",
        "creator_id": ADA,
        "owner_id": uuid(),
        "created_at": NOW,
        "last_activity": NOW,
        "viewer_id": BOB,
        "viewer_moderates": False,
    }
    return Room(**{**values, **changed})


LOCKED = {"is_locked": True}
MODERATED = {"viewer_moderates": True}
DIRECT = {"type": RoomType.DIRECT}

CHANGES: list[tuple[dict[str, Any], Wish, tuple[str, bool, str | None, bool]]] = [
    # the room, what is wanted, what it becomes: title, locked, description, whether the viewer moderates
    ({}, Wish("New", None, None), ("New", False, "old", False)),
    ({}, Wish("New", False, None), ("New", False, "old", False)),
    ({}, Wish("New", True, "text"), ("New", True, "text", True)),
    ({}, Wish("New", None, ""), ("New", False, None, False)),
    (MODERATED, Wish("New", True, None), ("New", True, "old", True)),
    (LOCKED | MODERATED, Wish("New", None, None), ("New", True, "old", True)),
    (LOCKED | MODERATED, Wish("New", False, None), ("New", False, "old", True)),
]


@pytest.mark.parametrize(("given", "wish", "expected"), CHANGES)
def test_whoever_locks_a_room_becomes_a_moderator(
    given: dict[str, Any], wish: Wish, expected: tuple[str, bool, str | None, bool]
) -> None:
    change = grant_wish(room(**given), wish=wish)
    assert (change.title, change.is_locked, change.description, change.viewer_moderates) == expected


@pytest.mark.parametrize(("given", "status"), [(LOCKED, 403), (DIRECT, 400), (DIRECT | MODERATED, 400)])
def test_a_locked_room_is_changed_by_moderators_alone_and_a_direct_one_by_nobody(
    given: dict[str, Any], status: int
) -> None:
    with pytest.raises(ApiError) as refusal:
        grant_wish(room(**given), wish=Wish("New", False, None))
    assert refusal.value.status == status


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"viewer_id": ADA}, Deletion.ROOM),
        ({"viewer_id": ADA} | LOCKED, Deletion.OWN_MEMBERSHIP),
        (MODERATED, Deletion.ROOM),
        (MODERATED | LOCKED, Deletion.ROOM),
        ({}, Deletion.OWN_MEMBERSHIP),
        (LOCKED, Deletion.OWN_MEMBERSHIP),
    ],
)
def test_creator_and_moderators_delete_a_room_and_others_only_leave_it(
    given: dict[str, Any], expected: Deletion
) -> None:
    assert what_goes(room(**given)) is expected


def test_a_room_that_is_opened_holds_its_creator_and_is_answered_with_200(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        caller = platform.caller(ada)
        answer = await caller.post("rooms", title="Engines ✨", description="About them", unknown={"a": 1})
        assert answer.status_code == 200
        body = answer.json()
        assert body == {
            "id": body["id"],
            "title": "Engines ✨",
            "type": "group",
            "isLocked": False,
            "lastActivity": "2026-11-23T12:00:00.000Z",
            "creatorId": ada.id,
            "created": "2026-11-23T12:00:00.000Z",
            "ownerId": body["ownerId"],
            "isAnnouncementOnly": False,
            "isReadOnly": False,
            "isPublic": False,
            "description": "About them",
        }
        assert (await caller.get(f"rooms/{body['id']}")).json() == body
        assert (await caller.get("rooms")).json() == {"items": [body]}
        (member,) = (await caller.get("memberships", roomId=body["id"])).json()["items"]
        assert (member["personId"], member["isModerator"]) == (ada.id, False)

    run(tmp_path, story)


def test_the_creator_of_a_locked_room_moderates_it(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        room_id = await ada.open_room(isLocked=True)
        (member,) = (await ada.get("memberships", roomId=room_id)).json()["items"]
        assert member["isModerator"] is True

    run(tmp_path, story)


def test_to_those_who_are_not_in_it_a_room_does_not_exist(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        room_id = await platform.caller(ada).open_room()
        message_id = await platform.caller(ada).say(room_id, "hello")
        (membership,) = (await platform.caller(ada).get("memberships", roomId=room_id)).json()["items"]
        stranger = platform.caller(bob)
        for there in (room_id, uuid()):
            expected = (404, "Room not found")
            assert refused(await stranger.get(f"rooms/{there}")) == expected
            assert refused(await stranger.put(f"rooms/{there}", title="Mine")) == expected
            assert refused(await stranger.get("messages", roomId=there)) == expected
            assert refused(await stranger.post("messages", roomId=there, text="x")) == expected
            assert refused(await stranger.get("memberships", roomId=there)) == expected
            assert refused(await stranger.post("memberships", roomId=there, personId=bob.id)) == expected
            assert refused(await stranger.delete(f"rooms/{there}")) == (
                404,
                "Could not find a room with provided ID.",
            )
        for there in (message_id, uuid()):
            path = f"messages/{there}"
            assert refused(await stranger.get(path)) == (404, "Unable to get message.")
            assert refused(await stranger.put(path, roomId=room_id, text="x")) == (404, "Unable to get message.")
            assert refused(await stranger.delete(path)) == (404, "Unable to delete message.")
        for there in (membership["id"], f"{uuid()}:{uuid()}"):
            path = f"memberships/{there}"
            assert refused(await stranger.get(path)) == (404, "Failed to get membership")
            assert refused(await stranger.put(path, isModerator=True)) == (404, "Failed to get membership")
            assert refused(await stranger.delete(path)) == (404, "User is not a participant of the room.")
        assert (await stranger.get("rooms")).json() == {"items": []}
        assert (await platform.caller(ada).get(f"rooms/{room_id}")).json()["title"] == "Engines"

    run(tmp_path, story)


def test_a_member_renames_a_room_until_it_is_locked(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        first, second = platform.caller(ada), platform.caller(bob)
        room_id = await first.open_room(description="d")
        await first.add(room_id, bob)
        assert (await second.put(f"rooms/{room_id}", title="Bob's")).json()["title"] == "Bob's"
        locked = (await second.put(f"rooms/{room_id}", title="Bob's", isLocked=True)).json()
        assert (locked["isLocked"], locked["description"]) == (True, "d")
        assert refused(await first.put(f"rooms/{room_id}", title="Ada's"))[0] == 403
        assert refused(await first.put(f"rooms/{room_id}", title="Bob's", isLocked=False))[0] == 403
        assert (await second.put(f"rooms/{room_id}", title="Open", isLocked=False)).json()["isLocked"] is False
        assert "description" not in (await second.put(f"rooms/{room_id}", title="x", description=" ")).json()

    run(tmp_path, story)


BAD_ROOMS: list[tuple[dict[str, Any], str]] = [
    ({}, "Title cannot be empty."),
    ({"title": ""}, "Title cannot be empty."),
    ({"title": " "}, "Title cannot be empty."),
    ({"title": None}, "Title cannot be empty."),
    ({"title": 5}, "The field 'title' must be a string."),
    ({"title": ["x"]}, "The field 'title' must be a string."),
    ({"title": "x" * 1001}, "The field 'title' is longer than 1000 bytes."),
    ({"title": "é" * 501}, "The field 'title' is longer than 1000 bytes."),
    ({"title": "x", "isLocked": "true"}, "The field 'isLocked' must be true or false."),
    ({"title": "x", "isLocked": 1}, "The field 'isLocked' must be true or false."),
    ({"title": "x", "description": {}}, "The field 'description' must be a string."),
    ({"title": "x", "teamId": "y"}, "The field 'teamId' is not served by this platform; leave it out."),
    ({"title": "x", "isPublic": True}, "The field 'isPublic' is not served by this platform; leave it out."),
]


def test_a_bad_room_is_refused_with_the_name_of_the_field(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        room_id = await ada.open_room()
        for body, message in BAD_ROOMS:
            assert refused(await ada.post("rooms", **body)) == (400, message), body
            assert refused(await ada.put(f"rooms/{room_id}", **body)) == (400, message), body
        fine = {"title": "x" * 1000, "isPublic": False, "teamId": None, "description": None}
        assert (await ada.post("rooms", **fine)).status_code == 200

    run(tmp_path, story)


def test_a_deleted_room_takes_its_messages_and_memberships_with_it(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        room_id = await ada.open_room()
        await ada.say(room_id, "hello")
        answer = await ada.delete(f"rooms/{room_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["trackingid"]
        for table in ("rooms", "memberships", "messages"):
            assert await platform.rows(f"SELECT 1 FROM {table}") == []
        assert refused(await ada.get(f"rooms/{room_id}")) == (404, "Room not found")

    run(tmp_path, story)


def test_a_room_goes_with_the_last_who_leaves_it(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        room_id = await platform.caller(ada).open_room()
        await platform.caller(ada).add(room_id, bob)
        assert (await platform.caller(bob).delete(f"rooms/{room_id}")).status_code == 204
        (mine,) = (await platform.caller(ada).get("memberships", roomId=room_id)).json()["items"]
        assert (await platform.caller(ada).delete(f"memberships/{mine['id']}")).status_code == 204
        assert await platform.rows("SELECT 1 FROM rooms") == []

    run(tmp_path, story)


def test_rooms_are_listed_by_type_and_in_the_order_asked_for(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        caller = platform.caller(ada)
        ids = []
        for minute in range(3):
            platform.now = NOW.replace(minute=minute)
            ids.append(await caller.open_room(f"{minute}"))
        platform.now = NOW.replace(minute=30)
        await caller.say(ids[0], "still here")
        platform.now = NOW.replace(minute=31)
        direct = (await caller.post("messages", toPersonId=bob.id, text="hi")).json()["roomId"]

        async def listed(**query: str) -> list[str]:
            return [room["id"] for room in (await caller.get("rooms", **query)).json()["items"]]

        assert await listed(sortBy="created") == [direct, ids[2], ids[1], ids[0]]
        assert await listed(sortBy="lastactivity") == [direct, ids[0], ids[2], ids[1]]
        assert await listed(type="direct") == [direct]
        assert await listed(type="group", sortBy="created") == ids[::-1]
        assert set(await listed()) == set(await listed(sortBy="id")) == {direct, *ids}
        assert await listed(teamId="x") == await listed(orgPublicSpaces="true") == []
        for query in ({"type": "public"}, {"sortBy": "title"}):
            status, message = refused(await caller.get("rooms", **query))
            assert (status, "must be one of" in message) == (400, True)

    run(tmp_path, story)


def test_locking_and_renaming_at_once_ends_in_one_of_the_two_and_loses_no_lock(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        first, second = platform.caller(ada), platform.caller(bob)
        room_id = await first.open_room("Old")
        await first.add(room_id, bob)
        renames = [second.put(f"rooms/{room_id}", title=f"Bob's {n}", isLocked=False) for n in range(20)]
        lock = first.put(f"rooms/{room_id}", title="Locked", isLocked=True)
        answers = await asyncio.gather(*renames[:10], lock, *renames[10:])
        after = [answer.status_code for answer in answers[11:]]
        assert answers[10].status_code == 200
        assert set(after) <= {403}
        assert (await first.get(f"rooms/{room_id}")).json()["isLocked"] is True

    run(tmp_path, story)
