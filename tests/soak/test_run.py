"""`./dev soak --shown` tells what is shown, also to whoever reads the first line alone, and where there is nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import ROOT
from tests.soak import run
from tests.soak.proof import Proof, Tree, journal_of

pytestmark = pytest.mark.slow


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder of them, for a source that is committed."""
    monkeypatch.setattr(run, "tree_of_source", lambda: Tree("0123456789abcdef"))
    monkeypatch.setattr(run, "journal_of", lambda proof, tree: journal_of(proof, tree, results=tmp_path))
    return tmp_path


def test_where_nothing_was_played_it_says_so_in_words(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--shown"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "Nothing was played here yet for src as it is (tree 0123456789ab); ./dev soak plays it."


def test_where_something_was_played_each_proof_has_its_line(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first: Proof = run.PROOFS[0]
    begun = results / "0123456789ab" / f"{first.name}.jsonl"
    begun.parent.mkdir()
    begun.write_text(json.dumps({"seed": 1}) + "\n")
    assert run.main(["--shown"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == len(run.PROOFS)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_has_seen_enough_is_no_error(unbuffered: str) -> None:
    command = f"{sys.executable} -m tests.soak.run --shown | true"
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
