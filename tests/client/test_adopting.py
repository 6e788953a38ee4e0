"""Existing tokens come in without asking anyone again, and none is lost on the way."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from grantflow import (
    Adoption,
    Event,
    ExistingTokens,
    IntegrationRefused,
    Kind,
    Person,
    ReauthorizationRequired,
    RefreshOutcomeUnknown,
    Status,
    TransientTokenError,
    UnknownPerson,
)
from grantflow.client.grant import GrantKey
from grantflow.protocol.errors import InvalidScope
from grantflow.protocol.secret import Secret
from tests.client.conftest import World
from tests.client.foreign import Answer, Line
from tests.client.shells import Kinds, granted
from tests.engines import BOTH
from tests.parts import ROOT

pytestmark = BOTH
ACCESS, REFRESH = "access-of-another-program", "refresh-of-another-program"


class Row(NamedTuple):
    id: str
    owner: str
    person_id: str
    lease_holder: str | None
    lease_until: float | None
    unanswered_since: float | None


@pytest.fixture
def line(world: World) -> Line:
    """What another program has got from the platform."""
    line = Line("ada", {ACCESS}, REFRESH)
    world.platform.lines.append(line)
    return line


def rows(world: World) -> list[Row]:
    """As another program reads them."""
    return [Row(*found) for found in world.home.ask(f"SELECT {', '.join(Row._fields)} FROM grants")]


# --- the person is known ----------------------------------------------------------------------------------------------


def test_tokens_of_a_known_person_come_in_without_a_request_and_serve(world: World, either: Kinds, line: Line) -> None:
    integration = either()
    adopted = integration.adopt(
        REFRESH, access_token=ACCESS, person=Person("id-ada", "Ada"), scopes="spark:people_read"
    )
    assert (adopted.outcome, adopted.status, adopted.display_name) == (Adoption.ADOPTED, Status.ACTIVE, "Ada")
    assert str(adopted.scopes) == "spark:people_read"
    assert not world.platform.counts
    assert integration.get("rooms").status_code == 200
    assert world.platform.counts["token"] == 0
    world.platform.expire_access_tokens()
    assert integration.get("rooms").status_code == 200
    assert world.platform.counts["token"] == 1


def test_what_came_in_is_in_the_audit_log_with_the_tokens_fingerprints(world: World, line: Line) -> None:
    told: list[Event] = []
    integration = world.integration(on_event=told.append)
    adopted = integration.adopt(REFRESH, access_token=ACCESS)
    (event,) = integration.history("id-ada")
    assert (event.kind, event.grant_id, event.generation) == (Kind.ADOPTED, adopted.id, adopted.generation)
    assert (event.token, event.new_token) == (Secret(REFRESH).fingerprint(), Secret(ACCESS).fingerprint())
    integration.adopt(REFRESH)
    assert integration.history("id-ada") == [event]
    assert [each.kind for each in told] == [Kind.ADOPTED, Kind.ADOPTED]
    assert told[0].person_id != "id-ada", "as long as nobody knew whose it was"


def test_without_an_access_token_the_first_call_renews_and_twenty_at_once_renew_once(world: World, line: Line) -> None:
    world.platform.rotates, world.platform.wait = True, 0.2
    each = [world.integration() for _ in range(4)]
    each[0].adopt(REFRESH, person="id-ada")

    def call(number: int) -> int:
        return each[number % 4].client_for("id-ada").get("rooms").status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(call, range(20))) == {200}
    assert world.platform.counts["refresh"] == 1
    assert world.platform.counts["unauthorized"] == 0


def test_without_an_access_token_one_is_handed_out_and_a_one_shot_body_is_sent(world: World, line: Line) -> None:
    integration = world.integration()
    integration.adopt(REFRESH, person="id-ada")
    with integration.client_for("id-ada") as client:
        assert client.post("messages", content=iter([b"once"])).status_code == 200
    other = world.integration()
    line.refresh = "another"
    other.adopt("another", person="id-ada", owner="u1")
    assert other.access_token("id-ada", owner="u1").token.reveal() in line.access


def test_a_refresh_without_a_rejected_token_renews_what_has_none_exactly_once(world: World, line: Line) -> None:
    integration = world.integration()
    integration.adopt(REFRESH, person="id-ada")
    assert integration.refresh("id-ada").generation == 2
    assert integration.refresh("id-ada").generation == 3
    assert world.platform.counts["refresh"] == 2


def test_the_times_that_are_known_are_kept_and_those_of_the_first_renewal_follow(world: World, line: Line) -> None:
    integration = world.integration()
    end = world.clock.time + timedelta(days=20)
    adopted = integration.adopt(REFRESH, person="id-ada", refresh_expires_at=end, issued_at=world.clock.time)
    assert (adopted.refresh_expires_at, adopted.granted_at) == (end, world.clock.time)
    renewed = integration.refresh("id-ada")
    assert renewed.refresh_expires_at == world.clock.time + timedelta(seconds=7_776_000)


# --- whose they are must be found out ---------------------------------------------------------------------------------


def test_a_working_access_token_tells_whose_they_are_without_a_refresh(world: World, either: Kinds, line: Line) -> None:
    adopted = either().adopt(REFRESH, access_token=ACCESS)
    assert (adopted.person_id, adopted.owner, adopted.email) == ("id-ada", "id-ada", "ada@example.org")
    assert adopted.outcome is Adoption.ADOPTED
    assert world.platform.counts["token"] == 0
    assert [row.person_id for row in rows(world)] == ["id-ada"]


@pytest.mark.parametrize("access", [None, "dead", "expired"])
def test_without_one_the_refresh_token_is_in_the_vault_with_intent_and_lease_before_it_is_sent(
    world: World, either: Kinds, line: Line, access: str | None
) -> None:
    world.platform.rotates = True
    seen: list[Row] = []

    def look() -> None:
        seen.extend(rows(world))
        stored = world.stored(world.integration(), seen[0].person_id, seen[0].owner)
        assert stored[1] == Secret(REFRESH)

    world.platform.on_refresh = look
    known: dict[str, Any] = {"access_token": access} if access else {}
    if access == "expired":
        known["access_expires_at"] = world.clock.time - timedelta(hours=1)
    integration = either()
    adopted = integration.adopt(REFRESH, **known)
    (row,) = seen
    assert row.lease_until is not None
    assert row.unanswered_since is not None
    assert row.person_id.startswith("unknown:")
    assert adopted.person_id == "id-ada"
    assert adopted.id == row.id
    assert world.platform.counts["refresh"] == 1
    assert world.platform.counts["unauthorized"] == (1 if access == "dead" else 0)
    assert world.stored_tokens(integration.integration) == (*(line.access - {ACCESS}), line.refresh)
    assert integration.get("rooms").status_code == 200
    assert world.platform.counts["refresh"] == 1


def test_under_its_persons_name_the_record_is_sealed_anew(world: World, line: Line) -> None:
    integration = world.integration()
    adopted = integration.adopt(REFRESH, owner="user-1")
    assert adopted.key == GrantKey(integration.client_id, "user-1", "id-ada")
    (row,) = rows(world)
    assert (row.owner, row.person_id, row.lease_holder) == ("user-1", "id-ada", None)
    assert integration.client_for("id-ada", owner="user-1").get("rooms").status_code == 200


@pytest.mark.parametrize("away", [Answer(503), Answer(429, headers={"Retry-After": "7"}), Answer(0)])
def test_where_the_token_endpoint_is_away_the_tokens_are_kept_and_the_next_try_goes_on(
    world: World, line: Line, away: Answer
) -> None:
    integration = world.integration()
    world.platform.answers = [away]
    with pytest.raises(TransientTokenError):
        integration.adopt(REFRESH)
    (kept,) = integration.grants()
    assert (kept.status, kept.is_named) == (Status.REFRESH_DELAYED, False)
    world.clock.advance(minutes=1)
    adopted = integration.adopt(REFRESH)
    assert (adopted.id, adopted.person_id, adopted.outcome) == (kept.id, "id-ada", Adoption.ADOPTED)
    assert [grant.id for grant in integration.grants()] == [kept.id]


def test_where_people_me_is_away_the_new_tokens_are_kept_and_asked_with_again(world: World, line: Line) -> None:
    world.platform.rotates = True
    integration = world.integration()
    world.platform.api_answers = [Answer(502, "<html>", {"Content-Type": "text/html"})]
    with pytest.raises(TransientTokenError, match=r"kept as grant .*adopt them again"):
        integration.adopt(REFRESH)
    assert integration.adopt(REFRESH).person_id == "id-ada"
    assert world.platform.counts["refresh"] == 1


def test_a_secret_that_is_refused_harms_nothing(world: World, line: Line) -> None:
    integration = world.integration()
    world.platform.client_secret = "regenerated"
    with pytest.raises(IntegrationRefused):
        integration.adopt(REFRESH)
    integration.use_secret("regenerated")
    assert integration.adopt(REFRESH).person_id == "id-ada"


def test_a_platform_that_does_not_tell_whose_they_are_is_told_with_what_to_do(world: World, line: Line) -> None:
    world.platform.people_me_status = 403
    integration = world.integration()
    with pytest.raises(UnknownPerson, match=r"kept as grant .*people/me answered 403.*Say whose they are") as caught:
        integration.adopt(REFRESH, access_token=ACCESS)
    assert REFRESH not in str(caught.value)
    assert world.platform.counts["token"] == 0


def test_refused_tokens_of_nobody_knows_whom_leave_nothing_but_their_events(
    world: World, either: Kinds, line: Line
) -> None:
    line.alive = False
    integration = either()
    for count in (1, 2):
        with pytest.raises(ReauthorizationRequired, match=r"came in is no longer accepted: .*nothing of it is kept"):
            integration.adopt(REFRESH, owner="user-17")
        assert world.platform.counts["refresh"] == count
        assert integration.grants() == []
    nameless = ExistingTokens(refresh_token=Secret(REFRESH)).person_id
    kinds = [event.kind for event in world.integration().history(nameless, owner="user-17")]
    assert kinds == [Kind.ADOPTED, Kind.REAUTHORIZATION_REQUIRED] * 2
    line.alive = True
    assert integration.adopt(REFRESH).person_id == "id-ada", "the platform was mistaken"


def test_refused_tokens_that_nobody_else_may_have_are_kept(world: World, line: Line) -> None:
    """An answer was lost, or the platform has swapped the token: what is here may be all that there is."""
    world.platform.rotates = True
    integration = world.integration()
    world.platform.api_answers = [Answer(502)]
    with pytest.raises(TransientTokenError):
        integration.adopt(REFRESH)
    (swapped,) = integration.grants()
    line.alive = False
    with pytest.raises(ReauthorizationRequired):
        integration.adopt(REFRESH)
    assert [(grant.id, grant.status) for grant in integration.grants()] == [
        (swapped.id, Status.REAUTHORIZATION_REQUIRED)
    ]
    assert world.stored_tokens(integration, swapped.person_id, swapped.owner)[1] == line.refresh
    world.platform.lines.append(Line("grace", set(), "lost"))
    world.platform.answers = [Answer(0, after_work=True)]
    with pytest.raises(TransientTokenError):
        integration.adopt("lost")
    world.platform.end_grants()
    world.clock.advance(minutes=1)
    with pytest.raises(RefreshOutcomeUnknown):
        integration.adopt("lost")
    assert len(integration.grants()) == 2


def test_refused_tokens_whose_person_is_known_are_kept(world: World, line: Line) -> None:
    integration = world.integration()
    line.alive = False
    integration.adopt(REFRESH, person="id-ada")
    with pytest.raises(ReauthorizationRequired):
        integration.refresh("id-ada")
    assert integration.adopt(REFRESH, person="id-ada").status is Status.REAUTHORIZATION_REQUIRED


def test_the_hosts_own_identify_may_stumble_over_a_dead_token_and_is_asked_again_with_a_new_one(world: World) -> None:
    world.platform.lines.append(Line("ada", set(), REFRESH))
    asked: list[int] = []

    def who(client: Any) -> Person:
        answer = client.get("people/me")
        asked.append(answer.status_code)
        return Person(answer.json()["id"])

    integration = world.integration(identify=who)
    assert integration.adopt(REFRESH, access_token="dead").person_id == "id-ada"
    assert asked == [401, 200]


# --- again, and at the same time --------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", [None, "id-ada"])
def test_bringing_in_the_same_again_does_nothing_even_when_the_platform_has_swapped_it(
    world: World, either: Kinds, line: Line, person: str | None
) -> None:
    world.platform.rotates = True
    integration = either()
    first = integration.adopt(REFRESH, person=person)
    renewed = integration.refresh()
    sent = world.platform.counts["token"]
    for replacing in (False, True):
        again = integration.adopt(REFRESH, person=person, replace=replacing)
        assert (again.outcome, again.id, again.generation) == (Adoption.UNCHANGED, first.id, renewed.generation)
    assert world.platform.counts["token"] == sent
    assert world.stored_tokens(integration.integration)[1] == line.refresh


def test_eight_who_bring_the_same_at_once_refresh_it_once_and_have_one_grant(world: World, line: Line) -> None:
    world.platform.rotates, world.platform.wait = True, 0.1
    each = [world.integration() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        adopted = list(pool.map(lambda integration: integration.adopt(REFRESH), each))
    assert len({grant.id for grant in adopted}) == 1
    assert {grant.person_id for grant in adopted} == {"id-ada"}
    assert world.platform.counts["refresh"] == 1
    assert len(rows(world)) == 1
    assert world.stored_tokens(each[0])[1] == line.refresh


def test_a_refresh_whose_answer_was_lost_is_sent_again_before_the_grant_gets_its_persons_name(
    world: World, line: Line
) -> None:
    """Its answer would be sealed for the old name, and lost with it."""
    integration = world.integration()
    (kept,) = integration.adopt_all([ExistingTokens(refresh_token=Secret(REFRESH), access_token=Secret(ACCESS))])
    world.platform.answers = [Answer(0, after_work=True)]
    with pytest.raises(TransientTokenError):
        integration.refresh(kept.person_id)
    world.clock.advance(minutes=1)
    adopted = integration.adopt(REFRESH)
    assert (adopted.id, adopted.person_id) == (kept.id, "id-ada")
    assert world.platform.counts["refresh"] == 2


KILLED = """
import sys
from grantflow import Integration, KeyRing, open_vault
path, key, api_url, token = sys.argv[1:]
vault = open_vault(path, keys=KeyRing(key))
options = {"redirect_uri": "http://localhost:8000/oauth", "scopes": "spark:people_read", "api_url": api_url}
Integration("Cforeign", "foreign-secret-0123456789", vault=vault, **options).adopt(token)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the lease must run out first")
def test_after_kill_9_in_the_middle_whoever_adopts_again_goes_on(world: World, line: Line) -> None:
    is_over = threading.Event()

    def hold() -> None:
        is_over.wait(30)

    world.platform.on_refresh = hold
    arguments = [world.where, world.key, world.api_url, REFRESH]
    killed = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], cwd=ROOT)
    while not world.platform.counts["refresh"]:
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    is_over.set()
    integration = world.integration()
    (kept,) = integration.grants()
    assert not kept.is_named
    adopted = integration.adopt(REFRESH)
    assert (adopted.id, adopted.person_id) == (kept.id, "id-ada")
    assert world.stored_tokens(integration)[1] == line.refresh


