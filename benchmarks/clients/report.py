"""From a run's raw cells to its tables, in Markdown, as they stand in docs/comparison.md.

Nothing is written there by hand: `./dev bench clients --write` puts them between the two marks, and a test compares.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.clients.peers import PEERS
from benchmarks.clients.scenarios import OUTAGES
from benchmarks.machine import ROOT

Cell = Mapping[str, Any]
Cells = Sequence[Cell]
DOCS = ROOT / "docs/comparison.md"
BEGIN, END = "<!-- tables: begin; written by ./dev bench clients --write -->", "<!-- tables: end -->"

#: What stands for errors that are the drivers' own (drivers/calls.py): the library says it otherwise than by raising.
_WORDS = {"NobodyIsThere": "wants to open a browser", "NoToken": "gives no token"}
_KINDS = {"bytes": "bytes", "file": "file, from the middle", "generator": "generator", "multipart": "multipart"}
_ARRIVED = {"right": "right", "empty": "**200, and an empty body**", "wrong": "**200, and a wrong body**"}


def tables(folder: Path) -> str:
    """All of them, of the run in that folder."""
    machine = json.loads((folder / "machine.json").read_text())
    cells = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    place = folder.resolve()
    return tables_of(machine, cells, where=str(place.relative_to(ROOT) if place.is_relative_to(ROOT) else place))


def tables_of(machine: Cell, cells: Cells, *, where: str) -> str:
    parts = [_head(machine, cells, where)]
    for title, heads, row, scenarios in _TABLES:
        lines = [line for name in _rows(cells, scenarios) if (line := row(_of(cells, name)))]
        if lines:
            parts.append(f"### {title}\n\n{_table(heads, lines)}")
    return "\n\n".join([*parts, *_not_played(cells)])


def write(folder: Path, *, into: Path = DOCS) -> None:
    before, _, rest = into.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    into.write_text(f"{before}{BEGIN}\n\n{tables(folder)}\n\n{END}{after}")


def written(text: str) -> tuple[Path, str]:
    """The folder that a document's tables come from, and the tables as they stand there."""
    block = text.partition(BEGIN)[2].partition(END)[0].strip()
    return ROOT / block.partition("(../")[2].partition(")")[0], block


# --- the head ----------------------------------------------------------------------------------------------------


def _head(machine: Cell, cells: Cells, where: str) -> str:
    changed = ", changed since" if machine["src_changed"] else ""
    versions = dict(item for cell in cells if "versions" in cell for item in cell["versions"].items())
    listed = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "grantflow")
    busy = machine.get("load_before", ["unknown"])[0]
    return (
        f"Played {machine['date']} on {machine['cores']} cores ({machine['processor']}, load {busy} before), "
        f"Python {machine['python']}; "
        f"Grantflow of src {machine['src'][:12]}{changed}; {listed}. Raw output: [{where}](../{where})."
    )


# --- rows: each takes one library's cells by scenario, and answers a line, or none where it has nothing to say -------

Of = Mapping[str, Cell]


def _short(of: Of) -> list[str]:
    """Yes or no, each from the cells whose counts stand in the tables below."""
    many = [of.get(f"together, {how}") for how in ("stays", "rotates")]
    outages = [of.get(f"outage, {kind}") for kind in OUTAGES]
    return [
        _all([of.get("revoked")], lambda cell: set(cell["ends"]) == {"200"}),
        _all(many, _is_one_refresh_each),
        _all([of.get("processes")], _is_one_refresh_each),
        _all(
            outages, lambda cell: cell["recovered_after"] is not None and cell["requests"] < sum(cell["ends"].values())
        ),
        _all([of.get(f"upload, {kind}") for kind in _KINDS], lambda cell: set(cell["arrived"]) <= {"right"}),
        _all([of.get("gone")], lambda cell: cell["requests"] <= 1),
    ]


def _all(cells: Iterable[Cell | None], holds: Callable[[Cell], bool]) -> str:
    played = [cell for cell in cells if cell is not None and not {"failed", "not_played"} & set(cell)]
    return ("yes" if all(holds(cell) for cell in played) else "no") if played else "-"


