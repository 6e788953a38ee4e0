"""`grantflow platform grant revoke` on a data directory: one person's grants, one integration's, and nobody else's."""

import io
import sqlite3
from contextlib import closing

import pytest

from grantflow.data_directory import DataDirectory
from tests.cli.conftest import CommandLine

PEOPLE = ("ada", "bob")
APPS = ("LockBot", "Standup")
EVERYTHING = {("ada", "LockBot"), ("ada", "Standup"), ("bob", "LockBot"), ("bob", "Standup")}


@pytest.fixture
def granted(grantflow: CommandLine) -> CommandLine:
    """Two people who granted two integrations each."""
    for name in PEOPLE:
        grantflow.platform("person", "add", f"{name}@example.com", "--name", name.title())
    for app in APPS:
        uri = f"https://{app.lower()}.example.com/oauth"
        grantflow.platform("app", "add", app, "--redirect-uri", uri, "--scopes", "spark:people_read")
    with closing(sqlite3.connect(DataDirectory(grantflow.directory).database, isolation_level=None)) as database:
        database.execute(
            "INSERT INTO grants (id, person_id, client_id, scopes, remembered, created_at, last_used_at) "
            "SELECT p.email || i.name, p.id, i.client_id, i.scopes, 1, 1, 1 FROM people p, integrations i"
        )
    return grantflow


def left(grantflow: CommandLine) -> set[tuple[str, str]]:
    listed = grantflow.platform("grant", "list", "--json").json
    return {(each["person"].partition("@")[0], each["app"]) for each in listed}


@pytest.mark.parametrize(
    ("named", "ended"),
    [
        (("--person", "ada@example.com"), {("ada", "LockBot"), ("ada", "Standup")}),
        (("--app", "lockbot"), {("ada", "LockBot"), ("bob", "LockBot")}),
        (("--person", "ada@example.com", "--app", "LockBot"), {("ada", "LockBot")}),
    ],
)
def test_w02_one_person_s_or_one_integration_s_grants_are_revoked_and_no_others(
    granted: CommandLine, named: tuple[str, ...], ended: set[tuple[str, str]]
) -> None:
    revoked = granted.platform("grant", "revoke", *named, "--json").json["revoked"]
    assert {(each["person"].partition("@")[0], each["app"]) for each in revoked} == ended
    assert left(granted) == EVERYTHING - ended
    again = granted.platform("grant", "revoke", *named)
    assert again.code == 0
    assert "there was nothing to revoke" in again.err


def test_a_dry_run_says_exactly_what_would_be_lost_and_changes_nothing(granted: CommandLine) -> None:
    said = granted.platform("grant", "revoke", "--app", "LockBot", "--dry-run")
    assert said.code == 0
    assert said.err.splitlines() == [
        "LockBot loses access to the account of ada@example.com.",
        "LockBot loses access to the account of bob@example.com.",
        "2 people must grant again, to 1 integration.",
        "Nothing was changed.",
    ]
    planned = granted.platform("grant", "revoke", "--person", "ada@example.com", "--dry-run", "--json").json
    assert [each["app"] for each in planned["would_revoke"]] == ["LockBot", "Standup"]
    assert left(granted) == EVERYTHING


@pytest.mark.parametrize(("answer", "code", "kept"), [("n\n", 2, True), ("\n", 2, True), ("y\n", 0, False)])
def test_on_a_terminal_people_are_told_what_is_lost_and_asked(
    granted: CommandLine, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, kept: bool
) -> None:
    monkeypatch.setattr("sys.stdin", Typed(answer))
    monkeypatch.setattr("grantflow.cli.administration.sys.stderr.isatty", lambda: True, raising=False)
    asked = granted.platform("grant", "revoke", "--person", "bob@example.com")
    assert asked.code == code
    assert "1 person must grant again, to 2 integrations." in asked.err
    assert (left(granted) == EVERYTHING) == kept


def test_yes_asks_nothing(granted: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Typed(""))
    monkeypatch.setattr("grantflow.cli.administration.sys.stderr.isatty", lambda: True, raising=False)
    assert granted.platform("grant", "revoke", "--app", "Standup", "--yes").code == 0
    assert left(granted) == {("ada", "LockBot"), ("bob", "LockBot")}


def test_of_many_losses_twenty_are_named_and_the_others_counted(
    granted: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grantflow.cli.grant.SHOWN", 1)
    said = granted.platform("grant", "revoke", "--person", "ada@example.com", "--dry-run").err.splitlines()
    assert said[1:3] == ["... and 1 more.", "1 person must grant again, to 2 integrations."]


def test_whose_grants_must_be_said(granted: CommandLine) -> None:
    refused = granted.platform("grant", "revoke", "--yes")
    assert refused.code == 2
    assert "Say --person EMAIL, --app APP, or both" in refused.err
    assert left(granted) == EVERYTHING


class Typed:
    """A terminal at which this is typed."""

    def __init__(self, text: str) -> None:
        self._text = text

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._text


@pytest.mark.parametrize("by", ["name", "client_id"])
def test_a_deleted_integration_takes_its_grants_along_and_its_name_is_free_again(granted: CommandLine, by: str) -> None:
    app = next(each for each in granted.platform("app", "list", "--json").json if each["name"] == APPS[0])
    deleted = granted.platform("app", "delete", app[by], "--yes", "--json").json
    assert (deleted["deleted"]["client_id"], deleted["grants_ended"]) == (app["client_id"], len(PEOPLE))
    assert {name for _, name in left(granted)} == set(APPS[1:])
    assert APPS[0] not in {each["name"] for each in granted.platform("app", "list", "--json").json}
    uri = ("--redirect-uri", "https://a.example/oauth", "--scopes", "spark:people_read")
    assert granted.platform("app", "add", APPS[0], *uri).code == 0
    assert APPS[0] not in {name for _, name in left(granted)}


def test_deleting_says_what_ended_and_what_is_not_there(granted: CommandLine) -> None:
    assert f"the grants of {len(PEOPLE)} people to it have ended" in granted.platform("app", "delete", APPS[0]).err
    refused = granted.platform("app", "delete", APPS[0])
    assert (refused.code, refused.out) == (1, "")
    assert f"No integration here has the client ID or name {APPS[0]}." in refused.err


def test_before_an_integration_is_deleted_people_are_told_what_is_lost_and_asked(
    granted: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    monkeypatch.setattr("grantflow.cli.administration.sys.stderr", Terminal())
    before = left(granted)
    assert granted.platform("app", "delete", APPS[0]).code == 2
    assert left(granted) == before
