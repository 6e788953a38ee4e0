"""`./dev bench vault`, played small: that it measures both databases and keeps what it measured."""

import json
from pathlib import Path

import pytest

from benchmarks.vault_size import Plan, main, table
from tests.parts import require


@pytest.mark.slow
def test_small_vaults_are_measured_on_both_databases_and_every_block_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require("postgres")
    into = tmp_path / "results"
    main(["--small", "50", "--large", "400", "--each", "10", "--rounds", "2", "--into", str(into)])
    blocks = [json.loads(line) for line in (into / "blocks.jsonl").read_text().splitlines()]
    assert {(block["engine"], block["act"], block["grants"]) for block in blocks} == {
        (engine, act, grants)
        for engine in ("sqlite", "postgres")
        for act in ("lookup", "refresh")
        for grants in (50, 400)
    }
    assert len(blocks) == 16
    assert [block["grants"] for block in blocks[:4]] == [50, 400, 50, 400], "they take turns"
    assert "postgres refresh" in capsys.readouterr().out
    assert "large" in json.loads((into / "machine.json").read_text())


@pytest.mark.parametrize(("large", "holds"), [(149.0, True), (151.0, False)])
def test_the_bound_is_one_and_a_half_times(large: float, holds: bool) -> None:
    plan = Plan(small=10, large=20, each=1, rounds=1, engines=["sqlite"])
    blocks = [
        {"engine": "sqlite", "act": act, "grants": grants, "round": 1, "us": took}
        for act in ("lookup", "refresh")
        for grants, took in ((10, 100.0), (20, large))
    ]
    text, held = table(blocks, plan)
    assert held is holds
    assert ("DOES NOT HOLD" in text) is not holds
