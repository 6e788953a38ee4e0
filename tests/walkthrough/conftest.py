"""One running pair of halves for each file of statements."""

from collections.abc import Iterator

import pytest

from tests.walkthrough.both_halves import BothHalves, both_halves


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BothHalves]:
    with both_halves(tmp_path_factory.mktemp("halves")) as running:
        yield running