def _is_one_refresh_each(cell: Cell) -> bool:
    return all(each["refreshes"] == 1 and set(each["ends"]) == {"200"} for each in cell["rounds"])


def _one_caller(of: Of) -> list[str]:
    return [_calls(of.get("expired")), _calls(of.get("revoked")), *_gone(of.get("gone"))]


def _calls(cell: Cell | None) -> str:
    if cell is None or "ends" not in cell:
        return "-"
    return f"{_succeeded(cell['ends'])}; {_counted(cell['refreshes'], 'refresh', 'refreshes')}"


def _gone(cell: Cell | None) -> list[str]:
    return ["-", "-"] if cell is None or "ends" not in cell else [_ends(cell["ends"]), str(cell["requests"])]


def _together(of: Of) -> list[str]:
    return [_rounds(of.get(f"together, {how}")) for how in ("stays", "rotates", "revoked")]


def _rounds(cell: Cell | None) -> str:
    if cell is None or "rounds" not in cell:
        return "-"
    return f"{_good(cell)}; {_refreshes(cell)}; {_alive(cell['rounds'])}"


def _processes(of: Of) -> list[str]:
    cell = of.get("processes")
    if cell is None or "rounds" not in cell:
        return []
    shares = next(peer.shares for peer in PEERS if peer.name == cell["row"])
    return ["yes" if shares else "no", _good(cell), _refreshes(cell), _goes_on(cell["rounds"])]


def _kills(of: Of) -> list[str]:
    cell = of.get("kills")
    if cell is None or "trials" not in cell:
        return []
    under_way = [trial for trial in cell["trials"] if not trial["answered"]]
    answered = [trial for trial in cell["trials"] if trial["answered"]]
    told = Counter(trial["afterwards"] for trial in cell["trials"] if trial["afterwards"] != "200")
    return [_goes_on(under_way), _goes_on(answered), _ends(told)]


def _outages(of: Of) -> list[str]:
    return [_outage(of.get(f"outage, {kind}")) for kind in OUTAGES]


def _outage(cell: Cell | None) -> str:
    if cell is None or "ends" not in cell:
        return "-"
    seconds = cell["recovered_after"]
    again = "**never again**" if seconds is None else "at once" if seconds < 0.25 else f"after {seconds:.1f} s"
    apart = "" if cell["afterwards"] == "200" else "; **nor in a new process**"
    return f"{_counted(cell['requests'], 'request', 'requests')}; {_ends(cell['ends'])}; {again}{apart}"


def _uploads(of: Of) -> list[str]:
    return [_upload(of.get(f"upload, {kind}")) for kind in _KINDS]


def _upload(cell: Cell | None) -> str:
    if cell is None or "end" not in cell:
        return "-"
    return _ARRIVED[cell["arrived"][0]] if cell["arrived"] else f"told: {_end(cell['end'])}"


def _servers(of: Of) -> list[str]:
    cell = of.get("servers")
    if cell is None or "rounds" not in cell:
        return []
    ends = Counter[str]()
    for each in cell["rounds"]:
        ends.update(each["ends"])
    again = Counter(next(iter(each["ends"])) for each in cell["lost"])
    listed = ", ".join(f"{count} x {status}" for status, count in ends.most_common())
    return [listed, _alive(cell["rounds"]), ", ".join(again), _alive(cell["lost"])]


# --- words -------------------------------------------------------------------------------------------------------


def _good(cell: Cell) -> str:
    good = sum(each["ends"].get("200", 0) for each in cell["rounds"])
    return f"{good} of {sum(sum(each['ends'].values()) for each in cell['rounds'])}"


def _refreshes(cell: Cell) -> str:
    return _counted(sum(each["refreshes"] for each in cell["rounds"]), "refresh", "refreshes")


def _alive(rounds: Iterable[Cell]) -> str:
    rounds = list(rounds)
    return f"{sum(each['alive'] for each in rounds)} of {len(rounds)} alive"


