"""A thousand callers, 125 in each of eight processes, and one grant: one token request, whatever happens meanwhile."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

from tests.client.crowd import Crowd, Order, crowd
from tests.soak.looking import Logs, left_behind, watched
from tests.soak.proof import Play, Proof
from tests.whole.sites import SITES, Site, granted, sites, slow_way
from tests.whole.test_crowd import SHORT, STOPS, nothing_changed_by_who_was_stopped, renewed_once, told_once

#: In seconds: what the token endpoint takes in the proof of that name, well within the deadline of 40.
SLOW = 30.0

#: Plays a round at a site, with the order for a grant of this round's own; the last is its number among those of the
#: site.
Scene: TypeAlias = Callable[[Crowd, Site, Order, random.Random, int], Mapping[str, object]]


def at_each_site(
    scene: Scene,
    *,
    environments: Callable[[], Mapping[int, Mapping[str, str]]] = lambda: {},
    timing: Mapping[str, float] | None = None,
) -> Callable[[Path], AbstractContextManager[Play]]:
    """The rounds take the sites in turn; the eight processes go on from round to round. `environments` adds to those
    of some."""

    @contextmanager
    def begin(folder: Path) -> Iterator[Play]:
        watched()
        logs = Logs(folder)
        with sites(folder) as all_sites, crowd(environments=environments()) as called:

            def play(number: int, chance: random.Random) -> Mapping[str, object]:
                turn, which = divmod(number, len(SITES))
                site, own = all_sites[SITES[which]], folder / str(number)
                own.mkdir()
                told = scene(called, site, granted(site, own, **(timing or {})), chance, turn)
                logs.check()
                return {"site": site.name, **told}

            yield play

    return begin


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
        "stopped",
        "W32: a holder that is stopped past its lease sends nothing then, and overwrites nothing",
        18,
        at_each_site(stopped, timing=SHORT),
        look=left_behind,
        mostly_waits=True,
    ),
]