def test_many_are_kept_at_once_and_nobody_is_asked(world: World, line: Line) -> None:
    integration = world.integration()
    batch = [ExistingTokens(refresh_token=Secret("dry"), person=Person("id-dry"))]
    assert [grant.outcome for grant in integration.adopt_all(batch, dry_run=True)] == [Adoption.ADOPTED]
    assert rows(world) == []
    batch = [
        ExistingTokens(refresh_token=Secret(f"refresh-{number}"), person=Person(f"id-{number}"))
        for number in range(250)
    ]
    batch += [ExistingTokens(refresh_token=Secret(REFRESH)), batch[0]]
    adopted = integration.adopt_all(batch)
    assert [grant.person_id for grant in adopted[:3]] == ["id-0", "id-1", "id-2"]
    assert [grant.outcome for grant in adopted] == [*[Adoption.ADOPTED] * 251, Adoption.UNCHANGED]
    assert not adopted[250].is_named
    assert not world.platform.counts
    assert integration.adopt(REFRESH).person_id == "id-ada"
    assert {grant.outcome for grant in integration.adopt_all(batch)} == {Adoption.UNCHANGED}


# --- a grant is here already ------------------------------------------------------------------------------------------


def test_a_grant_that_works_is_kept_unless_what_comes_is_newer_or_wanted(world: World, line: Line) -> None:
    integration = world.integration()
    here = world.grant(integration)
    _, refresh_token = world.stored_tokens(integration)
    for known in ({}, {"issued_at": world.clock.time - timedelta(days=1)}, {"refresh_expires_at": world.clock.time}):
        adopted = integration.adopt(REFRESH, person="id-ada", **known)  # type: ignore[arg-type]
        assert (adopted.outcome, adopted.id, adopted.generation) == (Adoption.KEPT, here.id, 1)
    assert world.stored_tokens(integration)[1] == refresh_token
    newer = integration.adopt(REFRESH, person="id-ada", issued_at=world.clock.time + timedelta(minutes=1))
    assert (newer.outcome, newer.id, newer.generation) == (Adoption.REPLACED, here.id, 2)
    assert newer.display_name == "Ada"
    line.refresh = "third"
    third = integration.adopt("third", person="id-ada", replace=True)
    assert (third.outcome, third.id, third.generation) == (Adoption.REPLACED, here.id, 3)
    assert integration.client_for("id-ada").get("rooms").status_code == 200


