"""What people granted one integration, as its owner sees it, and the owner's two ways to end it."""

from datetime import datetime

from grantflow.developer_portal.records import PeopleWhoGranted, PersonsGrant
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.grants import LAST_USE
from grantflow.storage.registrations import stored_scopes
from grantflow.storage.searching import pattern_of
from grantflow.storage.times import from_milliseconds, milliseconds

_LIVING = "FROM grants g WHERE g.client_id = :client_id AND g.revoked_at IS NULL"
_NAMED = """
FROM grants g JOIN people p ON p.id = g.person_id
WHERE g.client_id = :client_id AND g.revoked_at IS NULL AND lower(p.display_name) LIKE :pattern ESCAPE '!'
"""
_COUNT = f"SELECT count(*) AS total {_LIVING}"
_LAST_USE = f"SELECT {LAST_USE} AS last_used_at FROM integrations i WHERE i.client_id = :client_id"
_COUNT_NAMED = f"SELECT count(*) AS total {_NAMED}"
_SELECT = """
SELECT g.id, p.display_name, g.scopes, g.created_at, g.last_used_at,
       EXISTS (SELECT 1 FROM access_tokens a
               WHERE a.grant_id = g.id AND a.revoked_at IS NULL AND a.expires_at > :now) AS acts,
       EXISTS (SELECT 1 FROM refresh_tokens r
               WHERE r.grant_id = g.id AND r.revoked_at IS NULL AND r.replaced_at IS NULL AND r.expires_at > :now)
         AS renews
"""
_ORDER = "ORDER BY g.last_used_at DESC, g.id DESC LIMIT :size OFFSET :offset"
# The page's own grants first, in the order of the index, and then whatever is to be told of each.
_PAGE = f"""{_SELECT}
FROM grants g JOIN people p ON p.id = g.person_id
WHERE g.id IN (SELECT g.id {_LIVING} {_ORDER}) ORDER BY g.last_used_at DESC, g.id DESC
"""
_PAGE_NAMED = f"{_SELECT} {_NAMED} {_ORDER}"
_FIND = f"""{_SELECT}
FROM grants g JOIN people p ON p.id = g.person_id
WHERE g.id = :grant_id AND g.client_id = :client_id AND g.revoked_at IS NULL
"""
_EXPIRE = """
UPDATE access_tokens SET expires_at = :now
WHERE grant_id = :grant_id AND client_id = :client_id AND expires_at > :now AND revoked_at IS NULL
RETURNING 1
"""
_REVOKE = """
UPDATE grants SET revoked_at = :now, version = version + 1
WHERE id = :grant_id AND client_id = :client_id AND revoked_at IS NULL
RETURNING 1
"""


class GrantedStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def count(self, client_id: str) -> int:
        rows = await self._engine.read(Statement(_COUNT, {"client_id": client_id}))
        total: int = rows[0]["total"]
        return total

    async def last_use(self, client_id: str) -> datetime | None:
        rows = await self._engine.read(Statement(_LAST_USE, {"client_id": client_id}))
        count = rows[0]["last_used_at"] if rows else None
        return from_milliseconds(count) if count is not None else None

    async def page(self, client_id: str, *, search: str, page: int, size: int, now: datetime) -> PeopleWhoGranted:
        values = {
            "client_id": client_id,
            "pattern": pattern_of(search),
            "size": size,
            "offset": (page - 1) * size,
            "now": milliseconds(now),
        }
        named = bool(search.strip())
        counted = await self._engine.read(Statement(_COUNT_NAMED if named else _COUNT, values))
        rows = await self._engine.read(Statement(_PAGE_NAMED if named else _PAGE, values))
        return PeopleWhoGranted(tuple(_grant(row) for row in rows), counted[0]["total"])

    async def find(self, grant_id: str, *, client_id: str, now: datetime) -> PersonsGrant | None:
        values = {"grant_id": grant_id, "client_id": client_id, "now": milliseconds(now)}
        rows = await self._engine.read(Statement(_FIND, values))
        return _grant(rows[0]) if rows else None

    async def expire(self, grant_id: str, *, client_id: str, now: datetime) -> int:
        return await self._end(_EXPIRE, grant_id, client_id=client_id, now=now)

    async def revoke(self, grant_id: str, *, client_id: str, now: datetime) -> bool:
        return await self._end(_REVOKE, grant_id, client_id=client_id, now=now) > 0

    async def _end(self, sql: str, grant_id: str, *, client_id: str, now: datetime) -> int:
        statement = Statement(sql, {"grant_id": grant_id, "client_id": client_id, "now": milliseconds(now)})

        def work() -> Work[int]:
            return len((yield statement))

        return await self._engine.write(work(), is_long=True)


def _grant(row: Row) -> PersonsGrant:
    return PersonsGrant(
        grant_id=row["id"],
        person=row["display_name"],
        scopes=stored_scopes(row["scopes"]),
        since=from_milliseconds(row["created_at"]),
        last_used_at=from_milliseconds(row["last_used_at"]),
        acts=bool(row["acts"]),
        renews=bool(row["renews"]),
    )
