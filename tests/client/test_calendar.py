"""When grants die that nobody uses: known in every path, listed by one index, put off for those alone that would."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from grantflow import ExistingTokens, GrantflowError, Integration, KeptAlive, Person, ReauthorizationRequired, Status
from grantflow.client.grant import Grant
from grantflow.client.vault.postgres import _in_its_words
from grantflow.protocol.secret import Secret
from tests.client.conftest import World
from tests.client.foreign import Answer, Line
from tests.client.shells import Kinds
from tests.engines import BOTH, Home, OnServer

pytestmark = BOTH
DAY = timedelta(days=1)
SLIDES = 7_776_000


def adopted(world: World, integration: Integration, *people: str, days: float) -> None:
    """Each has a line at the platform, and a grant here that ends in so many days."""
    for person in people:
        world.platform.lines.append(Line(person, {f"access-{person}"}, f"refresh-{person}"))
        integration.adopt(
            f"refresh-{person}",
            access_token=f"access-{person}",
            person=f"id-{person}",
            refresh_expires_at=world.clock.time + days * DAY,
        )


def damage(home: Home, person_id: str) -> None:
    """One bit of its sealed tokens is another."""
    [(sealed,)] = home.ask("SELECT tokens FROM grants WHERE person_id = :person", person=person_id)
    changed = bytes([*sealed[:-1], sealed[-1] ^ 1])
    home.ask("UPDATE grants SET tokens = :changed WHERE person_id = :person", changed=changed, person=person_id)


def end_of(integration: Integration, person: str = "ada") -> Any:
    grant = integration.grant(f"id-{person}")
    assert grant is not None
    return grant.refresh_expires_at


# --- it is known ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotates", [False, True])
def test_the_end_is_that_of_the_last_answer_from_when_it_was_asked_for(world: World, rotates: bool) -> None:
    world.platform.rotates = rotates
    integration = world.integration()
    granted_at = world.clock.time
    world.grant(integration)
    assert end_of(integration) == granted_at + timedelta(seconds=SLIDES)
    world.clock.advance(days=40)
    integration.refresh("id-ada")
    assert end_of(integration) == granted_at + 40 * DAY + timedelta(seconds=SLIDES)
    world.clock.advance(days=10)
    world.grant(integration)
    assert end_of(integration) == granted_at + 50 * DAY + timedelta(seconds=SLIDES)
    integration.revoke("id-ada")
    assert end_of(integration) is None


# --- it is listed -----------------------------------------------------------------------------------------------------


def test_the_grants_that_die_within_a_time_are_listed_soonest_first(world: World, either: Kinds) -> None:
    integration = world.integration()
    adopted(world, integration, "late", days=40)
    adopted(world, integration, "soon", days=3)
    adopted(world, integration, "next", days=10)
    adopted(world, integration, "over", days=-1)
    adopted(world, integration, "refused", days=2)
    adopted(world, integration, "revoked", days=2)
    integration.adopt("refresh-endless", person="id-endless")
    world.platform.line("refused").alive = False
    with pytest.raises(ReauthorizationRequired):
        integration.refresh("id-refused")
    integration.revoke("id-revoked")
    listed = either().expiring(30 * DAY)
    assert [grant.person_id for grant in listed] == ["id-over", "id-soon", "id-next"]
    assert [grant.person_id for grant in integration.expiring(30 * DAY, limit=1, after=listed[0])] == ["id-soon"]
    assert integration._parts.vault.has_endless(integration.client_id)
    assert not integration._parts.vault.has_endless("another")


@pytest.mark.parametrize("page", [False, True])
def test_the_list_is_one_look_into_one_index(world: World, page: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    integration = world.integration()
    adopted(world, integration, "ada", days=3)
    (grant,) = integration.expiring(30 * DAY)
    asked: list[tuple[str, Any]] = []

    def ask(statement: str, parameters: Any) -> list[Any]:
        asked.append((statement, parameters))
        return []

    monkeypatch.setattr(integration._parts.vault, "_rows", ask)
    integration.expiring(30 * DAY, limit=5 if page else None, after=grant if page else None)
    ((statement, parameters),) = asked
    assert plan_of(world, statement, parameters) == "one look into grants_by_end"


def plan_of(world: World, statement: str, parameters: dict[str, Any]) -> str:
    if not isinstance(world.home, OnServer):
        steps = [row[3] for row in world.home.ask(f"EXPLAIN QUERY PLAN {statement}", **parameters)]
    else:
        with psycopg.connect(world.home.where) as connection:
            connection.execute("SET enable_seqscan = off")  # of one row it would read the table
            steps = [row[0] for row in connection.execute(f"EXPLAIN {_in_its_words(statement)}", parameters).fetchall()]
        assert not any("Sort" in step for step in steps), steps
        steps = [step for step in steps if "Scan" in step]
    (step,) = steps
    assert re.search(r"(SEARCH grants USING INDEX|Index Scan using) grants_by_end", step), step
    return "one look into grants_by_end"


def test_grants_are_read_in_pages_by_owner_and_person_and_filtered(world: World, either: Kinds) -> None:
    integration = world.integration()
    batch = [
        ExistingTokens(refresh_token=Secret(f"r-{owner}-{person}"), person=Person(f"p{person}"), owner=f"u{owner}")
        for owner in range(4)
        for person in range(3)
    ]
    integration.adopt_all(batch)
    integration.revoke("p1", owner="u2")
    seen: list[Grant] = []
    kind, last = either(), None
    while page := kind.page_of_grants(limit=5, after=last):
        seen += page
        last = page[-1]
        assert len(page) <= 5
    assert [(grant.owner, grant.person_id) for grant in seen] == [
        (f"u{owner}", f"p{person}") for owner in range(4) for person in range(3)
    ]
    assert [grant.person_id for grant in kind.page_of_grants(owner="u3")] == ["p0", "p1", "p2"]
    assert [grant.owner for grant in kind.page_of_grants(statuses=[Status.REVOKED])] == ["u2"]
    assert len(kind.page_of_grants(statuses=[Status.ACTIVE, Status.REVOKED], owner="u2")) == 3
    assert kind.page_of_grants(statuses=[Status.ACTIVE], owner="nobody") == []


def test_grants_are_found_by_their_id_their_persons_id_or_e_mail(world: World, either: Kinds) -> None:
    integration = world.integration()
    ada = world.grant(integration)
    world.clock.advance(seconds=1)
    again = world.grant(integration, owner="u1")
    grace = world.grant(integration, person="grace")
    kind = either()
    assert [grant.id for grant in kind.find_grants("id-ada")] == [ada.id, again.id]
    assert [grant.id for grant in kind.find_grants("ADA@example.org")] == [ada.id, again.id]
    assert [grant.id for grant in kind.find_grants(grace.id)] == [grace.id]
    assert kind.find_grants("nobody@example.org") == []
    assert kind.find_grants("nobody") == []


# --- it is put off ----------------------------------------------------------------------------------------------------


def test_only_the_grants_that_would_die_are_renewed(world: World, either: Kinds) -> None:
    integration = world.integration()
    adopted(world, integration, "ada", "grace", days=5)
    adopted(world, integration, "late", days=40)
    adopted(world, integration, "over", days=-1)
    assert either().keep_alive(7 * DAY) == KeptAlive(prolonged=2)
    assert world.platform.counts["token"] == 2
    assert end_of(integration) == world.clock.time + timedelta(seconds=SLIDES)
    assert either().keep_alive(7 * DAY) == KeptAlive()
    assert world.platform.counts["token"] == 2


def test_two_nodes_that_do_it_at_once_renew_each_grant_once(world: World) -> None:
    people = [f"person-{number}" for number in range(12)]
    nodes = [world.integration() for _ in range(2)]
    adopted(world, nodes[0], *people, days=5)
    world.platform.rotates, world.platform.wait = True, 0.05
    with ThreadPoolExecutor(2) as pool:
        kept = list(pool.map(lambda node: node.keep_alive(7 * DAY), nodes))
    assert world.platform.counts["refresh"] == len(people)
    assert not any(each.stopped or each.refused for each in kept)
    for person in people:
        assert world.stored_tokens(nodes[0], f"id-{person}")[1] == world.platform.line(person).refresh


def test_more_than_a_page_of_them_are_renewed(world: World) -> None:
    integration = world.integration()
    count = 210
    people = [f"p{number}" for number in range(count)]
    for number, person in enumerate(people):
        world.platform.lines.append(Line(person, set(), f"refresh-{person}"))
        people[number] = f"id-{person}"
    end = world.clock.time + DAY
    integration.adopt_all(
        [
            ExistingTokens(
                refresh_token=Secret(f"refresh-{person.removeprefix('id-')}"),
                person=Person(person),
                refresh_expires_at=end,
            )
            for person in people
        ]
    )
    assert integration.keep_alive(7 * DAY) == KeptAlive(prolonged=count)


@pytest.mark.parametrize(
    ("answer", "says", "asked"),
    [
        (Answer(429, headers={"Retry-After": "9"}), "slow down; ask it again in 9 s", 1),
        (Answer(401, '{"error": "invalid_client"}'), "refuses the integration itself", 1),
        (Answer(503), "out of order", 5),
    ],
)
def test_it_stops_where_the_platform_cannot_or_will_not(
    world: World, either: Kinds, answer: Answer, says: str, asked: int
) -> None:
    integration = world.integration()
    adopted(world, integration, *(f"person-{number}" for number in range(8)), days=5)
    world.platform.answers = [answer] * 8
    kept = either().keep_alive(7 * DAY)
    assert kept.stopped is not None
    assert says in kept.stopped
    assert world.platform.counts["token"] == asked
    assert {grant.status for grant in integration.grants()} <= {Status.ACTIVE, Status.REFRESH_DELAYED}


def test_one_that_is_refused_or_fails_keeps_the_others_from_nothing(world: World) -> None:
    integration = world.integration()
    adopted(world, integration, "ada", days=1)
    adopted(world, integration, "grace", days=2)
    adopted(world, integration, "edsger", days=3)
    world.platform.line("ada").alive = False
    kept = integration.keep_alive(7 * DAY)
    assert kept == KeptAlive(prolonged=2, refused=1)


def test_a_record_that_does_not_open_lets_no_other_grant_die(
    world: World, home: Home, either: Kinds, caplog: pytest.LogCaptureFixture
) -> None:
    integration = world.integration()
    adopted(world, integration, "ada", days=1)
    adopted(world, integration, "grace", days=2)
    adopted(world, integration, "edsger", days=3)
    damage(home, "id-ada")
    damaged = integration.grant("id-ada")
    assert damaged is not None
    assert either().keep_alive(7 * DAY) == KeptAlive(prolonged=2, unreadable=(damaged.id,))
    assert f"grant {damaged.id} is not kept alive: A sealed value does not open" in caplog.text


def test_what_is_held_back_is_left_alone_and_the_others_are_kept_alive(world: World) -> None:
    integration = world.integration()
    people = [f"person-{number}" for number in range(24)]
    adopted(world, integration, *people, days=5)
    for line in world.platform.lines:
        line.alive = False
    for person in people:
        with pytest.raises(GrantflowError):
            integration.refresh(f"id-{person}")
    adopted(world, integration, "ada", days=6)
    sent = world.platform.counts["token"]
    assert integration.keep_alive(7 * DAY) == KeptAlive(prolonged=1, delayed=4)
    assert world.platform.counts["token"] == sent + 1
    adopted(world, integration, *(f"dead-{number}" for number in range(9)), days=4)
    for line in world.platform.lines:
        line.alive = False
    kept = integration.keep_alive(7 * DAY)
    assert kept.stopped is not None
    assert "until an operator has looked" in kept.stopped
    assert world.platform.counts["token"] == sent + 6, "five more were asked for"


def test_where_the_end_does_not_slide_that_is_told_and_the_others_are_tried_all_the_same(
    world: World, either: Kinds
) -> None:
    """Each answer names what is left until the end that was set when the person granted. Webex has been seen to count
    down like that although it slides, so it is no reason to let the others die."""
    integration = world.integration()
    adopted(world, integration, *(f"person-{number}" for number in range(6)), days=6)
    world.clock.advance(days=1)
    left = 5 * DAY.total_seconds()
    body = f'{{"access_token": "a", "refresh_token": "refresh-person", "refresh_token_expires_in": {left:.0f}}}'
    world.platform.answers = [Answer(200, body)] * 5
    assert either().keep_alive(7 * DAY) == KeptAlive(prolonged=1, in_vain=5)


def test_of_a_grant_that_was_renewed_a_moment_ago_nobody_says_that_it_was_in_vain(world: World) -> None:
    """Its end cannot have moved by more than the time that has gone by since."""
    integration = world.integration()
    world.grant(integration)
    (granted,) = integration.grants()
    assert granted.refresh_expires_at is not None
    for seconds, kept in ((40, KeptAlive(prolonged=1)), (61, KeptAlive(in_vain=1))):
        world.clock.advance(seconds=seconds)
        left = (granted.refresh_expires_at - world.clock.time).total_seconds()
        world.platform.answers = [Answer(200, f'{{"access_token": "a", "refresh_token_expires_in": {left:.0f}}}')]
        assert integration.keep_alive(100 * DAY) == kept


def test_a_grant_that_was_renewed_or_revoked_since_the_list_was_read_is_left_alone(world: World) -> None:
    integration = world.integration()
    adopted(world, integration, "ada", days=1)
    adopted(world, integration, "grace", days=2)
    adopted(world, integration, "edsger", days=3)
    other = world.integration()

    def meanwhile() -> None:
        world.platform.on_refresh = lambda: None
        other.refresh("id-grace")
        other.revoke("id-edsger")

    world.platform.on_refresh = meanwhile
    assert integration.keep_alive(7 * DAY) == KeptAlive(prolonged=1, unneeded=2)
    assert world.platform.counts["token"] == 2
