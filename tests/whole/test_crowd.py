"""A thousand callers, 125 in each of eight processes, half of them threads and half tasks: one token request in all."""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from tests.client.crowd import Crowd, Order, ahead, crowd
from tests.engines import Home
from tests.parts import require
from tests.whole.sites import Site, granted, sites, slow_way, stored

pytestmark = pytest.mark.slow
#: In seconds, so that the lease of a holder that is stopped ends soon.
SHORT = {"deadline": 8.0, "_lease_margin": 1.0}
#: Where a holder is stopped, and whether its request has reached the platform by then.
STOPS = {"leased": False, "checked": False, "answered": True}


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Site]]:
    with sites(tmp_path_factory.mktemp("sites")) as made:
        yield made


@pytest.fixture(scope="module")
def eight() -> Iterator[Crowd]:
    with crowd() as called:
        yield called


def renewed_once(called: Crowd, site: Site, order: Order) -> float:
    """All calls succeed by one token request; the seconds that they took."""
    together = called.call(order)
    assert together.ends == {"200": len(called.members) * order.callers}, together.ends
    assert site.token_requests() == 1
    return together.seconds


def told_once(called: Crowd, site: Site, order: Order) -> float:
    """The whole grant is dead: all are told so, with one address to send the person to; at most one token request."""
    together = called.call(order)
    assert together.ends == {"ReauthorizationRequired": len(called.members) * order.callers}, together.ends
    assert len(together.urls) == 1
    assert site.token_requests() <= 1
    return together.seconds


def renewed_once_by_clocks_apart(
    called: Crowd, site: Site, order: Order, *, ahead: int, chance: random.Random
) -> Mapping[str, object]:
    """The process of that number is ahead; it begins before the others, after them, or with them."""
    first = chance.choice(["the one ahead", "the others", "all"])
    odd = called.members[ahead]
    others = [member for member in called.members if member is not odd]
    with slow_way(order, chance.uniform(0.5, 1.5)) as slowly:
        called.ready([slowly] * len(called.members))
        if first == "the others":
            called.begin(*others)
            time.sleep(chance.uniform(0.1, 0.4))
            called.begin(odd)
        else:
            called.begin(odd)
            time.sleep(chance.uniform(0.1, 0.4) if first == "the one ahead" else 0.0)
            called.begin(*others)
        together = called.called()
    assert together.ends == {"200": len(called.members) * order.callers}, together.ends
    assert site.token_requests() == 1
    return {"first": first, "calls": round(together.seconds, 3)}


def nothing_changed_by_who_was_stopped(called: Crowd, site: Site, order: Order, *, place: str) -> Mapping[str, object]:
    """One process takes the lease and is stopped until it is over and somebody else has renewed; then it goes on."""
    holder, *others = called.members
    called.ready([replace(order, stops=place), *[order] * len(others)])
    called.begin(holder)
    until = time.monotonic() + 30
    while not holder.is_stopped():
        assert time.monotonic() < until, "nobody was stopped"
        time.sleep(0.01)
    asked = site.token_requests()
    assert asked == STOPS[place]
    called.begin(*others)
    together = called.called_by(*others)
    assert together.ends == {"200": len(others) * order.callers}, together.ends
    kept = stored(order)
    os.kill(holder.process.pid, signal.SIGCONT)
    resumed = called.called_by(holder)
    assert resumed.ends == {"200": order.callers}, resumed.ends
    asked += site.token_requests()
    assert asked == 1 + STOPS[place], "whoever was stopped sent with a lease that was over"
    assert stored(order) == kept, "whoever was stopped overwrote what came since"
    return {"stopped": place, "calls": round(together.seconds, 3)}


@pytest.mark.parametrize(
    ("name", "engine"), [("foreign", "sqlite"), ("foreign", "postgres"), ("webex", "postgres"), ("strict", "sqlite")]
)
def test_w32_a_thousand_callers_make_one_refresh_for_a_dead_access_token_and_none_for_a_dead_grant(
    everywhere: Mapping[str, Site], eight: Crowd, home: Home, name: str
) -> None:
    site = everywhere[name]
    order = granted(site, home)
    site.expire()
    renewed_once(eight, site, order)
    site.revoke_access(order)
    renewed_once(eight, site, order)
    site.revoke_grant(order)
    told_once(eight, site, order)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has faketime in its packages")
@pytest.mark.parametrize(("number", "engine"), [(2, "sqlite"), (3, "sqlite"), (2, "postgres")])
def test_w32_clocks_that_are_five_minutes_apart_make_one_refresh_all_the_same(
    everywhere: Mapping[str, Site], home: Home, number: int
) -> None:
    """A process with threads, and one with tasks; at the platform that ends a grant whose old token comes back."""
    site, chance = everywhere["foreign"], random.Random(number)
    order = granted(site, home, callers=10)
    with crowd(4, environments={number: ahead(require("faketime"), "+5m")}) as called:
        for _ in range(3):
            site.expire()
            renewed_once_by_clocks_apart(called, site, order, ahead=number, chance=chance)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is stopped")
@pytest.mark.parametrize(
    ("name", "place", "engine"),
    [("foreign", "leased", "sqlite"), ("foreign", "checked", "postgres"), ("strict", "answered", "sqlite")],
)
def test_w32_a_holder_that_was_stopped_past_its_lease_sends_nothing_and_overwrites_nothing(
    everywhere: Mapping[str, Site], home: Home, name: str, place: str
) -> None:
    site = everywhere[name]
    order = granted(site, home, **SHORT, callers=10)
    site.expire()
    with crowd(3) as called:
        nothing_changed_by_who_was_stopped(called, site, order, place=place)
