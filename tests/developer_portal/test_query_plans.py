"""With ten thousand integrations of one developer and ten thousand grants, every page finds its rows by an index."""

import asyncio
from pathlib import Path

from grantflow.app import Storage
from grantflow.storage.engine import Statement, Work
from grantflow.storage.sqlite import SqliteEngine
from tests.developer_portal.given import NOW, House, form_of
from tests.resource_server.test_query_plans import Recording

MANY = 10_000
#: The one that reads an index from end to end: a search of the whole App Hub, in the index that holds its names alone.
_HUB_SEARCH = "SCAN integrations USING COVERING INDEX app_hub"


def many(owner_id: str, org_id: str) -> Work[None]:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})"
    values = {"owner_id": owner_id, "org_id": org_id}
    yield Statement(
        f"{numbers} INSERT INTO integrations (client_id, name, owner_id, site_url, profile, client_type, scopes, "
        "created_at) SELECT printf('C%064x', i), 'App ' || i, :owner_id, 'https://a.example/', 'webex', "
        "'confidential', 'spark:rooms_read', 1 FROM n",
        values,
    )
    yield Statement(
        f"{numbers} INSERT INTO redirect_uris SELECT printf('C%064x', i), 0, 'https://a.example/' FROM n", values
    )
    yield Statement(
        f"{numbers} INSERT INTO people (id, email, display_name, org_id, created_at) "
        "SELECT 'p' || i, 'p' || i || '@x.example', 'Person ' || i, :org_id, 1 FROM n",
        values,
    )
    yield Statement(
        f"{numbers} INSERT INTO grants (id, person_id, client_id, scopes, remembered, created_at, last_used_at) "
        "SELECT 'g' || i, 'p' || i, printf('C%064x', 7), 'spark:rooms_read', 1, 1, i FROM n",
        values,
    )


async def everything(house: House) -> None:
    """Each page and each form of the portal, once."""
    browser = await house.signed_in(await house.person("Grace Hopper"))
    made = await browser.created(name="Grace's own", site_url="https://a.example/")
    grant_id = await house.grant(made, await house.person("Alan Turing"))
    one = f"/my-apps/{made}"
    for path in ("/my-apps", "/my-apps?q=e&page=1", f"{one}/people?q=a", "/app-hub?q=7&page=3", f"/app-hub/{made}"):
        assert (await browser.open(path)).status_code == 200, path
    assert (await browser.open(f"/icons/{'0' * 64}")).status_code == 404
    await browser.send(await browser.open(f"{one}/registration"), description="x")
    await browser.send(await browser.open(f"{one}/secret"))
    await browser.open(one)
    await browser.send(await browser.open(f"{one}/people"), to="/expiry")
    await browser.send(await browser.open(f"{one}/people/{grant_id}/revocation"))
    asked = await browser.open(f"{one}/deletion")
    assert form_of(asked).fields["name"] == ""
    assert (await browser.send(asked, name="Grace's own")).status_code == 303


def test_w17_no_page_of_the_portal_looks_at_every_row_of_a_table(tmp_path: Path) -> None:
    async def story() -> dict[str, list[str]]:
        engine = Recording.open(tmp_path / "platform.db")
        assert isinstance(engine, Recording)
        house = House(Storage(engine), tmp_path)
        ada = await house.person()
        await engine.write(many(ada.id, ada.org_id))
        engine.seen.clear()
        await everything(house)
        asked = [sql for sql in engine.seen if sql.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))]
        plans = {sql: await plan_of(engine, sql) for sql in asked}
        await engine.close()
        return plans

    plans = asyncio.run(story())
    assert len(plans) > 20
    for sql, steps in plans.items():
        scans = [step for step in steps if step.startswith("SCAN") and "CONSTANT" not in step]
        assert [step for step in scans if step != _HUB_SEARCH] == [], (sql, steps)


async def plan_of(engine: SqliteEngine, sql: str) -> list[str]:
    names = {name.strip(",()") for name in sql.split() if name.strip(",()").startswith(":")}
    rows = await engine.read(Statement(f"EXPLAIN QUERY PLAN {sql}", {name[1:]: 1 for name in names}))
    return [row["detail"] for row in rows]


def test_w17_a_page_of_ten_thousand_is_a_page_and_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        storage = Storage.open(tmp_path / "platform.db")
        house = House(storage, tmp_path)
        ada = await house.person()
        await storage.engine.write(many(ada.id, ada.org_id))
        last = await storage.my_apps.page(ada.id, search="", page=400, size=25)
        assert (last.total, len(last.shown)) == (MANY, 25)
        (seventh,) = (await storage.my_apps.page(ada.id, search="app 7", page=1, size=25)).shown[:1]
        assert (seventh.name, seventh.people) == ("App 7", MANY)
        assert seventh.last_used_at is not None
        people = await storage.granted.page(seventh.client_id, search="", page=2, size=50, now=NOW)
        assert (people.total, people.shown[0].person) == (MANY, "Person 9950")
        found = await storage.granted.page(seventh.client_id, search="son 123", page=1, size=50, now=NOW)
        assert (found.total, found.shown[0].person) == (11, "Person 1239")
        hub = await storage.app_hub.page(search="p 999", page=1, size=24)
        assert (hub.total, hub.shown[0].name) == (11, "App 999")
        await storage.engine.close()

    asyncio.run(story())
