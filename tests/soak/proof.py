"""A long proof: one promise, played again and again with other chances, and what is written down of it.

The journal of a proof is a file of JSON lines, benchmarks/results/soak/<tree>/<name>.jsonl, where <tree> is what git
calls the source that was proven (`git rev-parse HEAD:src`). The first line says what is proven and with which seed;
then each round has one, with what was found, if anything; the chances of a round follow from seed, name and number
alone, so that any of them can be played again. Lines without a round tell of what lies around the rounds: a setting-up
that failed, or a last look at all that was left behind.
"""

import json
import os
import platform
import random
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from tests.parts import ROOT, require

RESULTS = ROOT / "benchmarks/results/soak"

#: Plays one round with its number and chances; answers what is worth writing down, and fails where the promise breaks.
Play: TypeAlias = Callable[[int, random.Random], Mapping[str, object]]
#: Looks through the folder of rounds that are over; answers and fails as a round does.
Look: TypeAlias = Callable[[Path], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Proof:
    """``rounds`` is how many count as shown. ``begin`` sets up in an empty folder what the rounds are played with, and
    ``look`` is taken at that folder once they are over. ``lanes`` is how many are set up and played side by side. What
    ``mostly_waits`` leaves the processors to others, and is played beside them.
    """

    name: str
    promise: str
    rounds: int
    begin: Callable[[Path], AbstractContextManager[Play]]
    look: Look | None = None
    lanes: int = 1
    mostly_waits: bool = False


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
    """``seed`` is None until it was begun; ``rounds`` has what each round wrote, ``around`` what lies around them."""

    path: Path
    seed: int | None = None
    rounds: list[Mapping[str, Any]] = field(default_factory=list)
    around: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """A last line that was cut off in the middle, by whatever ended the proof, does not count."""
        lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
        written = [json.loads(line) for line in lines[:-1]]
        if not written:
            return cls(path)
        journal = cls(path, written[0]["seed"])
        for one in written[1:]:
            journal._keep(one)
        return journal

    @property
    def found(self) -> int:
        return sum("found" in one for one in [*self.rounds, *self.around])

    @property
    def looks(self) -> int:
        return sum("looked" in one for one in self.around)

    def begin(self, proof: Proof, *, seed: int, tree: Tree) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self.seed, self.rounds, self.around = seed, [], []
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
        self._keep(one)
        self._write(one)

    def _keep(self, one: Mapping[str, Any]) -> None:
        (self.rounds if "round" in one else self.around).append(one)

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
    looked = proof.look is None or journal.looks > 0
    return not tree.is_changed and len(journal.rounds) >= proof.rounds and looked and not journal.found


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
    over: threading.Event | None = None,
) -> bool:
    """Play what rounds the journal lacks. Whether nothing was found in all the rounds that were asked for. `over` ends
    it from elsewhere.

    After a finding the rounds go on with everything set up anew, so that one broken state is not found twice.
    """
    assert journal.seed is not None
    journal.cut_off()
    turns = _Turns(proof, journal, bounds, end=time.monotonic() + bounds.seconds, tell=tell)
    turns.over = over or turns.over
    if proof.lanes == 1:
        turns.play(folders)
    else:
        with ThreadPoolExecutor(proof.lanes) as lanes:
            playing = [lanes.submit(turns.play, folders) for _ in range(proof.lanes)]
            try:
                for lane in playing:
                    lane.result()
            except BaseException:
                turns.over.set()
                raise
    return len(journal.rounds) >= bounds.rounds and not journal.found


#: How long a finding waits to be written, in seconds: Ctrl-C reaches the servers of a lane before it reaches the lane.
_MOMENT = 0.5


@dataclass(slots=True)
class _Turns:
    """Which lane plays which round; what each found goes into the one journal."""

    proof: Proof
    journal: Journal
    bounds: Bounds
    end: float
    tell: Callable[[str], None]
    taken: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: Somebody has ended it: no lane takes another turn, and that servers die is no finding.
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.taken.update(one["round"] for one in self.journal.rounds)

    def play(self, folders: Callable[[], Path]) -> None:
        """One lane: set up, play until something is found or no round is left, take a look, and so on."""
        while (number := self._take()) is not None:
            folder = folders()
            try:
                with self.proof.begin(folder) as play:
                    self._play_on(play, number)
            except Exception as error:
                self._write({"found": _told(error)})
            if self.proof.look is not None and not self.over.is_set():
                self._write({"looked": True} | _tried(self.proof.look, folder))

    def _play_on(self, play: Play, number: int | None) -> None:
        name = self.proof.name
        while number is not None:
            chance = random.Random(f"{self.journal.seed} {name} {number}")
            one = {"round": number, **_tried(play, number, chance)}
            self._write(one)
            if "found" in one:
                return
            self.tell(f"{name}: {len(self.journal.rounds)} of {self.bounds.rounds} rounds")
            number = self._take()

    def _take(self) -> int | None:
        """The number of a round that nobody has played or plays; None where no other is to be played."""
        with self.lock:
            if self.over.is_set() or time.monotonic() >= self.end or self.journal.found >= self.bounds.findings:
                return None
            number = next((number for number in range(self.bounds.rounds) if number not in self.taken), None)
            if number is not None:
                self.taken.add(number)
            return number

    def _write(self, one: Mapping[str, Any]) -> None:
        if "found" in one and self.over.wait(_MOMENT):
            return
        with self.lock:
            self.journal.add(one)
        if "found" in one:
            where = f"round {one['round']}" if "round" in one else "around its rounds it"
            self.tell(f"{self.proof.name}: {where} found {one['found']}")


def _tried(play: Callable[..., Mapping[str, object]], *of: object) -> dict[str, Any]:
    began = time.monotonic()
    try:
        one = dict(play(*of))
    except Exception as error:
        one = {"found": _told(error)}
    return one | {"seconds": round(time.monotonic() - began, 3)}


def _told(error: Exception) -> str:
    """What it is, and which line of the proof found it: a bare assertion says nothing else."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}"[:2_000] + f" ({Path(at.filename).name}, line {at.lineno}: {at.line})"
