"""A developer's integrations, as their owner sees them."""

from datetime import datetime

from grantflow.developer_portal.records import HeldSecret, Integration, MyApp, MyApps
from grantflow.storage.engine import Engine, Row, Statement
from grantflow.storage.grants import LAST_USE
from grantflow.storage.registrations import SELECT_INTEGRATION, integration_of, stored_scopes
from grantflow.storage.searching import pattern_of
from grantflow.storage.times import from_milliseconds, milliseconds

# A part of a name is looked for among the owner's own, in the index that holds nothing but their names.
_MINE = "FROM integrations i WHERE i.owner_id = :owner_id AND lower(i.name) LIKE :pattern ESCAPE '!'"
_LIVING = "FROM grants g WHERE g.client_id = i.client_id AND g.revoked_at IS NULL"
_COUNT = f"SELECT count(*) AS total {_MINE}"
_PAGE = f"""
SELECT i.client_id, i.name, i.icon, i.scopes,
       (SELECT count(*) {_LIVING}) AS people, {LAST_USE} AS last_used_at
FROM integrations i
WHERE i.client_id IN (SELECT i.client_id {_MINE} ORDER BY i.name LIMIT :size OFFSET :offset) ORDER BY i.name
"""
_FIND = f"{SELECT_INTEGRATION} WHERE i.client_id = :client_id AND i.owner_id = :owner_id ORDER BY u.position"
_SECRETS = """
SELECT last_four, created_at, expires_at, last_used_at FROM client_secrets
WHERE client_id = :client_id AND (expires_at IS NULL OR expires_at > :now)
ORDER BY created_at DESC
"""


class MyAppStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def page(self, owner_id: str, *, search: str, page: int, size: int) -> MyApps:
        values = {"owner_id": owner_id, "pattern": pattern_of(search), "size": size, "offset": (page - 1) * size}
        counted = await self._engine.read(Statement(_COUNT, values))
        rows = await self._engine.read(Statement(_PAGE, values))
        return MyApps(tuple(_app(row) for row in rows), counted[0]["total"])

    async def find(self, client_id: str, *, owner_id: str) -> Integration | None:
        values = {"client_id": client_id, "owner_id": owner_id}
        return integration_of(await self._engine.read(Statement(_FIND, values)))

    async def secrets(self, client_id: str, *, now: datetime) -> tuple[HeldSecret, ...]:
        values = {"client_id": client_id, "now": milliseconds(now)}
        return tuple(_secret(row) for row in await self._engine.read(Statement(_SECRETS, values)))


def _app(row: Row) -> MyApp:
    return MyApp(
        client_id=row["client_id"],
        name=row["name"],
        icon=row["icon"],
        scopes=stored_scopes(row["scopes"]),
        people=row["people"],
        last_used_at=_moment(row["last_used_at"]),
    )


def _secret(row: Row) -> HeldSecret:
    return HeldSecret(
        last_four=row["last_four"],
        created_at=from_milliseconds(row["created_at"]),
        expires_at=_moment(row["expires_at"]),
        last_used_at=_moment(row["last_used_at"]),
    )


def _moment(count: int | None) -> datetime | None:
    return from_milliseconds(count) if count is not None else None
