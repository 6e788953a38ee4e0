"""Whoever starts the command line under another name, as ./dev does, is told to type that name and no other."""

import re
import subprocess
from pathlib import Path

import pytest

from grantflow.cli.called import VARIABLE, as_called
from grantflow.cli.help import PAGES
from grantflow.cli.program import COMMANDS
from tests.cli.conftest import CommandLine
from tests.parts import ROOT

PROGRAM = "./dev grantflow"
BARE = re.compile(rf"(?<!\./dev )\bgrantflow (?:{'|'.join({words[0] for words in COMMANDS})}|--)")


@pytest.fixture
def called(grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv(VARIABLE, PROGRAM)
    return grantflow


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_every_help_page_shows_commands_as_they_are_typed_here(called: CommandLine, words: tuple[str, ...]) -> None:
    shown = called(*words, "--help").out
    assert PROGRAM in shown
    assert BARE.findall(shown) == []
    assert [line for line in shown.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("serve",),
        ("up", "--prt", "1"),
        ("platform", "grnt"),
        ("platform", "person", "list"),
        ("platform", "bot", "add", "horse", "--name", "Horse"),
        ("platform", "grant", "list", "--person", "nobody@example.com"),
    ],
)
def test_what_went_wrong_is_mended_by_a_command_that_can_be_typed_here(
    called: CommandLine, arguments: tuple[str, ...]
) -> None:
    ended = called(*arguments)
    assert ended.code != 0
    assert PROGRAM in " ".join(ended.err.split())
    assert BARE.findall(" ".join(ended.err.split())) == []


def test_what_is_looked_for_in_a_platform_names_the_command_that_lists_it(called: CommandLine) -> None:
    added = called.platform("person", "add", "ada@example.com", "--name", "Ada", "--json")
    assert added.code == 0
    for arguments in [
        ("person", "add", "ada@example.com", "--name", "Ada"),
        ("person", "password", "nobody@example.com"),
        ("bot", "delete", "horse"),
        ("grant", "list", "--app", "Horse"),
    ]:
        said = " ".join(called.platform(*arguments).err.split())
        assert f"{PROGRAM} platform" in said
        assert BARE.findall(said) == []


@pytest.mark.parametrize("folder", ["checkout", "a checkout"])
def test_dev_says_how_it_was_called(tmp_path: Path, folder: str) -> None:
    """Up to where it would set something up."""
    checkout = tmp_path / folder
    checkout.mkdir()
    before = (ROOT / "dev").read_text().partition("\nhere=")[0]
    (checkout / "dev").write_text(f'{before}\nexport_name\necho "${VARIABLE}"\n')
    (checkout / "dev").chmod(0o755)
    for called, command in [("./dev", "./dev"), (f"../{folder}/dev", f"'../{folder}/dev'" if " " in folder else "")]:
        said = subprocess.run([called], cwd=checkout, capture_output=True, text=True, check=True).stdout
        assert said == f"{command or called} grantflow\n"


def test_by_its_own_name_it_is_called_that() -> None:
    assert as_called("grantflow up", environ={}) == "grantflow up"
    assert as_called("a-grantflow upward", environ={VARIABLE: PROGRAM}) == "a-grantflow upward"
