"""``/messages``: what is said in the person's rooms, by anybody there (developer.webex.com, Messages)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from grantflow.protocol.bearer import ApiError
from grantflow.protocol.timestamp import write_timestamp
from grantflow.resource_server.answers import Answer
from grantflow.resource_server.api import Call
from grantflow.resource_server.fields import ID_LIMIT, Body, read_body, read_max, read_query, read_time
from grantflow.resource_server.ids import Kind, read_id, write_id
from grantflow.resource_server.memberships import read_name, read_person
from grantflow.resource_server.mentions import may_read, read_mentioned, read_mentions
from grantflow.resource_server.paging import cut, next_url, read_cursor
from grantflow.resource_server.ports import Messages, Rooms
from grantflow.resource_server.records import Cursor, Message, NewMessage, PersonName, Room, Words
from grantflow.resource_server.rooms import seen

#: The longest text and the longest Markdown, in bytes of UTF-8.
LENGTH_LIMIT = 7439
#: How often a message may be changed.
EDITS_LIMIT = 10

#: What Webex's messages have and these have not.
_NOT_SERVED = ("files", "attachments", "html")
_NOT_FOUND = "Unable to get message."


@dataclass(frozen=True, slots=True)
class MessageCalls:
    """``url`` is the public address of the list, ``mint_id`` makes the ids of new messages and rooms."""

    messages: Messages
    rooms: Rooms
    url: str
    mint_id: Callable[[], str]

    async def find(self, call: Call) -> Answer:
        query = read_query(call.request)
        if "roomId" not in query:
            raise ApiError(400, "Required String parameter 'roomId' is not present")
        room = await self.rooms.find(read_id(Kind.ROOM, query["roomId"]), viewer_id=call.person.id)
        return await self._page(call, query, seen(room), url=self.url)

    async def find_direct(self, call: Call) -> Answer:
        query = read_query(call.request)
        who = read_name(query.get("personId"), query.get("personEmail"))
        if who is None:
            raise ApiError(400, "Must specify either personId or personEmail.")
        room = await self.rooms.find_direct(who, viewer_id=call.person.id)
        return await self._page(call, query, seen(room), url=f"{self.url}/direct")

    async def _page(self, call: Call, query: Mapping[str, str], room: Room, *, url: str) -> Answer:
        """The newest messages of the room that are older than all that the query names."""
        mentioned = read_mentioned(query.get("mentionedPeople"), call.person, room_type=room.type)
        size, time = read_max(query, default=50, limit=100 if mentioned else 1000), read_time(query, "before")
        parent_id = read_id(Kind.MESSAGE, query["parentId"]) if "parentId" in query else None
        bounds = [
            read_cursor(query),
            await self._before_message(call, query, room),
            Cursor("", at=time) if time else None,
        ]
        before = min((bound for bound in bounds if bound), key=lambda bound: (bound.at, bound.id), default=None)
        found = await self.messages.of_room(
            room.id, parent_id=parent_id, mentioned=mentioned, before=before, limit=size + 1
        )
        page, last = cut(found, size=size)
        after = Cursor(last.id, at=last.created_at) if last else None
        return Answer({"items": [write_message(one) for one in page]}, next_url(url, query, after=after))

    async def _before_message(self, call: Call, query: Mapping[str, str], room: Room) -> Cursor | None:
        if "beforeMessage" not in query:
            return None
        message = await self._read(call, query["beforeMessage"])
        if message.room_id != room.id:
            raise ApiError(404, _NOT_FOUND)
        return Cursor(message.id, at=message.created_at)

    async def create(self, call: Call) -> Answer:
        body = read_body(call.request)
        words, target = read_words(body), read_target(body, call=call)
        message = NewMessage(self.mint_id(), call.person, words, read_parent(body), call.now)
        if isinstance(target, str):
            posted = await self.messages.post(message, room_id=target, rule=may_post)
            return Answer(write_message(posted))
        posted = await self.messages.post_directly(
            message, to=target, new_room_id=self.mint_id(), rule=may_post_directly
        )
        return Answer({**write_message(posted), **write_target(target)})

    async def get(self, call: Call) -> Answer:
        return Answer(write_message(await self._read(call, call.ids["message_id"])))

    async def _read(self, call: Call, message_id: str) -> Message:
        message = await self.messages.find(read_id(Kind.MESSAGE, message_id), viewer_id=call.person.id)
        if message is None or not may_read(message, call.person):
            raise ApiError(404, _NOT_FOUND)
        return message

    async def update(self, call: Call) -> Answer:
        message_id = read_id(Kind.MESSAGE, call.ids["message_id"])
        body = read_body(call.request)
        room_id, words = body.text("roomId", limit=ID_LIMIT), read_words(body)
        if room_id is None:
            raise ApiError(400, "roomId cannot be null")
        message = await self.messages.edit(
            message_id,
            viewer_id=call.person.id,
            words=words,
            now=call.now,
            rule=may_edit_in(read_id(Kind.ROOM, room_id)),
        )
        return Answer(write_message(message))

    async def delete(self, call: Call) -> Answer:
        message_id = read_id(Kind.MESSAGE, call.ids["message_id"])
        await self.messages.delete(message_id, viewer_id=call.person.id, rule=may_delete)
        return Answer()


# --- what a call says ----------------------------------------------------------------------------------------------


def read_words(body: Body) -> Words:
    """Markdown is written to be read as it stands, so it also serves as the text of a message that has no other.

    Raises:
        ApiError: 400 where there is nothing to say, too much, or what is not served.
    """
    body.refuse(*_NOT_SERVED)
    text, markdown = body.text("text", limit=LENGTH_LIMIT), body.text("markdown", limit=LENGTH_LIMIT)
    words = text or markdown
    if not words:
        raise ApiError(400, "Both text and file cannot be empty.")
    return Words(words, markdown or None, read_mentions(markdown))


def read_target(body: Body, *, call: Call) -> str | PersonName:
    """The id of a room, or the person of a direct one.

    Raises:
        ApiError: 400 unless it is exactly one of the three.
    """
    sent = [name for name in ("roomId", "toPersonEmail", "toPersonId") if body.members.get(name)]
    if len(sent) != 1:
        raise ApiError(
            400,
            "Exactly one of the destination fields must not be empty (roomId, toPersonEmail, toPersonId)",
        )
    if sent == ["roomId"]:
        return read_id(Kind.ROOM, body.text("roomId", limit=ID_LIMIT) or "")
    who = read_person(body, person_id="toPersonId", email="toPersonEmail")
    assert who is not None
    if who.means(call.person):
        raise ApiError(400, "A direct message goes to somebody else; name another person.")
    return who


def read_parent(body: Body) -> str | None:
    parent_id = body.text("parentId", limit=ID_LIMIT)
    return read_id(Kind.MESSAGE, parent_id) if parent_id else None


# --- rules ---------------------------------------------------------------------------------------------------------


def may_post(room: Room | None, message: NewMessage, parent: Message | None) -> None:
    room = seen(room)
    if message.parent_id is None:
        return
    if parent is None or parent.room_id != room.id:
        raise ApiError(400, "The parentId names no message of this room.")
    if parent.parent_id is not None:
        raise ApiError(400, "The parentId names a reply; name the message that began the thread.")


def may_post_directly(room: Room | None, message: NewMessage, parent: Message | None) -> None:
    if room is None:
        raise ApiError(404, "Person not found")
    may_post(room, message, parent)


def may_edit_in(room_id: str) -> Callable[[Message | None, Room | None], None]:
    def may_edit(message: Message | None, room: Room | None) -> None:
        if message is None or room is None:
            raise ApiError(404, _NOT_FOUND)
        if message.room_id != room_id:
            raise ApiError(400, "The roomId is not that of the message's room.")
        if message.person_id != room.viewer_id:
            raise ApiError(403, "Only its author can change a message.")
        if message.edits >= EDITS_LIMIT:
            raise ApiError(400, f"A message can be changed {EDITS_LIMIT} times, and this one was.")

    return may_edit


def may_delete(message: Message | None, room: Room | None) -> None:
    if message is None or room is None:
        raise ApiError(404, "Unable to delete message.")
    if message.person_id != room.viewer_id and not room.viewer_moderates:
        raise ApiError(403, "Only its author and the room's moderators can delete a message.")


# --- answers -------------------------------------------------------------------------------------------------------


def write_message(message: Message) -> dict[str, Any]:
    members = {
        "id": write_id(Kind.MESSAGE, message.id),
        "parentId": message.parent_id and write_id(Kind.MESSAGE, message.parent_id),
        "roomId": write_id(Kind.ROOM, message.room_id),
        "roomType": message.room_type,
        "text": message.text,
        "markdown": message.markdown,
        "personId": write_id(Kind.PEOPLE, message.person_id),
        "personEmail": message.person_email,
        "mentionedPeople": [write_id(Kind.PEOPLE, person_id) for person_id in message.mentioned] or None,
        "created": write_timestamp(message.created_at),
        "updated": message.updated_at and write_timestamp(message.updated_at),
        "isVoiceClip": False,
    }
    return {name: value for name, value in members.items() if value is not None}


def write_target(target: PersonName) -> dict[str, Any]:
    """Whom a direct message was sent to, in the words of the call."""
    if target.person_id is None:
        return {"toPersonEmail": target.email}
    return {"toPersonId": write_id(Kind.PEOPLE, target.person_id)}
