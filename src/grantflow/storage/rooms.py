"""Rooms, each as one of its members sees it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime

from grantflow.resource_server.records import (
    Cursor,
    Deletion,
    NewRoom,
    PersonName,
    Room,
    RoomChange,
    RoomOrder,
    RoomType,
)
from grantflow.storage.directory import find_named
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.portions import in_portions
from grantflow.storage.times import from_milliseconds, milliseconds

_SEEN = """
SELECT r.id, r.type, r.is_locked, r.description, r.creator_id, r.owner_id, r.created_at, r.last_activity,
       m.person_id AS viewer_id, m.is_moderator AS viewer_moderates,
       CASE r.type WHEN 'group' THEN r.title ELSE (
         SELECT p.display_name FROM memberships other JOIN people p ON p.id = other.person_id
         WHERE other.room_id = r.id AND other.person_id <> m.person_id
       ) END AS title
FROM memberships m JOIN rooms r ON r.id = m.room_id
WHERE m.person_id = :viewer_id
"""
_FIND = f"{_SEEN} AND m.room_id = :room_id"
_FIND_DIRECT = f"{_SEEN} AND r.direct_pair = :direct_pair"
_PAGE = f"{_SEEN} AND (:kind IS NULL OR r.type = :kind)"
_PAGES = {
    RoomOrder.ID: f"{_PAGE} AND m.room_id > :after_id ORDER BY m.room_id LIMIT :limit",
    RoomOrder.LAST_ACTIVITY: f"{_PAGE} AND (r.last_activity, r.id) < (:after_at, :after_id) "
    "ORDER BY r.last_activity DESC, r.id DESC LIMIT :limit",
    RoomOrder.CREATED: f"{_PAGE} AND (r.created_at, r.id) < (:after_at, :after_id) "
    "ORDER BY r.created_at DESC, r.id DESC LIMIT :limit",
}
_ADD = """
INSERT INTO rooms
  (id, title, type, direct_pair, is_locked, description, creator_id, owner_id, created_at, last_activity)
VALUES
  (:id, :title, :type, :direct_pair, :is_locked, :description, :creator_id, :owner_id, :now, :now)
