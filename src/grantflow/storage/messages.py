"""Messages: what was said in a room, in the order in which it was said."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from grantflow.resource_server.ports import MayPost, MayTouch
from grantflow.resource_server.records import (
    Cursor,
    Mention,
    Message,
    NewMessage,
    NewRoom,
    PersonName,
    Room,
    RoomType,
    Words,
)
from grantflow.storage.directory import find_named
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.rooms import add_room, direct_pair, find_room
from grantflow.storage.times import from_milliseconds, milliseconds

_SELECT = """
SELECT m.id, m.room_id, m.person_id, m.parent_id, m.text, m.markdown, m.created_at, m.updated_at, m.edits,
       m.mentioned, r.type AS room_type, p.email
FROM messages m JOIN rooms r ON r.id = m.room_id JOIN people p ON p.id = m.person_id
"""
_GET = f"{_SELECT} WHERE m.id = :message_id"
_FIND = f"""
{_GET} AND EXISTS (SELECT 1 FROM memberships mine WHERE mine.room_id = m.room_id AND mine.person_id = :viewer_id)
"""
_BEFORE = "AND (m.created_at, m.id) < (:at, :id) ORDER BY m.created_at DESC, m.id DESC LIMIT :limit"
_OF_ROOM = f"{_SELECT} WHERE m.room_id = :room_id {_BEFORE}"
_OF_THREAD = f"{_SELECT} WHERE m.parent_id = :parent_id AND m.room_id = :room_id {_BEFORE}"
# The mentions lead, so that a page is one stretch of their key however much else was said.
_MENTIONING = f"""
{_SELECT} JOIN mentions x ON x.message_id = m.id AND x.person_id = :mentioned AND x.room_id = :room_id
WHERE (:parent_id IS NULL OR m.parent_id = :parent_id) AND (x.created_at, x.message_id) < (:at, :id)
ORDER BY x.created_at DESC, x.message_id DESC LIMIT :limit
"""
_ADD = """
INSERT INTO messages (id, room_id, person_id, parent_id, text, markdown, mentioned, created_at)
VALUES (:message_id, :room_id, :person_id, :parent_id, :text, :markdown, :mentioned, :at)
"""
_EDIT = """
UPDATE messages SET text = :text, markdown = :markdown, mentioned = :mentioned, updated_at = :now, edits = edits + 1
WHERE id = :message_id
"""
_MEMBER = """
SELECT p.id, p.display_name FROM people p JOIN memberships m ON m.person_id = p.id AND m.room_id = :room_id
WHERE p.id = :person_id OR p.email = :email
"""
_MENTION = """
INSERT INTO mentions (person_id, room_id, created_at, message_id)
SELECT :person_id, room_id, created_at, id FROM messages WHERE id = :message_id
"""
_FORGET_MENTIONS = "DELETE FROM mentions WHERE message_id = :message_id"
_DELETE = "DELETE FROM messages WHERE id = :message_id"
_TOUCH_ROOM = "UPDATE rooms SET last_activity = :at WHERE id = :room_id"
# Webex: any new message makes a hidden room visible again.
_SHOW_ROOM = "UPDATE memberships SET is_hidden = 0 WHERE room_id = :room_id AND is_hidden = 1"
_DIRECT_ROOM = "SELECT id FROM rooms WHERE direct_pair = :direct_pair"
#: After every time that can be asked for, in milliseconds.
_END_OF_TIME = 2**60
_MILLISECOND = timedelta(milliseconds=1)


class MessageStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, message_id: str, *, viewer_id: str) -> Message | None:
        rows = await self._engine.read(Statement(_FIND, {"message_id": message_id, "viewer_id": viewer_id}))
        return _message(rows[0]) if rows else None

    async def of_room(
        self, room_id: str, *, parent_id: str | None, mentioned: str | None, before: Cursor | None, limit: int
    ) -> Sequence[Message]:
        values = {
            "room_id": room_id,
            "parent_id": parent_id,
            "mentioned": mentioned,
            "at": milliseconds(before.at) if before else _END_OF_TIME,
            "id": before.id if before else "",
            "limit": limit,
        }
        sql = _MENTIONING if mentioned else _OF_THREAD if parent_id else _OF_ROOM
        rows = await self._engine.read(Statement(sql, values))
        return [_message(row) for row in rows]

    async def post(self, message: NewMessage, *, room_id: str, rule: MayPost) -> Message:
        def work() -> Work[Message]:
            room = yield from find_room(room_id, viewer_id=message.author.id)
            return (yield from _post(message, room, rule=rule))

        return await self._engine.write(work())

    async def post_directly(self, message: NewMessage, *, to: PersonName, new_room_id: str, rule: MayPost) -> Message:
        def work() -> Work[Message]:
            room = yield from _direct_room(message, to=to, new_room_id=new_room_id)
            return (yield from _post(message, room, rule=rule))

        return await self._engine.write(work())

    async def edit(self, message_id: str, *, viewer_id: str, words: Words, now: datetime, rule: MayTouch) -> Message:
        def work() -> Work[Message]:
            message, room = yield from _find_with_room(message_id, viewer_id=viewer_id)
            rule(message, room)
            assert room is not None
            said, mentioned = yield from _say(words, room_id=room.id)
            values = {"message_id": message_id, "now": milliseconds(now), **said}
            yield Statement(_EDIT, values)
            yield Statement(_FORGET_MENTIONS, values)
            yield from _mention(mentioned, message_id=message_id)
            rows = yield Statement(_GET, values)
            return _message(rows[0])

        return await self._engine.write(work())

    async def delete(self, message_id: str, *, viewer_id: str, rule: MayTouch) -> None:
        def work() -> Work[None]:
            rule(*(yield from _find_with_room(message_id, viewer_id=viewer_id)))
            yield Statement(_DELETE, {"message_id": message_id})

        await self._engine.write(work())


def _post(message: NewMessage, room: Room | None, *, rule: MayPost) -> Work[Message]:
    parents = yield Statement(_GET, {"message_id": message.parent_id})
    rule(room, message, _message(parents[0]) if parents else None)
    assert room is not None
    said, mentioned = yield from _say(message.words, room_id=room.id)
    values = {
        "message_id": message.id,
        "room_id": room.id,
        "person_id": message.author.id,
        "parent_id": message.parent_id,
        # Younger than the one before, so that the order of messages is that of their times, whatever the clock does.
        "at": milliseconds(max(message.now, room.last_activity + _MILLISECOND)),
        **said,
    }
    yield Statement(_ADD, values)
    yield from _mention(mentioned, message_id=message.id)
    yield Statement(_TOUCH_ROOM, values)
    yield Statement(_SHOW_ROOM, values)
    rows = yield Statement(_GET, values)
    return _message(rows[0])


def _say(words: Words, *, room_id: str) -> Work[tuple[dict[str, object], Sequence[str]]]:
    """What is kept of the words, and the ids of those whom they mention: whoever is in the room, each once."""
    names: dict[Mention, str] = {}
    mentioned: dict[str, None] = {}
    for mention in words.mentions:
        named = {"room_id": room_id, "person_id": mention.who.person_id, "email": mention.who.email}
        for row in (yield Statement(_MEMBER, named)):
            names[mention] = row["display_name"]
            mentioned[row["id"]] = None
    said = words.with_names(names)
    return {"text": said.text, "markdown": said.markdown, "mentioned": " ".join(mentioned)}, list(mentioned)


def _mention(person_ids: Sequence[str], *, message_id: str) -> Work[None]:
    for person_id in person_ids:
        yield Statement(_MENTION, {"person_id": person_id, "message_id": message_id})


def _direct_room(message: NewMessage, *, to: PersonName, new_room_id: str) -> Work[Room | None]:
    """The room of the two, new if need be; None where there is no such person."""
    people = yield find_named(to)
    if not people:
        return None
    author, other_id = message.author, people[0]["person_id"]
    rooms = yield Statement(_DIRECT_ROOM, {"direct_pair": direct_pair(author.id, other_id)})
    if rooms:
        return (yield from find_room(rooms[0]["id"], viewer_id=author.id))
    room = NewRoom(new_room_id, title="", is_locked=False, description=None, creator=author, now=message.now)
    return (yield from add_room(room, direct_with=other_id))


def _find_with_room(message_id: str, *, viewer_id: str) -> Work[tuple[Message | None, Room | None]]:
    rows = yield Statement(_GET, {"message_id": message_id})
    if not rows:
        return None, None
    room = yield from find_room(rows[0]["room_id"], viewer_id=viewer_id)
    return _message(rows[0]), room


def _message(row: Row) -> Message:
    updated_at = row["updated_at"]
    return Message(
        id=row["id"],
        room_id=row["room_id"],
        room_type=RoomType(row["room_type"]),
        person_id=row["person_id"],
        person_email=row["email"],
        parent_id=row["parent_id"],
        text=row["text"],
        markdown=row["markdown"],
        created_at=from_milliseconds(row["created_at"]),
        updated_at=None if updated_at is None else from_milliseconds(updated_at),
        edits=row["edits"],
        mentioned=tuple(row["mentioned"].split()),
    )
