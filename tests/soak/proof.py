"""A long proof: one promise, played again and again with other chances, and what is written down of it.

The journal of a proof is a file of JSON lines, benchmarks/results/soak/<tree>/<name>.jsonl, where <tree> is what git
calls the source that was proven (`git rev-parse HEAD:src`). The first line says what is proven and with which seed;
then each round has one, with what was found, if anything; the chances of a round follow from seed, name and number
alone, so that any of them can be played again.
"""

import json
import os
import platform
import random
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from tests.parts import ROOT, require

RESULTS = ROOT / "benchmarks/results/soak"

#: Plays one round with its number and chances; answers what is worth writing down, and fails where the promise breaks.
Play: TypeAlias = Callable[[int, random.Random], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Proof:
    """``rounds`` is how many count as shown. ``begin`` sets up in an empty folder what the rounds are played with."""

    name: str
    promise: str
    rounds: int
    begin: Callable[[Path], AbstractContextManager[Play]]


@dataclass(frozen=True, slots=True)
class Tree:
    """The source that is proven. Where it was changed and not committed, nothing that is found counts."""

    id: str
    is_changed: bool = False

    @property
    def name(self) -> str:
        return self.id[:12] + ("-changed" if self.is_changed else "")


def tree_of_source() -> Tree:
    changed = _git("status", "--porcelain", "--", "src")
    return Tree(_git("rev-parse", "HEAD:src"), is_changed=bool(changed))


def _git(*command: str) -> str:
    options = ["-c", "safe.directory=*"]
    return subprocess.run(
        [require("git"), *options, *command], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


@dataclass(slots=True)
class Journal:
    """``seed`` is None until it was begun; ``rounds`` has what each round wrote."""

    path: Path
    seed: int | None = None
    rounds: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """A last line that was cut off in the middle, by whatever ended the proof, does not count."""
        lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
        written = [json.loads(line) for line in lines[:-1]]
        return cls(path, written[0]["seed"], written[1:]) if written else cls(path)

    @property
    def found(self) -> int:
        return sum("found" in one for one in self.rounds)

    def begin(self, proof: Proof, *, seed: int, tree: Tree) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self.seed, self.rounds = seed, []
        self._write(
            {
                "proof": proof.name,
                "promise": proof.promise,
                "tree": tree.id,
                "changed": tree.is_changed,
                "seed": seed,
                "began": datetime.now(UTC).isoformat(timespec="seconds"),
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
            }
        )

    def add(self, one: Mapping[str, Any]) -> None:
        self.rounds.append(one)
        self._write(one)

    def cut_off(self) -> None:
        """Take away the half of a line that a killed proof left, before the next is written."""
        if self.path.exists():
            text = self.path.read_text(encoding="utf-8")
            self.path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")

    def _write(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def journal_of(proof: Proof, tree: Tree, *, results: Path = RESULTS) -> Journal:
    return Journal.read(results / tree.name / f"{proof.name}.jsonl")


def is_shown(proof: Proof, tree: Tree, *, results: Path = RESULTS) -> bool:
    journal = journal_of(proof, tree, results=results)
    return not tree.is_changed and len(journal.rounds) >= proof.rounds and not journal.found


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a proof goes on: until so many rounds are written, so much time is over, or so much was found."""

    rounds: int
    seconds: float
    findings: int = 5


def prove(
    proof: Proof,
    journal: Journal,
    *,
    bounds: Bounds,
    folders: Callable[[], Path],
    tell: Callable[[str], None],
) -> bool:
    """Go on where the journal ends. Whether nothing was found in all the rounds that were asked for.

    After a finding the rounds go on with everything set up anew, so that one broken state is not found twice.
    """
    assert journal.seed is not None
    journal.cut_off()
    end = time.monotonic() + bounds.seconds
    while _is_left(journal, bounds, end):
        with proof.begin(folders()) as play:
            for number in _numbers(journal, bounds, end):
                one = _played(play, number, random.Random(f"{journal.seed} {proof.name} {number}"))
                journal.add(one)
                if "found" in one:
                    tell(f"{proof.name}: round {number} found {one['found']}")
                    break
                tell(f"{proof.name}: {len(journal.rounds)} of {bounds.rounds} rounds")
    return len(journal.rounds) >= bounds.rounds and not journal.found


def _is_left(journal: Journal, bounds: Bounds, end: float) -> bool:
    return len(journal.rounds) < bounds.rounds and time.monotonic() < end and journal.found < bounds.findings


def _numbers(journal: Journal, bounds: Bounds, end: float) -> Iterator[int]:
    while _is_left(journal, bounds, end):
        yield len(journal.rounds)


def _played(play: Play, number: int, chance: random.Random) -> Mapping[str, Any]:
    began = time.monotonic()
    one: dict[str, Any] = {"round": number}
    try:
        one |= play(number, chance)
    except Exception as error:
        one["found"] = _told(error)
    return one | {"seconds": round(time.monotonic() - began, 3)}


def _told(error: Exception) -> str:
    """What it is, and which line of the proof found it: a bare assertion says nothing else."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}"[:2_000] + f" ({Path(at.filename).name}, line {at.lineno}: {at.line})"
