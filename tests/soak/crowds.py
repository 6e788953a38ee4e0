"""A thousand callers, 125 in each of eight processes, and one grant: one token request, whatever happens meanwhile."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import TypeAlias

from benchmarks.postgres import FOR_TESTS, postgres_server
from tests.client.crowd import Crowd, Order, ahead, crowd
from tests.engines import Home, InFile, OnServer
from tests.parts import require
from tests.soak.looking import Logs, left_behind, watched
from tests.soak.proof import Play, Proof
from tests.whole.sites import SITES, Site, granted, sites, slow_way
from tests.whole.test_crowd import (
    SHORT,
    STOPS,
    nothing_changed_by_who_was_stopped,
    renewed_once,
    renewed_once_by_clocks_apart,
    told_once,
)

#: In seconds: what the token endpoint takes in the proof of that name, well within the deadline of 40.
SLOW = 30.0

ENGINES = ("sqlite", "postgres")
#: What each six rounds go through.
COMBINED = [(engine, name) for engine in ENGINES for name in SITES]

#: Plays a round at a site, with the order for a grant of this round's own; the last is its number among those of the
#: site and engine.
Scene: TypeAlias = Callable[[Crowd, Site, Order, random.Random, int], Mapping[str, object]]


def at_each_site(
    scene: Scene,
    *,
    environments: Callable[[], Mapping[int, Mapping[str, str]]] = lambda: {},
    timing: Mapping[str, float] | None = None,
) -> Callable[[Path], AbstractContextManager[Play]]:
    """The rounds take the sites in turn, each with a vault in a file and one in PostgreSQL; the eight processes go on
    from round to round. `environments` adds to those of some."""

    @contextmanager
    def begin(folder: Path) -> Iterator[Play]:
        watched()
        logs = Logs(folder)
        with ExitStack() as stack:
            all_sites = stack.enter_context(sites(folder))
            homes = stack.enter_context(homes_in(folder))
            called = stack.enter_context(crowd(environments=environments()))

            def play(number: int, chance: random.Random) -> Mapping[str, object]:
                engine, name = COMBINED[number % len(COMBINED)]
                site = all_sites[name]
                told = scene(called, site, granted(site, homes[engine](), **(timing or {})), chance, number // 6)
                logs.check()
                return {"site": name, "vault": engine, **told}

            yield play

    return begin


@contextmanager
def homes_in(folder: Path) -> Iterator[Mapping[str, Callable[[], Home]]]:
    """Places for vaults, by engine: each time another."""
    require("postgres")
    numbers = count()
    with postgres_server(FOR_TESTS) as server:
        yield {
            "sqlite": lambda: InFile(folder / f"grants-{next(numbers)}.db"),
            "postgres": lambda: OnServer.new(server.shared),
        }


def thousand(called: Crowd, site: Site, order: Order, chance: random.Random, turn: int) -> Mapping[str, object]:
    """Twice with a dead access token, expired or revoked, and once with a dead grant."""
    seconds = []
    for die in (site.expire, lambda: site.revoke_access(order)):
        die()
        seconds.append(renewed_once(called, site, order))
    site.revoke_grant(order)
    seconds.append(told_once(called, site, order))
    return {"calls": [round(each, 3) for each in seconds]}


def slow(called: Crowd, site: Site, order: Order, chance: random.Random, turn: int) -> Mapping[str, object]:
    site.expire()
    with slow_way(order, SLOW) as slowly:
        seconds = renewed_once(called, site, slowly)
    assert seconds > SLOW
    return {"calls": round(seconds, 3)}


#: Which process is ahead: one with tasks.
AHEAD = 3


def apart(called: Crowd, site: Site, order: Order, chance: random.Random, turn: int) -> Mapping[str, object]:
    site.expire()
    return renewed_once_by_clocks_apart(called, site, order, ahead=AHEAD, chance=chance)


def stopped(called: Crowd, site: Site, order: Order, chance: random.Random, turn: int) -> Mapping[str, object]:
    """Where the platform has answered, and would end a grant whose old token comes back, no client can help."""
    site.expire()
    places = [place for place, asks in STOPS.items() if not asks or site.name != "foreign"]
    return nothing_changed_by_who_was_stopped(called, site, order, place=places[turn % len(places)])


CROWDS = [
    Proof(
        "thousand",
        "W32: 125 callers in each of eight processes make one refresh, and one request for a dead grant",
        24,
        at_each_site(thousand),
        look=left_behind,
    ),
    Proof(
        "slow",
        "W32: the same while the token endpoint takes 30 seconds",
        6,
        at_each_site(slow),
        look=left_behind,
        mostly_waits=True,
    ),
    Proof(
        "clocks",
        "W32: the same while the clock of one process is five minutes ahead",
        18,
        at_each_site(apart, environments=lambda: {AHEAD: ahead(require("faketime"), "+5m")}),
        look=left_behind,
    ),
    Proof(
        "stopped",
        "W32: a holder that is stopped past its lease sends nothing then, and overwrites nothing",
        18,
        at_each_site(stopped, timing=SHORT),
        look=left_behind,
        mostly_waits=True,
    ),
]
