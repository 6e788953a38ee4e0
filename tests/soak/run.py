"""`./dev soak [NAME ...]`: plays the long proofs, or says which of them are shown for the source as it is."""

import argparse
import logging
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from benchmarks.arguments import Parser, positive, whole, write_lines
from tests.soak.api import API
from tests.soak.crowds import CROWDS
from tests.soak.kills import KILLS
from tests.soak.proof import Bounds, Proof, Tree, is_shown, journal_of, prove, tree_of_source
from tests.soak.properties import PROPERTIES
from tests.soak.races import RACES
from tests.soak.refusals import REFUSALS
from tests.soak.rotation import ROTATION

PROOFS = [*PROPERTIES, *API, *RACES, *CROWDS, *REFUSALS, *ROTATION, *KILLS]
#: Between two lines about the same proof, in seconds.
QUIET = 5.0


def main(arguments: Sequence[str]) -> int:
    options = _read(arguments)
    tree = tree_of_source()
    chosen = [proof for proof in PROOFS if proof.name in options.names or not options.names]
    if options.shown:
        lines, code = _what_is_shown(chosen, tree)
        write_lines(lines)
        return code
    if tree.is_changed:
        _say("src is changed and not committed: nothing that is found here counts as shown.")
    logging.getLogger("grantflow").setLevel(logging.CRITICAL)  # that calls fail meanwhile is what is wanted
    began = time.monotonic()
    held = _play(chosen, tree, options)
    if held is None:
        _say("Ended. What is written stays: --resume goes on from there.")
        return 130
    _say(f"{len(held)} proofs in {_minutes(time.monotonic() - began)}; {sum(held)} of them hold")
    return 0 if all(held) else 1


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    names = [proof.name for proof in PROOFS]
    parser = Parser("./dev soak", description="Long proofs, apart from the tests.", epilog=_list())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help="which proofs; without any, all of them")
    parser.add_argument("--seed", type=int, help="whence all chances of the rounds follow; without it, one is drawn")
    parser.add_argument("--rounds", type=whole, help="how many; without it, as many as count as shown")
    parser.add_argument("--minutes", type=positive, default=60.0, help="how long each proof may take at most [60]")
    parser.add_argument("--resume", action="store_true", help="go on where a proof ended, with its seed")
    parser.add_argument("--shown", action="store_true", help="say what is shown for the source as it is, and play none")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in names:
            parser.error(f"there is no proof {name!r}; there are {', '.join(names)}")
    return options


def _list() -> str:
    return "\n".join(["proofs:", *(f"  {proof.name:<21} {proof.rounds:>5}  {proof.promise}" for proof in PROOFS)])


def _play(proofs: Sequence[Proof], tree: Tree, options: argparse.Namespace) -> list[bool] | None:
    """One after another, and beside them, one after another too, those that mostly wait; None where Ctrl-C ended it."""
    over = threading.Event()
    waiting = [proof for proof in proofs if proof.mostly_waits]
    busy = [proof for proof in proofs if not proof.mostly_waits]
    with ThreadPoolExecutor(1) as beside:
        others = beside.submit(_play_one_by_one, waiting, tree, options, over)
        try:
            return _play_one_by_one(busy, tree, options, over) + others.result()
        except KeyboardInterrupt:
            over.set()
            return None


def _play_one_by_one(
    proofs: Sequence[Proof], tree: Tree, options: argparse.Namespace, over: threading.Event
) -> list[bool]:
    return [_prove(proof, tree, options, over) for proof in proofs if not over.is_set()]


def _prove(proof: Proof, tree: Tree, options: argparse.Namespace, over: threading.Event) -> bool:
    journal = journal_of(proof, tree)
    if not options.resume or journal.seed is None:
        seed = secrets.randbits(32) if options.seed is None else options.seed
        journal.begin(proof, seed=seed, tree=tree)
    bounds = Bounds(options.rounds or proof.rounds, seconds=options.minutes * 60)
    _say(f"{proof.name}: {proof.promise} (seed {journal.seed})")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="grantflow-soak-") as top:
        held = prove(proof, journal, bounds=bounds, folders=_folders(Path(top)), tell=_seldom(), over=over)
    took = _minutes(time.monotonic() - began)
    _say(f"{proof.name}: {len(journal.rounds)} rounds, {took}, {journal.found} found; {_path(journal.path)}")
    return held


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def _folders(top: Path) -> Callable[[], Path]:
    numbers = count()

    def another() -> Path:
        folder = top / str(next(numbers))
        folder.mkdir()
        return folder

    return another


def _seldom() -> Callable[[str], None]:
    """Tells of progress now and then, of findings always."""
    last = time.monotonic()

    def tell(line: str) -> None:
        nonlocal last
        if " found " in line or time.monotonic() - last >= QUIET:
            last = time.monotonic()
            _say(line)

    return tell


def _what_is_shown(proofs: Sequence[Proof], tree: Tree) -> tuple[list[str], int]:
    """A line for each proof, or one where none was ever played; and the exit code."""
    if not any(journal_of(proof, tree).path.exists() for proof in proofs):
        return [f"Nothing was played here yet for src as it is (tree {tree.name}); ./dev soak plays it."], 1
    shown = [is_shown(proof, tree) for proof in proofs]
    lines = []
    for proof, is_it in zip(proofs, shown, strict=True):
        journal = journal_of(proof, tree)
        done = f"{len(journal.rounds)} of {proof.rounds} rounds, {journal.found} found"
        lines.append(f"{'shown' if is_it else 'not shown':<10}{proof.name:<18}{done:<30}{proof.promise}")
    return lines, 0 if all(shown) else 1


def _path(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
