"""Memberships: who is in a room, who moderates it, and who may change either."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from grantflow.protocol.bearer import ApiError
from grantflow.resource_server.memberships import change_seat, may_add, may_remove
from grantflow.resource_server.records import Membership, Person, Room, RoomType, Seat
from tests.resource_server.given import NOW, Platform, refused, run, uuid

ADA, BOB = "a1000000-0000-4000-8000-000000000001", "b0b00000-0000-4000-8000-000000000002"
PERSON = Person(BOB, "bob@example.com", "Bob", None, None, None, uuid(), "person", NOW)


def room(**changed: Any) -> Room:
    """A room as Ada sees it."""
    values: dict[str, Any] = {
        "id": uuid(),
        "title": "Engines",
        "type": RoomType.GROUP,
        "is_locked": False,
        "description": None,
        "creator_id": ADA,
        "owner_id": uuid(),
        "created_at": NOW,
        "last_activity": NOW,
        "viewer_id": ADA,
        "viewer_moderates": False,
    }
    return Room(**{**values, **changed})


def seat(of: str, *, moderates: bool = False, others_moderate: bool = False, **changed: Any) -> Seat:
    seen = room(**changed)
    membership = Membership(of, seen.id, "x@example.com", "X", uuid(), seen.type, moderates, False, NOW)
    return Seat(membership, seen, others_moderate)


LOCKED: dict[str, Any] = {"is_locked": True}
MODERATED: dict[str, Any] = {"viewer_moderates": True}
DIRECT: dict[str, Any] = {"type": RoomType.DIRECT}


@pytest.mark.parametrize(
    ("where", "who", "is_member", "status"),
    [
        (room(), PERSON, False, None),
        (room(**LOCKED, **MODERATED), PERSON, False, None),
        (None, PERSON, False, 404),
        (room(), None, False, 404),
        (room(), PERSON, True, 409),
        (room(**LOCKED), PERSON, False, 403),
        (room(**LOCKED), None, False, 403),
        (room(**DIRECT), PERSON, False, 400),
    ],
)
def test_anybody_in_a_room_adds_people_until_it_is_locked(
    where: Room | None, who: Person | None, is_member: bool, status: int | None
) -> None:
    assert status_of(lambda: may_add(where, who, is_member)) == status


@pytest.mark.parametrize(
    ("given", "is_moderator", "status"),
    [
        (seat(BOB), True, None),
        (seat(ADA), True, None),
        (seat(BOB, **LOCKED, **MODERATED), True, None),
        (seat(BOB, **LOCKED), True, 403),
        (seat(ADA, **LOCKED), True, 403),
        (seat(ADA, moderates=True, **LOCKED, **MODERATED), False, 409),
        (seat(ADA, moderates=True, others_moderate=True, **LOCKED, **MODERATED), False, None),
        (seat(ADA, moderates=True, **MODERATED), False, None),
        (seat(BOB, moderates=True, **LOCKED), True, None),  # no change, so nothing to refuse
        (seat(BOB, **DIRECT), True, 400),
        (None, True, 404),
    ],
)
def test_in_a_locked_room_moderators_alone_make_moderators_and_one_always_stays(
    given: Seat | None, is_moderator: bool, status: int | None
) -> None:
    assert status_of(lambda: change_seat(given, is_moderator=is_moderator, is_hidden=None)) == status


@pytest.mark.parametrize(("of", "status"), [(ADA, None), (BOB, 403)])
def test_a_room_is_hidden_for_oneself_alone(of: str, status: int | None) -> None:
    assert status_of(lambda: change_seat(seat(of), is_moderator=None, is_hidden=True)) == status


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (seat(ADA), None),
        (seat(BOB), None),
        (seat(ADA, **LOCKED), None),
        (seat(BOB, **LOCKED), 403),
        (seat(BOB, **LOCKED, **MODERATED), None),
        (seat(ADA, moderates=True, **LOCKED, **MODERATED), 409),
        (seat(ADA, moderates=True, others_moderate=True, **LOCKED, **MODERATED), None),
        (seat(ADA, **DIRECT), 400),
        (seat(BOB, **DIRECT), 400),
        (None, 404),
    ],
)
def test_everybody_may_leave_but_the_last_moderator_of_a_locked_room(given: Seat | None, status: int | None) -> None:
    assert status_of(lambda: may_remove(given)) == status


def status_of(decide: Any) -> int | None:
    try:
        decide()
    except ApiError as refusal:
        return refusal.status
    return None


def test_a_person_is_added_by_id_or_email_and_seen_by_the_others(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob, eve = [await platform.person(name) for name in ("Ada", "Bob", "Eve")]
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        answer = await caller.post("memberships", roomId=room_id, personEmail="BOB@example.com", isModerator=True)
        body = answer.json()
        assert answer.status_code == 200
        assert body == {
            "id": body["id"],
            "roomId": room_id,
            "personId": bob.id,
            "personEmail": "bob@example.com",
            "personDisplayName": "Bob",
            "personOrgId": body["personOrgId"],
            "isModerator": True,
            "isMonitor": False,
            "isRoomHidden": False,
            "roomType": "group",
            "created": "2026-11-23T12:00:00.000Z",
        }
        assert (await platform.caller(bob).get(f"memberships/{body['id']}")).json() == body
        again = await platform.caller(bob).post("memberships", roomId=room_id, personId=bob.id)
        assert refused(again) == (409, "Person is already in the room.")
        await platform.caller(bob).add(room_id, eve)

        async def listed(**query: str) -> set[str]:
            answer = await caller.get("memberships", **query)
            return {member["personDisplayName"] for member in answer.json()["items"]}

        assert await listed(roomId=room_id) == {"Ada", "Bob", "Eve"}
        assert await listed(roomId=room_id, personId=bob.id) == {"Bob"}
        assert await listed(roomId=room_id, personEmail="Eve@Example.com") == {"Eve"}
        assert await listed(roomId=room_id, personEmail="nobody@example.com") == set()
        assert await listed() == {"Ada"}

    run(tmp_path, story)


BAD_MEMBERSHIPS: list[tuple[dict[str, Any], int, str]] = [
    ({"roomId": None}, 400, "roomId cannot be null"),
    ({"roomId": "x"}, 400, "Expect base64 ID or UUID."),
    ({"roomId": 1}, 400, "The field 'roomId' must be a string."),
    ({"personId": None}, 400, "Must specify either personId or personEmail."),
    ({"personId": ""}, 400, "Must specify either personId or personEmail."),
    ({"personEmail": "bob@example.com"}, 400, "Must specify either personId or personEmail."),
    ({"personId": "x"}, 400, "Expect base64 ID or UUID."),
    ({"personId": uuid()}, 404, "Person not found"),
    ({"personId": None, "personEmail": "nobody@example.com"}, 404, "Person not found"),
    ({"personId": None, "personEmail": "x" * 321}, 400, "The field 'personEmail' is longer than 320 bytes."),
    ({"isModerator": "yes"}, 400, "The field 'isModerator' must be true or false."),
]


def test_a_bad_membership_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        caller = platform.caller(ada)
        fine = {"roomId": await caller.open_room(), "personId": bob.id}
        for changed, status, message in BAD_MEMBERSHIPS:
            assert refused(await caller.post("memberships", **{**fine, **changed})) == (status, message), changed
        for query in ({"personId": bob.id}, {"personEmail": bob.email}):
            answer = await caller.get("memberships", **query)
            assert refused(answer) == (400, "roomId is required with personId or personEmail.")

    run(tmp_path, story)


def test_a_membership_is_updated_in_one_field_or_both(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        caller = platform.caller(ada)
        path = f"memberships/{await caller.add(await caller.open_room(), bob)}"
        assert (await caller.put(path, isModerator=True)).json()["isModerator"] is True
        both = (await platform.caller(bob).put(path, isModerator=False, isRoomHidden=True)).json()
        assert (both["isModerator"], both["isRoomHidden"]) == (False, True)
        assert refused(await caller.put(path, is_moderator=True))[0] == 400
        assert refused(await caller.put(path, isModerator="true"))[0] == 400

    run(tmp_path, story)


def test_whoever_was_removed_sees_the_room_no_more_and_cannot_post(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        membership_id = await caller.add(room_id, bob)
        answer = await caller.delete(f"memberships/{membership_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        gone = platform.caller(bob)
        assert (await gone.get(f"rooms/{room_id}")).status_code == 404
        assert (await gone.post("messages", roomId=room_id, text="x")).status_code == 404
        again = await caller.delete(f"memberships/{membership_id}")
        assert refused(again) == (404, "User is not a participant of the room.")

    run(tmp_path, story)


def test_of_two_moderators_who_step_down_at_once_one_stays(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        first, second = platform.caller(ada), platform.caller(bob)
        for _ in range(10):
            room_id = await first.open_room(isLocked=True)
            theirs = await first.add(room_id, bob, isModerator=True)
            listed = (await first.get("memberships", roomId=room_id, personId=ada.id)).json()
            answers = await asyncio.gather(
                first.delete(f"memberships/{listed['items'][0]['id']}"),
                second.put(f"memberships/{theirs}", isModerator=False),
            )
            assert sorted(answer.status_code for answer in answers) in ([200, 409], [204, 409])

    run(tmp_path, story)


def test_one_person_added_by_twenty_at_once_is_added_once(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada"), await platform.person("Bob")
        caller = platform.caller(ada)
        room_id = await caller.open_room()
        adding = [caller.post("memberships", roomId=room_id, personId=bob.id) for _ in range(20)]
        statuses = [answer.status_code for answer in await asyncio.gather(*adding)]
        assert sorted(statuses) == [200, *[409] * 19]

    run(tmp_path, story)