def test_a_refused_grant_gives_way_and_a_disconnected_one_only_where_that_is_wanted(world: World, line: Line) -> None:
    integration = world.integration()
    here = world.grant(integration)
    world.platform.lines[-1].alive = False
    world.platform.lines[-1].access.clear()
    with pytest.raises(ReauthorizationRequired):
        integration.refresh("id-ada")
    adopted = integration.adopt(REFRESH, access_token=ACCESS)
    assert (adopted.outcome, adopted.id, adopted.status) == (Adoption.REPLACED, here.id, Status.ACTIVE)
    integration.revoke("id-ada")
    again = integration.adopt(REFRESH, access_token=ACCESS)
    assert (again.outcome, again.status) == (Adoption.UNCHANGED, Status.REVOKED)
    back = integration.adopt(REFRESH, access_token=ACCESS, replace=True)
    assert (back.outcome, back.id != here.id, back.status) == (Adoption.REPLACED, True, Status.ACTIVE)
    assert integration.adopt(REFRESH).outcome is Adoption.UNCHANGED
    assert integration.client_for("id-ada").get("rooms").status_code == 200


@pytest.mark.parametrize("access", [ACCESS, None])
def test_tokens_that_turn_out_to_be_a_persons_who_is_here_leave_that_grant_alone(
    world: World, either: Kinds, line: Line, access: str | None
) -> None:
    integration = either()
    here = granted(integration, world)
    tokens = world.stored_tokens(integration.integration)
    known = {"access_token": access} if access else {}
    adopted = integration.adopt(REFRESH, **known)
    assert (adopted.outcome, adopted.id) == (Adoption.KEPT, here.id)
    assert world.stored_tokens(integration.integration) == tokens
    assert [grant.id for grant in integration.grants()] == [here.id]
    wanted = integration.adopt(REFRESH, **known, replace=True)
    # What was swapped on the way is not brought in a second time: it may be dead by now.
    assert wanted.outcome is (Adoption.REPLACED if access else Adoption.UNCHANGED)
    assert wanted.id == here.id


