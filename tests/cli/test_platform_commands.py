"""`grantflow platform person | app | grant ...` on a data directory."""

import asyncio
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from grantflow.cli.administration import storage_of
from grantflow.data_directory import DataDirectory, write_private
from grantflow.protocol.registration import CLIENT_ID, CLIENT_SECRET
from grantflow.protocol.secret import Secret
from grantflow.resource_owner.passwords import is_right
from tests.cli.conftest import CommandLine

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSWORD = re.compile(r"([a-z2-9]{4}-){3}[a-z2-9]{4}")
APP = ("app", "add", "Space Helper", "--redirect-uri", "https://app.example.com/oauth", "--scopes", "spark:people_read")


def add_ada(grantflow: CommandLine, *options: str) -> Any:
    return grantflow.platform("person", "add", "Ada@Example.com", "--name", "Ada Lovelace", *options)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("person", "Nobody can sign in yet."),
        ("app", "No integration is registered yet."),
        ("bot", "There is no bot yet."),
        ("grant", "Nobody has granted anything yet."),
    ],
)
def test_a_list_with_nothing_in_it_says_so(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, what: str, said: str, terminal: bool
) -> None:
    async def begin() -> None:
        async with storage_of(DataDirectory(grantflow.directory), create=True):
            """As `platform serve` does."""

    asyncio.run(begin())
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    ended = grantflow.platform(what, "list")
    assert (ended.code, ended.out, ended.err) == (0, "", f"{said}\n")
    assert grantflow.platform(what, "list", "--json").json == []


def test_a_list_of_grants_of_one_person_says_that_they_have_none(grantflow: CommandLine) -> None:
    add_ada(grantflow)
    ended = grantflow.platform("grant", "list", "--person", "ada@example.com")
    assert (ended.code, ended.out, ended.err) == (0, "", "Nothing of that kind is granted.\n")


# --- people ------------------------------------------------------------------------------------------------------


def test_a_person_is_added_with_a_password_that_is_shown_this_one_time(grantflow: CommandLine) -> None:
    added = add_ada(grantflow)
    assert added.code == 0
    assert PASSWORD.fullmatch(added.out.strip())  # alone on stdout, so that a script can take it
    assert "this one time" in added.err
    assert "ada@example.com" in added.err


def test_a_person_is_listed_without_any_password(grantflow: CommandLine) -> None:
    add_ada(grantflow, "--admin")
    (listed,) = grantflow.platform("person", "list", "--json").json
    assert {**listed, "id": "", "created": ""} == {
        "id": "",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "admin": True,
        "created": "",
    }
    assert grantflow.platform("person", "list").out == "ada@example.com\tAda Lovelace\tadmin\n"


