"""People and bots as the resource server shows them: to those of their organization, and to those they share a room
with. An account that was given up is not found any more.
"""

from collections.abc import Sequence

from grantflow.resource_server.records import Cursor, Person, PersonName
from grantflow.storage.engine import Engine, Row, Statement
from grantflow.storage.times import from_milliseconds

#: The columns of a person, from ``people p``; to be read by ``person_of``.
PERSON = """
p.id AS person_id, p.email, p.display_name, p.first_name, p.last_name, p.nick_name, p.org_id, p.type AS person_type,
p.created_at AS person_created_at
"""
_VISIBLE = """
p.deleted_at IS NULL AND (p.org_id = :viewer_org_id OR EXISTS (
  SELECT 1 FROM memberships mine JOIN memberships theirs ON theirs.room_id = mine.room_id
  WHERE mine.person_id = :viewer_id AND theirs.person_id = p.id
))
"""
_FIND = f"SELECT {PERSON} FROM people p WHERE p.id = :person_id AND {_VISIBLE}"
_FIND_ALL = f"SELECT {PERSON} FROM people p WHERE p.id IN (%s) AND {_VISIBLE} ORDER BY p.display_name, p.id"
_FIND_BY_EMAIL = f"SELECT {PERSON} FROM people p WHERE p.email = :email AND {_VISIBLE}"
_NAMED = f"""
SELECT {PERSON} FROM people p
WHERE p.deleted_at IS NULL AND p.org_id = :viewer_org_id AND p.display_name >= :prefix AND p.display_name < :beyond
  AND (p.display_name, p.id) > (:after_name, :after_id)
ORDER BY p.display_name, p.id LIMIT :limit
"""
_NAMED_ONE = f"SELECT {PERSON} FROM people p WHERE (p.id = :person_id OR p.email = :email) AND p.deleted_at IS NULL"
#: Sorts after every character that a name can hold.
_LAST = "\U0010ffff"


class DirectoryStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, person_id: str, *, viewer: Person) -> Person | None:
        return await self._one(_FIND, viewer, person_id=person_id)

    async def find_by_email(self, email: str, *, viewer: Person) -> Person | None:
        return await self._one(_FIND_BY_EMAIL, viewer, email=email)

    async def find_all(self, person_ids: Sequence[str], *, viewer: Person) -> Sequence[Person]:
        names = {f"id_{position}": person_id for position, person_id in enumerate(person_ids)}
        sql = _FIND_ALL % ", ".join(f":{name}" for name in names)
        return await self._all(sql, viewer, **names)

    async def named(self, prefix: str, *, viewer: Person, after: Cursor | None, limit: int) -> Sequence[Person]:
        return await self._all(
            _NAMED,
            viewer,
            prefix=prefix,
            beyond=prefix + _LAST,
            after_name=after.name if after else "",
            after_id=after.id if after else "",
            limit=limit,
        )

    async def _one(self, sql: str, viewer: Person, **values: object) -> Person | None:
        people = await self._all(sql, viewer, **values)
        return people[0] if people else None

    async def _all(self, sql: str, viewer: Person, **values: object) -> Sequence[Person]:
        values |= {"viewer_id": viewer.id, "viewer_org_id": viewer.org_id}
        return [person_of(row) for row in await self._engine.read(Statement(sql, values))]


def find_named(who: PersonName) -> Statement:
    """The person of that id or email, whoever asks: everybody may be written to and invited."""
    return Statement(_NAMED_ONE, {"person_id": who.person_id, "email": who.email})


def person_of(row: Row) -> Person:
    return Person(
        id=row["person_id"],
        email=row["email"],
        display_name=row["display_name"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        nick_name=row["nick_name"],
        org_id=row["org_id"],
        type=row["person_type"],
        created_at=from_milliseconds(row["person_created_at"]),
    )
