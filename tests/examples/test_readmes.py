"""What the README of each example tells a reader to type and to set is what starts it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grantflow import KeyRing
from tests.examples.running import checkout, serving
from tests.parts import ROOT
from tests.whole.person import Person
from tests.whole.running import Up, environment, grantflow, up

pytestmark = pytest.mark.slow

FOLDERS = sorted(readme.parent for readme in (ROOT / "examples").glob("*/README.md"))
folders = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def source(folder: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))


def readme_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("readmes") / "state") as running:
        yield running


@pytest.mark.slow
@folders
def test_the_lines_of_the_readme_start_the_example_and_it_gets_its_grant(
    folder: Path, platform: Up, tmp_path: Path
) -> None:
    (lines,) = re.findall(r"```sh\n(.*?)```", readme_of(folder), re.DOTALL)
    data = str(platform.folder)
    printed = grantflow("status", "-o", "env", GRANTFLOW_DATA=data).stdout
    home, port = re.findall(r"GRANTFLOW_REDIRECT_URI='?(http://localhost:(\d+))/oauth", printed)[0]
    with (
        serving(["sh", "-c", lines], checkout(tmp_path), port=int(port), GRANTFLOW_DATA=data),
        Person(platform.ada) as ada,
    ):
        assert "Grant" in [words for words, _ in ada.open(home).links]
        named = ada.page.words.replace("Webex is its trademark", "")  # which the foot of the page says of Cisco
        assert "Webex" not in named, "the sandbox is called by its own name"
        ada.grant(f"{home}/connect")
        assert "Ada Lovelace" in ada.page.words


@folders
def test_w36_without_its_settings_a_program_says_in_one_line_which_and_how(folder: Path, tmp_path: Path) -> None:
    for program in folder.glob("*.py"):
        command = [sys.executable, str(program)]
        ended = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        (said,) = ended.stderr.splitlines()
        assert said.startswith("Not set: GRANTFLOW_CLIENT_ID, GRANTFLOW_CLIENT_SECRET, ")
        assert "./dev grantflow status -o env" in said or "README.md" in said


@folders
def test_the_key_may_lie_in_a_file(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "grantflow.key"
    key.write_text(KeyRing.new_key())
    (program,) = re.findall(r"\./dev python (\S+)", readme_of(folder))
    command = [sys.executable, str(ROOT / program)]
    env = environment() | {"GRANTFLOW_KEY_FILE": str(key)}
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ended.stderr.startswith("Not set: GRANTFLOW_CLIENT_ID")
    assert "KEY" not in ended.stderr


@folders
def test_a_reader_who_leaves_the_sandbox_is_told_of_every_setting_and_scope(folder: Path) -> None:
    asked = {*re.findall(r'environ(?:\.get\(|\[)"(\w+)"', source(folder)), "GRANTFLOW_KEY"}
    assert asked >= {"GRANTFLOW_CLIENT_ID", "GRANTFLOW_CLIENT_SECRET", "GRANTFLOW_REDIRECT_URI", "GRANTFLOW_API_URL"}
    readme = readme_of(folder)
    assert {name for name in asked if f"`{name}`" not in readme} == set()
    (scopes,) = set(re.findall(r'(?:scopes|SCOPES) ?= ?"([^"]+)"', source(folder)))
    assert f"`{scopes}`" in readme


@folders
def test_what_a_reader_is_led_to_exists(folder: Path) -> None:
    readme = readme_of(folder)
    (program,) = re.findall(r"\./dev python (\S+)", readme)
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert [path for path in [ROOT / program, *(folder / link for link in links)] if not path.exists()] == []


def test_every_example_has_its_readme_and_stays_small() -> None:
    examples = {file.parent for file in (ROOT / "examples").glob("*/*.py")}
    assert examples == set(FOLDERS)
    for program in (file for folder in FOLDERS for file in folder.glob("*.py") if file.name != "by_hand.py"):
        assert len(program.read_text(encoding="utf-8").splitlines()) <= 140, program