def test_a_password_of_ones_own_is_read_from_standard_input_and_not_shown(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    added = add_ada(grantflow, "--password-stdin", "--json")
    assert "password" not in added.json
    assert "correct horse" not in added.out + added.err


@pytest.mark.parametrize(
    ("typed", "what", "code"),
    [("short\n", "at least 8 characters", 1), ("", "holds no password", 2), ("\n", "holds no password", 2)],
)
def test_an_unfit_password_adds_nobody(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, typed: str, what: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    refused = add_ada(grantflow, "--password-stdin")
    assert (refused.code, refused.out) == (code, "")
    assert what in refused.err
    add_ada(grantflow)


def test_there_is_no_flag_that_takes_a_password(grantflow: CommandLine) -> None:
    assert add_ada(grantflow, "--password", "correct horse").code == 2


def test_an_email_belongs_to_one_person(grantflow: CommandLine) -> None:
    add_ada(grantflow)
    refused = add_ada(grantflow)
    assert refused.code == 1
    assert "belongs to somebody already" in refused.err


def test_all_people_of_a_platform_are_of_one_organization(grantflow: CommandLine) -> None:
    import sqlite3

    add_ada(grantflow)
    grantflow.platform("person", "add", "grace@example.com", "--name", "Grace Hopper")
    with sqlite3.connect(DataDirectory(grantflow.directory).database) as database:
        assert database.execute("SELECT count(DISTINCT org_id), count(*) FROM people").fetchone() == (1, 2)
    database.close()


def signs_in(grantflow: CommandLine, email: str, password: str) -> bool:
    async def check() -> bool:
        async with storage_of(DataDirectory(grantflow.directory)) as storage:
            credentials = await storage.people.credentials(email)
            return credentials is not None and is_right(Secret(password), credentials.password_hash)

    return asyncio.run(check())


def test_a_person_is_given_another_password_that_is_made_up_or_read_from_standard_input(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add_ada(grantflow).out.strip()
    changed = grantflow.platform("person", "password", "Ada@Example.com")
    second = changed.out.strip()
    assert (changed.code, bool(PASSWORD.fullmatch(second))) == (0, True)
    assert "signed out everywhere" in changed.err
    assert "this one time" in changed.err
    assert not signs_in(grantflow, "ada@example.com", first)
    assert signs_in(grantflow, "ada@example.com", second)

    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    chosen = grantflow.platform("person", "password", "ada@example.com", "--password-stdin", "--json")
    assert "password" not in chosen.json
    assert "correct horse" not in chosen.out + chosen.err
    assert signs_in(grantflow, "ada@example.com", "correct horse battery")


def test_another_password_ends_every_session_of_that_person_and_nobody_elses(grantflow: CommandLine) -> None:
    add_ada(grantflow)
    grantflow.platform("person", "add", "grace@example.com", "--name", "Grace Hopper")

    async def sessions(*, begin: bool) -> list[bool]:
        async with storage_of(DataDirectory(grantflow.directory)) as storage:
            people = await storage.people.list(limit=2)
            for number, person in enumerate(people if begin else ()):
                await storage.sessions.begin(
                    bytes([number]), person_id=person.id, now=NOW, expires_at=NOW + timedelta(1), instead_of=None
                )
            return [await storage.sessions.find(bytes([number]), now=NOW) is not None for number in range(2)]

    assert asyncio.run(sessions(begin=True)) == [True, True]
    assert grantflow.platform("person", "password", "ada@example.com").code == 0
    assert asyncio.run(sessions(begin=False)) == [False, True]


@pytest.mark.parametrize(
    ("email", "typed", "what", "code"),
    [
        ("nobody@example.com", "correct horse battery\n", "Nobody here has the email nobody@example.com", 1),
        ("ada@example.com", "short\n", "at least 8 characters", 1),
        ("ada@example.com", "", "holds no password", 2),
    ],
)
def test_an_unfit_password_or_email_changes_nobodys(
    grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, email: str, typed: str, what: str, code: int
) -> None:
    before = add_ada(grantflow).out.strip()
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    refused = grantflow.platform("person", "password", email, "--password-stdin")
    assert (refused.code, refused.out) == (code, "")
    assert what in refused.err
    assert signs_in(grantflow, "ada@example.com", before)


def test_no_flag_or_argument_takes_another_password_or_repeats_it(grantflow: CommandLine) -> None:
    add_ada(grantflow)
    for words in (("correct horse battery",), ("--password", "correct horse battery")):
        ended = grantflow.platform("person", "password", "ada@example.com", *words)
        assert ended.code == 2
        assert "correct horse" not in ended.err
        assert "--password-stdin" in " ".join(ended.err.split())


def test_an_email_that_is_taken_is_told_with_the_command_that_sets_that_persons_password(
    grantflow: CommandLine,
) -> None:
    add_ada(grantflow)
    assert "grantflow platform person password ada@example.com" in " ".join(add_ada(grantflow).err.split())


# --- integrations ------------------------------------------------------------------------------------------------


def test_w05_w06_an_integration_is_given_a_client_id_and_a_secret_that_is_shown_this_one_time(
    grantflow: CommandLine,
) -> None:
    added = grantflow.platform(*APP, "--json").json
    assert CLIENT_ID.fullmatch(added["client_id"])
    assert CLIENT_SECRET.fullmatch(added["client_secret"])
    assert added["redirect_uris"] == ["https://app.example.com/oauth"]
    (listed,) = grantflow.platform("app", "list", "--json").json
    assert listed == {name: value for name, value in added.items() if name != "client_secret"}


def test_a_public_integration_has_no_secret_and_is_strict(grantflow: CommandLine) -> None:
    added = grantflow.platform(*APP, "--public", "--json").json
    assert (added["client_secret"], added["client_type"], added["profile"]) == (None, "public", "strict")


def test_w18_redirect_uris_come_repeatedly_or_separated_by_commas(grantflow: CommandLine) -> None:
    uris = ["https://a.example/x", "https://b.example/y,z", "https://c.example/"]
    added = grantflow.platform(*APP, "--redirect-uri", ", ".join(uris[:2]), "--redirect-uri", uris[2], "--json")
    assert added.json["redirect_uris"] == ["https://app.example.com/oauth", *uris]


def test_an_owner_publishes_it(grantflow: CommandLine) -> None:
    assert grantflow.platform(*APP, "--owner", "ada@example.com").code == 1
    add_ada(grantflow)
    assert grantflow.platform(*APP, "--owner", "ada@example.com").code == 0


@pytest.mark.parametrize(
    ("changed", "flag", "what"),
    [
        (("--redirect-uri", "http://app.example.com/oauth"), "--redirect-uri", "use https"),
        (("--redirect-uri", "javascript:alert(1)"), "--redirect-uri", "never a redirect URI"),
        (("--redirect-uri", "http://localhost:8000/oauth"), "--redirect-uri", "use https"),
        (("--scopes", "everything"), "--scopes", "spark:people_read"),
        (("--contact-email", "nobody"), "--contact-email", "name@example.com"),
        (("--site-url", "ftp://x"), "--site-url", "web address"),
    ],
)
def test_what_is_wrong_is_said_flag_by_flag_and_nothing_is_registered(
    grantflow: CommandLine, changed: tuple[str, str], flag: str, what: str
) -> None:
    given = dict(zip(APP[3::2], APP[4::2], strict=True)) | dict([changed])
    refused = grantflow.platform(*APP[:3], *(word for pair in given.items() for word in pair))
    assert (refused.code, refused.out) == (1, "")
    assert re.search(rf"^  {flag} ", refused.err, re.MULTILINE)
    assert what in " ".join(refused.err.split())
    assert grantflow.platform("app", "list", "--json").json == []


def test_http_localhost_is_for_sandboxes_alone_where_it_needs_no_note(grantflow: CommandLine) -> None:
    directory = DataDirectory(grantflow.directory)
    directory.create()
    write_private(directory.sandbox, b"{}")
    added = grantflow.platform(*APP[:3], "--redirect-uri", "http://localhost:8000/oauth", "--scopes", "spark:all")
    assert added.code == 0
    assert "note:" not in added.err
    warned = grantflow.platform("app", "add", "Mobile", "--redirect-uri", "mydemoapp://oauth", "--scopes", "spark:all")
    assert "note: Another app on the device can claim mydemoapp:" in warned.err


def test_a_name_is_taken_once(grantflow: CommandLine) -> None:
    grantflow.platform(*APP)
    refused = grantflow.platform(*APP)
    assert refused.code == 1
    assert "Another integration has this name already" in refused.err


# --- what is not there -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("person", "list"), ("app", "list"), ("grant", "list")])
def test_where_there_is_no_platform_none_is_made_by_looking(grantflow: CommandLine, command: tuple[str, str]) -> None:
    refused = grantflow.platform(*command)
    assert refused.code == 1
    assert "There is no platform in" in refused.err
    assert not grantflow.directory.exists()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--person", "nobody@example.com"), "Nobody here has the email nobody@example.com"),
        (("--person", "ada@example.com", "--app", "Nothing"), "No integration here has the client ID or name Nothing"),
    ],
)
def test_whom_and_what_nobody_knows_is_said(grantflow: CommandLine, options: tuple[str, ...], what: str) -> None:
    add_ada(grantflow)
    refused = grantflow.platform("grant", "revoke", *options)
    assert refused.code == 1
    assert what in refused.err


def test_taking_away_what_was_never_granted_changes_nothing_and_succeeds(grantflow: CommandLine) -> None:
    add_ada(grantflow)
    assert grantflow.platform("grant", "revoke", "--person", "ada@example.com", "--json").json == {"revoked": []}
