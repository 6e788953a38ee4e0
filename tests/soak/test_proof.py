"""A proof is bounded, goes on where it was ended, writes each round down, and does not call shown what is not."""

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.soak.proof import Bounds, Journal, Look, Play, Proof, Tree, is_shown, journal_of, prove

pytestmark = pytest.mark.slow

TREE = Tree("0123456789abcdef")
PLENTY = Bounds(rounds=10, seconds=60)


def proof_of(
    round_: Callable[[int, random.Random], Mapping[str, object]],
    *,
    rounds: int = 10,
    look: Look | None = None,
    lanes: int = 1,
) -> Proof:
    @contextmanager
    def begin(folder: Path) -> Iterator[Play]:
        assert not list(folder.iterdir())
        yield round_

    return Proof("horses", "they run", rounds, begin, look=look, lanes=lanes)


def draw(number: int, chance: random.Random) -> Mapping[str, object]:
    return {"drawn": chance.randrange(10**9)}


def played(proof: Proof, results: Path, *, seed: int = 7, bounds: Bounds = PLENTY, resume: bool = False) -> Journal:
    journal = journal_of(proof, TREE, results=results / "results")
    if not resume:
        journal.begin(proof, seed=seed, tree=TREE)
    numbers = count(len(list(results.iterdir())))

    def folders() -> Path:
        folder = results / str(next(numbers))
        folder.mkdir()
        return folder

    prove(proof, journal, bounds=bounds, folders=folders, tell=lambda line: None)
    return journal_of(proof, TREE, results=results / "results")


def test_a_proof_that_was_ended_goes_on_with_the_chances_that_it_would_have_had(tmp_path: Path) -> None:
    proof = proof_of(draw)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = played(proof, tmp_path / "a")
    part = played(proof, tmp_path / "b", bounds=Bounds(rounds=4, seconds=60))
    assert len(part.rounds) == 4
    assert not is_shown(proof, TREE, results=tmp_path / "b/results")
    with part.path.open("a") as file:
        file.write('{"round": 4, "dra')  # as kill -9 leaves it
    resumed = played(proof, tmp_path / "b", resume=True)
    assert [one["drawn"] for one in resumed.rounds] == [one["drawn"] for one in whole.rounds]
    assert is_shown(proof, TREE, results=tmp_path / "b/results")
    assert json.loads(resumed.path.read_text().splitlines()[0])["seed"] == 7


def test_what_is_found_is_written_down_and_nothing_is_shown(tmp_path: Path) -> None:
    def stumble(number: int, chance: random.Random) -> Mapping[str, object]:
        assert number != 3, "a horse fell"
        return {}

    proof = proof_of(stumble)
    journal = played(proof, tmp_path)
    assert len(journal.rounds) == 10
    assert "a horse fell" in journal.rounds[3]["found"]
    assert "(test_proof.py, line " in journal.rounds[3]["found"]
    assert not is_shown(proof, TREE, results=tmp_path / "results")


@pytest.mark.parametrize(
    ("bounds", "rounds"),
    [
        (Bounds(rounds=3, seconds=60), 3),
        (Bounds(rounds=10, seconds=0), 0),
        (Bounds(rounds=10, seconds=60, findings=2), 2),
    ],
)
def test_a_proof_ends_at_its_bounds(tmp_path: Path, bounds: Bounds, rounds: int) -> None:
    def fall(number: int, chance: random.Random) -> Mapping[str, object]:
        raise ConnectionError("no horse answers")

    assert len(played(proof_of(fall), tmp_path, bounds=bounds).rounds) == rounds


def test_lanes_play_each_round_once_with_the_chances_that_it_has_anyway(tmp_path: Path) -> None:
    meeting = threading.Barrier(2)

    def meet(number: int, chance: random.Random) -> Mapping[str, object]:
        meeting.wait(60)  # which one lane alone would never get past
        return draw(number, chance)

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = played(proof_of(draw), tmp_path / "a"), played(proof_of(meet, lanes=2), tmp_path / "b")
    assert sorted((one["round"], one["drawn"]) for one in two.rounds) == [(r["round"], r["drawn"]) for r in one.rounds]


def test_a_look_at_what_is_left_behind_is_part_of_the_proof(tmp_path: Path) -> None:
    def draw_and_leave(folder: Path) -> Mapping[str, object]:
        return {"files": len(list(folder.iterdir()))}

    proof = proof_of(draw, look=draw_and_leave)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    journal = played(proof, tmp_path / "a")
    assert [one["files"] for one in journal.around] == [0]
    assert is_shown(proof, TREE, results=tmp_path / "a/results")
    played(proof_of(draw), tmp_path / "b")
    assert not is_shown(proof, TREE, results=tmp_path / "b/results"), "nobody has looked"


def test_what_a_look_or_a_setting_up_finds_is_written_down_and_nothing_is_shown(tmp_path: Path) -> None:
    def find(folder: Path) -> Mapping[str, object]:
        raise AssertionError("a horse left its saddle")

    @contextmanager
    def fall(folder: Path) -> Iterator[Play]:
        raise ConnectionError("no stable answers")
        yield draw

    for number, proof in enumerate((proof_of(draw, look=find), Proof("horses", "they run", 10, fall))):
        (tmp_path / str(number)).mkdir()
        journal = played(proof, tmp_path / str(number))
        assert journal.found
        assert any("saddle" in one["found"] or "stable" in one["found"] for one in journal.around)
        assert not is_shown(proof, TREE, results=tmp_path / str(number) / "results")


def test_nothing_is_shown_for_a_source_that_nobody_else_can_have(tmp_path: Path) -> None:
    proof, changed = proof_of(draw), Tree(TREE.id, is_changed=True)
    played(proof, tmp_path)
    assert is_shown(proof, TREE, results=tmp_path / "results")
    assert not is_shown(proof, changed, results=tmp_path / "results")
    assert not is_shown(proof, Tree("another"), results=tmp_path / "results")


def test_a_proof_that_is_ended_from_elsewhere_takes_no_other_round(tmp_path: Path) -> None:
    over = threading.Event()

    def end(number: int, chance: random.Random) -> Mapping[str, object]:
        if number == 2:
            over.set()
        return {}

    proof = proof_of(end)
    journal = journal_of(proof, TREE, results=tmp_path / "results")
    journal.begin(proof, seed=7, tree=TREE)
    (tmp_path / "own").mkdir()
    bounds = Bounds(rounds=10, seconds=60)
    assert not prove(proof, journal, bounds=bounds, folders=lambda: tmp_path / "own", tell=lambda line: None, over=over)
    assert len(journal.rounds) == 3