"""
_ADD_MEMBER = """
INSERT INTO memberships (person_id, room_id, is_moderator, created_at)
VALUES (:person_id, :room_id, :is_moderator, :now)
"""
_CHANGE = "UPDATE rooms SET title = :title, is_locked = :is_locked, description = :description WHERE id = :room_id"
_CHANGE_ROLE = """
UPDATE memberships SET is_moderator = :viewer_moderates WHERE person_id = :viewer_id AND room_id = :room_id
"""
_DELETE = "DELETE FROM rooms WHERE id = :room_id"
_FORGET_MESSAGES = """
DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE room_id = :room_id LIMIT :portion) RETURNING 1
"""
_REMOVE_MEMBER = "DELETE FROM memberships WHERE person_id = :person_id AND room_id = :room_id"
_DELETE_IF_EMPTY = """
DELETE FROM rooms WHERE id = :room_id AND NOT EXISTS (SELECT 1 FROM memberships WHERE room_id = :room_id)
"""
#: After every time that can be asked for, in milliseconds.
_END_OF_TIME = 2**60


class RoomStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, room_id: str, *, viewer_id: str) -> Room | None:
        rows = await self._engine.read(Statement(_FIND, {"room_id": room_id, "viewer_id": viewer_id}))
        return _room(rows[0]) if rows else None

    async def find_direct(self, who: PersonName, *, viewer_id: str) -> Room | None:
        people = await self._engine.read(find_named(who))
        pair = direct_pair(people[0]["person_id"], viewer_id) if people else None
        rows = await self._engine.read(Statement(_FIND_DIRECT, {"direct_pair": pair, "viewer_id": viewer_id}))
        return _room(rows[0]) if rows else None

    async def of(
        self, viewer_id: str, *, kind: RoomType | None, order: RoomOrder, after: Cursor | None, limit: int
    ) -> Sequence[Room]:
        values = {
            "viewer_id": viewer_id,
            "kind": kind,
            "after_id": after.id if after else "",
            "after_at": milliseconds(after.at) if after else _END_OF_TIME,
            "limit": limit,
        }
        return [_room(row) for row in await self._engine.read(Statement(_PAGES[order], values))]

    async def open(self, room: NewRoom) -> Room:
        return await self._engine.write(add_room(room))

    async def change(self, room_id: str, *, viewer_id: str, rule: Callable[[Room | None], RoomChange]) -> Room:
        def work() -> Work[Room]:
            change = rule((yield from find_room(room_id, viewer_id=viewer_id)))
            values = {"room_id": room_id, "viewer_id": viewer_id, **asdict(change)}
            yield Statement(_CHANGE, values)
            yield Statement(_CHANGE_ROLE, values)
            rows = yield Statement(_FIND, values)
            return _room(rows[0])

        return await self._engine.write(work())

    async def delete(self, room_id: str, *, viewer_id: str, rule: Callable[[Room | None], Deletion]) -> None:
        """Its messages go first, in portions; where that is interrupted, the room can be deleted again."""
        if rule(await self.find(room_id, viewer_id=viewer_id)) is Deletion.ROOM:
            await in_portions(self._engine, _FORGET_MESSAGES, {"room_id": room_id})

        def work() -> Work[None]:
            if rule((yield from find_room(room_id, viewer_id=viewer_id))) is Deletion.ROOM:
                yield Statement(_DELETE, {"room_id": room_id})
            else:
                yield from remove_member(viewer_id, room_id=room_id)

        await self._engine.write(work(), is_long=True)


# --- steps of a unit of work, also those of memberships and messages -----------------------------------------------


def find_room(room_id: str, *, viewer_id: str) -> Work[Room | None]:
    rows = yield Statement(_FIND, {"room_id": room_id, "viewer_id": viewer_id})
    return _room(rows[0]) if rows else None


def add_room(room: NewRoom, *, direct_with: str | None = None) -> Work[Room]:
    """A group room with its creator in it, or a direct one of the two."""
    values = {
        "id": room.id,
        "title": room.title,
        "type": RoomType.DIRECT if direct_with else RoomType.GROUP,
        "direct_pair": direct_pair(room.creator.id, direct_with) if direct_with else None,
        "is_locked": room.is_locked,
        "description": room.description,
        "creator_id": room.creator.id,
        "owner_id": room.creator.org_id,
        "now": milliseconds(room.now),
    }
    yield Statement(_ADD, values)
    yield add_member(room.creator.id, room_id=room.id, is_moderator=room.is_locked, now=room.now)
    if direct_with:
        yield add_member(direct_with, room_id=room.id, is_moderator=False, now=room.now)
    rows = yield Statement(_FIND, {"room_id": room.id, "viewer_id": room.creator.id})
    return _room(rows[0])


def add_member(person_id: str, *, room_id: str, is_moderator: bool, now: datetime) -> Statement:
    return Statement(
        _ADD_MEMBER,
        {"person_id": person_id, "room_id": room_id, "is_moderator": is_moderator, "now": milliseconds(now)},
    )


def remove_member(person_id: str, *, room_id: str) -> Work[None]:
    """A room that nobody is in any more is of no use to anybody: it goes with its last member."""
    yield Statement(_REMOVE_MEMBER, {"person_id": person_id, "room_id": room_id})
    yield Statement(_DELETE_IF_EMPTY, {"room_id": room_id})


def direct_pair(one: str, other: str) -> str:
    """The same for both, so that two people have one direct room, whoever writes first."""
    return ":".join(sorted((one, other)))


def _room(row: Row) -> Room:
    return Room(
        id=row["id"],
        title=row["title"],
        type=RoomType(row["type"]),
        is_locked=bool(row["is_locked"]),
        description=row["description"],
        creator_id=row["creator_id"],
        owner_id=row["owner_id"],
        created_at=from_milliseconds(row["created_at"]),
        last_activity=from_milliseconds(row["last_activity"]),
        viewer_id=row["viewer_id"],
        viewer_moderates=bool(row["viewer_moderates"]),
    )
