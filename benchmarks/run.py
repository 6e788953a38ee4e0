"""A run: which cells there are, in which order they are measured, and what is kept of each.

A cell is one workload on one row in one round. Within a round the rows follow one another before the next round
begins (A B C A B C), so that a slow minute of the machine falls on all of them. Each cell is a line of cells.jsonl as
soon as it is measured; a run that was interrupted goes on where it ended.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import client_cost, machine
from benchmarks.load import LoadFailed, load
from benchmarks.rows import ROWS, Missing, Place, Row, Running, place

WORKLOADS = {
    "refresh": "refresh grants",
    "exchange": "code exchanges",
    "me": "people/me calls",
    "round_trip": "authorize-to-token round trips, signed in, consent remembered",
    "start": "cold start to the first answer",
}
#: Codes are got beforehand for so many times the seconds of the cell that spends them.
_AHEAD = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """``seconds`` is how long a cell lasts, ``warm_up`` how long a row is asked before its first."""

    seconds: float
    rounds: int
    warm_up: float
    workloads: Sequence[str]
    rows: Sequence[Row]

    @property
    def asked(self) -> Sequence[Row]:
        """The rows that are started: the client's cost is measured against a server of its own."""
        return self.rows if set(self.workloads) - {"client"} else ()

    @property
    def minutes(self) -> float:
        """About how long all of it takes: cells, codes got ahead, and a second for each cell's beginning and end."""
        each = {"exchange": self.seconds * (1 + _AHEAD) + 1, "start": 2.0, "client": 1.0}
        round_ = sum(each.get(workload, self.seconds + 1) for workload in self.workloads) * max(1, len(self.asked))
        return (round_ * self.rounds + (self.warm_up + 6) * len(self.asked)) / 60


@dataclass
class Results:
    """The folder of a run: machine.json, cells.jsonl, and wrk's own words for each cell."""

    folder: Path
    cells: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def in_(cls, folder: Path) -> "Results":
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "cells.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return cls(folder, [json.loads(line) for line in lines])

    def has(self, **cell: object) -> bool:
        return any(all(kept.get(name) == value for name, value in cell.items()) for kept in self.cells)

    def keep(self, cell: dict[str, Any], *, output: str = "") -> None:
        self.cells.append(cell)
        with (self.folder / "cells.jsonl").open("a") as file:
            file.write(json.dumps(cell) + "\n")
        if output:
            raw = self.folder / "wrk"
            raw.mkdir(exist_ok=True)
            name = f"{cell['round']}-{cell['workload']}-{cell['row'].replace(' ', '-')}.txt"
            (raw / name).write_text(output)


class Seat:
    """A row that is up, with what its clients have: cookies, codes, tokens, each in a file."""

    def __init__(self, row: Row, running: Running, folder: Path) -> None:
        self.row, self.running, self.folder = row, running, folder
        self.cookies = folder / "cookies.txt"
        self.cookies.write_text("\n".join(running.cookies) + "\n")

    def prepare(self, *, tokens: int, seconds: float) -> None:
        """Refresh and access tokens, by granting and exchanging for ``seconds``, of which ``tokens`` are kept at most;
        which warms the server up, too. They are those of different grants: some servers end an access token when its
        refresh token is used.
        """
        codes = self.codes(seconds=seconds)
        keep = {"REFRESH": self.folder / "refresh.txt", "ACCESS": self.folder / "access.txt"}
        self._load("exchange", codes, seconds=seconds * 2, once=True, keep=keep)
        for half, path in enumerate(keep.values()):
            kept = list(dict.fromkeys(path.read_text().split()))[half::2]
            path.write_text("\n".join(kept[:tokens]) + "\n")

    def codes(self, *, seconds: float) -> Path:
        path = self.folder / "codes.txt"
        path.unlink(missing_ok=True)
        self._load("authorize", self.cookies, seconds=seconds, keep={"CODES": path})
        return path

    def measure(self, workload: str, *, seconds: float) -> tuple[dict[str, Any], str]:
        if workload == "start":
            return {"seconds": round(self.running.spawned.again(), 3)}, ""
        items = {
            "refresh": lambda: self.folder / "refresh.txt",
            "exchange": lambda: self.codes(seconds=seconds * _AHEAD),
            "me": lambda: self.folder / "access.txt",
            "round_trip": lambda: self.cookies,
        }[workload]()
        processes = self.running.family()
        before = machine.cpu_seconds(processes)
        counted, output = self._load(workload, items, seconds=seconds, once=workload == "exchange")
        after = machine.cpu_seconds(processes)
        done = counted["done"]
        cpu = None if before is None or after is None else round((after - before) / done * 1000, 4)
        cell = {
            **counted,
            "per_second": round(done / counted["seconds"], 1) if counted["seconds"] > 0 else 0.0,
            "cpu_s_per_1000": cpu,
            "memory_mb": machine.memory_mb(self.running.family()),
        }
        return cell, output

    def _load(self, mode: str, items: Path, *, seconds: float, **how: Any) -> tuple[dict[str, Any], str]:
        outcome = load(self.running.target, mode, items, seconds=seconds, **how)
        counted = dict(outcome.counted)
        if not counted["done"]:
            raise LoadFailed(f"{self.row.name} answered nothing that was wanted: {counted['first_wrong']}")
        return counted, outcome.output


