"""Help comes at once, says what is true, and holds every command and flag."""

import re
import subprocess
import sys

import pytest

from grantflow.cli.help import GROUPS, PAGES, page
from grantflow.cli.program import COMMANDS, EVERYWHERE, build
from tests.cli.conftest import CommandLine

COMMAND = [sys.executable, "-c", "from grantflow.cli import main; main()"]


def flags_of(words: tuple[str, ...]) -> set[str]:
    app = build()
    for word in words:
        app = app[word]
    names = {name for argument in app.assemble_argument_collection() for name in argument.names}
    return names - {"*"}  # what cyclopts calls a class whose fields are the flags


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_commands_page_names_exactly_the_flags_that_it_takes(words: tuple[str, ...]) -> None:
    options = re.split(r"\n\n(?=Options)", PAGES[words])[-1]
    shown = {
        flag
        for line in options.splitlines()
        if line.startswith("  -")
        for flag in re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", line.split("  ", 2)[1])
    }
    taken = {name for name in flags_of(words) if name.startswith("-")}
    assert shown == taken


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_page_begins_with_how_the_command_is_called(words: tuple[str, ...]) -> None:
    assert PAGES[words].startswith(" ".join(("grantflow", *words)))
    positional = {name for name in flags_of(words) if not name.startswith("-")}
    assert all(name in PAGES[words].splitlines()[0] for name in positional)


def test_the_overview_names_every_command_and_what_they_all_take() -> None:
    overview = PAGES[()]
    assert all(word in overview for words in COMMANDS for word in words)
    assert all(flag in overview for flag in EVERYWHERE)
    assert set(PAGES) == {*COMMANDS, *GROUPS}


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_every_page_fits_into_80_columns(words: tuple[str, ...]) -> None:
    assert max(map(len, PAGES[words].splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ()),
        (("--help",), ()),
        (("-h",), ()),
        (("help", "up"), ("up",)),
        (("up", "--help"), ("up",)),
        (("up", "--port", "0", "-h"), ("up",)),
        (("platform",), ("platform",)),
        (("platform", "person", "add", "ada@example.com", "--help"), ("platform", "person", "add")),
        (("platform", "persn", "--help"), ("platform",)),
        (("nonsense", "--help"), ()),
    ],
)
def test_help_is_found_however_it_is_asked_for(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert page(arguments) == PAGES[words]


def test_a_command_is_not_mistaken_for_a_question() -> None:
    assert page(("up",)) is None
    assert page(("platform", "person", "list")) is None


def test_versions_are_told_with_python_and_the_schemas(grantflow: CommandLine) -> None:
    told = grantflow("--version")
    pattern = r"grantflow \d+\.\d+\.\d+ \(Python \d+\.\d+\.\d+, platform schema \d+, vault schema \d+\)\n"
    assert re.fullmatch(pattern, told.out)
    assert told.code == 0


def test_help_loads_neither_the_parser_nor_the_server_and_so_comes_at_once() -> None:
    program = "import sys; from grantflow.cli import run; run(['--help']); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for heavy in ("cyclopts", "rich", "starlette", "uvicorn", "pydantic", "cryptography", "httpx2", "sqlite3"):
        assert f"'{heavy}'" not in loaded


@pytest.mark.parametrize("arguments", [["--help"], ["up"], ["--version"]])
def test_without_its_extra_the_script_prints_the_one_line_that_fixes_it(arguments: list[str]) -> None:
    without = "import sys; sys.modules['cyclopts'] = sys.modules['rich'] = None; from grantflow.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", without, *arguments], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        'The grantflow command needs more packages. Install them in a clone of Grantflow: pip install ".[server]"'
    ]
