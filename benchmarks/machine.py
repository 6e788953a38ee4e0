"""The machine and the programs of a run, and what a server's processes take of it."""

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


def described() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_048_576,
        "system": platform.platform(),
        "load_before": [round(each, 2) for each in os.getloadavg()],
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "node": _said("node", "--version"),
        "wrk": _said("wrk", "--version"),
        "src": _said("git", "-C", str(ROOT), "rev-parse", "HEAD:src"),
        "src_changed": bool(_said("git", "-C", str(ROOT), "status", "--porcelain", "src")),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _said(*command: str) -> str | None:
    """The first line that a program says of itself; None where it is missing."""
    if shutil.which(command[0]) is None:
        return None
    finished = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return next(iter((finished.stdout + finished.stderr).strip().splitlines()), None)


def family(process: int) -> list[int]:
    """The process and all that stem from it. Linux alone has it in /proc; elsewhere none."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [process] if Path(f"/proc/{process}").exists() else []
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(processes: list[int]) -> float | None:
    """User and system time of these and of the children that they have reaped; None where it is not to be had."""
    total = 0
    for each in processes:
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / _TICKS if processes else None


def memory_mb(processes: list[int]) -> float | None:
    """What they hold, pages that several share counted in parts (PSS)."""
    total = 0
    for each in processes:
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(total / 1024, 1) if processes else None