def _goes_on(rounds: Iterable[Cell]) -> str:
    """Alive at the platform, and a process that begins now finds it: a torn store loses a grant that lives."""
    return _alive({"alive": each["alive"] and each["afterwards"] == "200"} for each in rounds)


def _succeeded(ends: Mapping[str, int]) -> str:
    good, of = ends.get("200", 0), sum(ends.values())
    others = {end: count for end, count in ends.items() if end != "200"}
    return f"{good} of {of}" + (f" ({_ends(others)})" if others else "")


def _ends(ends: Mapping[str, int]) -> str:
    """How calls ended, without their words; all of that is in the raw output."""
    kinds = list(dict.fromkeys(_end(end) for end in ends))
    return ", ".join(kinds) or "-"


def _end(end: str) -> str:
    kind = end.partition(":")[0]
    return _WORDS.get(kind, kind if kind.isdigit() else f"`{kind}`")


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _rows(cells: Cells, scenarios: str) -> list[str]:
    found = dict.fromkeys(cell["row"] for cell in cells if cell.get("scenario", "").startswith(scenarios))
    names = [peer.name for peer in PEERS]  # cells that were played side by side came in any order
    return sorted(found, key=lambda row: names.index(row) if row in names else len(names))


def _of(cells: Cells, row: str) -> Of:
    return {cell["scenario"]: cell for cell in cells if cell["row"] == row and "scenario" in cell} | {"": {"row": row}}


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _not_played(cells: Cells) -> list[str]:
    lines = [f"{cell['row']}: not installed: {cell['missing']}" for cell in cells if "missing" in cell]
    reasons = {cell["row"]: cell["not_played"] for cell in cells if "not_played" in cell}
    lines += [f"{row}: not played with many threads: {reason}" for row, reason in reasons.items()]
    lines += [f"{cell['row']}, {cell['scenario']}: {cell['failed'][:200]}" for cell in cells if "failed" in cell]
    return ["### Not played\n\n" + "\n".join(f"- {line}" for line in lines)] if lines else []


Row = Callable[[Of], Sequence[str]]


def _with_name(row: Row) -> Row:
    """The library's name before its line."""

    def named(of: Of) -> Sequence[str]:
        line = row(of)
        return [of[""]["row"], *line] if set(line) - {"-"} else []

    return named


_TABLES: list[tuple[str, Sequence[str], Row, str]] = [
    (
        "In short",
        [
            "",
            "renews after a 401",
            "one refresh for 64 callers, and all succeed",
            "the same for four processes",
            "spares a token endpoint in trouble, and recovers",
            "no wrong body after a 401",
            "asks no more after a refusal",
        ],
        _with_name(_short),
        "",
    ),
    (
        "One caller",
        ["", "expired by its clock", "revoked at the platform", "grant gone: what ten calls get", "token requests"],
        _with_name(_one_caller),
        "",
    ),
    (
        "Many at once",
        ["", "expired, refresh token stays", "expired, refresh token swapped", "revoked, refresh token swapped"],
        _with_name(_together),
        "together",
    ),
    (
        "Four processes over one store",
        ["", "sharing documented", "calls that succeed", "refreshes", "grants"],
        _with_name(_processes),
        "processes",
    ),
    (
        "kill -9 during a refresh",
        ["", "before the answer", "after the answer", "what the next call is told where it is lost"],
        _with_name(_kills),
        "kills",
    ),
    (
        "A token endpoint out of order, sixteen calls",
        ["", *(f"{kind}: requests; error; calls succeed again" for kind in OUTAGES)],
        _with_name(_outages),
        "outage",
    ),
    (
        "An upload with a revoked access token",
        ["", *_KINDS.values()],
        _with_name(_uploads),
        "upload",
    ),
    (
        "Servers that protect against reuse",
        ["", "eight at once", "session", "the same again after a lost answer", "session"],
        _with_name(_servers),
        "servers",
    ),
]
