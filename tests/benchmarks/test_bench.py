"""./dev bench measures what it says, keeps what it measured, and puts the right figure over the right one."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks import client_cost, parts, report
from benchmarks.rows import ROWS, Place, Row, place
from benchmarks.run import WORKLOADS, Plan, Results, Seat, rows_named, run, summary
from tests.parts import ROOT, require

pytestmark = pytest.mark.slow

OURS = next(row for row in ROWS if row.name == "grantflow 1")
DURABLE = next(row for row in ROWS if row.name == "durable 1")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    require("wrk")
    with place(tmp_path_factory.mktemp("bench")) as room:
        yield room


@pytest.fixture(scope="module")
def seat(room: Place) -> Seat:
    seat = Seat(OURS, OURS.start(room), room.of("seat"))
    seat.prepare(tokens=2_000, seconds=1)
    return seat


def rows_in(room: Place, table: str, *, where: str = "1") -> int:
    with closing(sqlite3.connect(room.of("grantflow 1") / "state/platform.db", timeout=60)) as database:
        ((count,),) = database.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchall()
        return int(count)


def in_flight(more: int, answered: int) -> bool:
    """What was counted was saved; and little more than what the 32 connections had under way in the end, though on a
    busy machine some of that is answered before wrk has stopped counting."""
    return answered <= more <= 1.25 * answered + 32


# --- each workload does what it is named after -------------------------------------------------------------------


@pytest.mark.slow
def test_a_refresh_that_was_counted_is_a_new_access_token_in_the_database(seat: Seat, room: Place) -> None:
    before = rows_in(room, "access_tokens")
    counted, _ = seat.measure("refresh", seconds=1)
    assert counted["wrong"] == counted["socket_errors"] == 0
    assert counted["distinct"] == counted["done"] > 0
    assert in_flight(rows_in(room, "access_tokens") - before, counted["done"])


@pytest.mark.slow
def test_an_exchange_that_was_counted_has_spent_a_code_and_each_code_came_once(seat: Seat, room: Place) -> None:
    spent, tokens = rows_in(room, "codes", where="spent_at IS NOT NULL"), rows_in(room, "refresh_tokens")
    counted, _ = seat.measure("exchange", seconds=1)
    assert counted["wrong"] == counted["socket_errors"] == 0
    assert counted["distinct"] == counted["done"] > 0
    assert in_flight(rows_in(room, "codes", where="spent_at IS NOT NULL") - spent, counted["done"])
    assert in_flight(rows_in(room, "refresh_tokens") - tokens, counted["done"])
    assert rows_in(room, "refresh_tokens", where="revoked_at IS NOT NULL") == 0


@pytest.mark.slow
def test_a_round_trip_that_was_counted_is_a_code_and_its_exchange(seat: Seat, room: Place) -> None:
    codes, tokens = rows_in(room, "codes"), rows_in(room, "refresh_tokens")
    counted, _ = seat.measure("round_trip", seconds=1)
    assert counted["wrong"] == 0
    assert counted["distinct"] == counted["done"] > 0
    assert in_flight(rows_in(room, "refresh_tokens") - tokens, counted["done"])
    assert rows_in(room, "codes") - codes >= counted["done"]
    assert rows_in(room, "grants") == len(seat.running.cookies)  # the consent was remembered


@pytest.mark.slow
def test_people_me_is_answered_for_each_token_and_cpu_and_memory_are_those_of_the_server(seat: Seat) -> None:
    counted, output = seat.measure("me", seconds=1)
    assert counted["wrong"] == 0
    assert counted["done"] == counted["requests"] > 0
    assert "Requests/sec" in output
    if Path("/proc").exists():
        assert 0 < counted["cpu_s_per_1000"] < 100
        assert 10 < counted["memory_mb"] < 1_000


@pytest.mark.slow
def test_a_cold_start_is_another_server_beside_the_one_that_is_up(seat: Seat) -> None:
    counted, _ = seat.measure("start", seconds=1)
    assert counted["seconds"] > 0
    assert seat.running.spawned.process.poll() is None


@pytest.mark.slow
def test_the_durable_limit_has_a_row_on_disk_for_each_answer(room: Place) -> None:
    seat = Seat(DURABLE, DURABLE.start(room), room.of("durable seat"))
    seat.prepare(tokens=2_000, seconds=1)
    with closing(sqlite3.connect(room.of("durable 1") / "limit.db")) as database:
        ((before,),) = database.execute("SELECT count(*) FROM written").fetchall()
        counted, _ = seat.measure("refresh", seconds=1)
        ((after,),) = database.execute("SELECT count(*) FROM written").fetchall()
    assert counted["wrong"] == 0
    assert in_flight(after - before, counted["done"])


@pytest.mark.slow
def test_calls_through_the_library_and_without_are_both_measured(room: Place) -> None:
    took = client_cost.measure(room, calls=5)
    assert took.keys() == {*client_cost.OVER, *client_cost.OVER.values()}
    assert all(each > 0 for each in took.values())


# --- a run -------------------------------------------------------------------------------------------------------


def plan(*rows: Row) -> Plan:
    return Plan(seconds=1, rounds=2, warm_up=1, workloads=["refresh", "start"], rows=rows)


def broken(_: Place) -> Any:
    from benchmarks.rows import Missing

    raise Missing("it is not to be had")


def test_only_what_the_chosen_rows_need_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr("benchmarks.parts.make", lambda name, **_: made.append(name))
    monkeypatch.setattr("benchmarks.parts._install_from_debian", made.extend)
    for names, wanted in {
        ("grantflow 1", "durable"): ["wrk"],
        ("oidc-provider memory",): ["wrk", "oidc_provider"],
        ("django",): ["wrk", "postgresql", "django"],
        (): ["wrk", "postgresql", "oidc_provider", "django"],
    }.items():
        parts.install(rows_named(names))
        assert made == wanted
        made.clear()


def test_a_run_says_how_much_it_is_in_one_row_or_several() -> None:
    assert summary(plan(OURS, DURABLE)) == "2 rows, 2 workloads, 2 rounds: about 1 minute"
    alone = Plan(seconds=1, rounds=1, warm_up=1, workloads=["me"], rows=[OURS])
    assert summary(alone) == "1 row, 1 workload, 1 round: about 1 minute"
    client = Plan(seconds=1, rounds=2, warm_up=1, workloads=["client"], rows=ROWS)
    assert summary(client) == "1 workload, 2 rounds: about 1 minute", "which needs no row"


@pytest.mark.parametrize(
    "words",
    [
        ("benchmarks", "--seconds", "0"),
        ("benchmarks", "--seconds", "nan"),
        ("benchmarks", "--rounds", "0"),
        ("tests.soak.run", "--rounds", "0"),
        ("tests.soak.run", "--rounds", "-1"),
        ("tests.soak.run", "--minutes", "0"),
    ],
)
def test_no_rounds_or_seconds_at_all_are_refused_and_nothing_is_begun(words: tuple[str, ...]) -> None:
    ended = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"argument {words[1]}: '{words[2]}' is no " in ended.stderr


def test_a_row_that_cannot_be_had_says_so_and_the_run_goes_on(tmp_path: Path) -> None:
    results = Results.in_(tmp_path)
    run(plan(Row("peer", False, broken, "a peer")), results)
    assert results.cells == [{"row": "peer", "missing": "it is not to be had"}]
    assert "peer: not measured: it is not to be had" in report.table(MACHINE, results.cells)


def test_a_run_that_was_interrupted_knows_what_it_has(tmp_path: Path) -> None:
    Results.in_(tmp_path).keep({"round": 1, "workload": "refresh", "row": "a b", "per_second": 1.0}, output="said")
    again = Results.in_(tmp_path)
    assert again.has(round=1, workload="refresh", row="a b")
    assert not again.has(round=2, workload="refresh", row="a b")
    assert (tmp_path / "wrk/1-refresh-a-b.txt").read_text() == "said"


# --- the table ---------------------------------------------------------------------------------------------------

MACHINE = {
    "processor": "P",
    "cores": 2,
    "memory_mb": 1,
    "system": "S",
    "python": "3",
    "sqlite": "3",
    "node": None,
    "wrk": "wrk",
    "src": "abc",
    "src_changed": False,
    "date": "today",
    "seconds": 1.0,
    "load_before": [0.0],
}


def cell(row: str, number: int, rate: float, **more: Any) -> dict[str, Any]:
    latency = {"p50_ms": 1.0, "p99_ms": 2.0, "cpu_s_per_1000": None, "memory_mb": None}
    return {"row": row, "workload": "refresh", "round": number, "per_second": rate, **latency, **more}


def test_a_ratio_is_ours_over_the_row_by_the_medians_of_the_rounds() -> None:
    ours = [cell("grantflow 1", number, rate) for number, rate in enumerate((100.0, 300.0, 5_000.0))]
    peer = [cell("peer", number, rate) for number, rate in enumerate((150.0, 1.0, 200.0))]
    lines = report.table(MACHINE, ours + peer).splitlines()
    (line,) = [line for line in lines if line.startswith("peer")]
    assert line.split() == ["peer", "150", "1-200", "1.0", "2.0", "-", "-", "2.00", "-"]


def test_a_client_is_compared_with_the_bare_one_of_its_kind() -> None:
    took = {"httpx2.Client": 100.0, "Integration": 150.0, "httpx2.AsyncClient": 200.0, "AsyncIntegration": 220.0}
    text = report.table(MACHINE, [{"round": 1, "workload": "client", "row": "client", "cpu_us": took}])
    assert [line.split() for line in text.splitlines()[-2:]] == [
        ["Integration", "150", "100", "50", "1.50"],
        ["AsyncIntegration", "220", "200", "20", "1.10"],
    ]


def test_wrong_answers_are_told_below_the_table() -> None:
    assert "peer, refresh, round 3: 7 wrong answers" in report.table(MACHINE, [cell("peer", 3, 9.0, wrong=7)])


# --- what it stands on -------------------------------------------------------------------------------------------


def test_every_workload_has_a_name_in_the_documentation() -> None:
    text = (ROOT / "docs/performance.md").read_text()
    assert [name for name in [*WORKLOADS, "client"] if f"`{name}`" not in text] == []
    assert [row.name for row in ROWS if f"`{row.name}`" not in text] == []


def test_the_peers_packages_are_pinned_by_their_hashes() -> None:
    lock = json.loads((ROOT / "benchmarks/peers/oidc_provider/package-lock.json").read_text())
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
    pinned = (ROOT / "benchmarks/peers/django_oauth_toolkit/requirements.lock").read_text()
    assert pinned.count("==") > 10
    assert all("--hash=sha256:" in part for part in pinned.replace("\\\n", "").splitlines() if "==" in part)