def test_one_token_brought_in_for_two_owners_stays_with_the_first(world: World, line: Line) -> None:
    integration = world.integration()
    first = integration.adopt(REFRESH, person="id-ada", owner="u1")
    second = integration.adopt(REFRESH, person="id-ada", owner="u2")
    assert (second.outcome, second.id, second.owner) == (Adoption.UNCHANGED, first.id, "u1")


# --- what is no token -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({"refresh_token": ""}, "refresh_token is no token"),
        ({"refresh_token": "with a line\nbreak"}, "refresh_token is no token"),
        ({"access_token": "ü-secret"}, "access_token is no token"),
        ({"access_expires_at": datetime(2026, 1, 1)}, "access_expires_at has no time zone"),  # noqa: DTZ001
        ({"issued_at": datetime(2026, 1, 1)}, "issued_at has no time zone"),  # noqa: DTZ001
        ({"person": ""}, "person's id is empty"),
        ({"owner": " "}, "owner is empty"),
        ({"owner": "u\ud800"}, "owner holds half a character"),
        ({"scopes": 'a"b'}, "A scope holds a character"),
    ],
)
def test_what_could_never_be_used_is_refused_before_anything_is_kept(
    world: World, known: dict[str, Any], says: str
) -> None:
    integration = world.integration()
    with pytest.raises((ValueError, InvalidScope), match=says) as caught:
        integration.adopt(**{"refresh_token": REFRESH, **known})
    assert "secret" not in str(caught.value)
    assert rows(world) == []
