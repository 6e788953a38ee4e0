"""Guessing is slowed by account and address; who has the right key from elsewhere is never slowed."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.requests import Request

from grantflow.storage.engine import Statement
from grantflow.storage.failures import FailureStore
from grantflow.storage.sqlite import SqliteEngine
from grantflow.web.throttle import Failures, Throttle, seconds_to_wait, sender

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("count", "passed", "wait"),
    [
        (0, 0, 0),
        (4, 0, 0),
        (5, 0, 1),
        (6, 0, 2),
        (6, 0.5, 2),
        (6, 1.5, 1),
        (6, 2, 0),
        (9, 0, 16),
        (15, 0, 900),
        (1_000_000, 0, 900),
        (1_000_000, 900, 0),
    ],
)
def test_each_failure_beyond_the_free_ones_doubles_the_wait(count: int, passed: float, wait: int) -> None:
    rule = Throttle(failures=None, what="person")  # type: ignore[arg-type]  # the rule alone reads no failures
    assert seconds_to_wait(Failures(count, NOW), now=NOW + seconds(passed), rule=rule) == wait


def test_failures_slow_one_account_from_one_address_until_it_succeeds_or_time_passes(tmp_path: Path) -> None:
    async def story() -> None:
        engine = SqliteEngine.open(tmp_path / "platform.db")
        throttle = Throttle(FailureStore(engine), what="person", free=3, longest=60, forget_after=600)
        for _ in range(3):
            assert await throttle.wait("Ada@example.com", address=HERE, now=NOW) == 0
            await throttle.failed("ada@example.com", address=HERE, now=NOW)
        assert await throttle.wait("ada@EXAMPLE.com ", address=HERE, now=NOW) == 1
        assert await throttle.wait("ada@example.com", address=ELSEWHERE, now=NOW) == 0
        assert await throttle.wait("grace@example.com", address=HERE, now=NOW) == 0
        other = Throttle(FailureStore(engine), what="client", free=3)
        assert await other.wait("ada@example.com", address=HERE, now=NOW) == 0

        for _ in range(10):
            await throttle.failed("ada@example.com", address=HERE, now=NOW)
        assert await throttle.wait("ada@example.com", address=HERE, now=NOW) == 60
        assert await throttle.wait("ada@example.com", address=HERE, now=NOW + seconds(600)) == 0

        await throttle.succeeded("ada@example.com", address=HERE)
        assert await throttle.wait("ada@example.com", address=HERE, now=NOW) == 0
        await engine.close()

    asyncio.run(story())


def test_what_was_typed_is_not_kept_readable_and_what_is_old_is_dropped(tmp_path: Path) -> None:
    async def story() -> None:
        engine = SqliteEngine.open(tmp_path / "platform.db")
        throttle = Throttle(FailureStore(engine), what="person", forget_after=600)
        await throttle.failed("my real password", address=HERE, now=NOW)
        (row,) = await engine.read(Statement("SELECT * FROM failures"))
        assert "password" not in row["subject"]
        await throttle.failed("ada@example.com", address=HERE, now=NOW + seconds(601))
        (row,) = await engine.read(Statement("SELECT * FROM failures"))
        assert row["count"] == 1
        await engine.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (("192.0.2.1", 4000), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 4000), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 4000), "fe80::/64"),
        (("::ffff:192.0.2.1", 4000), "192.0.2.1"),
        (("testclient", 4000), "unknown"),
        (None, "unknown"),
    ],
)
def test_the_sender_is_an_address_or_the_network_that_one_customer_has(
    client: tuple[str, int] | None, expected: str
) -> None:
    assert sender(Request({"type": "http", "headers": [], "client": client})) == expected
