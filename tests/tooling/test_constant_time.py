"""Where a secret is compared, it is compared in constant time: what the code says, without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tooling.conformance import ROOT

#: Whose answers are a secret's text, or all that is needed to guess at it byte by byte.
TELLING = {"reveal", "digest", "hexdigest", "challenge_of"}


def compared(source: str, *, file: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(how, ast.Eq | ast.NotEq) for how in node.ops):
            called = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
            names = {getattr(function, "attr", getattr(function, "id", "")) for function in called}
            if names & TELLING:
                yield f"{file}:{node.lineno}"


def test_s57_no_secret_and_no_digest_of_one_is_compared_by_an_equals_sign() -> None:
    files = sorted(Path(ROOT, "src").rglob("*.py"))
    assert len(files) > 100
    assert [found for file in files for found in compared(file.read_text(encoding="utf-8"), file=file.name)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a.reveal() == b", True),
        ("if x != Secret(y).digest(): ...", True),
        ("challenge_of(v) == c", True),
        ("compare_digest(a.digest(), b)", False),
        ("a.reveal() is None", False),
    ],
)
def test_the_look_finds_what_it_looks_for(source: str, found: bool) -> None:
    assert bool(list(compared(source, file="x"))) is found
