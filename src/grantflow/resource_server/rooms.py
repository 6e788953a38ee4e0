"""``/rooms``: the spaces that the person is in, and no others (developer.webex.com, Rooms)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grantflow.protocol.bearer import ApiError
from grantflow.protocol.timestamp import write_timestamp
from grantflow.resource_server.answers import Answer
from grantflow.resource_server.api import Call
from grantflow.resource_server.fields import Body, read_body, read_choice, read_flag, read_max, read_query
from grantflow.resource_server.ids import Kind, read_id, write_id
from grantflow.resource_server.paging import cut, next_url, read_cursor
from grantflow.resource_server.ports import Rooms
from grantflow.resource_server.records import Cursor, Deletion, NewRoom, Room, RoomChange, RoomOrder, RoomType

#: In bytes of UTF-8. Webex tells no limits; these hold every title and description that people write.
TITLE_LIMIT = 1_000
DESCRIPTION_LIMIT = 4_000

#: What Webex's rooms have and these have not: teams, classification, public, announcement and read-only spaces.
_NOT_SERVED = ("teamId", "classificationId", "isPublic", "isAnnouncementOnly", "isReadOnly")


@dataclass(frozen=True, slots=True)
class RoomCalls:
    """``url`` is the public address of the list, ``mint_id`` makes the id of a new room."""

    rooms: Rooms
    url: str
    mint_id: Callable[[], str]

    async def find(self, call: Call) -> Answer:
        query = read_query(call.request)
        size = read_max(query, default=100, limit=1000)
        kind = read_choice(query, "type", RoomType)
        order = read_choice(query, "sortBy", RoomOrder) or RoomOrder.ID
        after = read_cursor(query)
        if "teamId" in query or read_flag(query, "orgPublicSpaces"):
            return Answer({"items": []})  # no room here is a team's, or public
        found = await self.rooms.of(call.person.id, kind=kind, order=order, after=after, limit=size + 1)
        page, last = cut(found, size=size)
        link = next_url(self.url, query, after=cursor_at(last, order=order) if last else None)
        return Answer({"items": [write_room(room) for room in page]}, link)

    async def create(self, call: Call) -> Answer:
        wish = read_wish(read_body(call.request))
        room = await self.rooms.open(
            NewRoom(
                id=self.mint_id(),
                title=wish.title,
                is_locked=wish.is_locked or False,
                description=wish.description or None,
                creator=call.person,
                now=call.now,
            )
        )
        return Answer(write_room(room))

    async def get(self, call: Call) -> Answer:
        room = await self.rooms.find(read_id(Kind.ROOM, call.ids["room_id"]), viewer_id=call.person.id)
        return Answer(write_room(seen(room)))

    async def update(self, call: Call) -> Answer:
        room_id, wish = read_id(Kind.ROOM, call.ids["room_id"]), read_wish(read_body(call.request))
        room = await self.rooms.change(
            room_id, viewer_id=call.person.id, rule=lambda room: grant_wish(seen(room), wish=wish)
        )
        return Answer(write_room(room))

    async def delete(self, call: Call) -> Answer:
        room_id = read_id(Kind.ROOM, call.ids["room_id"])
        await self.rooms.delete(room_id, viewer_id=call.person.id, rule=what_goes)
        return Answer()


# --- rules ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call wants a room to be. None leaves a thing as it is, an empty description takes it away."""

    title: str
    is_locked: bool | None
    description: str | None


def read_wish(body: Body) -> Wish:
    """
    Raises:
        ApiError: 400 without a title, or for what is not served.
    """
    body.refuse(*_NOT_SERVED)
    title = body.text("title", limit=TITLE_LIMIT)
    if title is None or not title.strip():
        raise ApiError(400, "Title cannot be empty.")
    description = body.text("description", limit=DESCRIPTION_LIMIT)
    # Webex: "To remove a description please use a space character by itself."
    return Wish(title, body.flag("isLocked"), "" if description == " " else description)


def seen(room: Room | None) -> Room:
    """
    Raises:
        ApiError: 404 for a room that the person is not in, as for one that does not exist.
    """
    if room is None:
        raise ApiError(404, "Room not found")
    return room


def grant_wish(room: Room, *, wish: Wish) -> RoomChange:
    """Whoever locks a room becomes a moderator; in a locked room only moderators change anything."""
    if room.is_direct:
        raise ApiError(400, "A direct room bears the other person's name and cannot be changed or locked.")
    if room.is_locked and not room.viewer_moderates:
        raise ApiError(403, "The room is locked, and only its moderators can change it.")
    is_locked = room.is_locked if wish.is_locked is None else wish.is_locked
    return RoomChange(
        title=wish.title,
        is_locked=is_locked,
        description=room.description if wish.description is None else wish.description or None,
        viewer_moderates=room.viewer_moderates or (is_locked and not room.is_locked),
    )


def what_goes(room: Room | None) -> Deletion:
    """A moderator, or the creator of a room that is not locked, deletes it; anybody else only leaves it."""
    if room is None:
        raise ApiError(404, "Could not find a room with provided ID.")
    if room.is_direct:
        raise ApiError(400, "A direct room cannot be deleted or left; hide it with isRoomHidden of your membership.")
    created_it = room.creator_id == room.viewer_id and not room.is_locked
    return Deletion.ROOM if room.viewer_moderates or created_it else Deletion.OWN_MEMBERSHIP


# --- answers -------------------------------------------------------------------------------------------------------


def cursor_at(room: Room, *, order: RoomOrder) -> Cursor:
    match order:
        case RoomOrder.LAST_ACTIVITY:
            return Cursor(room.id, at=room.last_activity)
        case RoomOrder.CREATED:
            return Cursor(room.id, at=room.created_at)
        case RoomOrder.ID:
            return Cursor(room.id)


def write_room(room: Room) -> dict[str, Any]:
    members: dict[str, Any] = {
        "id": write_id(Kind.ROOM, room.id),
        "title": room.title,
        "type": room.type,
        "isLocked": room.is_locked,
        "lastActivity": write_timestamp(room.last_activity),
        "creatorId": write_id(Kind.PEOPLE, room.creator_id),
        "created": write_timestamp(room.created_at),
        "ownerId": write_id(Kind.ORGANIZATION, room.owner_id),
        "isAnnouncementOnly": False,
        "isReadOnly": False,
        "isPublic": False,
    }
    return members if room.description is None else {**members, "description": room.description}
