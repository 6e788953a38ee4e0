"""What the sweep takes away, and what it must leave."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grantflow.storage import housekeeping
from grantflow.storage.engine import Statement, Work
from grantflow.storage.housekeeping import Housekeeping
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.times import milliseconds

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OWNERS = (
    "INSERT INTO people (id, email, display_name, org_id, created_at) VALUES ('p', 'p@x', 'P', 'o', 0)",
    "INSERT INTO integrations (client_id, name, profile, client_type, scopes, created_at)"
    " VALUES ('c', 'C', 'strict', 'confidential', 's', 0)",
    "INSERT INTO grants (id, person_id, client_id, scopes, remembered, created_at, last_used_at)"
    " VALUES ('g', 'p', 'c', 's', 1, 0, 0)",
)
ROWS = {
    "sessions": "(token_hash, person_id, authenticated_at, expires_at) VALUES (:key, 'p', 0, :expires_at)",
    "authorization_requests": "(id_hash, query, scopes, redirect_uri, client_id, created_at, expires_at, answered_at)"
    " VALUES (:key, '', '', '', 'c', 0, :expires_at, 1)",
    "codes": "(code_hash, family, grant_id, client_id, person_id, scopes, redirect_uri, redirect_uri_sent, created_at,"
    " expires_at) VALUES (:key, 'f', 'g', 'c', 'p', 's', '', 1, 0, :expires_at)",
    "access_tokens": "(token_hash, family, grant_id, client_id, person_id, scopes, issued_at, expires_at)"
    " VALUES (:key, 'f', 'g', 'c', 'p', 's', 0, :expires_at)",
    "refresh_tokens": "(token_hash, family, grant_id, client_id, person_id, scopes, issued_at, expires_at)"
    " VALUES (:key, 'f', 'g', 'c', 'p', 's', 0, :expires_at)",
}


def run(path: Path, story: Callable[[SqliteEngine], Awaitable[None]]) -> None:
    async def play() -> None:
        engine = SqliteEngine.open(path / "platform.db")
        try:
            await engine.write(all_of(*map(Statement, OWNERS)))
            await story(engine)
        finally:
            await engine.close()

    asyncio.run(play())


def all_of(*statements: Statement) -> Work[None]:
    yield from (statement for statement in statements)


def row(table: str, key: str, *, expires_at: datetime) -> Statement:
    values = {"key": key.encode(), "expires_at": milliseconds(expires_at)}
    return Statement(f"INSERT INTO {table} {ROWS[table]}", values)


async def count(engine: SqliteEngine, table: str) -> int:
    found: int = (await engine.read(Statement(f"SELECT count(*) AS n FROM {table}")))[0]["n"]
    return found


@pytest.mark.parametrize("table", ROWS)
def test_what_expired_a_day_ago_is_swept_and_what_lives_or_died_just_now_stays(tmp_path: Path, table: str) -> None:
    async def story(engine: SqliteEngine) -> None:
        ages = {"long dead": NOW - DAY, "just dead": NOW - DAY + HOUR, "living": NOW + HOUR}
        await engine.write(all_of(*(row(table, key, expires_at=expires_at) for key, expires_at in ages.items())))
        assert await Housekeeping(engine).sweep(now=NOW) == 1
        assert await count(engine, table) == 2
        assert await Housekeeping(engine).sweep(now=NOW) == 0

    run(tmp_path, story)


def test_a_request_that_nobody_answered_is_swept_within_minutes(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        ages = {"dead": timedelta(minutes=-10), "just dead": timedelta(minutes=-9), "living": timedelta(minutes=1)}
        rows = [row("authorization_requests", key, expires_at=NOW + age) for key, age in ages.items()]
        answered = row("authorization_requests", "answered", expires_at=NOW - HOUR)
        opened = Statement("UPDATE authorization_requests SET answered_at = NULL")
        await engine.write(all_of(*rows, opened, answered))
        assert await Housekeeping(engine).sweep(now=NOW) == 1
        left = await engine.read(Statement("SELECT id_hash FROM authorization_requests ORDER BY 1"))
        assert [each["id_hash"] for each in left] == [b"answered", b"just dead", b"living"]

    run(tmp_path, story)


def test_a_sweep_takes_everything_in_small_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "PORTION", 7)

    async def story(engine: SqliteEngine) -> None:
        rows = (row("sessions", f"s{n}", expires_at=NOW - 2 * DAY) for n in range(50))
        await engine.write(all_of(*rows))
        statements: list[str] = []
        engine._writer.set_trace_callback(statements.append)
        assert await Housekeeping(engine).sweep(now=NOW) == 50
        assert sum(statement.startswith("DELETE FROM sessions") for statement in statements) >= 8
        assert await count(engine, "sessions") == 0

    run(tmp_path, story)


@pytest.mark.parametrize(("age", "kept"), [(DAY - HOUR, True), (DAY, False)])
def test_a_sealed_answer_is_forgotten_after_a_day_and_its_token_is_not(
    tmp_path: Path, age: timedelta, kept: bool
) -> None:
    async def story(engine: SqliteEngine) -> None:
        sealed = Statement(
            "UPDATE refresh_tokens SET sealed_answer = x'00', replaced_at = :at", {"at": milliseconds(NOW - age)}
        )
        await engine.write(all_of(row("refresh_tokens", "r", expires_at=NOW + DAY), sealed))
        await Housekeeping(engine).sweep(now=NOW)
        (found,) = await engine.read(Statement("SELECT sealed_answer FROM refresh_tokens"))
        assert (found["sealed_answer"] is not None) is kept

    run(tmp_path, story)


def test_every_deletion_finds_its_rows_by_an_index(tmp_path: Path) -> None:
    async def story(engine: SqliteEngine) -> None:
        statements: list[str] = []
        engine._writer.set_trace_callback(statements.append)
        await Housekeeping(engine).sweep(now=NOW)
        engine._writer.set_trace_callback(None)
        swept = [statement for statement in statements if statement.lstrip().startswith(("DELETE", "UPDATE"))]
        assert len(swept) == 7
        for statement in swept:
            plan = await engine.read(Statement(f"EXPLAIN QUERY PLAN {statement}"))
            assert not [
                step["detail"]
                for step in plan
                if step["detail"].startswith("SCAN ") and " INDEX " not in step["detail"]
            ]

    run(tmp_path, story)
