"""What goes wrong is told with what to do, on stderr, with the right exit code; tracebacks only for --debug."""

import io
import json
import logging
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from grantflow.cli.called import VARIABLE, as_called
from grantflow.cli.log import redacted, set_up
from grantflow.cli.output import aligned, commands, has_colour, say, wrapped, write_json, write_table
from grantflow.client.vault.sqlite import SqliteVault
from grantflow.data_directory import DataDirectory
from grantflow.sealing import KeyRing
from tests.cli.conftest import CommandLine
from tests.client.vault_records import stored


@pytest.mark.parametrize(
    ("arguments", "what", "fix"),
    [
        (("platfrm",), "There is no command 'platfrm' here. Did you mean 'platform'?", "grantflow --help"),
        (("platform", "grnt"), "Did you mean 'grant'?", "grantflow platform --help"),
        (("platform", "person", "ad"), "Did you mean 'add'?", "grantflow platform person --help"),
        (("up", "--prt", "1"), "Unknown option: --prt. Did you mean --port?", "grantflow up --help"),
        (
            ("grants", "show", "-E8PAv8"),
            "begins with - comes last, after -- and a space.",
            "grantflow grants show --help",
        ),
        (("up", "--port"), "--port needs a value", "grantflow up --help"),
        (("up", "--port", "x"), "'x' is no port, which is a number from 0 to 65535", "grantflow up --help"),
        (("up", "--port", "70000"), "'70000' is no port", "grantflow up --help"),
        (("serve", "--port", "x"), "--port: 'x' is no port, which is a number from 0", "grantflow serve --help"),
        (("platform", "serve", "-p", "-1"), "'-1' is no port", "grantflow platform serve --help"),
        (("up", "too", "many"), "Too many words: too many", "grantflow up --help"),
        (("platform", "app", "add"), "NAME is missing", "grantflow platform app add --help"),
        (
            ("api", "people/me"),
            "METHOD and PATH are needed, as in: grantflow api GET people/me",
            "grantflow api --help",
        ),
        (("platform", "app", "add", "X"), "--redirect-uri is missing", "grantflow platform app add --help"),
        (("status", "-o", "xml"), 'Choose from: "text", "env", "json"', "grantflow status --help"),
    ],
)
def test_wrong_usage_is_told_with_the_nearest_right_one_and_code_2(
    grantflow: CommandLine, arguments: tuple[str, ...], what: str, fix: str
) -> None:
    ended = grantflow(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert what in " ".join(ended.err.split())
    assert fix in ended.err
    assert ended.err.startswith("error: ")


@pytest.mark.parametrize("command", ["up", "status", "serve", "platform serve", "platform person list"])
@pytest.mark.parametrize("empty", [("--data", ""), ("--data=",)])
def test_an_empty_path_is_refused_and_leaves_nothing(
    grantflow: CommandLine, command: str, empty: tuple[str, ...]
) -> None:
    ended = grantflow(*command.split(), *empty)
    assert (ended.code, ended.out) == (2, "")
    assert "Invalid value for --data: it is empty. Is a variable not set" in " ".join(ended.err.split())
    assert list(Path.cwd().iterdir()) == []


def test_an_empty_env_file_is_refused(grantflow: CommandLine) -> None:
    ended = grantflow("serve", "--env-file", "")
    assert ended.code == 2
    assert "Invalid value for --env-file: it is empty." in ended.err


def test_status_says_that_nothing_runs_and_how_to_start_it(grantflow: CommandLine) -> None:
    ended = grantflow("status")
    assert (ended.code, ended.out) == (1, "")
    assert "Start it with: grantflow up" in ended.err


def test_a_taken_port_is_told_with_who_has_it_and_another(grantflow: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = grantflow("up", "--port", str(port), "--data", str(grantflow.directory))
    assert (ended.code, ended.out) == (1, "")
    said = " ".join(ended.err.split())
    assert f"Port {port} on 127.0.0.1 is taken by" in said
    assert f"(process {os.getpid()})" in said
    assert f"--port {port + 1}" in said


def test_one_port_for_both_halves_is_not_blamed_on_another_program(grantflow: CommandLine) -> None:
    ended = grantflow("up", "--port", "8123", "--integration-port", "8123", "--data", str(grantflow.directory))
    assert (ended.code, ended.out) == (2, "")
    assert "Platform and integration cannot share port 8123" in ended.err
    assert "--integration-port" in ended.err


@pytest.mark.parametrize("command", [("platform", "serve"), ("serve",)])
def test_s88_plain_http_is_not_served_beyond_this_machine(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    for name in ("CLIENT_ID", "CLIENT_SECRET", "SCOPES", "KEY"):
        monkeypatch.setenv(f"GRANTFLOW_{name}", "x")
    ended = grantflow(*command, "--host", "0.0.0.0")
    assert (ended.code, ended.out) == (2, "")
    assert "over plain http" in ended.err


def test_each_missing_setting_of_an_integration_is_told_with_what_to_do(grantflow: CommandLine) -> None:
    ended = grantflow("serve")
    assert (ended.code, ended.out) == (2, "")
    for name in ("CLIENT_ID", "CLIENT_SECRET", "SCOPES", "KEY"):
        assert f"\n  GRANTFLOW_{name} " in ended.err
    lines = [line.strip() for line in ended.err.splitlines()]
    for command in ("grantflow keys new --out grantflow.key", "export GRANTFLOW_KEY_FILE=grantflow.key"):
        assert command in lines, "alone in its line, to be pasted"
    assert 'eval "$(grantflow status -o env)"' in lines
    assert "If you have a key already, name its file." in " ".join(lines)


def test_a_command_within_a_text_is_never_broken_however_narrow_the_terminal() -> None:
    command = "grantflow keys new --out a/rather/long/path/to/grantflow.key"
    text = f"Said in many words, of which\nsome go on.{commands(command, 'export A=1')}\nAnd more words."
    (rendered,) = aligned([("LABEL", text)], width=45)
    assert [line.removeprefix("  LABEL").strip() for line in rendered.split("\n")] == [
        "Said in many words, of which some go",
        "on.",
        command,
        "export A=1",
        "And more words.",
    ]


@pytest.mark.parametrize("program", [None, "./dev grantflow"])
@pytest.mark.parametrize(
    "command",
    [
        "grantflow grants import",
        "grantflow login",
        "grantflow grants keep-alive --days 30",
        "grantflow grants retry --all-refused",
        "grantflow grants retry ada@example.com",
        "grantflow platform person add EMAIL",
        "chmod 600 /a/place",
    ],
)
def test_a_command_within_a_sentence_stands_on_one_line_wherever_that_ends(
    monkeypatch: pytest.MonkeyPatch, command: str, program: str | None
) -> None:
    monkeypatch.setenv(VARIABLE, program or "grantflow")
    typed = command.replace("grantflow", program or "grantflow")
    for before in range(60):
        text = as_called(f"{'x' * before} {command} makes it, where many words follow on the line.")
        lines = wrapped(text, indent=0).split("\n")
        assert [line for line in lines if typed in line], lines
        assert " ".join(lines) == text
        assert max(map(len, lines)) <= 100


class Narrow(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_what_a_command_says_is_broken_between_words_and_an_address_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stderr", seen := Narrow())
    address = f"  https://example.com/{'x' * 80}"
    say(f"The grant of Ada is renewed. Its access token lives until 2026-12-10 06:28:33 UTC.\n\n{address}\n")
    assert seen.getvalue().split("\n") == [
        "The grant of Ada is renewed. Its access token lives until",
        "2026-12-10 06:28:33 UTC.",
        "",
        address,
        "",
        "",
    ]


def test_on_a_terminal_the_last_column_of_a_table_goes_on_below_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", seen := Narrow())
    rows = [("ada@example.com", "word " * 20), ("grace@example.com", "x" * 50)]
    write_table(("WHO", "SAYS"), rows)
    lines = seen.getvalue().rstrip("\n").split("\n")
    told = [line.rstrip() for line in lines]
    assert told == lines, "what reaches beyond the terminal's width is no space"
    assert [len(line) > 60 for line in told] == [False] * 4 + [True], "an id is never cut"
    assert told[1].startswith("ada@example.com     word word")
    assert told[2].startswith(" " * 20 + "word")
    assert told[-1] == "grace@example.com   " + "x" * 50
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    monkeypatch.setattr(sys, "stdout", coloured := Narrow())
    write_table(("WHO", "SAYS"), rows)
    assert coloured.getvalue().splitlines() == [f"\x1b[2m{told[0]}\x1b[0m", *told[1:]], "nor is it in colours"


def test_on_a_terminal_an_id_that_leaves_no_room_stands_whole_above_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", seen := Narrow())
    rows = [("ada@example.com", "active", "word " * 12), ("Y2" * 30, "refused", "word " * 12), ("me", "active", "")]
    write_table(("WHO", "STATUS", "SAYS"), rows)
    says = ["word word word word word word", "word word word word word word"]
    assert seen.getvalue().splitlines() == [
        "WHO               STATUS    SAYS",
        f"ada@example.com   active    {says[0]}",
        f"                            {says[1]}",
        "Y2" * 30,
        f"                  refused   {says[0]}",
        f"                            {says[1]}",
        "me                active",
    ]
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stdout", seen := Narrow())
    write_table(("WHO", "STATUS", "SAYS"), rows)
    assert f"{'Y2' * 30}   refused   word" in seen.getvalue(), "where there is room it stands beside the rest"


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"GRANTFLOW_KEY": "not a key"}, "A key begins with gfk_"),
        ({"GRANTFLOW_REDIRECT_URI": "http://localhost:1/elsewhere", "GRANTFLOW_PUBLIC_URL": "https://a"}, "below"),
    ],
)
def test_settings_that_do_not_fit_together_are_told(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], what: str
) -> None:
    complete = {
        "GRANTFLOW_CLIENT_ID": "C1",
        "GRANTFLOW_CLIENT_SECRET": "s3cret",
        "GRANTFLOW_SCOPES": "spark:people_read",
        "GRANTFLOW_KEY": grantflow("keys", "new").out.strip(),
        "GRANTFLOW_PORT": "0",
    }
    for name, value in (complete | environment).items():
        monkeypatch.setenv(name, value)
    ended = grantflow("serve")
    assert ended.code == 2
    assert what in ended.err
    assert "GRANTFLOW_KEY" not in environment or "\n  GRANTFLOW_KEY  A key begins" in ended.err, "as every setting is"
    assert "python -c" not in ended.err
    assert "s3cret" not in ended.err


