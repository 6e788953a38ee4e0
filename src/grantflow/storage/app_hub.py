"""What everybody may see of integrations: those with a landing page, and icons. No contact email is read here."""

from grantflow.developer_portal.records import Hub, HubEntry, Icon
from grantflow.storage.engine import Engine, Row, Statement
from grantflow.storage.registrations import stored_scopes
from grantflow.storage.searching import pattern_of

_SELECT = """
SELECT i.client_id, i.name, i.icon, i.description, p.display_name AS publisher, i.scopes, i.site_url
FROM integrations i LEFT JOIN people p ON p.id = i.owner_id
"""
# The index app_hub holds the names of those with a landing page and nothing else: a search reads it from end to end.
_NAMES = "FROM integrations WHERE site_url IS NOT NULL AND lower(name) LIKE :pattern ESCAPE '!'"
_COUNT = f"SELECT count(*) AS total {_NAMES}"
_PAGE = f"""{_SELECT}
WHERE i.client_id IN (SELECT client_id {_NAMES} ORDER BY name LIMIT :size OFFSET :offset) ORDER BY i.name
"""
_FIND = f"{_SELECT} WHERE i.client_id = :client_id AND i.site_url IS NOT NULL"
_ICON = "SELECT type, content FROM icons WHERE digest = :digest"


class AppHubStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def page(self, *, search: str, page: int, size: int) -> Hub:
        values = {"pattern": pattern_of(search), "size": size, "offset": (page - 1) * size}
        counted = await self._engine.read(Statement(_COUNT, values))
        rows = await self._engine.read(Statement(_PAGE, values))
        return Hub(tuple(_entry(row) for row in rows), counted[0]["total"])

    async def find(self, client_id: str) -> HubEntry | None:
        rows = await self._engine.read(Statement(_FIND, {"client_id": client_id}))
        return _entry(rows[0]) if rows else None

    async def icon(self, digest: str) -> Icon | None:
        rows = await self._engine.read(Statement(_ICON, {"digest": digest}))
        return Icon(rows[0]["type"], bytes(rows[0]["content"])) if rows else None


def _entry(row: Row) -> HubEntry:
    return HubEntry(
        client_id=row["client_id"],
        name=row["name"],
        icon=row["icon"],
        description=row["description"],
        publisher=row["publisher"],
        scopes=stored_scopes(row["scopes"]),
        site_url=row["site_url"],
    )
