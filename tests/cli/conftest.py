"""Commands performed in this very process: what they write, and the exit code."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grantflow.cli import run
from tests.canary import record


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of JSON on stdout; nothing else may be there."""
        (line,) = self.out.splitlines()
        return json.loads(line)


@dataclass(frozen=True, slots=True)
class CommandLine:
    capsys: pytest.CaptureFixture[str]
    directory: Path

    def __call__(self, *arguments: str) -> Ended:
        self.capsys.readouterr()
        code = run(arguments)
        ended = Ended(code, *self.capsys.readouterr())
        record.learn_all(ended.out, "what a command says")
        record.written(ended.err, f"stderr of grantflow {' '.join(arguments[:3])}")  # the rest may be a password
        return ended

    def platform(self, *arguments: str) -> Ended:
        return self("platform", *arguments, "--data", str(self.directory))


@pytest.fixture
def grantflow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[CommandLine]:
    """In an empty directory, with nothing set in the environment; logging is put back as it was."""
    for name in list(os.environ):
        if name.startswith(("GRANTFLOW_", "CLICOLOR", "NO_COLOR")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield CommandLine(capsys, tmp_path / "data")
    root.handlers[:], root.level = handlers, level
