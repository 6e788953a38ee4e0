"""`grantflow grants ...`: what an operator sees of the grants of one's own integration, and does with them."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import ExistingTokens, GrantflowError, Integration, Person, Status, TransientTokenError
from grantflow.protocol.secret import Secret
from tests.cli.conftest import CommandLine
from tests.cli.grants import Own, own
from tests.client.foreign import Answer

pytestmark = pytest.mark.slow


@pytest.fixture
def here(grantflow: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Own]:
    with own(tmp_path, monkeypatch) as made:
        yield made


def refuse(here: Own, person: str) -> None:
    """The platform ends the grant, and the next refresh meets it."""
    for line in here.platform.lines:
        line.alive = line.alive and line.person != person
    with here.integration() as integration, suppress(GrantflowError):
        integration.refresh(f"id-{person}")


def id_of(here: Own, person: str, owner: str | None = None) -> str:
    with here.integration() as integration:
        grant = integration.grant(f"id-{person}", owner=owner)
        assert grant is not None
        return grant.id


def status_of(here: Own, person: str) -> Status:
    with here.integration() as integration:
        grant = integration.grant(f"id-{person}")
        assert grant is not None
        return grant.status


def tokens_in(here: Own) -> list[str]:
    return [token for line in here.platform.lines for token in (line.refresh, *line.access)]


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_grants_are_listed_with_who_whether_they_work_and_when_they_end(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "grace")
    here.grant("ada", owner="user-17")
    refuse(here, "grace")
    listed = grantflow("grants", "list")
    end = re.compile(r"(?<=\t)20\d\d-\d\d-\d\d(?=\t)")
    assert [end.sub("END", line) for line in listed.out.splitlines()] == [
        f"ada@example.org\tactive\tEND\t{id_of(here, 'ada')}\t",
        f"grace@example.org\trefused\tEND\t{id_of(here, 'grace')}\t",
        f"ada@example.org\tactive\tEND\t{id_of(here, 'ada', 'user-17')}\tuser-17",
    ]
    with here.integration() as integration:
        ends = sorted(f"{grant.refresh_expires_at:%Y-%m-%d}" for grant in integration.grants())
    assert sorted(end.findall(listed.out)) == ends
    assert [grant["status"] for grant in grantflow("grants", "list", "--json").json] == [
        *("ACTIVE", "REAUTHORIZATION_REQUIRED"),
        "ACTIVE",
    ]
    assert [each["email"] for each in grantflow("grants", "list", "--status", "refused", "--json").json] == [
        "grace@example.org"
    ]
    assert len(grantflow("grants", "list", "--status", "refused", "--status", "active", "--json").json) == 3
    (named,) = grantflow("grants", "list", "--status", "REAUTHORIZATION_REQUIRED", "--json").json
    assert named["email"] == "grace@example.org", "the words of --json serve as well"
    assert [each["owner"] for each in grantflow("grants", "list", "--owner", "user-17", "--json").json] == ["user-17"]


def test_whoami_names_a_grant_without_an_address_as_the_list_of_grants_does(grantflow: CommandLine, here: Own) -> None:
    here.line("ada")
    with here.integration() as integration:
        integration.adopt("refresh-of-ada", person="id-ada")
    first = [grantflow(*command).out.partition("\t")[0] for command in (("grants", "list"), ("whoami",))]
    assert first == ["id-ada", "id-ada"]


def test_where_there_is_nothing_to_list_that_is_said(grantflow: CommandLine, here: Own) -> None:
    with here.integration():
        pass  # nobody has granted
    empty = grantflow("grants", "list")
    assert (empty.code, empty.out, empty.err) == (0, "", "Nobody has granted here yet.\n")
    assert grantflow("grants", "list", "--json").json == []
    assert grantflow("grants", "list", "--status", "revoked").err == "There is no such grant here.\n"
    assert '"active", "delayed", "refused", "revoked"' in grantflow("grants", "list", "--status", "dead").err


def test_more_than_a_page_of_grants_is_listed_page_by_page(
    grantflow: CommandLine, here: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    with here.integration() as integration:
        integration.adopt_all(
            [
                ExistingTokens(refresh_token=Secret(f"refresh-{number}"), person=Person(f"id-{number:04}"))
                for number in range(1_100)
            ]
        )
    limits: list[int] = []
    ask = Integration.page_of_grants

    def watched(self: Integration, **wanted: Any) -> Any:
        limits.append(wanted["limit"])
        return ask(self, **wanted)

    monkeypatch.setattr(Integration, "page_of_grants", watched)
    monkeypatch.setattr(Integration, "grants", None)
    lines = grantflow("grants", "list").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [f"id-{number:04}" for number in range(1_100)]
    assert limits == [500] * 4
    assert len(grantflow("grants", "list", "--json").json) == 1_100


def test_everything_that_is_known_of_a_person_is_shown_but_no_token(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada")
    here.grant("ada", owner="user-17")
    refuse(here, "ada")
    shown = grantflow("grants", "show", "ada@example.org")
    text = " ".join(shown.out.split())
    assert "Status refused: refused by the platform; the person must grant again" in text
    assert "Reason the token endpoint answered 400: invalid_grant" in text
    assert f"/connect?grant={id_of(here, 'ada')}" in text
    assert "Owner user-17" in text
    assert "(in 89 days), if nobody uses it" in text
    assert not any(token in shown.out for token in tokens_in(here))
    asked = grantflow("grants", "show", "id-ada", "--owner", "user-17", "--json")
    assert [grant["owner"] for grant in asked.json] == ["user-17"]
    assert not any(token in asked.out for token in tokens_in(here))
    missing = grantflow("grants", "show", "nobody@example.org")
    assert missing.code == 4
    assert "No grant of nobody@example.org is here." in missing.err


# --- who is meant -----------------------------------------------------------------------------------------------------


def test_one_person_with_two_grants_is_told_apart_by_the_grants_ids(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "grace")
    here.grant("ada", owner="user-17")
    told = grantflow("token")
    assert (told.code, told.out) == (2, "")
    assert "More than one grant is here: say which is meant." in told.err
    rows = [" ".join(line.split()) for line in told.err.splitlines()]
    assert f"{id_of(here, 'ada')} ada@example.org Ada" in rows
    assert f"{id_of(here, 'ada', 'user-17')} ada@example.org Ada (owner user-17)" in rows
    assert "grace@example.org Grace" in rows
    assert grantflow("token", id_of(here, "ada", "user-17")).code == 0


def test_refused_grants_stand_in_nobodys_way_where_one_alone_works(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "edsger", "grace")
    for person in ("edsger", "grace"):
        refuse(here, person)
    with here.integration() as integration:
        ada = integration.access_token("id-ada").token.reveal()
    assert grantflow("token").out == f"{ada}\n"
    ending = grantflow("logout")
    assert ending.code == 2, "what is ended for good has to be named"
    assert status_of(here, "ada") is Status.ACTIVE


def test_an_owner_in_the_place_of_the_person_is_known_and_the_grants_id_is_told(
    grantflow: CommandLine, here: Own
) -> None:
    here.grant("ada", owner="user-17")
    told = grantflow("grants", "explain", "user-17")
    assert told.code == 2
    assert "No grant of a person user-17 is here, but user-17 is an owner" in " ".join(told.err.split())
    assert f"{id_of(here, 'ada', 'user-17')}  ada@example.org  Ada" in told.err
    other = grantflow("grants", "explain", "id-ada", "--owner", "user-18")
    assert "No grant of id-ada is here for the owner user-18." in other.err


def test_the_grants_that_end_soon_are_listed_with_what_to_do(grantflow: CommandLine, here: Own) -> None:
    here.grant("late")
    here.grant("soon", days_ago=85.5)
    here.grant("over", days_ago=100)
    with here.integration() as integration:
        integration.adopt("refresh-endless", person="id-endless")
    listed = grantflow("grants", "expiring")
    rows = [line.split("\t") for line in listed.out.splitlines()]
    assert [(row[0], row[2]) for row in rows] == [("over@example.org", "over"), ("soon@example.org", "4 days")]
    assert "2 grants end within 30 days if nobody uses them." in listed.err
    assert "grantflow grants keep-alive --days 30" in listed.err
    assert "Of some grants the platform has told no end" in listed.err
    assert [each["email"] for each in grantflow("grants", "expiring", "--days", "100", "--json").json] == [
        *("over@example.org", "soon@example.org"),
        "late@example.org",
    ]


# --- what is done -----------------------------------------------------------------------------------------------------


def test_a_grant_is_renewed_and_the_ends_are_told(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada")
    told = grantflow("grants", "refresh", "ada@example.org")
    assert (told.code, told.out) == (0, "")
    assert "The grant of Ada is renewed. Its access token lives until 20" in told.err
    assert grantflow("grants", "refresh", id_of(here, "ada"), "--json").json["generation"] == 3
    assert here.platform.counts["refresh"] == 2
    refuse(here, "ada")
    refused = grantflow("grants", "refresh", "id-ada")
    assert refused.code == 4
    assert "grant again" in refused.err or "grant access" in refused.err


def test_where_a_person_has_several_grants_one_must_be_named(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada")
    here.grant("ada", owner="user-17")
    told = grantflow("grants", "refresh", "ada@example.org")
    assert told.code == 2
    assert id_of(here, "ada") in told.err
    assert id_of(here, "ada", "user-17") in told.err
    assert here.platform.counts["refresh"] == 0
    assert grantflow("grants", "refresh", "ada@example.org", "--owner", "user-17").code == 0
    assert grantflow("grants", "refresh", id_of(here, "ada")).code == 0


def test_where_one_of_several_must_be_named_it_is_told_how(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "grace")
    for command in (["token"], ["api", "GET", "people/me"], ["logout"]):
        told = grantflow(*command)
        assert told.code == 2
        assert "Say it as PERSON, behind the command; to grantflow api, as --person PERSON." in told.err
    assert grantflow("api", "GET", "people/me", "--person", "ada@example.org").code == 0


def test_every_time_in_json_is_written_alike(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada")
    grantflow("callers", "add", "deploy", "--grant", "ada@example.org")
    for command in (
        ["grants", "list"],
        ["keys", "status"],
        ["callers", "list"],
        ["token"],
        ["grants", "explain", "id-ada"],
    ):
        times = re.findall(r'"(20\d\d-[^"]*)"', grantflow(*command, "--json").out)
        assert times, command
        assert [time for time in times if not re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", time)] == [], command


def test_an_operator_revokes_here_and_at_the_platform(
    grantflow: CommandLine, here: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.grant("ada", "grace")
    told = grantflow("grants", "revoke", "ada@example.org")
    assert told.code == 0
    assert "revoked at the platform and forgotten here" in told.err
    assert status_of(here, "ada") is Status.REVOKED
    with here.integration() as integration:
        assert integration.history("id-ada")[-1].actor == "operator"
    here.platform.revocation_status = 503
    away = grantflow("grants", "revoke", "grace@example.org", "--json")
    assert (away.code, away.json["at_platform"]) == (5, False)
    assert status_of(here, "grace") is Status.REVOKED


@pytest.mark.parametrize("command", [("grants", "revoke"), ("logout",)])
def test_to_end_what_had_ended_before_is_well_and_said_so(
    grantflow: CommandLine, here: Own, command: tuple[str, ...]
) -> None:
    here.grant("ada", "grace")
    for person in ("ada", "grace"):
        refuse(here, person)
    refused = grantflow(*command, "ada@example.org")
    assert (refused.code, refused.err) == (
        0,
        "The platform had refused the grant of Ada already; it is forgotten here.\n",
    )
    again = grantflow(*command, "ada@example.org")
    assert (again.code, again.err) == (0, "The grant of Ada was ended here already.\n")
    assert grantflow(*command, "ada@example.org", "--json").json["had_ended"] is True
    with here.integration() as integration:
        integration._parts.vault.forget_refused(before=datetime.now(UTC) + timedelta(days=1))
    old = grantflow(*command, "grace@example.org")
    assert (old.code, old.err) == (0, "The platform had refused the grant of Grace already; it is forgotten here.\n")


@pytest.mark.parametrize("command", [("grants", "revoke"), ("logout",)])
def test_on_a_terminal_a_revocation_is_asked_about(
    grantflow: CommandLine, here: Own, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    here.grant("ada")
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n")
    told = grantflow(*command, "ada@example.org")
    assert (told.code, status_of(here, "ada")) == (2, Status.ACTIVE)
    assert "Ada must grant again" in told.err
    assert grantflow(*command, "ada@example.org", "--yes").code == 0
    ended = grantflow(*command, "ada@example.org")
    assert (ended.code, ended.err) == (0, "The grant of Ada was ended here already.\n"), "there is nothing to lose"


def test_a_caller_of_a_grant_that_works_no_more_is_added_with_a_warning_of_what_is_to_be_done(
    grantflow: CommandLine, here: Own
) -> None:
    here.grant("ada", "grace", "edsger")
    refuse(here, "ada")
    grantflow("logout", "grace@example.org")
    added = grantflow("callers", "add", "deploy", "--grant", "ada@example.org", "--grant", "edsger@example.org")
    assert (added.code, added.out[:4]) == (0, "gfc_")
    url = f"http://localhost:8000/connect?grant={id_of(here, 'ada')}"
    (warning,) = [line for line in added.err.splitlines() if "warning" in line]
    assert warning == f"warning: deploy gets no token of Ada before they grant again: {url}"
    gone = grantflow("callers", "add", "other", "--grant", "grace@example.org", "--json")
    assert (gone.code, gone.json["name"]) == (0, "other")
    assert gone.err.startswith("warning: other gets no token of Grace: this grant was ended here. Once they have")
    assert grantflow("callers", "add", "third", "--grant", "edsger@example.org").err.count("warning") == 0


def test_explain_tells_which_callers_were_added_and_removed(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "grace")
    key = Secret(grantflow("callers", "add", "deploy", "--grant", "ada@example.org").out.strip()).fingerprint()
    grantflow("callers", "remove", "deploy", "--yes")
    told = " ".join(grantflow("grants", "explain", "ada@example.org").out.split())
    assert f"The caller deploy was given the key {key}, for access tokens of this grant." in told
    assert f"The caller deploy was removed, and the key {key} with it." in told
    assert "Nobody was logged out: the grant works." in told
    assert "deploy" not in grantflow("grants", "explain", "grace@example.org").out


def test_a_refused_token_is_tried_again_and_works_where_the_platform_was_mistaken(
    grantflow: CommandLine, here: Own
) -> None:
    here.grant("ada")
    refuse(here, "ada")
    again = grantflow("grants", "retry", "ada@example.org")
    assert again.code == 4
    here.platform.line("ada").alive = True
    told = grantflow("grants", "retry", "ada@example.org")
    assert told.code == 0
    assert "The grant of Ada works again." in told.err
    assert "The grant of Ada was not refused; it is renewed." in grantflow("grants", "retry", "ada@example.org").err
    assert status_of(here, "ada") is Status.ACTIVE


def test_all_refused_are_tried_one_after_another_and_each_is_told(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "grace", "edsger", "barbara")
    for person in ("ada", "grace", "edsger"):
        refuse(here, person)
    here.platform.line("grace").alive = here.platform.line("edsger").alive = True
    told = grantflow("grants", "retry", "--all-refused")
    assert told.code == 4
    refused = "the refresh token is refused once more (the token endpoint answered 400: invalid_grant)"
    assert f"ada@example.org: {refused}. The person must grant again.\n" in told.err
    assert "2 work again, 1 refused once more." in told.err
    assert "WARNING" not in told.err
    assert here.platform.counts["refresh"] == 6
    assert {status_of(here, person) for person in ("grace", "edsger")} == {Status.ACTIVE}
    again = grantflow("grants", "retry", "--all-refused", "--json")
    assert (again.json["refused"], again.json["alive"], again.json["brake_released"]) == (1, [], False)
    refuse(here, "grace")
    with here.integration() as integration:
        integration._parts.vault.forget_refused(before=datetime.now(UTC) + timedelta(days=1))
    forgotten = grantflow("grants", "retry", "--all-refused")
    assert "its token is not kept any more" in forgotten.err
    assert "2 without a token that could be tried." in forgotten.err


def test_the_brake_is_released_with_it_and_what_was_held_back_is_asked_for(grantflow: CommandLine, here: Own) -> None:
    people = [f"person-{number}" for number in range(24)]
    here.grant(*people)
    for person in people:
        refuse(here, person)
    with here.integration() as integration:
        assert integration.brake().on_since is not None
        (held,) = {grant.person_id for grant in integration.page_of_grants(statuses=[Status.REFRESH_DELAYED])} & {
            "id-person-23"
        }
    assert held == "id-person-23"
    explained = " ".join(grantflow("grants", "explain", "id-person-23").out.split())
    assert "so many others that it is not believed" in explained
    assert "grantflow grants retry --all-refused" in explained
    for person in people:
        here.platform.line(person).alive = True
    one = grantflow("grants", "retry", "id-person-0")
    assert "The refusals of many others are held back." in one.err
    told = grantflow("grants", "retry", "--all-refused")
    assert told.code == 0
    assert "Refusals count again" in told.err
    assert "23 work again." in told.err
    assert {status_of(here, person) for person in people} == {Status.ACTIVE}


def test_what_was_put_off_ends_with_5_and_is_told_to_be_tried_again_by_itself(
    grantflow: CommandLine, here: Own
) -> None:
    here.grant("ada", "grace")
    for person in ("ada", "grace"):
        refuse(here, person)
    here.platform.line("grace").alive = True
    here.platform.answers = [Answer(503)]
    told = grantflow("grants", "retry", "--all-refused")
    assert told.code == 5
    assert "1 work again, 1 put off." in told.err
    assert "tried again by itself" in " ".join(told.err.split())


def test_where_the_integration_is_refused_the_grant_that_was_tried_is_told_to_be_put_off(
    grantflow: CommandLine, here: Own
) -> None:
    here.grant("ada")
    refuse(here, "ada")
    here.platform.answers = [Answer(401, '{"error": "invalid_client"}')]
    told = grantflow("grants", "retry", "--all-refused")
    assert told.code == 5
    assert told.err.startswith("1 put off.\n")
    assert "The platform refuses the integration itself" in told.err
    assert status_of(here, "ada") is Status.REFRESH_DELAYED
    assert "No grant is refused." in grantflow("grants", "retry", "--all-refused").err


@pytest.mark.parametrize(
    "command",
    [("grants", "refresh"), ("grants", "retry"), ("token", "--check"), ("api", "GET", "people/me", "--person")],
    ids=" ".join,
)
def test_what_a_command_tells_is_not_logged_beside_it(
    grantflow: CommandLine, here: Own, command: tuple[str, ...]
) -> None:
    here.adopt("ada")
    here.platform.line("ada").alive = False
    told = grantflow(*command, "id-ada")
    assert told.code == 4
    assert told.err.startswith("error: The grant of ")
    assert "WARNING" not in told.err


def test_retrying_stops_where_the_platform_says_slow_down(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "grace")
    for person in ("ada", "grace"):
        refuse(here, person)
    sent = here.platform.counts["token"]
    here.platform.answers = [Answer(429, headers={"Retry-After": "60"})] * 2
    told = grantflow("grants", "retry", "--all-refused")
    assert told.code == 5
    assert "The others were left alone: The platform says slow down." in told.err
    assert here.platform.counts["token"] == sent + 1


def test_where_the_platform_refuses_them_still_nothing_is_declared_dead_unless_that_is_wanted(
    grantflow: CommandLine, here: Own
) -> None:
    people = [f"person-{number:02}" for number in range(30)]
    here.grant(*people)
    for person in people:
        refuse(here, person)
    dead = [person for person in people if status_of(here, person) is Status.REAUTHORIZATION_REQUIRED]
    sent = here.platform.counts["refresh"]
    told = grantflow("grants", "retry", "--all-refused")
    assert (told.code, here.platform.counts["refresh"]) == (5, sent + 5)
    assert "refuses them still, the first 5 at least" in " ".join(told.err.split())
    assert "add --release-brake" in " ".join(told.err.split())
    with here.integration() as integration:
        assert integration.brake().on_since is not None
        now = {grant.person_id for grant in integration.page_of_grants(statuses=[Status.REAUTHORIZATION_REQUIRED])}
        assert now < {f"id-{person}" for person in dead}
    for person in people[:10]:
        here.platform.line(person).alive = True
    again = grantflow("grants", "retry", "--all-refused", "--json").json
    assert (len(again["alive"]), again["brake_released"]) == (10, True)
    assert again["refused"] == 20
    assert {status_of(here, person) for person in people[10:]} == {Status.REAUTHORIZATION_REQUIRED}


def test_an_operator_may_believe_the_platform_at_once(grantflow: CommandLine, here: Own) -> None:
    people = [f"person-{number:02}" for number in range(24)]
    here.grant(*people)
    for person in people:
        refuse(here, person)
    told = grantflow("grants", "retry", "--all-refused", "--release-brake", "--json").json
    assert told["brake_released"]
    assert told["refused"] == 20
    assert told["stopped"]
    assert "goes with --all-refused" in grantflow("grants", "retry", "id-x", "--release-brake").err


@pytest.mark.parametrize("arguments", [(), ("ada@example.org", "--all-refused")])
def test_whose_grant_is_to_be_tried_again_must_be_said(
    grantflow: CommandLine, here: Own, arguments: tuple[str, ...]
) -> None:
    told = grantflow("grants", "retry", *arguments)
    assert told.code == 2
    assert "Say PERSON, or --all-refused." in told.err


def damage(here: Own, person: str) -> None:
    """One bit of its sealed tokens is another."""
    with closing(sqlite3.connect(here.vault, isolation_level=None)) as file:
        (sealed,) = file.execute("SELECT tokens FROM grants WHERE person_id = ?", [f"id-{person}"]).fetchone()
        changed = bytes([*sealed[:-1], sealed[-1] ^ 1])
        file.execute("UPDATE grants SET tokens = ? WHERE person_id = ?", [changed, f"id-{person}"])


def test_a_record_that_does_not_open_keeps_no_other_grant_from_being_retried(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "grace", "edsger")
    for person in ("ada", "grace", "edsger"):
        refuse(here, person)
        here.platform.line(person).alive = True
    damage(here, "ada")
    told = grantflow("grants", "retry", "--all-refused")
    assert told.code == 1
    assert "ada@example.org: A sealed value does not open" in told.err
    assert "2 work again, 1 that do not open." in told.err
    again = grantflow("grants", "retry", "--all-refused", "--json")
    assert (again.code, again.json["unreadable"]) == (1, [id_of(here, "ada")])


def test_what_is_held_back_and_does_not_open_is_told_once(grantflow: CommandLine, here: Own) -> None:
    people = [f"person-{number:02}" for number in range(24)]
    here.grant(*people)
    for person in people:
        refuse(here, person)
        here.platform.line(person).alive = True
    damage(here, "person-23")
    told = grantflow("grants", "retry", "--all-refused")
    assert told.err.count("A sealed value does not open") == 1
    assert "23 work again, 1 that do not open." in told.err
    assert "Refusals count again" in told.err


def test_a_record_that_does_not_open_is_named_and_the_others_are_kept_alive(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada", "grace", days_ago=85.5)
    damage(here, "ada")
    named = id_of(here, "ada")
    told = grantflow("grants", "keep-alive")
    assert told.code == 1
    assert "Of the grants that end within 7 days: 1 renewed, 1 that do not open." in told.err
    assert f"The record of grant {named} does not open: put back the key" in told.err
    assert "ERROR" not in told.err
    again = grantflow("grants", "keep-alive", "--json")
    assert (again.code, again.json["unreadable"]) == (1, [named])


def test_only_the_grants_that_would_die_are_kept_alive(grantflow: CommandLine, here: Own) -> None:
    here.grant("late", "later", days_ago=2)
    here.grant("soon", days_ago=85.5)
    told = grantflow("grants", "keep-alive")
    assert (told.code, told.err) == (0, "Of the grants that end within 7 days: 1 renewed.\n")
    assert here.platform.counts["refresh"] == 1
    assert grantflow("grants", "keep-alive").err == "No grant ends within 7 days.\n"
    assert grantflow("grants", "keep-alive", "--days", "100", "--json").json["prolonged"] == 3
    here.grant("soon", days_ago=85.5)
    here.platform.answers = [Answer(429, headers={"Retry-After": "60"})]
    away = grantflow("grants", "keep-alive")
    assert away.code == 5
    assert "The others were left alone: The platform says slow down; ask it again in 60 s." in away.err


def test_where_the_platform_refuses_the_integration_nobody_is_told_that_no_grant_ends(
    grantflow: CommandLine, here: Own
) -> None:
    here.grant("soon", days_ago=85.5)
    here.platform.answers = [Answer(401, '{"error": "invalid_client"}')] * 2
    told = grantflow("grants", "keep-alive")
    assert told.code == 5
    assert told.err.startswith("None was renewed: The platform refuses the integration itself")
    assert "No grant ends" not in told.err


def test_the_platform_out_of_order_is_told_and_ends_keep_alive_with_5_however_few_were_put_off(
    grantflow: CommandLine, here: Own
) -> None:
    here.grant("soon", days_ago=85.5)
    here.platform.answers = [Answer(503)]
    told = grantflow("grants", "keep-alive")
    assert told.code == 5
    put_off, why = told.err.splitlines()
    assert put_off == "Of the grants that end within 7 days: 1 put off."
    assert why.startswith("Why: The grant of Soon cannot be renewed just now: ")
    assert "503" in why
    here.platform.answers = [Answer(503)]
    told = grantflow("grants", "keep-alive", "--json")
    assert (told.code, told.json["delayed"], told.json["stopped"]) == (5, 1, None)
    assert "503" in told.json["delayed_by"]


def test_where_the_end_does_not_move_that_is_told(grantflow: CommandLine, here: Own) -> None:
    here.grant("soon", days_ago=85.5)
    left = int(timedelta(days=4.5).total_seconds())
    here.platform.answers = [Answer(200, f'{{"access_token": "a", "refresh_token_expires_in": {left}}}')]
    told = grantflow("grants", "keep-alive")
    assert "1 renewed in vain" in told.err
    assert "These people must grant again before that" in told.err


# --- why was this person logged out? ----------------------------------------------------------------------------------


def revoked_at_the_platform(here: Own) -> None:
    here.grant("ada")
    with here.integration() as integration:
        for _ in range(6):
            integration.refresh("id-ada")
    refuse(here, "ada")


def never_used(here: Own) -> None:
    here.grant("ada", days_ago=91)
    refuse(here, "ada")


def lost_answer(here: Own) -> None:
    here.platform.rotates = True
    here.grant("ada", days_ago=1)
    moment = datetime.now(UTC) - timedelta(minutes=5)
    here.platform.answers = [Answer(0, after_work=True)]
    with here.integration(_now=lambda: moment) as integration, suppress(TransientTokenError):
        integration.refresh("id-ada")
    with here.integration() as integration, suppress(GrantflowError):
        integration.refresh("id-ada")


def out_of_order(here: Own) -> None:
    here.grant("ada")
    here.platform.answers = [Answer(503, "{}")]
    with here.integration() as integration, suppress(TransientTokenError):
        integration.refresh("id-ada")


def secret_refused(here: Own) -> None:
    here.grant("ada")
    here.platform.answers = [Answer(401, '{"error": "invalid_client"}')]
    with here.integration() as integration, suppress(GrantflowError):
        integration.refresh("id-ada")


def disconnected(here: Own) -> None:
    here.grant("ada")
    with here.integration() as integration:
        integration.revoke("id-ada", actor="the night shift")


def tried_again(here: Own) -> None:
    revoked_at_the_platform(here)
    here.platform.line("ada").alive = True
    with here.integration() as integration:
        integration.retry("id-ada")


def brought_in(here: Own) -> None:
    here.adopt("ada")


@pytest.mark.parametrize(
    ("happened", "says"),
    [
        (
            revoked_at_the_platform,
            [
                "The person granted; the access token",
                "Renewed with the refresh token",
                "... and so 4 times more",
                "for good: the token endpoint answered 400: invalid_grant. Incident inc-",
                "Why Logged out on",
                "It does not say why; most often the person has revoked the grant there",
                "/connect?grant=",
                "grantflow grants retry ada@example.org",
            ],
        ),
        (never_used, ["Why Logged out on", "nobody had used the grant until its refresh token ended on"]),
        (
            lost_answer,
            [
                "Not renewed with",
                "after a request that had no clear answer",
                "an answer of the platform was lost on the way. As it seems, the platform had swapped the refresh",
            ],
        ),
        (
            out_of_order,
            ["Why Nobody was logged out. The platform did not renew the grant", "Now It is tried again from"],
        ),
        (
            secret_refused,
            [
                "the platform refused the integration itself, so the grant was not renewed: the token endpoint "
                "answered 401: invalid_client.",
                "Now Client ID, client secret or the token endpoint are wrong",
                "grantflow doctor",
            ],
        ),
        (
            disconnected,
            ["Disconnected here by the night shift", "Why The grant was disconnected here by the night shift on"],
        ),
        (
            tried_again,
            ["was tried again by an operator", "Why The grant works again. It had ended on", "Nothing is to be done."],
        ),
        (
            brought_in,
            ["Tokens that another program got were brought in", "Why Nobody was logged out: the grant works."],
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_why_a_person_was_logged_out_is_told_from_the_audit_log_and_what_to_do_now(
    grantflow: CommandLine, here: Own, happened: Callable[[Own], None], says: list[str]
) -> None:
    happened(here)
    person = "id-ada" if happened is brought_in else "ada@example.org"
    told = grantflow("grants", "explain", person)
    text = " ".join(told.out.split())
    places = [text.find(words) for words in says]
    assert -1 not in places, text
    assert places == sorted(places), "oldest first, then why, then what to do"
    assert not any(token in told.out for token in tokens_in(here))
    assert max(map(len, told.out.splitlines())) <= 80
    asked = grantflow("grants", "explain", person, "--json")
    (story,) = asked.json
    assert story["why"] in text
    assert story["now"]
    assert [event["at"] for event in story["events"]] == sorted(event["at"] for event in story["events"])
    assert not any(token in json.dumps(story) for token in tokens_in(here))


def test_the_fingerprints_in_the_story_are_those_of_the_tokens(grantflow: CommandLine, here: Own) -> None:
    here.grant("ada")
    line = here.platform.line("ada")
    (access,) = line.access
    refuse(here, "ada")
    told = grantflow("grants", "explain", "ada@example.org").out
    assert Secret(access).fingerprint() in told
    assert Secret(line.refresh).fingerprint() in told


def test_a_token_that_was_tried_again_in_vain_leaves_the_day_of_the_logging_out_as_it_was(
    grantflow: CommandLine, here: Own
) -> None:
    here.grant("ada", days_ago=20)
    moment = datetime.now(UTC) - timedelta(days=10)
    here.platform.line("ada").alive = False
    with here.integration(_now=lambda: moment) as integration, suppress(GrantflowError):
        integration.refresh("id-ada")
    days = [datetime.now(UTC)]
    grantflow("grants", "retry", "ada@example.org")
    days.append(datetime.now(UTC))
    text = " ".join(grantflow("grants", "explain", "ada@example.org").out.split())
    assert f"Logged out on {moment:%Y-%m-%d}" in text
    assert any(f"(it is kept until {day + timedelta(days=30):%Y-%m-%d})" in text for day in days)
