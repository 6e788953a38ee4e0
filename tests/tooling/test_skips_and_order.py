"""What tests/conftest.py promises, seen from outside: pytest runs on a folder of small tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import ROOT

pytestmark = pytest.mark.slow  # each starts pytest anew

CASES = """
import pytest

from tests import parts

def test_browser(chromium):
    pass

@pytest.mark.slow
def test_slow():
    pass

def test_without_its_part(monkeypatch):
    monkeypatch.setitem(parts.PARTS, "horse", parts.Part(["no-such-horse"], "A horse is missing: buy one."))
    parts.require("horse")

@pytest.mark.skipif(True, reason="another platform")
def test_of_another_platform():
    pass

@pytest.mark.xfail(reason="known")
def test_known_to_fail():
    raise AssertionError
"""
WHOLE_FILE = """
import pytest

pytest.importorskip("no_such_module")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  slow\n  browser\n")
    (tmp_path / "test_cases.py").write_text(CASES)
    return tmp_path


def run_pytest(folder: Path, *arguments: str, ci: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-v", "-rsf", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": ci, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return finished.stdout


def test_a_test_without_its_part_is_skipped_with_the_sentence_that_names_the_fix(folder: Path) -> None:
    output = run_pytest(folder, "-k", "not browser", ci="")
    assert "1 passed, 2 skipped, 1 deselected, 1 xfailed" in output
    assert "A horse is missing: buy one." in output


def test_in_ci_a_test_without_its_part_fails_and_only_another_platform_is_skipped(folder: Path) -> None:
    output = run_pytest(folder, "-k", "not browser", ci="true")
    assert "1 failed, 1 passed, 1 skipped, 1 deselected, 1 xfailed" in output
    assert "With CI=true nothing may be skipped: A horse is missing: buy one." in output


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_in_ci_a_file_may_not_leave_itself_out(folder: Path, ci: str, outcome: str) -> None:
    (folder / "test_cases.py").write_text(WHOLE_FILE)
    assert outcome in run_pytest(folder, ci=ci)


def names(output: str) -> list[str]:
    return [line.rpartition("::")[2].split()[0] for line in output.splitlines() if "::" in line]


def test_browser_tests_come_last_and_slow_ones_before_them(folder: Path) -> None:
    output = run_pytest(folder, "-k", "slow or browser or platform", ci="")
    assert names(output)[:3] == ["test_of_another_platform", "test_slow", "test_browser"]


def test_a_test_that_takes_chromium_is_a_browser_test(folder: Path) -> None:
    assert names(run_pytest(folder, "-m", "browser", ci=""))[:1] == ["test_browser"]
