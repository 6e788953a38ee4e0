"""The proof of the rotation, played small: one round over each database."""

import random
from pathlib import Path

import pytest

from tests.soak.rotation import rotation


@pytest.mark.slow
def test_a_key_takes_over_under_load_killed_and_resumed_and_no_call_fails(tmp_path: Path) -> None:
    with rotation(1_000, nodes=1)(tmp_path) as play:
        for number in range(2):
            told = play(number, random.Random(number))
            assert told["kills"]
            assert told["refreshes"]
