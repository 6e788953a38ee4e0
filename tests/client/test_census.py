"""How many grants there are: counted in an index, in nobody's way, in either database."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from grantflow import Status
from grantflow.client.vault.sql_vault import grants
from tests.client.conftest import World
from tests.client.foreign import CLIENT_ID
from tests.engines import BOTH, OnServer

MANY = 20_000


@pytest.fixture
def crowd(world: World) -> World:
    """Many grants, written past the vault: of each hundred 95 are active, and each ends a minute after the last one."""
    world.integration()
    of_hundred = "n - n / 100 * 100"
    state = f"CASE WHEN {of_hundred} < 95 THEN 'ACTIVE' WHEN {of_hundred} < 96 THEN 'REFRESH_DELAYED' "
    state += f"WHEN {of_hundred} < 98 THEN 'REAUTHORIZATION_REQUIRED' ELSE 'REVOKED' END"
    tokens = "decode(repeat('00', 400), 'hex')" if isinstance(world.home, OnServer) else "zeroblob(400)"
    world.home.ask(
        f"WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY - 1}) "
        "INSERT INTO grants (id, integration, owner, person_id, status, scopes, generation, tokens, granted_at, "
        "refresh_expires_at) "
        f"SELECT 'g' || n, '{CLIENT_ID}', 'o' || n, 'p' || n, {state}, 'a', 1, {tokens}, 1.0, "
        "CAST(:now AS DOUBLE PRECISION) + n * 60 FROM numbers",
        now=world.clock.now().timestamp(),
    )
    world.home.ask("VACUUM ANALYZE grants" if isinstance(world.home, OnServer) else "ANALYZE")
    return world


@BOTH
def test_grants_are_counted_by_status_and_by_when_they_end(crowd: World) -> None:
    overview = crowd.integration().overview(ending_within=timedelta(minutes=999))
    assert overview.grants == {
        Status.ACTIVE: 19_000,
        Status.REFRESH_DELAYED: 200,
        Status.REAUTHORIZATION_REQUIRED: 400,
        Status.REVOKED: 400,
    }
    assert overview.ending == 960, "of the first thousand, those on which calls may be made"
    assert set(crowd.integration(client_id="Cother").overview().grants.values()) == {0}


@BOTH
def test_counting_reads_two_indexes_and_not_all_grants(crowd: World) -> None:
    named = {"integration": CLIENT_ID, "before": crowd.clock.now().timestamp() + 600}
    for statement, index in [(grants._CENSUS, "grants_by_status"), (grants._ENDING, "grants_by_end")]:
        of = {name: value for name, value in named.items() if f":{name}" in statement}
        if isinstance(crowd.home, OnServer):
            rows = crowd.home.ask(f"EXPLAIN (COSTS OFF) {statement}", **of)
            plan = " ".join(str(row[0]) for row in rows)
            assert index in plan, plan
            assert "Seq Scan" not in plan, plan
        else:
            plan = " ".join(str(row[3]) for row in crowd.home.ask(f"EXPLAIN QUERY PLAN {statement}", **of))
            assert plan.startswith("SEARCH grants USING"), plan
            assert f"INDEX {index} (integration=?" in plan, plan
            assert "TEMP B-TREE" not in plan, plan


def test_whoever_counts_keeps_no_caller_waiting(world: World) -> None:
    """A million take a while, and each call of the API looks at its grant's generation once a second."""
    integration = world.integration()
    world.grant(integration)
    vault: Any = integration._parts.vault
    counted: list[Any] = []

    def count() -> None:
        counted.append(vault.census(CLIENT_ID, ending_before=world.clock.now()))

    with vault._here().reading, vault._here().writing:
        counting = threading.Thread(target=count)
        counting.start()
        counting.join(30)
        assert counted, "it waited for the connections that callers use"