@pytest.fixture
def ready_to_serve(grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """All that `serve` needs is set, and its port a free one."""
    complete = {
        "GRANTFLOW_CLIENT_ID": "C1",
        "GRANTFLOW_CLIENT_SECRET": "s3cret",
        "GRANTFLOW_SCOPES": "spark:people_read",
        "GRANTFLOW_KEY": KeyRing.new_key(),
        "GRANTFLOW_PORT": "0",
    }
    for name, value in complete.items():
        monkeypatch.setenv(name, value)
    return grantflow


def test_an_env_file_that_the_environment_overrules_is_warned_about_without_its_values(
    ready_to_serve: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.env").write_text("GRANTFLOW_CLIENT_ID=C2\nGRANTFLOW_CLIENT_SECRET=an0ther\nGRANTFLOW_NAME=Mine\n")
    monkeypatch.setenv("GRANTFLOW_VAULT", ".")  # so that it ends
    ended = ready_to_serve("serve", "--env-file", "mine.env")
    warning = next(line for line in ended.err.splitlines() if line.startswith("warning: "))
    assert "The environment says otherwise than mine.env, and it counts: " in warning
    assert "If that is not meant, use a new terminal, or first: " in warning
    assert warning.endswith("unset GRANTFLOW_CLIENT_ID GRANTFLOW_CLIENT_SECRET")
    assert not [value for value in ("C1", "C2", "s3cret", "an0ther", "Mine") if value in warning]
    (tmp_path / "mine.env").write_text("GRANTFLOW_CLIENT_ID=C1\n")
    assert "warning" not in ready_to_serve("serve", "--env-file", "mine.env").err, "they agree"


@pytest.mark.parametrize(
    ("vault", "what"),
    [
        ("missing/vault.db", "No such file or directory. Make the folder"),
        (".", "Is a directory. It is a folder; name a file in it."),
        ("junk.db", "not a database). Nothing was changed. Put it back from a backup"),
    ],
)
def test_a_vault_that_cannot_be_opened_is_told_with_the_variable_that_names_it(
    ready_to_serve: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vault: str, what: str
) -> None:
    (tmp_path / "junk.db").write_bytes(b"no database at all, " * 100)
    monkeypatch.setenv("GRANTFLOW_VAULT", vault)
    ended = ready_to_serve("serve")
    assert (ended.code, ended.out) == (1, "")
    said = " ".join(ended.err.split())
    assert f"The vault {tmp_path / vault} can" in said
    assert what in said
    assert "GRANTFLOW_VAULT" in said
    assert ("chmod" in said) is (vault == "junk.db"), "nobody is told to take the rights from a folder"


def test_a_vault_that_is_locked_is_told_to_be_well_and_nobody_is_sent_to_a_backup(
    ready_to_serve: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRANTFLOW_VAULT", str(tmp_path / "mine.db"))
    monkeypatch.setattr("grantflow.client.vault.sqlite._WAIT_FOR_LOCK_SECONDS", 0.1)
    SqliteVault(tmp_path / "mine.db", keys=KeyRing.from_env()).close()
    with closing(sqlite3.connect(tmp_path / "mine.db", isolation_level=None)) as browser:
        browser.execute("PRAGMA locking_mode = EXCLUSIVE")
        browser.execute("BEGIN EXCLUSIVE")
        ended = ready_to_serve("grants", "list")
    said = " ".join(ended.err.split())
    assert ended.code == 5
    assert "another program keeps it locked" in said
    assert "Close what has it open" in said
    assert "from a backup" not in said
    assert ready_to_serve("grants", "list").code == 0


def test_a_vault_under_another_key_is_told_before_anybody_is_sent_to_it(
    ready_to_serve: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRANTFLOW_VAULT", str(tmp_path / "vault.db"))
    with closing(SqliteVault(tmp_path / "vault.db", keys=KeyRing(KeyRing.new_key()))) as vault:
        vault.enter(stored())
    ended = ready_to_serve("serve")
    assert (ended.code, ended.out) == (2, "")
    said = " ".join(ended.err.split())
    assert f"The vault {tmp_path / 'vault.db'} was sealed under key" in said
    assert "and GRANTFLOW_KEY has" in said
    assert "name another file: GRANTFLOW_VAULT" in said
    (tmp_path / "key").write_text(KeyRing.new_key())
    monkeypatch.delenv("GRANTFLOW_KEY")
    monkeypatch.setenv("GRANTFLOW_KEY_FILE", "key")
    by_file = " ".join(ready_to_serve("serve").err.split())
    assert "and GRANTFLOW_KEY_FILE has" in by_file
    assert "the file that GRANTFLOW_KEY_FILE names holds the new one in its first line and the old one in the next" in (
        by_file
    )
    assert "comma" not in by_file, "as if the setting took paths"


def test_a_file_of_the_sandbox_that_is_damaged_is_told(grantflow: CommandLine) -> None:
    directory = DataDirectory(grantflow.directory)
    directory.create()
    directory.sandbox.write_text("{")
    ended = grantflow("up", "--port", "0", "--integration-port", "0", "--data", str(directory.path))
    assert (ended.code, ended.out) == (1, "")
    assert "sandbox.json is damaged" in " ".join(ended.err.split())


@pytest.mark.parametrize("command", [("up",), ("platform", "serve"), ("serve",)])
def test_a_file_where_a_folder_was_meant_is_told(
    ready_to_serve: CommandLine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("")
    ended = ready_to_serve(*command, "--port", "0", "--data", "file")
    assert (ended.code, ended.out) == (2, "")
    assert f"{tmp_path / 'file'} is a file, not a folder. Name a folder with --data DIR." in " ".join(ended.err.split())


def test_a_database_that_is_none_is_not_tried_again(grantflow: CommandLine) -> None:
    directory = DataDirectory(grantflow.directory)
    directory.create()
    directory.database.write_bytes(b"no database at all, " * 100)
    ended = grantflow.platform("serve", "--port", "0")
    assert (ended.code, ended.out) == (1, "")
    said = " ".join(ended.err.split())
    assert "file is not a database. Restore a backup, or use another --data." in said


@pytest.mark.parametrize(
    ("content", "flags", "what"),
    [
        ("", ("--env-file", "missing.env"), "missing.env cannot be read: No such file or directory"),
        ("[platform\n", (), "it is not valid TOML"),
        ("[plattform]\n", (), "did you mean [platform]?"),
    ],
)
def test_what_cannot_be_read_is_not_told_to_be_set_elsewhere(
    ready_to_serve: CommandLine, tmp_path: Path, content: str, flags: tuple[str, ...], what: str
) -> None:
    (tmp_path / "grantflow.toml").write_text(content)
    ended = ready_to_serve("serve", *flags)
    assert (ended.code, ended.out) == (2, "")
    said = " ".join(ended.err.split())
    assert said.startswith("error: The settings cannot be read. ")
    assert what in said
    assert "Set them in the environment" not in said


def test_a_public_url_that_does_not_hold_the_redirect_uri_is_told_in_the_words_of_the_command_line(
    ready_to_serve: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRANTFLOW_REDIRECT_URI", "https://other.example/oauth")
    ended = ready_to_serve("serve", "--public-url", "https://lockbot.example/app")
    assert (ended.code, ended.out) == (2, "")
    said = " ".join(ended.err.split())
    assert "https://other.example/oauth does not lie below --public-url https://lockbot.example/app" in said
    assert "such as https://lockbot.example/app/oauth, and set GRANTFLOW_REDIRECT_URI to it." in said
    assert "base_url" not in said


def test_a_directory_that_cannot_be_written_is_told(grantflow: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = grantflow("up", "--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert (ended.code, ended.out) == (1, "")
    assert "cannot be used" in " ".join(ended.err.split()), "wherever the line breaks"
    assert "--data" in ended.err


def test_what_nobody_expected_shows_its_traceback_for_debug_alone_and_no_secret(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise RuntimeError("refused: client_secret=s3cret")

    monkeypatch.setattr("grantflow.sealing.KeyRing.new_key", fail)
    calm, loud = grantflow("keys", "new"), grantflow("--debug", "keys", "new")
    assert (calm.code, loud.code) == (1, 1)
    assert "RuntimeError: refused: client_secret=***" in calm.err
    assert "Traceback" not in calm.err
    assert "--debug" in calm.err
    assert "Traceback" in loud.err
    assert "s3cret" not in loud.err.split("RuntimeError")[-1]


@pytest.mark.slow
def test_a_package_that_is_missing_is_told_with_the_extra_that_brings_it() -> None:
    vault = {"GRANTFLOW_VAULT": "postgresql://ada:secret@127.0.0.1:1/db"}
    settings = {"CLIENT_ID": "C", "CLIENT_SECRET": "s", "SCOPES": "a", "KEY": KeyRing.new_key()}
    env = os.environ | {f"GRANTFLOW_{name}": value for name, value in settings.items()} | vault
    for package, command, extras in (
        ("uvicorn", ("up",), "server"),
        ("psycopg", ("grants", "list"), "server,postgres"),
        ("psycopg", ("doctor",), "server,postgres"),
    ):
        without = f"import sys; sys.modules[{package!r}] = None; from grantflow.cli import main; main()"
        call = [sys.executable, "-c", without, *command]
        ended = subprocess.run(call, capture_output=True, text=True, check=False, env=env)
        assert ended.returncode == 1
        assert f'in a clone of Grantflow: pip install ".[{extras}]"' in " ".join(ended.stderr.split())
        assert package in ended.stderr


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -c 'from grantflow.cli import main; main()' keys new | true"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("environ", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"CLICOLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"CLICOLOR_FORCE": "0"}, False, False),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colour_is_where_it_is_wanted(environ: dict[str, str], terminal: bool, coloured: bool) -> None:
    class Stream:
        def isatty(self) -> bool:
            return terminal

    assert has_colour(Stream(), environ) is coloured  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "GET /oauth?code=SECRET&state=SECRET",
        "Authorization: Bearer SECRET",
        "Authorization: Basic SECRET=",
        '{"access_token": "SECRET", "refresh_token": "SECRET"}',
        "{'client_secret': 'SECRET'}",
        "password=SECRET",
        "gfk_SECRET",
        "gfc_SECRET",
        f"token {'SECRET' * 10}abcd_LG01_0b6f2a30-6d8e-4a37-9d0e-3f1f0f1f2f3f",
    ],
)
def test_s94_secrets_are_struck_out_of_whatever_is_logged(text: str) -> None:
    assert "SECRET" not in redacted(text)


TOKEN = f"{'Token0==' * 8}_LG01_0b6f2a30-6d8e-4a37-9d0e-3f1f0f1f2f3f"


@pytest.mark.parametrize("secret", [TOKEN, "ab" * 32, "gfk_SECRET", "code=SECRET", "client_secret: SECRET"])
@pytest.mark.parametrize("percent", ["%", "%25", "%2525"])
@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_s94_a_secret_that_is_percent_encoded_in_an_address_is_struck_out_too(
    secret: str, percent: str, case: Callable[[str], str]
) -> None:
    spelled = [case(f"{percent}{ord(letter):02x}") for letter in secret]
    for every in (1, 2, 7):
        path = "".join(letter if at % every else spelled[at] for at, letter in enumerate(secret))
        shown = redacted(f":9000 GET /v1/people/{path.replace(' ', '')} 404 1.2 ms")
        assert shown.startswith(":9000 GET /v1/people/")
        assert shown.endswith("*** 404 1.2 ms")
        assert "SECRET" not in shown


def test_an_encoded_newline_or_slash_of_an_address_stays_encoded_in_the_log() -> None:
    assert redacted("GET /a%0Ab%2Fc%00%7F%25%c3%a9 404") == "GET /a%0Ab%2Fc%00%7F%25%c3%a9 404"


def test_s94_whoever_logs_a_secret_logs_stars(grantflow: CommandLine) -> None:
    set_up(verbose=False, debug=True)
    try:
        raise ValueError("refused: code=SECRET")
    except ValueError:
        logging.getLogger("any.library").exception("password=SECRET")
    assert "SECRET" not in grantflow.capsys.readouterr().err


def test_nobody_forges_a_line_of_the_log(grantflow: CommandLine) -> None:
    set_up(verbose=False, debug=False)
    logging.getLogger("grantflow.web").warning("GET %s was refused", "/x\n12:00:00 INFO all is well\x1b[31m")
    (line,) = grantflow.capsys.readouterr().err.splitlines()
    assert r"/x\n12:00:00 INFO all is well\x1b[31m was refused" in line


HOSTILE = "\x1b]0;owned\x07\x1b[31mred\r\nfake@webex.bot\tFake\x9b31m\x7f\u202e\u2066\u2028\ud800"


@pytest.mark.parametrize("terminal", [False, True])
def test_nobody_forges_a_row_of_a_list_or_steers_the_terminal_that_shows_it(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    write_table(("EMAIL", "DESCRIPTION"), [("lockbot@webex.bot", HOSTILE)])
    out = grantflow.capsys.readouterr().out
    assert len(out.splitlines()) == 1 + terminal
    assert out.count("\t") == (0 if terminal else 1)
    assert all(c.isprintable() or c in "\n\t" for c in out)
    assert r"\x1b[31mred\r\nfake@webex.bot\tFake\x9b31m\x7f\u202e\u2066\u2028\ud800" in out


@pytest.mark.parametrize("terminal", [False, True])
def test_spaces_of_every_width_stay_in_a_name(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    write_table(("NAME", "STATUS"), [("\u5c71\u7530\u3000\u592a\u90ce", "active"), ("Zo\xe9\xa0K", "active")])
    out = grantflow.capsys.readouterr().out
    assert "\u5c71\u7530\u3000\u592a\u90ce" in out
    assert "Zo\xe9\xa0K" in out


def test_json_escapes_what_a_terminal_acts_on_and_keeps_all_else(grantflow: CommandLine) -> None:
    write_json({"description": HOSTILE, "name": "Zoë 👩"})
    out = grantflow.capsys.readouterr().out
    assert out.removesuffix("\n").isprintable()
    assert "Zoë 👩" in out
    assert json.loads(out) == {"description": HOSTILE, "name": "Zoë 👩"}


@pytest.mark.parametrize(
    "text", ["status code 400", "GET /v1/people/me 200 1.2 ms", "client C" + "ab" * 32, "refused with invalid_grant"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_what_is_wrong_with_a_path_that_is_wider_than_the_terminal_stands_below_it() -> None:
    lines = "\n".join(aligned([("/a" * 60, "said in many words " * 5), ("short", "said")], width=80)).split("\n")
    assert lines[0] == "  " + "/a" * 60
    assert all(line.startswith(" " * 50) and len(line) <= 80 for line in lines[1:-1])
    assert lines[-1] == "  short".ljust(50) + "said"
    assert aligned([("/a" * 60, ""), ("short", "")], width=80) == ["  " + "/a" * 60, "  short"], "and no blanks"
