"""How many grants there are: counted in an index, in nobody's way."""

import sqlite3
import threading
from datetime import timedelta
from typing import Any

from grantflow import Status
from grantflow.client.vault import sql_vault
from tests.client.conftest import World
from tests.client.foreign import CLIENT_ID

COLUMNS = "id, integration, owner, person_id, status, scopes, generation, tokens, granted_at, refresh_expires_at"


def fill(world: World, number: int) -> None:
    statuses = (
        ["ACTIVE"] * 95 + ["REFRESH_DELAYED", "REAUTHORIZATION_REQUIRED", "REAUTHORIZATION_REQUIRED"] + ["REVOKED"] * 2
    )
    now = world.clock.now().timestamp()
    rows = (
        (f"g{each}", CLIENT_ID, f"o{each}", f"p{each}", statuses[each % 100], "a", 1, b"x" * 400, now, now + each * 60)
        for each in range(number)
    )
    with sqlite3.connect(world.path) as database:
        database.executemany(f"INSERT INTO grants ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.execute("ANALYZE")


def test_grants_are_counted_by_status_and_by_when_they_end(world: World) -> None:
    integration = world.integration()
    assert set(integration.overview().grants.values()) == {0}
    fill(world, 20_000)
    overview = integration.overview(ending_within=timedelta(minutes=999))
    assert overview.grants == {
        Status.ACTIVE: 19_000,
        Status.REFRESH_DELAYED: 200,
        Status.REAUTHORIZATION_REQUIRED: 400,
        Status.REVOKED: 400,
    }
    assert overview.ending == 960, "of the first thousand, those on which calls may be made"
    assert world.integration(client_id="Cother").overview().grants[Status.ACTIVE] == 0


def test_counting_reads_two_indexes_and_no_row_of_all_grants(world: World) -> None:
    world.integration()
    fill(world, 20_000)
    with sqlite3.connect(world.path) as database:
        for statement, index in [
            (sql_vault._CENSUS, "SEARCH grants USING COVERING INDEX grants_by_status (integration=?)"),
            (sql_vault._ENDING, "SEARCH grants USING INDEX grants_by_end (integration=? AND refresh_expires_at<?)"),
        ]:
            named = {"integration": CLIENT_ID, "before": 1.0}
            plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", named).fetchall()
            assert [step[3] for step in plan] == [index]


def test_whoever_counts_keeps_no_caller_waiting(world: World) -> None:
    """A million take a while, and each call of the API looks at its grant's generation once a second."""
    integration = world.integration()
    world.grant(integration)
    vault: Any = integration._parts.vault
    with vault._here().reading, vault._here().writing:
        counted: list[Any] = []
        counting = threading.Thread(
            target=lambda: counted.append(vault.census(CLIENT_ID, ending_before=world.clock.now()))
        )
        counting.start()
        counting.join(5)
        assert counted, "it waited for the connections that callers use"
