"""``/memberships``: who is in the person's rooms, and who moderates them (developer.webex.com, Memberships)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grantflow.protocol.bearer import ApiError
from grantflow.protocol.timestamp import write_timestamp
from grantflow.resource_server.answers import Answer
from grantflow.resource_server.api import Call
from grantflow.resource_server.fields import EMAIL_LIMIT, ID_LIMIT, Body, read_body, read_max, read_query
from grantflow.resource_server.ids import Kind, read_id, read_membership_id, write_id, write_membership_id
from grantflow.resource_server.paging import cut, next_url, read_cursor
from grantflow.resource_server.ports import Memberships, Rooms
from grantflow.resource_server.records import Cursor, Membership, Person, PersonName, Room, Seat, SeatChange
from grantflow.resource_server.rooms import seen


@dataclass(frozen=True, slots=True)
class MembershipCalls:
    """``url`` is the public address of the list."""

    memberships: Memberships
    rooms: Rooms
    url: str

    async def find(self, call: Call) -> Answer:
        """Those of a room, of one person in it, or all of the caller's own."""
        query = read_query(call.request)
        size = read_max(query, default=100, limit=1000)
        found = await (self._of_room if "roomId" in query else self._of_caller)(call, query, limit=size + 1)
        page, last = cut(found, size=size)
        after = Cursor(last.person_id if "roomId" in query else last.room_id) if last else None
        return Answer({"items": [write_membership(one) for one in page]}, next_url(self.url, query, after=after))

    async def _of_room(self, call: Call, query: Mapping[str, str], *, limit: int) -> Sequence[Membership]:
        room_id = read_id(Kind.ROOM, query["roomId"])
        who = read_name(query.get("personId"), query.get("personEmail"))
        seen(await self.rooms.find(room_id, viewer_id=call.person.id))
        return await self.memberships.of_room(room_id, who=who, after=read_cursor(query), limit=limit)

    async def _of_caller(self, call: Call, query: Mapping[str, str], *, limit: int) -> Sequence[Membership]:
        if "personId" in query or "personEmail" in query:
            raise ApiError(400, "roomId is required with personId or personEmail.")
        return await self.memberships.of_person(call.person.id, after=read_cursor(query), limit=limit)

    async def create(self, call: Call) -> Answer:
        body = read_body(call.request)
        room_id = body.text("roomId", limit=ID_LIMIT)
        if room_id is None:
            raise ApiError(400, "roomId cannot be null")
        who = read_person(body, person_id="personId", email="personEmail")
        if who is None:
            raise ApiError(400, "Must specify either personId or personEmail.")
        membership = await self.memberships.add(
            who,
            room_id=read_id(Kind.ROOM, room_id),
            viewer_id=call.person.id,
            is_moderator=body.flag("isModerator") or False,
            now=call.now,
            rule=may_add,
        )
        return Answer(write_membership(membership))

    async def get(self, call: Call) -> Answer:
        person_id, room_id = read_membership_id(call.ids["membership_id"])
        membership = await self.memberships.find(person_id, room_id=room_id, viewer_id=call.person.id)
        if membership is None:
            raise ApiError(404, "Failed to get membership")
        return Answer(write_membership(membership))

    async def update(self, call: Call) -> Answer:
        person_id, room_id = read_membership_id(call.ids["membership_id"])
        body = read_body(call.request)
        is_moderator, is_hidden = body.flag("isModerator"), body.flag("isRoomHidden")
        if is_moderator is None and is_hidden is None:
            raise ApiError(400, "There is nothing to change: send isModerator, isRoomHidden, or both.")
        membership = await self.memberships.change(
            person_id,
            room_id=room_id,
            viewer_id=call.person.id,
            rule=lambda seat: change_seat(seat, is_moderator=is_moderator, is_hidden=is_hidden),
        )
        return Answer(write_membership(membership))

    async def delete(self, call: Call) -> Answer:
        person_id, room_id = read_membership_id(call.ids["membership_id"])
        await self.memberships.remove(person_id, room_id=room_id, viewer_id=call.person.id, rule=may_remove)
        return Answer()


