"""`grantflow platform bot ...` on a data directory."""

import re
from typing import Any

import pytest

from grantflow.data_directory import DataDirectory
from tests.cli.conftest import CommandLine, Ended

pytestmark = pytest.mark.slow

TOKEN = re.compile(r"[A-Za-z0-9]{64}_LG01_[0-9a-f-]{36}")
BOT = ("bot", "add", "LockBot", "--name", "Lock Bot")


@pytest.fixture
def bot(grantflow: CommandLine) -> Ended:
    grantflow.platform("person", "add", "ada@example.com", "--name", "Ada Lovelace")
    return grantflow.platform(*BOT)


def test_w04_a_bot_is_added_with_a_token_that_is_shown_this_one_time(grantflow: CommandLine, bot: Ended) -> None:
    assert bot.code == 0
    assert TOKEN.fullmatch(bot.out.strip())  # alone on stdout, so that a script can take it
    assert "lockbot@webex.bot" in bot.err
    assert "this one time" in bot.err
    (listed,) = grantflow.platform("bot", "list", "--json").json
    assert {**listed, "id": "", "created": ""} == {
        "id": "",
        "username": "lockbot",
        "email": "lockbot@webex.bot",
        "name": "Lock Bot",
        "description": "",
        "created": "",
    }
    assert grantflow.platform("bot", "list").out == "lockbot@webex.bot\tLock Bot\t\n"
    database = b"".join(path.read_bytes() for path in grantflow.directory.glob("platform.db*"))
    assert bot.out.strip().encode() not in database


def test_a_bot_is_of_the_organization_of_the_people_here_and_no_person(grantflow: CommandLine, bot: Ended) -> None:
    assert bot.code == 0
    assert [each["email"] for each in grantflow.platform("person", "list", "--json").json] == ["ada@example.com"]
    assert rows(grantflow, "SELECT count(DISTINCT org_id), count(*) FROM people") == [(1, 2)]


def test_a_new_token_is_another_and_the_old_one_is_gone(grantflow: CommandLine, bot: Ended) -> None:
    renewed = grantflow.platform("bot", "regenerate", "lockbot@webex.bot", "--json").json
    assert TOKEN.fullmatch(renewed["access_token"])
    assert renewed["access_token"] != bot.out.strip()
    assert rows(grantflow, "SELECT count(*) FROM access_tokens") == [(1,)]


def test_a_deleted_bot_is_listed_no_more_and_its_username_stays_taken(grantflow: CommandLine, bot: Ended) -> None:
    assert bot.code == 0
    assert grantflow.platform("bot", "delete", "LockBot", "--json").json["deleted"]["username"] == "lockbot"
    assert grantflow.platform("bot", "list", "--json").json == []
    assert rows(grantflow, "SELECT count(*) FROM access_tokens") == [(0,)]
    again = grantflow.platform(*BOT)
    assert (again.code, again.out) == (1, "")
    assert "or had it once" in again.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("bot", "add", "lock bot", "--name", "x"), "single dots"),
        (("bot", "add", "x", "--name", " "), "needs a name"),
        (("bot", "add", "x", "--name", "X", "--owner", "eve@example.com"), "Nobody here has the email"),
        (("bot", "regenerate", "nobody"), "No bot here has the username nobody"),
        (("bot", "delete", "nobody"), "No bot here has the username nobody"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    grantflow: CommandLine, bot: Ended, words: tuple[str, ...], what: str
) -> None:
    refused = grantflow.platform(*words)
    assert (refused.code, refused.out) == (1, "")
    assert what in " ".join(refused.err.split())
    assert rows(grantflow, "SELECT count(*) FROM bots") == [(1,)]


def test_without_anybody_there_is_no_organization_for_a_bot(grantflow: CommandLine, bot: Ended) -> None:
    assert bot.code == 0
    rows(grantflow, "DELETE FROM people WHERE type = 'person'")
    refused = grantflow.platform("bot", "add", "other", "--name", "Other")
    assert refused.code == 1
    assert "Add the first person before it" in " ".join(refused.err.split())


def rows(grantflow: CommandLine, sql: str) -> Any:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(DataDirectory(grantflow.directory).database, isolation_level=None)) as database:
        return database.execute(sql).fetchall()
