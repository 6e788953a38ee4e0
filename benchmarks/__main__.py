"""./dev bench: measure side by side, keep every raw figure, print the ratios."""

import argparse
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, parts, report
from benchmarks.arguments import Parser, positive, whole
from benchmarks.run import WORKLOADS, Plan, Results, rows_named, run, say

RESULTS = machine.ROOT / "benchmarks/results"


def main() -> int:
    if sys.argv[1:2] == ["clients"]:
        from benchmarks.clients.__main__ import main as clients

        return clients(sys.argv[2:])
    if sys.argv[1:2] == ["vault"]:
        from benchmarks.vault_size import main as vault

        return vault(sys.argv[2:])
    given = _arguments()
    workloads, rows = _chosen(given.only)
    seconds, rounds = (1.0, 2) if given.quick else (8.0, 5)
    plan = Plan(
        seconds=given.seconds or seconds,
        rounds=given.rounds or rounds,
        warm_up=1.0 if given.quick else 3.0,
        workloads=workloads,
        rows=rows_named(rows),
    )
    if not plan.rows:
        known = [*WORKLOADS, "client", *(row.name for row in rows_named(()))]
        say(f"--only names nothing that there is: {', '.join(known)}")
        return 2
    parts.install(plan.asked)
    if shutil.which("wrk") is None:
        say("wrk is missing: run ./dev bench as root on Debian, or install it.")
        return 1
    results = Results.in_(given.resume or RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M}")
    described = _described(results.folder / "machine.json", plan)
    try:
        run(plan, results)
    except KeyboardInterrupt:
        say(f"\ninterrupted; go on with: ./dev bench --resume {results.folder}")
        return 130
    finally:
        table = report.table(described, results.cells)
        (results.folder / "table.txt").write_text(table)
    print(table)
    say(f"raw figures: {results.folder}")
    return 0


def _arguments() -> argparse.Namespace:
    more = (
        "./dev bench clients plays clients' troubles side by side, ./dev bench vault measures vaults of a million "
        "grants; each has a --help of its own."
    )
    parser = Parser(prog="./dev bench", description=__doc__, epilog=more)
    parser.add_argument("--quick", action="store_true", help="two rounds of one second: to see that it works")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="workloads, and rows by how they begin")
    parser.add_argument("--seconds", type=positive, help="of each cell [8]")
    parser.add_argument("--rounds", type=whole, help="how often each cell is measured [5]")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with a run that was interrupted")
    given = parser.parse_args()
    if given.resume is not None and not (given.resume / "machine.json").exists():
        parser.error(f"{given.resume} holds no run")
    return given


def _chosen(names: list[str]) -> tuple[list[str], list[str]]:
    """Workloads and rows; none named of a kind means all of it."""
    workloads = [*WORKLOADS, "client"]
    return [name for name in names if name in workloads] or workloads, [n for n in names if n not in workloads]


def _described(file: Path, plan: Plan) -> dict[str, Any]:
    """The machine, written at a run's begin; one that goes on must be of the same source."""
    now = machine.described()
    if file.exists():
        before: dict[str, Any] = json.loads(file.read_text())
        if before["src"] != now["src"]:
            say("warning: the source has changed since this run began; its cells are of two versions.")
        return before
    described = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        **now,
    }
    file.write_text(json.dumps(described, indent=2) + "\n")
    return described


if __name__ == "__main__":
    sys.exit(main())
