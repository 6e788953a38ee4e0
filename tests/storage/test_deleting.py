"""Deleting what much hangs on: others get the writer between two portions, and nothing is left at the end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from grantflow.resource_server.records import Deletion
from grantflow.storage.bots import BotStore
from grantflow.storage.engine import IntegrityError, Statement, T, Work
from grantflow.storage.portions import PORTION
from grantflow.storage.registrations import RegistrationStore
from grantflow.storage.rooms import RoomStore
from grantflow.storage.sqlite import SqliteEngine

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
#: Two full portions and a part of one.
MANY = 2 * PORTION + 200
_NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})"
_PERSON = "(id, email, display_name, org_id, created_at)"
_GRANT = "INSERT INTO grants (id, person_id, client_id, scopes, remembered, created_at, last_used_at)"
_TOKEN = "INSERT INTO access_tokens (token_hash, family, grant_id, client_id, person_id, scopes, issued_at, expires_at)"
ROWS = (
    f"{_NUMBERS} INSERT INTO people {_PERSON} SELECT 'p' || i, 'p' || i || '@x.example', 'P', 'o', 0 FROM n",
    f"INSERT INTO people {_PERSON} VALUES ('q', 'q@x.example', 'Q', 'o', 0)",
    "INSERT INTO integrations (client_id, name, owner_id, profile, client_type, scopes, created_at)"
    " VALUES ('c', 'C', 'p1', 'strict', 'confidential', 's', 0), ('d', 'D', 'p1', 'strict', 'confidential', 's', 0)",
    f"{_NUMBERS} {_GRANT} SELECT 'g' || i, 'p' || i, 'c', 's', 1, 0, 0 FROM n",
    f"{_GRANT} VALUES ('other', 'p1', 'd', 's', 1, 0, 0)",
    f"{_NUMBERS} {_TOKEN} SELECT 'a' || i, 'f', 'g' || i, 'c', 'p' || i, 's', 0, 1 FROM n",
    f"{_NUMBERS} INSERT INTO authorization_requests"
    " (id_hash, query, scopes, redirect_uri, client_id, created_at, expires_at)"
    " SELECT 'r' || i, '', '', '', 'c', 0, 0 FROM n",
)


class Counting(SqliteEngine):
    """The real engine; keeps how many rows of a table there are after each unit of work."""

    table = "grants"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.left: list[int] = []
        self.began = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def write(self, work: Work[T], *, is_long: bool = False) -> T:
        result = await super().write(work, is_long=is_long)
        self.left.append(await count(self, self.table))
        self.began.set()
        await self.goes_on.wait()
        return result


async def count(engine: SqliteEngine, table: str) -> int:
    found: int = (await engine.read(Statement(f"SELECT count(*) AS n FROM {table}")))[0]["n"]
    return found


def all_of(*statements: str) -> Work[None]:
    for statement in statements:
        yield Statement(statement)


def run(path: Path, story: Callable[[Counting], Awaitable[None]]) -> None:
    async def play() -> None:
        engine = Counting.open(path / "platform.db")
        assert isinstance(engine, Counting)
        try:
            await SqliteEngine.write(engine, all_of(*ROWS))
            await story(engine)
        finally:
            await engine.close()

    asyncio.run(play())


def within_a_portion(left: list[int]) -> bool:
    return all(before - after <= PORTION for before, after in pairwise(left))


@pytest.mark.parametrize("table", ["grants", "access_tokens", "authorization_requests"])
@pytest.mark.parametrize("by", ["its owner", "whoever runs the platform"])
def test_an_integration_with_many_grants_holds_the_writer_for_a_portion_at_a_time(
    tmp_path: Path, by: str, table: str
) -> None:
    async def story(engine: Counting) -> None:
        engine.table = table
        registrations = RegistrationStore(engine)
        began = await count(engine, table)
        deleted = registrations.delete("c", owner_id="p1") if by == "its owner" else registrations.delete_anyones("c")
        assert await deleted
        assert within_a_portion([began, *engine.left])
        assert await count(engine, table) == (table == "grants"), "another integration's grant stays"
        assert await count(engine, "integrations") == 1

    run(tmp_path, story)


def test_a_deletion_that_is_interrupted_leaves_the_integration_and_is_finished_by_the_next(tmp_path: Path) -> None:
    async def story(engine: Counting) -> None:
        engine.goes_on.clear()
        deleting = asyncio.create_task(RegistrationStore(engine).delete("c", owner_id="p1"))
        await engine.began.wait()
        deleting.cancel()
        await asyncio.gather(deleting, return_exceptions=True)
        engine.goes_on.set()
        assert deleting.cancelled()
        assert 1 < await count(engine, "grants") <= MANY
        assert await count(engine, "integrations") == 2
        assert await RegistrationStore(engine).delete("c", owner_id="p1")
        assert (await count(engine, "grants"), await count(engine, "integrations")) == (1, 1)

    run(tmp_path, story)


def test_what_is_granted_while_the_integration_is_deleted_does_not_outlive_it(tmp_path: Path) -> None:
    async def story(engine: Counting) -> None:
        deleting = asyncio.create_task(RegistrationStore(engine).delete("c", owner_id="p1"))
        added = 0
        while not deleting.done():
            grant = f"{_GRANT} VALUES ('new{added}', 'q', 'c', 's', 1, 0, 0) ON CONFLICT DO NOTHING"
            token = f"{_TOKEN} SELECT 'new{added}', 'f', id, 'c', 'q', 's', 0, 1 FROM grants WHERE id = 'new{added}'"
            try:
                await SqliteEngine.write(engine, all_of(grant, token))
            except IntegrityError:
                break
            added += 1
        assert await deleting
        assert added
        assert (await count(engine, "grants"), await count(engine, "access_tokens")) == (1, 0)

    run(tmp_path, story)


@pytest.mark.parametrize(("client_id", "owner_id"), [("c", "p2"), ("unknown", "p1")])
def test_what_is_not_there_or_another_developers_loses_no_grant(tmp_path: Path, client_id: str, owner_id: str) -> None:
    async def story(engine: Counting) -> None:
        assert not await RegistrationStore(engine).delete(client_id, owner_id=owner_id)
        assert (await count(engine, "grants"), await count(engine, "integrations")) == (MANY + 1, 2)

    run(tmp_path, story)


def test_a_room_with_many_messages_holds_the_writer_for_a_portion_at_a_time(tmp_path: Path) -> None:
    async def story(engine: Counting) -> None:
        engine.table = "messages"
        message = "INSERT INTO messages (id, room_id, person_id, text, created_at)"
        said = f"{_NUMBERS} {message} SELECT 'm' || i, 'room1', 'q', 'x', i FROM n"
        await SqliteEngine.write(engine, all_of(*rooms(1), said))
        await RoomStore(engine).delete("room1", viewer_id="q", rule=lambda _: Deletion.ROOM)
        assert within_a_portion([MANY, *engine.left])
        assert (await count(engine, "messages"), await count(engine, "rooms")) == (0, 0)

    run(tmp_path, story)


def test_who_may_not_delete_a_room_takes_none_of_its_messages(tmp_path: Path) -> None:
    async def story(engine: Counting) -> None:
        message = "INSERT INTO messages (id, room_id, person_id, text, created_at) VALUES ('m', 'room1', 'q', 'x', 0)"
        other = "INSERT INTO memberships (person_id, room_id, created_at) VALUES ('p1', 'room1', 0)"
        await SqliteEngine.write(engine, all_of(*rooms(1), message, other))
        await RoomStore(engine).delete("room1", viewer_id="q", rule=lambda _: Deletion.OWN_MEMBERSHIP)
        assert (await count(engine, "messages"), await count(engine, "memberships")) == (1, 1)

    run(tmp_path, story)


def test_a_bot_in_many_rooms_holds_the_writer_for_a_portion_at_a_time_and_acts_no_more_from_the_first(
    tmp_path: Path,
) -> None:
    async def story(engine: Counting) -> None:
        engine.table = "memberships"
        token = "INSERT INTO access_tokens (token_hash, person_id, scopes, issued_at, expires_at)"
        bot = "UPDATE people SET type = 'bot' WHERE id = 'q'"
        await SqliteEngine.write(engine, all_of(*rooms(MANY), bot, f"{token} VALUES ('bot', 'q', 's', 0, 1)"))
        deleting = asyncio.create_task(BotStore(engine).delete("q", now=NOW))
        await engine.began.wait()
        assert not await engine.read(Statement("SELECT 1 FROM access_tokens WHERE person_id = 'q'"))
        assert await deleting
        assert within_a_portion([MANY, *engine.left])
        assert (await count(engine, "memberships"), await count(engine, "rooms")) == (0, 0)
        assert not await BotStore(engine).delete("q", now=NOW)

    run(tmp_path, story)


def rooms(number: int) -> tuple[str, str]:
    """So many of one member."""
    numbers = f"{_NUMBERS} INSERT INTO"
    return (
        f"{numbers} rooms (id, title, type, creator_id, owner_id, created_at, last_activity)"
        f" SELECT 'room' || i, 'R', 'group', 'q', 'o', 0, 0 FROM n WHERE i <= {number}",
        "INSERT INTO memberships (person_id, room_id, created_at) SELECT 'q', id, 0 FROM rooms",
    )
