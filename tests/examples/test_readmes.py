"""What the README of each example tells a reader to set is what the example asks its environment for."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import ROOT
from tests.whole.running import Up, up

FOLDERS = sorted(readme.parent for readme in (ROOT / "examples").glob("*/README.md"))
folders = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def source(folder: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))


@folders
def test_a_reader_sets_just_what_the_example_asks_for(folder: Path) -> None:
    asked = {*re.findall(r'environ(?:\.get\(|\[)"(\w+)"', source(folder)), "GRANTFLOW_KEY"}
    assert asked >= {"GRANTFLOW_CLIENT_ID", "GRANTFLOW_CLIENT_SECRET", "GRANTFLOW_REDIRECT_URI", "GRANTFLOW_API_URL"}
    exported = re.findall(r"export (\w+)=", (folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(exported) == sorted(asked)


@folders
def test_the_scopes_that_a_reader_registers_are_those_that_the_example_asks_for(folder: Path) -> None:
    (registered,) = re.findall(r'--scopes "([^"]+)"', (folder / "README.md").read_text(encoding="utf-8"))
    (asked,) = set(re.findall(r'(?:scopes|SCOPES) ?= ?"([^"]+)"', source(folder)))
    assert registered == asked


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("readmes") / "state") as running:
        yield running


@pytest.mark.slow
@folders
def test_the_command_that_registers_the_example_works_as_it_stands(folder: Path, platform: Up) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\./dev grantflow platform (app add .*)$", readme, re.MULTILINE)
    app = platform.platform(*shlex.split(command))
    assert f"export GRANTFLOW_REDIRECT_URI={app['redirect_uris'][0]}\n" in readme


@folders
def test_what_a_reader_is_led_to_exists(folder: Path) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"\./dev python (\S+)", readme)
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert [path for path in [ROOT / program, *(folder / link for link in links)] if not path.exists()] == []


def test_every_example_has_its_readme_and_stays_small() -> None:
    examples = {file.parent for file in (ROOT / "examples").glob("*/*.py")}
    assert examples == set(FOLDERS)
    for program in (file for folder in FOLDERS for file in folder.glob("*.py") if file.name != "by_hand.py"):
        assert len(program.read_text(encoding="utf-8").splitlines()) <= 130, program
