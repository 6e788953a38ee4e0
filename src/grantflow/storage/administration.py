"""People, integrations and grants as an administrator of the organization looks them up and ends them."""

from datetime import datetime

from grantflow.resource_owner.records import App, GivenGrant, Person, Portion
from grantflow.storage.connected_apps import GRANT, app_of
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.grants import END_ALL_OF_CLIENT
from grantflow.storage.people import PERSON, person_of
from grantflow.storage.times import milliseconds

#: Sorts after every character that a name can hold.
_LAST = "\U0010ffff"

_IN_THE_ORGANIZATION = "org_id = :org_id AND type = 'person' AND deleted_at IS NULL"
_EVERYBODY = f"FROM people WHERE {_IN_THE_ORGANIZATION}"
# Each index gives those few that begin so, and the people are looked up from there: CROSS JOIN keeps that order.
_BEGINNING = f"""
FROM (
  SELECT id AS found FROM people WHERE org_id = :org_id AND display_name >= :beginning AND display_name < :beyond
  UNION SELECT id FROM people WHERE email >= :beginning AND email < :beyond
) AS matching CROSS JOIN people
WHERE id = found AND {_IN_THE_ORGANIZATION}
"""
_PERSON = f"SELECT {PERSON} {_EVERYBODY} AND id = :person_id"

_APP = """
SELECT i.client_id, i.name, i.icon, i.description, p.display_name AS publisher
FROM integrations i LEFT JOIN people p ON p.id = i.owner_id
"""
_ALL_APPS = "WHERE i.name >= ''"
_APPS_BEGINNING = "WHERE (i.name >= :beginning AND i.name < :beyond) OR i.client_id = :beginning"

_GIVEN = f"""
SELECT {GRANT}, g.person_id, who.email, who.display_name
FROM grants g
JOIN people who ON who.id = g.person_id AND who.org_id = :org_id
JOIN integrations i ON i.client_id = g.client_id
LEFT JOIN people p ON p.id = i.owner_id
"""
_GIVEN_TO = "g.client_id = :client_id AND g.revoked_at IS NULL"
_COUNT_GIVEN_TO = f"""
SELECT count(*) AS total FROM grants g JOIN people who ON who.id = g.person_id AND who.org_id = :org_id
WHERE {_GIVEN_TO}
"""


class AdministrationStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def people(self, beginning: str, *, org_id: str, page: int, size: int) -> Portion[Person]:
        which = _BEGINNING if beginning else _EVERYBODY
        values = {"org_id": org_id, **_range(beginning), **_portion(page, size)}
        total = await self._total(f"SELECT count(*) AS total {which}", values)
        page_of = f"SELECT {PERSON} {which} ORDER BY display_name, id LIMIT :size OFFSET :offset"
        return Portion(tuple(person_of(row) for row in await self._engine.read(Statement(page_of, values))), total)

    async def person(self, person_id: str, *, org_id: str) -> Person | None:
        rows = await self._engine.read(Statement(_PERSON, {"person_id": person_id, "org_id": org_id}))
        return person_of(rows[0]) if rows else None

    async def apps(self, beginning: str, *, page: int, size: int) -> Portion[App]:
        which = _APPS_BEGINNING if beginning else _ALL_APPS
        values = {**_range(beginning), **_portion(page, size)}
        total = await self._total(f"SELECT count(*) AS total FROM integrations i {which}", values)
        page_of = f"{_APP} {which} ORDER BY i.name LIMIT :size OFFSET :offset"
        return Portion(tuple(_app(row) for row in await self._engine.read(Statement(page_of, values))), total)

    async def app(self, client_id: str) -> App | None:
        rows = await self._engine.read(Statement(f"{_APP} WHERE i.client_id = :client_id", {"client_id": client_id}))
        return _app(rows[0]) if rows else None

    async def given_to(self, client_id: str, *, org_id: str, page: int, size: int) -> Portion[GivenGrant]:
        values = {"client_id": client_id, "org_id": org_id, **_portion(page, size)}
        total = await self._total(_COUNT_GIVEN_TO, values)
        page_of = f"{_GIVEN} WHERE {_GIVEN_TO} ORDER BY g.created_at DESC, g.id DESC LIMIT :size OFFSET :offset"
        return Portion(tuple(_given(row) for row in await self._engine.read(Statement(page_of, values))), total)

    async def given(self, grant_id: str, *, org_id: str) -> GivenGrant | None:
        values = {"grant_id": grant_id, "org_id": org_id}
        rows = await self._engine.read(Statement(f"{_GIVEN} WHERE g.id = :grant_id", values))
        return _given(rows[0]) if rows else None

    async def revoke_all_given_to(self, client_id: str, *, org_id: str, now: datetime) -> int:
        values = {"client_id": client_id, "org_id": org_id, "now": milliseconds(now)}

        def work() -> Work[int]:
            return len((yield Statement(END_ALL_OF_CLIENT, values)))

        return await self._engine.write(work(), is_long=True)

    async def _total(self, sql: str, values: dict[str, object]) -> int:
        (row,) = await self._engine.read(Statement(sql, values))
        return int(row["total"])


def _range(beginning: str) -> dict[str, object]:
    return {"beginning": beginning, "beyond": beginning + _LAST}


def _portion(page: int, size: int) -> dict[str, object]:
    return {"size": size, "offset": (page - 1) * size}


def _app(row: Row) -> App:
    return App(
        row["client_id"],
        row["name"],
        publisher=row["publisher"],
        description=row["description"],
        icon=row["icon"],
    )


def _given(row: Row) -> GivenGrant:
    return GivenGrant(app_of(row), person_id=row["person_id"], email=row["email"], person=row["display_name"])
