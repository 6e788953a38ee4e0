"""The scan finds a secret wherever it leaked to, and is not content with having looked at nothing."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary.record import read_secrets
from tests.parts import ROOT, require

RUN = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.canary.plugin", "--log-level", "DEBUG"]
FOUND = {
    *("kept.db", "killed.db-wal", "log", "reprs", "written", "export.har", "serve.stderr", "people.csv"),
    *("shaped.txt", "said.txt", "sandbox.json"),
}


@pytest.fixture(scope="module")
def leaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The record of a run that leaked all over the place; removed before the scan of this very run would find it."""
    require("git")
    folder = tmp_path_factory.mktemp("leaked") / "canary"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [*RUN, f"--canary={folder}", "tests/canary/leaks.py"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "1 failed, 7 passed" in ended.stdout, ended.stdout + ended.stderr
    yield folder
    shutil.rmtree(folder)


def scan(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.canary.scan", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_s57_s94_the_scan_finds_a_secret_in_each_kind_of_place_and_does_not_show_it(leaked: Path) -> None:
    ended = scan(leaked)
    assert ended.returncode == 1
    found = {Path(path).name for path in re.findall(r"^(.+), byte \d+: ", ended.stderr, re.MULTILINE)}
    assert {re.sub(r"\.main-\d+\.txt$", "", name) for name in found} == FOUND
    assert "mode is 644, not 600" in ended.stderr
    assert not [secret for secret in read_secrets(leaked) if secret in ended.stderr]


def test_a_scan_that_looked_at_nothing_shows_nothing(tmp_path: Path) -> None:
    require("git")
    ended = scan(tmp_path)
    assert (ended.returncode, "it shows nothing" in ended.stderr) == (1, True)
