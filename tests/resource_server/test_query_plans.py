"""Every statement of the API finds its rows by an index, so that a call costs the same however much is stored."""

import asyncio
import sqlite3
from pathlib import Path

from grantflow.storage.engine import Row, Statement, T, Work
from grantflow.storage.sqlite import SqliteEngine
from tests.resource_server.given import Platform


class Recording(SqliteEngine):
    """The real engine; keeps the text of each statement that it was given."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.seen: set[str] = set()

    async def read(self, statement: Statement) -> "list[Row]":
        self.seen.add(statement.sql)
        return list(await super().read(statement))

    async def write(self, work: Work[T], *, is_long: bool = False) -> T:
        return await super().write(self._recorded(work), is_long=is_long)

    def _recorded(self, work: Work[T]) -> Work[T]:
        try:
            statement = next(work)
            while True:
                self.seen.add(statement.sql)
                statement = work.send((yield statement))
        except StopIteration as stop:
            result: T = stop.value
            return result


async def everything(platform: Platform) -> None:
    ada, bob = await platform.person("Ada"), await platform.person("Bob")
    caller, other = platform.caller(ada), platform.caller(bob)
    for query in ({"id": bob.id}, {"email": bob.email}, {"displayName": "b"}):
        await caller.get("people", **query)
    await caller.get(f"people/{bob.id}")
    room_id = await caller.open_room()
    membership = f"memberships/{await caller.add(room_id, bob)}"
    top = await caller.say(room_id, "x")
    reply = await caller.say(room_id, "y", parentId=top)
    await other.post("messages", toPersonId=ada.id, text="psst")
    for order in ("id", "created", "lastactivity"):
        await caller.get("rooms", sortBy=order, max="1")
    for query in ({}, {"roomId": room_id}, {"roomId": room_id, "personEmail": bob.email}):
        await caller.get("memberships", **query)
    for query in ({}, {"parentId": top}, {"beforeMessage": reply}):
        await caller.get("messages", roomId=room_id, **query)
    await caller.get("messages/direct", personEmail=bob.email)
    await caller.put(f"messages/{reply}", roomId=room_id, text="z")
    await caller.delete(f"messages/{reply}")
    await caller.get(membership)
    await caller.put(membership, isModerator=True)
    await caller.put(f"rooms/{room_id}", title="x", isLocked=True)
    await other.delete(membership)
    assert (await caller.delete(f"rooms/{room_id}")).status_code == 204


def test_no_statement_looks_at_every_row_of_a_table(tmp_path: Path) -> None:
    async def story() -> set[str]:
        engine = Recording.open(tmp_path / "platform.db")
        assert isinstance(engine, Recording)
        platform = Platform(engine)
        await platform.person("Eve")
        engine.seen.clear()
        await everything(platform)
        await engine.close()
        return {sql for sql in engine.seen if "INSERT INTO grants" not in sql}

    statements = asyncio.run(story())
    assert len(statements) > 25
    with sqlite3.connect(tmp_path / "platform.db") as database:
        for sql in sorted(statements):
            names = {name.strip(",()") for name in sql.split() if name.strip(",()").startswith(":")}
            plan = database.execute(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys((n[1:] for n in names), "x"))
            steps = [step for *_, step in plan]
            assert not [step for step in steps if step.startswith("SCAN") and "CONSTANT" not in step], (sql, steps)
    database.close()
