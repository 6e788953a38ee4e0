"""Writes docs/conformance.md: each numbered statement with the tests whose names carry its number.

`python -m tests.tooling.conformance`, or `./dev conformance`. The tests are found in the source, without running any.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/conformance.md"

#: The front of a name: `test_w22_to_w34_...`, `test_w04_s29_...`.
_NUMBERS = re.compile(r"test_((?:(?:to_)?[ws][0-9]{2,3}_)+)")
_NUMBER = re.compile(r"(to_)?([ws])([0-9]+)_")
#: What a function's name has no apostrophe for: "one_person_s_grants", "nobody_elses".
_OWNERS = re.compile(r"(?: |\b(else|another|nobody|person|webex)|\b(one|platform|integration)(?=s own\b))s\b")
_LEFT_OUT = {"skip", "skipif", "xfail"}


@dataclass(frozen=True, slots=True)
class Statements:
    """`says` by number; why there is no test yet; where the `webex` profile departs."""

    says: Mapping[str, str]
    not_yet: Mapping[str, str]
    webex: Mapping[str, str]

    @classmethod
    def read(cls, path: Path = ROOT / "tests/conformance.toml") -> "Statements":
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls({**table["walkthrough"], **table["security"]}, table["not_yet"], table["webex"])


@dataclass(frozen=True, slots=True, order=True)
class Test:
    """A test function. `may_be_left_out`: it, or its whole file, is marked so that it does not run everywhere."""

    __test__ = False  # of pytest

    file: str
    name: str
    numbers: tuple[str, ...]
    may_be_left_out: bool

    @property
    def promise(self) -> str:
        """Its name in words, without the numbers."""
        words = _NUMBERS.sub("", self.name, count=1).replace("_", " ")
        return _OWNERS.sub(lambda owner: f"{owner[1] or owner[2] or ''}'s", words)


def numbers_of(name: str) -> tuple[str, ...]:
    """`test_w22_to_w24_s9_x` is W22, W23, W24; what stands behind the first word that is no number does not count."""
    front = _NUMBERS.match(name)
    found: list[str] = []
    for to, letter, digits in _NUMBER.findall(front.group(1) if front else ""):
        first = int(found[-1][1:]) + 1 if to and found else int(digits)
        found += [f"{letter.upper()}{number:02}" for number in range(first, int(digits) + 1)]
    return tuple(found)


def read_tests(source: str, *, file: str) -> Iterator[Test]:
    module = ast.parse(source)
    whole_file = any(
        isinstance(statement, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in statement.targets)
        and _leaves_out(statement.value)
        for statement in module.body
    )
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and (numbers := numbers_of(statement.name)):
            left_out = whole_file or any(_leaves_out(decorator) for decorator in statement.decorator_list)
            yield Test(file, statement.name, numbers, left_out)


def _leaves_out(mark: ast.expr) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr in _LEFT_OUT for node in ast.walk(mark))


def all_tests(folder: Path = ROOT / "tests") -> list[Test]:
    files = sorted(folder.rglob("test_*.py"))
    return sorted(
        test
        for path in files
        for test in read_tests(path.read_text(encoding="utf-8"), file=path.relative_to(folder.parent).as_posix())
    )


def write_page(statements: Statements, tests: Sequence[Test]) -> str:
    by_number: dict[str, list[Test]] = {number: [] for number in statements.says}
    for test in tests:
        for number in test.numbers:
            by_number.setdefault(number, []).append(test)
    missing = [number for number in statements.says if not by_number[number]]
    lines = [
        _HEAD.format(count=len(statements.says), missing=", ".join(map(_link, missing)) or "none"),
        *(f"- {_link(number)}: {says}" for number, says in statements.webex.items()),
        "",
    ]
    for title, letter in (("The walkthrough", "W"), ("The security bar", "S")):
        lines += [f"## {title}", ""]
        for number, says in statements.says.items():
            if number.startswith(letter):
                lines += _statement(number, says, by_number[number], statements)
    return "\n".join(lines).rstrip() + "\n"


_HEAD = """\
# Conformance

<!-- Made by ./dev conformance from tests/conformance.toml and the names of the tests: edit those. -->

What Grantflow promises in {count} statements, and the tests that hold it to them. W numbers are the statements of the
walkthrough of building a Webex integration, S numbers those of the security bar (RFC 9700 and its companions). A test
that shows a statement carries its number in its name.

Not shown by a test yet: {missing}.

## Where the `webex` profile departs

Each integration has a profile at the platform. `strict` keeps to every statement; `webex`, the default, is as Webex is.
"""


def _link(number: str) -> str:
    return f"[{number}](#{number.lower()})"


def _statement(number: str, says: str, tests: Sequence[Test], statements: Statements) -> list[str]:
    lines = [f"### {number}", "", says, ""]
    if number in statements.webex:
        lines += [f"*In the `webex` profile:* {statements.webex[number]}", ""]
    if tests:
        return [*lines, *(f"- [{test.promise}](../{test.file})" for test in tests), ""]
    return [*lines, f"**Not shown yet.** {statements.not_yet.get(number, 'No test carries this number.')}", ""]


if __name__ == "__main__":
    PAGE.write_text(write_page(Statements.read(), all_tests()), encoding="utf-8")
