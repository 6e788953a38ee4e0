"""A command that serves, in a process of its own, as anybody starts it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.canary import record

COMMAND = (sys.executable, "-c", "from grantflow.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[str]
    said: Any
    """The one line of JSON on stdout."""
    errors: Path

    def stop(self, ending: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(ending)
        return self.process.wait(timeout=20)


@contextmanager
def running(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """With free ports and --json; ``folder`` is the data directory. Killed at the end if it still runs."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GRANTFLOW_")}
    errors = folder.parent / f"{folder.name}.stderr"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--json", "--data", str(folder)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**own, **(env or {})},
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"it said nothing: {errors.read_text()}"
        record.learn_all(line, "what a command says")
        yield Running(process, json.loads(line), errors)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ended(*arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GRANTFLOW_")}
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**own, **(env or {})},
        timeout=60,
        check=False,
    )
