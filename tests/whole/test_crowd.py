"""A thousand callers, 125 in each of eight processes, half of them threads and half tasks: one token request in all."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.crowd import Crowd, Order, crowd
from tests.whole.sites import SITES, Site, granted, sites, stored

pytestmark = pytest.mark.slow
#: In seconds, so that the lease of a holder that is stopped ends soon.
SHORT = {"deadline": 4.0, "_lease_margin": 1.0}
#: Where a holder is stopped, and whether its request has reached the platform by then.
STOPS = {"leased": False, "answered": True}


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
    assert together.ends == {"200": len(called.members) * order.callers}
    assert site.token_requests() == 1
    return together.seconds


def told_once(called: Crowd, site: Site, order: Order) -> float:
    """The whole grant is dead: all are told so, with one address to send the person to; at most one token request."""
    together = called.call(order)
    assert together.ends == {"ReauthorizationRequired": len(called.members) * order.callers}
    assert len(together.urls) == 1
    assert site.token_requests() <= 1
    return together.seconds


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
    assert together.ends == {"200": len(others) * order.callers}
    kept = stored(order)
    os.kill(holder.process.pid, signal.SIGCONT)
    resumed = called.called_by(holder)
    assert resumed.ends == {"200": order.callers}
    asked += site.token_requests()
    assert asked == 1 + STOPS[place], "whoever was stopped sent with a lease that was over"
    assert stored(order) == kept, "whoever was stopped overwrote what came since"
    return {"stopped": place, "calls": round(together.seconds, 3)}


@pytest.mark.parametrize("name", SITES)
def test_w32_a_thousand_callers_make_one_refresh_for_a_dead_access_token_and_none_for_a_dead_grant(
    everywhere: Mapping[str, Site], eight: Crowd, tmp_path: Path, name: str
) -> None:
    site = everywhere[name]
    order = granted(site, tmp_path)
    site.expire()
    renewed_once(eight, site, order)
    site.revoke_access(order)
    renewed_once(eight, site, order)
    site.revoke_grant(order)
    told_once(eight, site, order)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is stopped")
@pytest.mark.parametrize(("name", "place"), [("foreign", "leased"), ("strict", "answered")])
def test_w32_a_holder_that_was_stopped_past_its_lease_sends_nothing_and_overwrites_nothing(
    everywhere: Mapping[str, Site], tmp_path: Path, name: str, place: str
) -> None:
    site = everywhere[name]
    order = granted(site, tmp_path, **SHORT, callers=10)
    site.expire()
    with crowd(3) as called:
        nothing_changed_by_who_was_stopped(called, site, order, place=place)