def summary(plan: Plan) -> str:
    counts = {"row": len(plan.asked), "workload": len(plan.workloads), "round": plan.rounds}
    counted = ", ".join(_counted(number, noun) for noun, number in counts.items() if number)
    return f"{counted}: about {_counted(max(1, round(plan.minutes)), 'minute')}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def run(plan: Plan, results: Results) -> None:
    """Measure what is not measured yet."""
    say(summary(plan))
    with tempfile.TemporaryDirectory(prefix="grantflow-bench-") as folder, place(Path(folder)) as room:
        seats = [seat for row in plan.asked if (seat := _seated(row, room, plan, results))]
        for number in range(1, plan.rounds + 1):
            for workload in plan.workloads:
                if workload == "client":
                    _client(room, number, results)
                    continue
                for seat in seats:
                    _cell(seat, workload, number, plan, results)


def _seated(row: Row, room: Place, plan: Plan, results: Results) -> Seat | None:
    say(f"starting {row.name}: {row.what}")
    try:
        folder = room.of(f"{row.name} seat")
        seat = Seat(row, row.start(room), folder)
        seat.prepare(tokens=2_000, seconds=plan.warm_up)
    except (Missing, LoadFailed) as error:
        say(f"  not measured: {error}")
        if not results.has(row=row.name, missing=str(error)):
            results.keep({"row": row.name, "missing": str(error)})
        return None
    return seat


def _cell(seat: Seat, workload: str, number: int, plan: Plan, results: Results) -> None:
    names = {"round": number, "workload": workload, "row": seat.row.name}
    if results.has(**names):
        return
    say(f"round {number} of {plan.rounds}, {workload}, {seat.row.name}: {plan.seconds:g} s", end=" ... ")
    try:
        counted, output = seat.measure(workload, seconds=plan.seconds)
    except (LoadFailed, Missing) as error:
        say(f"failed: {error}")
        results.keep({**names, "failed": str(error)})
        return
    results.keep({**names, **counted}, output=output)
    wrong = f", {counted['wrong']} wrong ({counted['first_wrong']})" if counted.get("wrong") else ""
    say(f"{counted['per_second']:,.0f}/s{wrong}" if "per_second" in counted else f"{counted['seconds']:.2f} s")
    time.sleep(0.2)  # let what the last cell left behind be done


def _client(room: Place, number: int, results: Results) -> None:
    names = {"round": number, "workload": "client", "row": "client"}
    if not results.has(**names):
        say(f"round {number}, CPU time of calls through client_for and without: a few seconds")
        results.keep({**names, "cpu_us": client_cost.measure(room)})


def say(text: str, *, end: str = "\n") -> None:
    print(text, file=sys.stderr, end=end, flush=True)


def rows_named(patterns: Sequence[str]) -> list[Row]:
    """Those whose name begins with one of these; all where there are none."""
    return [row for row in ROWS if not patterns or any(row.name.startswith(pattern) for pattern in patterns)]
