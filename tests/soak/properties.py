"""The property tests with many more examples than ./dev check has time for, each round with a seed of its own."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.parts import ROOT
from tests.soak.proof import Play, Proof

COMMAND = [
    *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", "-m", "hypothesis"),
    *("--hypothesis-profile", "soak", "--tb", "short"),
]


@contextmanager
def properties(folder: Path) -> Iterator[Play]:
    def play(number: int, chance: random.Random) -> Mapping[str, object]:
        seed = chance.getrandbits(64)
        ended = subprocess.run(
            [*COMMAND, "--hypothesis-seed", str(seed), f"--basetemp={folder / str(number)}", "tests"],
            cwd=ROOT,
            env={**os.environ, "HYPOTHESIS_DATABASE_FILE": str(folder / "examples")},
            capture_output=True,
            text=True,
            check=False,
        )
        counts = re.search(r"(\d+) passed", ended.stdout)
        assert ended.returncode == 0, ended.stdout[-1_800:]
        assert counts is not None
        return {"hypothesis_seed": seed, "tests": int(counts[1])}

    yield play


PROPERTIES = [
    Proof("properties", "every reader takes or refuses whatever comes, and reads what was written", 3, properties)
]
