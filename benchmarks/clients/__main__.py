"""./dev bench clients: how OAuth clients behave where something goes wrong, side by side, every raw count kept."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.arguments import Parser
from benchmarks.clients import peers, report
from benchmarks.clients.run import newest, run
from benchmarks.clients.scenarios import FULL, SCENARIOS, SMALL
from benchmarks.run import Results, say

RESULTS = machine.ROOT / "benchmarks/results/clients"


def main(words: Sequence[str] | None = None) -> int:
    given = _arguments(words)
    if given.lock:
        peers.lock_anew()
        return 0
    if given.write is not None:
        report.write(given.write)
        return 0
    scenarios, rows = _chosen(given.only)
    if not scenarios or not rows:
        say(f"--only names nothing that there is: {', '.join([*_NAMES, *(peer.name for peer in peers.PEERS)])}")
        return 2
    peers.install(rows)
    results = Results.in_(given.into or RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M}")
    described = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **machine.described()}
    (results.folder / "machine.json").write_text(json.dumps(described, indent=2) + "\n")
    run(rows, scenarios, SMALL if given.quick else FULL, results)
    print(report.tables(results.folder))
    say(f"raw output: {results.folder}")
    return 0


_NAMES = [*SCENARIOS, "servers"]


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="./dev bench clients", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few callers and trials: to see that it works")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="scenarios and libraries, by how their names begin"
    )
    parser.add_argument("--into", type=Path, metavar="DIR", help=f"where raw output goes [{RESULTS.name}/DATE]")
    parser.add_argument("--lock", action="store_true", help="take the newest releases into the lock files, and end")
    parser.add_argument(
        "--write",
        nargs="?",
        type=Path,
        metavar="DIR",
        const=newest(RESULTS),
        help="write the tables of that run (of the last one) into docs/comparison.md, and end",
    )
    return parser.parse_args(words)


def _chosen(names: Sequence[str]) -> tuple[list[str], list[peers.Peer]]:
    """Scenarios and libraries; none named of a kind means all of it."""
    scenarios = [name for name in _NAMES if any(name.startswith(word) for word in names)]
    rows = peers.named(names) if names else peers.PEERS
    if names and not scenarios and not rows:
        return [], []
    return scenarios or _NAMES, rows or peers.PEERS


if __name__ == "__main__":
    sys.exit(main())
