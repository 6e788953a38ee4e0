"""A run: every scenario through every library, each cell a line of cells.jsonl as soon as it is played.

Within a scenario the libraries follow one another, so that a slow minute of the machine falls on all of them. Counts
are what is compared, and nothing here is a matter of speed.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.clients import servers
from benchmarks.clients.peers import Peer
from benchmarks.clients.scenarios import SCENARIOS, Sizes
from benchmarks.clients.stage import NoAnswer, Stage, stages
from benchmarks.run import Results, say

#: Races, which have the machine to themselves. All else waits more than it works and is played side by side, four at a
#: time: each library has a platform and processes of its own.
_ALONE = ("together", "processes", "kills")


def run(peers: Sequence[Peer], chosen: Sequence[str], sizes: Sizes, results: Results) -> None:
    played = [name for name in SCENARIOS if name in chosen]
    if played and peers:
        with stages([peer for peer in peers if _is_installed(peer, results)]) as seats:
            for seat in seats:
                results.keep({"row": seat.peer.name, "versions": dict(seat.versions)})
            for name in played:
                with ThreadPoolExecutor(1 if name.startswith(_ALONE) else 4) as turns:
                    list(turns.map(partial(_play, name, sizes=sizes, results=results), seats))
    if "servers" in chosen:
        servers.play(results, rounds=sizes.server_rounds, lost_rounds=sizes.lost_rounds)


def _is_installed(peer: Peer, results: Results) -> bool:
    if peer.python.exists():
        return True
    results.keep({"row": peer.name, "missing": "its packages could not be installed"})
    return False


def _play(name: str, seat: Stage, *, sizes: Sizes, results: Results) -> None:
    cell: dict[str, Any] = {"scenario": name, "row": seat.peer.name}
    if name.startswith("together") and seat.peer.not_for_threads:
        results.keep({**cell, "not_played": seat.peer.not_for_threads})
        return
    began = time.monotonic()
    try:
        facts: Mapping[str, Any] = SCENARIOS[name](seat, sizes)
    except NoAnswer as error:
        facts = {"failed": str(error)}
        seat.end()
        seat.begin()
    failed = f", failed: {facts['failed']}" if "failed" in facts else ""
    say(f"{name}: {seat.peer.name}: {time.monotonic() - began:.1f} s{failed}")
    results.keep({**cell, **facts})


def newest(folder: Path) -> Path | None:
    """The last run there."""
    return max((each.parent for each in folder.glob("*/cells.jsonl")), default=None)
