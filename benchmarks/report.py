"""From a run's raw cells to its table: medians over the rounds, and what stands beside them as ratios."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.client_cost import OVER
from benchmarks.run import WORKLOADS

Cells = Sequence[Mapping[str, Any]]


def table(machine: Mapping[str, Any], cells: Cells) -> str:
    rows = list(dict.fromkeys(cell["row"] for cell in cells if "workload" in cell and cell["row"] != "client"))
    parts = [_head(machine)]
    for workload in WORKLOADS:
        of = {row: [c for c in cells if c["row"] == row and c.get("workload") == workload] for row in rows}
        measured = {row: good for row, found in of.items() if (good := [c for c in found if "failed" not in c])}
        if measured:
            parts.append(_starts(measured) if workload == "start" else _rates(workload, measured))
    lost = [f"{cell['row']}: not measured: {cell['missing']}" for cell in cells if "missing" in cell]
    lost += [f"{c['row']}, {c['workload']}, round {c['round']}: {c['failed']}" for c in cells if "failed" in c]
    lost += [
        f"{c['row']}, {c['workload']}, round {c['round']}: {c['wrong']} wrong answers" for c in cells if c.get("wrong")
    ]
    if client := [cell for cell in cells if cell.get("workload") == "client"]:
        parts.append(_client(client))
    return "\n\n".join([*parts, *(["Not as it should be:\n" + "\n".join(lost)] if lost else [])]) + "\n"


def _head(machine: Mapping[str, Any]) -> str:
    changed = " (changed since)" if machine["src_changed"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_mb']} MB, {machine['system']}\n"
        f"Python {machine['python']}, SQLite {machine['sqlite']}, Node {machine['node']}, {machine['wrk']}\n"
        f"src {machine['src']}{changed}, {machine['date']}, rounds of {machine['seconds']:g} s, "
        f"load before {machine['load_before']}"
    )


def _rates(workload: str, measured: Mapping[str, Cells]) -> str:
    """Each row with Grantflow over it: 2.0 means that Grantflow does twice as many."""
    rate = {row: _median(cells, "per_second") for row, cells in measured.items()}
    heads = ("", "per second", "least-most", "p50 ms", "p99 ms", "CPU s/1,000", "MB", "ours 1 / it", "ours 2 / it")
    lines = [heads]
    for row, cells in measured.items():
        rates = [cell["per_second"] for cell in cells]
        lines.append(
            (
                row,
                f"{rate[row]:,.0f}",
                f"{min(rates):,.0f}-{max(rates):,.0f}",
                f"{_median(cells, 'p50_ms'):.1f}",
                f"{_median(cells, 'p99_ms'):.1f}",
                _number(cells, "cpu_s_per_1000", "{:.3f}"),
                _number(cells, "memory_mb", "{:.0f}"),
                _ratio(rate, "grantflow 1", row),
                _ratio(rate, "grantflow 2", row),
            )
        )
    return f"{WORKLOADS[workload]}\n{aligned(lines)}"


def _starts(measured: Mapping[str, Cells]) -> str:
    lines = [("", "seconds", "least-most")]
    for row, cells in measured.items():
        taken = [cell["seconds"] for cell in cells]
        lines.append((row, f"{median(taken):.2f}", f"{min(taken):.2f}-{max(taken):.2f}"))
    return f"{WORKLOADS['start']}\n{aligned(lines)}"


def _client(cells: Cells) -> str:
    took = {name: median(cell["cpu_us"][name] for cell in cells) for name in cells[0]["cpu_us"]}
    lines = [("", "CPU us a call", "bare", "over bare", "times bare")]
    for name, bare in ((name, bare) for name, bare in OVER.items() if name in took):
        ours, without = took[name], took[bare]
        lines.append((name, f"{ours:.0f}", f"{without:.0f}", f"{ours - without:.0f}", f"{ours / without:.2f}"))
    return f"what a call costs its caller, against the constant answer\n{aligned(lines)}"


def _median(cells: Cells, name: str) -> float:
    return float(median(cell[name] for cell in cells))


def _number(cells: Cells, name: str, shape: str) -> str:
    return "-" if any(cell.get(name) is None for cell in cells) else shape.format(_median(cells, name))


def _ratio(rate: Mapping[str, float], ours: str, row: str) -> str:
    return f"{rate[ours] / rate[row]:.2f}" if rate.get(ours) and rate.get(row) else "-"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    pad: Callable[[int, str], str] = lambda at, text: text.rjust(widths[at]) if at else text.ljust(widths[at])  # noqa: E731
    return "\n".join("  ".join(pad(at, text) for at, text in enumerate(line)).rstrip() for line in lines)
