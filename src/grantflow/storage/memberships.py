"""Memberships: who is in a room, and who moderates it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime

from grantflow.resource_server.ports import MayAdd
from grantflow.resource_server.records import Cursor, Membership, PersonName, RoomType, Seat, SeatChange
from grantflow.storage.directory import find_named, person_of
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.rooms import add_member, find_room, remove_member
from grantflow.storage.times import from_milliseconds

_SELECT = """
SELECT m.person_id, m.room_id, m.is_moderator, m.is_hidden, m.created_at, r.type AS room_type,
       p.email, p.display_name, p.org_id
FROM memberships m JOIN people p ON p.id = m.person_id JOIN rooms r ON r.id = m.room_id
"""
_GET = f"{_SELECT} WHERE m.room_id = :room_id AND m.person_id = :person_id"
_FIND = f"""
{_GET} AND EXISTS (SELECT 1 FROM memberships mine WHERE mine.room_id = m.room_id AND mine.person_id = :viewer_id)
"""
_OF_ROOM = f"{_SELECT} WHERE m.room_id = :room_id AND m.person_id > :after ORDER BY m.person_id LIMIT :limit"
_OF_ROOM_AND_PERSON = f"""
{_SELECT} WHERE m.room_id = :room_id
  AND m.person_id IN (SELECT id FROM people WHERE id = :person_id OR email = :email)
"""
_OF_PERSON = f"{_SELECT} WHERE m.person_id = :person_id AND m.room_id > :after ORDER BY m.room_id LIMIT :limit"
_OTHERS_MODERATE = """
SELECT 1 FROM memberships WHERE room_id = :room_id AND person_id <> :person_id AND is_moderator = 1 LIMIT 1
"""
_CHANGE = """
UPDATE memberships SET is_moderator = :is_moderator, is_hidden = :is_hidden
WHERE person_id = :person_id AND room_id = :room_id
"""


class MembershipStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, person_id: str, *, room_id: str, viewer_id: str) -> Membership | None:
        found = await self._all(_FIND, room_id=room_id, person_id=person_id, viewer_id=viewer_id)
        return found[0] if found else None

    async def of_room(
        self, room_id: str, *, who: PersonName | None, after: Cursor | None, limit: int
    ) -> Sequence[Membership]:
        if who is not None:
            return await self._all(_OF_ROOM_AND_PERSON, room_id=room_id, person_id=who.person_id, email=who.email)
        return await self._all(_OF_ROOM, room_id=room_id, after=after.id if after else "", limit=limit)

    async def of_person(self, person_id: str, *, after: Cursor | None, limit: int) -> Sequence[Membership]:
        return await self._all(_OF_PERSON, person_id=person_id, after=after.id if after else "", limit=limit)

    async def add(
        self, who: PersonName, *, room_id: str, viewer_id: str, is_moderator: bool, now: datetime, rule: MayAdd
    ) -> Membership:
        def work() -> Work[Membership]:
            room = yield from find_room(room_id, viewer_id=viewer_id)
            people = yield find_named(who)
            person = person_of(people[0]) if people else None
            named = {"room_id": room_id, "person_id": person.id if person else None}
            rule(room, person, bool((yield Statement(_GET, named))))
            assert person is not None
            yield add_member(person.id, room_id=room_id, is_moderator=is_moderator, now=now)
            rows = yield Statement(_GET, named)
            return _membership(rows[0])

        return await self._engine.write(work())

    async def change(
        self, person_id: str, *, room_id: str, viewer_id: str, rule: Callable[[Seat | None], SeatChange]
    ) -> Membership:
        def work() -> Work[Membership]:
            change = rule((yield from _seat(person_id, room_id=room_id, viewer_id=viewer_id)))
            values = {"room_id": room_id, "person_id": person_id, **asdict(change)}
            yield Statement(_CHANGE, values)
            rows = yield Statement(_GET, values)
            return _membership(rows[0])

        return await self._engine.write(work())

    async def remove(
        self, person_id: str, *, room_id: str, viewer_id: str, rule: Callable[[Seat | None], None]
    ) -> None:
        def work() -> Work[None]:
            rule((yield from _seat(person_id, room_id=room_id, viewer_id=viewer_id)))
            yield from remove_member(person_id, room_id=room_id)

        await self._engine.write(work(), is_long=True)  # a room goes with its last member

    async def _all(self, sql: str, **values: object) -> Sequence[Membership]:
        return [_membership(row) for row in await self._engine.read(Statement(sql, values))]


def _seat(person_id: str, *, room_id: str, viewer_id: str) -> Work[Seat | None]:
    room = yield from find_room(room_id, viewer_id=viewer_id)
    named = {"room_id": room_id, "person_id": person_id}
    rows = yield Statement(_GET, named)
    others = yield Statement(_OTHERS_MODERATE, named)
    return Seat(_membership(rows[0]), room, bool(others)) if room and rows else None


def _membership(row: Row) -> Membership:
    return Membership(
        person_id=row["person_id"],
        room_id=row["room_id"],
        person_email=row["email"],
        person_display_name=row["display_name"],
        person_org_id=row["org_id"],
        room_type=RoomType(row["room_type"]),
        is_moderator=bool(row["is_moderator"]),
        is_hidden=bool(row["is_hidden"]),
        created_at=from_milliseconds(row["created_at"]),
    )
