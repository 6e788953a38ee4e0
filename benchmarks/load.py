"""The load: wrk with one Lua script for all workloads and all servers, so that every row bears the same client."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("lua") / "workload.lua"


class LoadFailed(Exception):
    """wrk said nothing that can be read; its words are the message."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is, and how it is asked. Paths begin with a slash; ``form`` says who the client is."""

    url: str
    authorize: str
    token: str
    form: str
    me: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What wrk and its script counted, and wrk's own words."""

    counted: Mapping[str, Any]
    output: str


def load(
    target: Target,
    mode: str,
    items: Path,
    *,
    seconds: float,
    once: bool = False,
    keep: Mapping[str, Path] | None = None,
    connections: int = CONNECTIONS,
) -> Outcome:
    """Ask for that long, or, with ``once``, until each item was used.

    ``keep`` names the files that get the ``CODES``, ``REFRESH`` and ``ACCESS`` tokens which the answers bring.

    Raises:
        LoadFailed: nothing was measured.
    """
    given = {
        "BENCH_MODE": mode,
        "BENCH_ITEMS": str(items),
        "BENCH_AUTHORIZE": target.authorize,
        "BENCH_TOKEN": target.token,
        "BENCH_FORM": target.form,
        "BENCH_ME": target.me,
        **({"BENCH_ONCE": "yes"} if once else {}),
        **{f"BENCH_KEEP_{name}": str(path) for name, path in (keep or {}).items()},
    }
    finished = subprocess.run(
        # wrk counts whole seconds; the script notes when the first request left and the last answer came.
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--timeout",
            "20s",
            "-s",
            SCRIPT,
            target.url,
        ],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=False,
    )
    output = finished.stdout + finished.stderr
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return Outcome(json.loads(line.removeprefix("RESULT ")), output)
    raise LoadFailed(output.strip() or f"wrk ended with {finished.returncode}")
