"""Where a platform suddenly refuses many grants, none is declared dead until an operator has looked."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from grantflow import ReauthorizationRequired, RefreshOutcomeUnknown, RefusalHeldBack, Status, VaultUnavailable
from grantflow.client import judging
from grantflow.client.events import Kind
from grantflow.client.vault import postgres_connections, sqlite
from grantflow.client.vault.sql_vault import SqlVault
from tests.client.conftest import World
from tests.client.foreign import Answer, Refusal
from tests.client.shells import noticed
from tests.engines import BOTH
from tests.parts import ROOT

pytestmark = pytest.mark.slow

PEOPLE = [f"p{number:02}" for number in range(60)]


def refuse_all(world: World) -> None:
    world.platform.on_refresh = lambda: (400, {"error": "invalid_grant"})


def mend(world: World) -> None:
    world.platform.on_refresh = lambda: None


def everybody(world: World, people: list[str] = PEOPLE) -> Counter[str]:
    """Each calls once, with an access token that has died; what each got."""
    integration, ends = world.integration(), Counter[str]()
    for person in people:
        try:
            integration.client_for(f"id-{person}").get("people/me")
            ends["200"] += 1
        except Exception as error:
            ends[type(error).__name__] += 1
    return ends


@pytest.fixture
def crowd(world: World) -> World:
    for person in PEOPLE:
        world.grant(world.integration(), person=person)
    world.platform.expire_access_tokens()
    return world


def statuses(world: World) -> Counter[Status]:
    return Counter(grant.status for grant in world.integration().grants())


@pytest.mark.parametrize(
    ("refused", "judged", "is_mass"),
    [(20, 20, False), (21, 21, True), (21, 105, True), (21, 106, False), (500, 2500, True), (500, 2501, False)],
)
def test_more_than_20_grants_and_every_fifth_are_a_mass_refusal(refused: int, judged: int, is_mass: bool) -> None:
    assert judging.is_mass_refusal(refused, judged) is is_mass


def test_of_sixty_grants_that_a_server_refuses_at_once_twenty_are_declared_and_the_rest_held(
    crowd: World, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_all(crowd)
    assert everybody(crowd) == {"ReauthorizationRequired": 20, "RefusalHeldBack": 40}
    assert statuses(crowd) == {Status.REAUTHORIZATION_REQUIRED: 20, Status.REFRESH_DELAYED: 40}
    assert crowd.platform.counts["refresh"] == 60
    ours = [record for record in caplog.records if record.name.startswith("grantflow")]
    errors = [record.getMessage() for record in ours if record.levelname == "ERROR"]
    assert errors == [
        "no grant is declared dead until an operator has looked: "
        "21 grants were refused within five minutes, of 21 refreshes"
    ]
    assert crowd.integration().brake().on_since == crowd.clock.now()


def test_what_is_held_back_is_not_asked_for_again_until_an_operator_has_looked(crowd: World) -> None:
    refuse_all(crowd)
    everybody(crowd)
    crowd.clock.advance(hours=10)
    assert everybody(crowd) == {"ReauthorizationRequired": 20, "RefusalHeldBack": 40}
    assert crowd.platform.counts["refresh"] == 60
    with pytest.raises(RefusalHeldBack, match=r"grants retry --all-refused.*Incident inc-"):
        crowd.integration().client_for("id-p59").get("people/me")


def test_grants_that_are_well_go_on_while_the_brake_is_on(crowd: World) -> None:
    refuse_all(crowd)
    everybody(crowd, PEOPLE[:30])
    mend(crowd)
    assert everybody(crowd, PEOPLE[30:]) == {"200": 30}


def test_once_the_server_has_mended_an_operators_retry_brings_every_grant_back(crowd: World) -> None:
    refuse_all(crowd)
    everybody(crowd)
    mend(crowd)
    integration = crowd.integration()
    for person in PEOPLE:
        assert integration.retry(f"id-{person}").status is Status.ACTIVE
    assert everybody(crowd) == {"200": 60}
    kinds = [event.kind for event in integration.history("id-p00")]
    assert kinds == [Kind.GRANTED, Kind.REAUTHORIZATION_REQUIRED, Kind.RETRIED, Kind.REFRESHED]
    kinds = [event.kind for event in integration.history("id-p59")]
    assert kinds == [Kind.GRANTED, Kind.HELD_BACK, Kind.RETRIED, Kind.REFRESHED]


def test_what_operations_says_to_do_then_brings_every_grant_back(crowd: World) -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("## A platform that suddenly refuses many")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    refuse_all(crowd)
    everybody(crowd)
    mend(crowd)
    exec(code, {"integration": crowd.integration(), "Status": Status})
    assert statuses(crowd) == {Status.ACTIVE: 60}
    assert crowd.integration().brake().on_since is None


def test_after_the_release_refusals_count_anew_and_what_was_held_is_asked_for_once_more(crowd: World) -> None:
    refuse_all(crowd)
    everybody(crowd, PEOPLE[:25])
    assert crowd.integration().release_brake() is True
    assert crowd.integration().release_brake() is False
    crowd.clock.advance(seconds=1)
    assert everybody(crowd, PEOPLE[20:25]) == {"ReauthorizationRequired": 5}
    assert everybody(crowd, PEOPLE[25:]) == {"ReauthorizationRequired": 15, "RefusalHeldBack": 20}


@BOTH
@pytest.mark.parametrize("minutes", [-60, 0, 5, 60])
def test_whatever_the_clock_of_whoever_released_it_the_brake_closes_again_in_time(crowd: World, minutes: float) -> None:
    refuse_all(crowd)
    assert everybody(crowd, PEOPLE[:22]) == {"ReauthorizationRequired": 20, "RefusalHeldBack": 2}
    operator = crowd.integration(_now=lambda: crowd.clock.now() + timedelta(minutes=minutes))
    operator.release_brake()
    ends = everybody(crowd, PEOPLE[22:])
    assert ends == {"ReauthorizationRequired": 20, "RefusalHeldBack": 18}, "from that instant on, and none of before"


def test_a_retry_that_is_refused_while_the_brake_is_on_stays_held(crowd: World) -> None:
    refuse_all(crowd)
    everybody(crowd)
    with pytest.raises(RefusalHeldBack):
        crowd.integration().retry("id-p59")
    with pytest.raises(RefusalHeldBack):
        crowd.integration().retry("id-p00")
    assert statuses(crowd) == {Status.REAUTHORIZATION_REQUIRED: 19, Status.REFRESH_DELAYED: 41}


def test_people_who_take_their_grants_back_one_by_one_trip_no_brake(crowd: World) -> None:
    refuse_all(crowd)
    for person in PEOPLE:
        assert everybody(crowd, [person]) == {"ReauthorizationRequired": 1}
        crowd.clock.advance(seconds=16)
    assert crowd.integration().brake().on_since is None


def test_a_fifth_among_many_that_are_well_trips_no_brake(crowd: World) -> None:
    integration = crowd.integration()
    for _ in range(5):
        for person in PEOPLE[:30]:
            integration.refresh(f"id-{person}")
    refuse_all(crowd)
    assert everybody(crowd, PEOPLE[30:]) == {"ReauthorizationRequired": 30}


def test_an_outage_before_a_mass_refusal_opens_no_way_around_the_brake(crowd: World) -> None:
    """A platform that is put back from a backup was away before: then each answer that is lost is no excuse."""
    integration = crowd.integration()
    for person in PEOPLE[:30]:
        crowd.platform.answers.append(Answer(502, "<html>"))
        with pytest.raises(Exception, match="502"):
            integration.refresh(f"id-{person}")
    crowd.clock.advance(seconds=5)
    refuse_all(crowd)
    for person in PEOPLE[:20]:
        with pytest.raises(RefreshOutcomeUnknown):
            integration.refresh(f"id-{person}")
    for person in PEOPLE[20:]:
        with pytest.raises(RefusalHeldBack):
            integration.refresh(f"id-{person}")
    mend(crowd)
    assert {integration.retry(f"id-{person}").status for person in PEOPLE} == {Status.ACTIVE}


def test_one_person_who_comes_and_goes_trips_no_brake(crowd: World) -> None:
    integration = crowd.integration()
    for _ in range(25):
        integration.revoke("id-p00")
        crowd.grant(integration, person="p00")
        crowd.platform.answers.append(Answer(400, '{"error": "invalid_grant"}'))
        with pytest.raises(ReauthorizationRequired):
            integration.refresh("id-p00")
    assert integration.brake().on_since is None


def test_a_held_grant_that_its_person_grants_again_is_alive(crowd: World) -> None:
    refuse_all(crowd)
    everybody(crowd)
    again = crowd.grant(crowd.integration(), person="p59")
    assert again.status is Status.ACTIVE
    assert everybody(crowd, ["p59"]) == {"200": 1}


def test_a_retry_of_what_was_never_refused_is_a_refresh_and_of_nothing_asks_for_the_grant(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    assert integration.retry("id-ada").generation == 2
    with pytest.raises(ReauthorizationRequired):
        integration.retry("id-nobody")
    integration.revoke("id-ada")
    with pytest.raises(ReauthorizationRequired):
        integration.retry("id-ada")
    assert world.platform.counts["refresh"] == 1


def held_back_at_a_strict_server(world: World, *people: str) -> None:
    """Refused together with twenty others, and then mended; a token that comes twice ends its grant."""
    everyone = [*PEOPLE[:20], *people]
    for person in everyone:
        world.grant(world.integration(), person=person)
    world.platform.expire_access_tokens()
    refuse_all(world)
    everybody(world, everyone)
    mend(world)
    world.platform.rotates = world.platform.revokes_families = True


def asked_slowly(world: World) -> tuple[threading.Event, threading.Event]:
    """Set when the first refresh has reached the platform; and to be set for its answer, and all others, to come."""
    asked, answers = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        answers.wait(30)

    world.platform.on_refresh = wait
    return asked, answers


@BOTH
@pytest.mark.parametrize("person", ["ada", "p00"])
def test_an_operators_retry_beside_callers_and_other_operators_sends_no_token_twice(world: World, person: str) -> None:
    """One that is held back is asked for by callers too, once refusals count again; one that is dead by operators."""
    held_back_at_a_strict_server(world, "ada")
    callers, first, second = (world.integration() for _ in range(3))
    first.release_brake()
    asked, answers = asked_slowly(world)
    sent = world.platform.counts["refresh"]
    with ThreadPoolExecutor(4) as pool:
        if person == "ada":
            leader = pool.submit(lambda: callers.client_for("id-ada").get("people/me").status_code == 200)
        else:
            leader = pool.submit(lambda: callers.retry(f"id-{person}").status is Status.ACTIVE)
        assert asked.wait(30)
        looks = [noticed(each._parts.vault, "find") for each in (first, second)]
        operators = [pool.submit(each.retry, f"id-{person}") for each in (first, second)]
        assert all(look.wait(30) for look in looks), "else they would find it renewed, and renew it once more"
        threading.Event().wait(0.5)
        answers.set()
        assert leader.result(30)
        assert {each.result(30).generation for each in operators} == {2}
    assert world.platform.counts["refresh"] == sent + 1
    assert world.platform.line(person).alive
    assert everybody(world, [person]) == {"200": 1}


def test_where_the_retry_of_another_is_refused_ones_own_is_told_so(world: World) -> None:
    held_back_at_a_strict_server(world, "ada")
    caller, operator = world.integration(), world.integration()
    operator.release_brake()
    asked, answers = threading.Event(), threading.Event()

    def refuse_late() -> Refusal:
        asked.set()
        answers.wait(30)
        return 400, {"error": "invalid_grant"}

    world.platform.on_refresh = refuse_late
    with ThreadPoolExecutor(2) as pool:
        calling = pool.submit(caller.client_for("id-ada").get, "people/me")
        assert asked.wait(30)
        retrying = pool.submit(operator.retry, "id-ada")
        threading.Event().wait(0.3)
        answers.set()
        for each in (calling, retrying):
            with pytest.raises(ReauthorizationRequired):
                each.result(30)


def test_where_the_refusals_cannot_be_counted_the_lease_is_given_back_and_nothing_is_declared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = world.integration()
    world.grant(integration)
    refuse_all(world)

    def broken(*_: object, **__: object) -> None:
        raise VaultUnavailable("locked", retry_after=5)

    with monkeypatch.context() as patch:
        patch.setattr(SqlVault, "refuse", broken)
        with pytest.raises(VaultUnavailable):
            integration.refresh("id-ada")
    assert statuses(world) == {Status.ACTIVE: 1}
    mend(world)
    assert integration.refresh("id-ada").generation == 2


@BOTH
def test_refusals_that_come_at_once_are_counted_one_after_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each flight would else find the others' refusals not yet written, and believe its own."""
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 30.0)  # the last one waits for 39 on a busy machine
    monkeypatch.setattr(postgres_connections, "LOCK_SECONDS", 30.0)
    monkeypatch.setattr(postgres_connections, "STATEMENT_SECONDS", 30.0)
    monkeypatch.setattr(postgres_connections.Connection, "answer_seconds", 35.0)
    flights = {person: world.integration() for person in PEOPLE[:40]}
    for person, integration in flights.items():
        world.grant(integration, person=person)
    gate = threading.Barrier(40)

    def together() -> Refusal:
        gate.wait(30)
        return 400, {"error": "invalid_grant"}

    world.platform.on_refresh = together

    def refused(person: str) -> str:
        try:
            flights[person].refresh(f"id-{person}")
        except Exception as error:
            return type(error).__name__
        return "renewed"

    with ThreadPoolExecutor(40) as threads:
        ends = Counter(threads.map(refused, flights))
    assert ends == {"ReauthorizationRequired": 20, "RefusalHeldBack": 20}
