"""A person's grants as the person sees them, and their end."""

from datetime import datetime

from grantflow.protocol.scope import read_scopes
from grantflow.resource_owner.records import ConnectedApp, ConnectedApps
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.times import from_milliseconds, milliseconds

#: The columns of a grant ``g`` to an integration ``i`` whose owner is ``p``; to be read by ``app_of``.
GRANT = """
g.id, g.client_id, i.name, i.icon, p.display_name AS publisher, i.site_url, g.scopes, g.created_at, g.last_used_at,
g.revoked_at
"""
_SELECT = f"""
SELECT {GRANT} FROM grants g
JOIN integrations i ON i.client_id = g.client_id
LEFT JOIN people p ON p.id = i.owner_id
"""
_CONNECTED = f"""{_SELECT}
WHERE g.person_id = :person_id AND g.revoked_at IS NULL
ORDER BY g.last_used_at DESC, g.id LIMIT :size OFFSET :offset
"""
_COUNT = "SELECT count(*) AS total FROM grants WHERE person_id = :person_id AND revoked_at IS NULL"
_FIND = f"{_SELECT} WHERE g.id = :grant_id AND g.person_id = :person_id"
# Tokens and codes hang on their grant: whoever looks one up asks for the grant's revoked_at, so all end in this row.
_REVOKE = """
UPDATE grants SET revoked_at = :now, version = version + 1
WHERE id = :grant_id AND person_id = :person_id AND revoked_at IS NULL
RETURNING id
"""
_REVOKE_ALL = """
UPDATE grants SET revoked_at = :now, version = version + 1
WHERE person_id = :person_id AND revoked_at IS NULL
RETURNING id
"""


class ConnectedAppStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def connected(self, person_id: str, *, page: int, size: int) -> ConnectedApps:
        counted = await self._engine.read(Statement(_COUNT, {"person_id": person_id}))
        values = {"person_id": person_id, "size": size, "offset": (page - 1) * size}
        rows = await self._engine.read(Statement(_CONNECTED, values))
        return ConnectedApps(tuple(app_of(row) for row in rows), counted[0]["total"])

    async def find(self, grant_id: str, *, person_id: str) -> ConnectedApp | None:
        rows = await self._engine.read(Statement(_FIND, {"grant_id": grant_id, "person_id": person_id}))
        return app_of(rows[0]) if rows else None

    async def revoke(self, grant_id: str, *, person_id: str, now: datetime) -> bool:
        values = {"grant_id": grant_id, "person_id": person_id, "now": milliseconds(now)}
        return await self._end(Statement(_REVOKE, values)) > 0

    async def revoke_all(self, person_id: str, *, now: datetime) -> int:
        return await self._end(revoke_all_of(person_id, now=now))

    async def _end(self, statement: Statement) -> int:
        def work() -> Work[int]:
            return len((yield statement))

        return await self._engine.write(work(), is_long=True)


def revoke_all_of(person_id: str, *, now: datetime) -> Statement:
    """For a unit of work that ends a person's grants along with something else."""
    return Statement(_REVOKE_ALL, {"person_id": person_id, "now": milliseconds(now)})


def app_of(row: Row) -> ConnectedApp:
    revoked_at = row["revoked_at"]
    return ConnectedApp(
        grant_id=row["id"],
        client_id=row["client_id"],
        app=row["name"],
        publisher=row["publisher"],
        site_url=row["site_url"],
        scopes=read_scopes(row["scopes"]),
        since=from_milliseconds(row["created_at"]),
        last_used_at=from_milliseconds(row["last_used_at"]),
        revoked_at=from_milliseconds(revoked_at) if revoked_at is not None else None,
        icon=row["icon"],
    )
