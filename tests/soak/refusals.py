"""What a thousand callers ask of a server that says no: to one grant, the integration, all grants, or just now."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from grantflow import KeyRing, Status
from grantflow.client.errors import IntegrationRefused
from grantflow.client.events import Kind
from tests.client.crowd import CALLERS, PROCESSES, Crowd, Order, crowd
from tests.client.foreign import CLIENT_SECRET, Answer
from tests.engines import Home
from tests.soak.crowds import ENGINES, at_each_site, homes_in
from tests.soak.looking import Logs, watched
from tests.soak.proof import Play, Proof
from tests.whole.sites import ForeignSite, Site, grant, granted, integration, order_for, sites
from tests.whole.test_crowd import told_once

ALL = PROCESSES * CALLERS


def final(called: Crowd, site: Site, order: Order, chance: random.Random, turn: int) -> Mapping[str, object]:
    """At most one token request, and then none for 10,000 calls, until the person grants again."""
    site.revoke_grant(order)
    told_once(called, site, order)
    again = called.call(replace(order, calls=10))
    assert again.ends == {"ReauthorizationRequired": 10 * ALL}
    assert len(again.urls) == 1
    assert site.token_requests() == 0
    with integration(order) as own:
        grant(site, own)
    assert called.call(order).ends == {"200": ALL}
    return {"calls": round(again.seconds, 3)}


# --- many grants at a foreign server -------------------------------------------------------------------------------


@contextmanager
def many(folder: Path, *, grants: int) -> Iterator[tuple[ForeignSite, Crowd, Mapping[str, tuple[Home, Order]]]]:
    """So many people, in each kind of vault."""
    with ExitStack() as stack:
        site = stack.enter_context(sites(folder, names=["foreign"]))["foreign"]
        assert isinstance(site, ForeignSite)
        homes, called = stack.enter_context(homes_in(folder)), stack.enter_context(crowd())
        orders = {}
        for engine in ENGINES:
            home, key = homes[engine](), KeyRing.new_key()
            with integration(order_for(site, home.where, key=key)) as own:
                people = [grant(site, own, person=f"{engine}-{number}") for number in range(grants)]
            orders[engine] = home, order_for(site, home.where, *people, key=key)
        yield site, called, orders


def shared_out(people: Sequence[str]) -> list[Sequence[str]]:
    return [people[number::PROCESSES] for number in range(PROCESSES)]


@contextmanager
def wrong_secret(folder: Path) -> Iterator[Play]:
    """A secret that was regenerated harms none of a thousand grants; with the right one all go on."""
    watched()
    logs = Logs(folder)
    with many(folder, grants=ALL) as (site, called, orders):

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            home, order = orders[ENGINES[number % len(ENGINES)]]
            site.expire()
            site.platform.client_secret = "another-secret-9876543210"
            site.token_requests()
            ends = called.call(order, people=shared_out(order.people)).ends
            assert ends == {"IntegrationRefused": ALL}, ends
            asked = site.token_requests()
            assert asked <= ALL  # those that were under way when the first was answered
            again = called.call(order, people=shared_out(order.people)).ends
            more = site.token_requests()
            with integration(order) as own:
                harmed = [each for each in own.grants() if each.status is not Status.ACTIVE]
                assert not harmed
                (told,) = home.ask(
                    "SELECT count(*) FROM events WHERE kind = :kind", kind=Kind.INTEGRATION_REFUSED.value
                )
                assert told[0], "no operator was told"
                site.platform.client_secret = CLIENT_SECRET
                until = time.monotonic() + 60
                while True:
                    try:
                        own.refresh(order.people[0])
                        break
                    except IntegrationRefused as error:
                        assert time.monotonic() < until
                        time.sleep(min(error.retry_after, 1.0) or 0.1)
            assert again == {"IntegrationRefused": ALL}, again
            fewer = replace(order, callers=25, calls=5)  # of whom each calls for five people
            ends = called.call(fewer, people=shared_out(order.people)).ends
            assert ends == {"200": ALL}, ends
            logs.check()
            return {"vault": ENGINES[number % len(ENGINES)], "asked": asked, "asked_again": more}

        yield play


#: More are refused than the brake lets be declared.
REFUSED = 64


@contextmanager
def brake(folder: Path) -> Iterator[Play]:
    """A server that says no to all costs twenty people their grant, and they get it back by a retry."""
    watched()
    logs = Logs(folder)
    with many(folder, grants=REFUSED) as (site, called, orders):

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            engine = ENGINES[number % len(ENGINES)]
            home, order = orders[engine]
            home.ask("DELETE FROM events")  # five minutes have gone by
            site.expire()
            site.platform.on_refresh = lambda: (400, {"error": "invalid_grant"})
            crowded = replace(order, callers=REFUSED // PROCESSES)
            ends = called.call(crowded, people=shared_out(order.people)).ends
            with integration(order) as own:
                counts = Counter(each.status for each in own.grants())
                declared = counts[Status.REAUTHORIZATION_REQUIRED]
                assert own.brake().on_since is not None
                assert declared == 20, counts
                site.platform.on_refresh = lambda: None
                own.release_brake()
                for person in order.people:
                    own.retry(person)
                assert {each.status for each in own.grants()} == {Status.ACTIVE}
            assert called.call(crowded, people=shared_out(order.people)).ends == {"200": REFUSED}
            logs.check()
            return {"vault": engine, "declared": declared, "ends": dict(ends)}

        yield play


# --- a server that says: not now -----------------------------------------------------------------------------------


class Always(list[Answer]):
    """The same answer for each token request until some seconds after the first, with the times of all."""

    def __init__(self, answer: Answer, *, seconds: float) -> None:
        super().__init__([answer])
        self.seconds = seconds
        self.times: list[float] = []

    def __bool__(self) -> bool:
        return not self.times or time.monotonic() < self.times[0] + self.seconds

    def pop(self, _: object = 0) -> Answer:
        self.times.append(time.monotonic())
        return self[0]


#: For how long a server says no, and for how long callers go on all in all, in seconds.
AWAY, HAMMER = 6.0, 16.0
NOT_NOW = [Answer(status, "", headers) for status in (503, 429) for headers in ({}, {"Retry-After": "3"})]


@contextmanager
def back_off(folder: Path) -> Iterator[Play]:
    """Two hundred callers go on calling while a server is away: it is asked once in each step, 1, 2, 4 seconds or what
    Retry-After says, and once more when the step is over in which it has come back."""
    watched()
    logs = Logs(folder)
    with ExitStack() as stack:
        site = stack.enter_context(sites(folder, names=["foreign"]))["foreign"]
        assert isinstance(site, ForeignSite)
        homes, called = stack.enter_context(homes_in(folder)), stack.enter_context(crowd())

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            engine, answer = ENGINES[number // len(NOT_NOW) % 2], NOT_NOW[number % len(NOT_NOW)]
            order = granted(site, homes[engine](), callers=25, seconds=HAMMER)
            site.expire()
            site.platform.answers = always = Always(answer, seconds=AWAY)
            before = site.platform.counts["refresh"]
            ends = called.call(order).ends
            gaps = [later - earlier for earlier, later in zip(always.times, always.times[1:], strict=False)]
            least = float(answer.headers.get("Retry-After", 0))
            assert all(gap >= max(2.0**step, least) - 0.05 for step, gap in enumerate(gaps)), gaps
            assert site.platform.counts["refresh"] == before + 1
            assert set(ends) == {"200", "TransientTokenError"}, ends
            site.platform.answers = []
            logs.check()
            return {"vault": engine, "status": answer.status, "asked": len(always.times), "ends": dict(ends)}

        yield play


REFUSALS = [
    Proof("final", "W33: a dead grant costs one request, and 10,000 calls after it none", 12, at_each_site(final)),
    Proof(
        "wrong-secret",
        "W33: a wrong client secret harms none of 1,000 grants, and an operator is told",
        6,
        wrong_secret,
    ),
    Proof("brake", "W33: of 64 grants that a server refuses at once 20 are declared, and all come back", 12, brake),
    Proof(
        "back-off",
        "W33: a server that says 503 or 429 is asked once in each step by eight processes",
        8,
        back_off,
        mostly_waits=True,
    ),
]