def read_person(body: Body, *, person_id: str, email: str) -> PersonName | None:
    """Who is named by one of two fields."""
    return read_name(body.text(person_id, limit=ID_LIMIT), body.text(email, limit=EMAIL_LIMIT))


def read_name(person_id: str | None, email: str | None) -> PersonName | None:
    """
    Raises:
        ApiError: 400 for a malformed id, or where both are named.
    """
    if person_id and email:
        raise ApiError(400, "Must specify either personId or personEmail.")
    if person_id:
        return PersonName(read_id(Kind.PEOPLE, person_id), None)
    return PersonName(None, email) if email else None


# --- rules ---------------------------------------------------------------------------------------------------------

_KEEP_A_MODERATOR = "A locked room keeps at least one moderator: first make another member one, or unlock the room."


def may_add(room: Room | None, person: Person | None, is_member: bool) -> None:
    room = seen(room)
    if room.is_direct:
        raise ApiError(400, "A direct room holds two people; open a room with POST /rooms to meet in a group.")
    if room.is_locked and not room.viewer_moderates:
        raise ApiError(403, "Add participant failed. The room is locked, and only its moderators can add people.")
    if person is None:
        raise ApiError(404, "Person not found")
    if is_member:
        raise ApiError(409, "Person is already in the room.")


def change_seat(seat: Seat | None, *, is_moderator: bool | None, is_hidden: bool | None) -> SeatChange:
    """None leaves a thing as it is."""
    if seat is None:
        raise ApiError(404, "Failed to get membership")
    membership = seat.membership
    change = SeatChange(
        is_moderator=membership.is_moderator if is_moderator is None else is_moderator,
        is_hidden=membership.is_hidden if is_hidden is None else is_hidden,
    )
    if change.is_moderator != membership.is_moderator:
        may_change_role(seat)
    if change.is_hidden != membership.is_hidden and membership.person_id != seat.room.viewer_id:
        raise ApiError(403, "A room can be hidden for oneself alone.")
    return change


def may_change_role(seat: Seat) -> None:
    if seat.room.is_direct:
        raise ApiError(400, "A direct room has no moderators.")
    if seat.room.is_locked and not seat.room.viewer_moderates:
        raise ApiError(403, "The room is locked, and only its moderators can make moderators.")
    if seat.room.is_locked and seat.membership.is_moderator and not seat.others_moderate:
        raise ApiError(409, _KEEP_A_MODERATOR)


def may_remove(seat: Seat | None) -> None:
    if seat is None:
        raise ApiError(404, "User is not a participant of the room.")
    if seat.room.is_direct:
        raise ApiError(400, "A direct room cannot be left; hide it with isRoomHidden.")
    if not seat.room.is_locked:
        return
    if not seat.room.viewer_moderates and seat.membership.person_id != seat.room.viewer_id:
        raise ApiError(403, "The room is locked, and only its moderators can remove people.")
    if seat.membership.is_moderator and not seat.others_moderate:
        raise ApiError(409, _KEEP_A_MODERATOR)


# --- answers -------------------------------------------------------------------------------------------------------


def write_membership(membership: Membership) -> dict[str, Any]:
    return {
        "id": write_membership_id(membership.person_id, membership.room_id),
        "roomId": write_id(Kind.ROOM, membership.room_id),
        "personId": write_id(Kind.PEOPLE, membership.person_id),
        "personEmail": membership.person_email,
        "personDisplayName": membership.person_display_name,
        "personOrgId": write_id(Kind.ORGANIZATION, membership.person_org_id),
        "isModerator": membership.is_moderator,
        "isMonitor": False,
        "isRoomHidden": membership.is_hidden,
        "roomType": membership.room_type,
        "created": write_timestamp(membership.created_at),
    }
