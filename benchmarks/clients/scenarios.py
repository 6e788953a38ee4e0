"""The scenarios: each plays once through one library, and answers what was seen, in counts.

What the platform is like is said in each: `rotates` means that it swaps the refresh token at each use and revokes the
whole grant where a swapped one comes again (RFC 9700 section 4.14.2); else it is like Webex, whose refresh token stays.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.clients.foreign import Outage
from benchmarks.clients.stage import Stage

Facts = dict[str, Any]
#: The token endpoint takes so long, in seconds: a service far away.
ROUND_TRIP = 0.05
#: Killed between the arrival of the refresh and this many seconds later; answered in the middle of it.
KILLED_WITHIN = 0.06
#: In seconds: for so long it is tried whether calls succeed again, which is longer than any library here holds back.
RECOVERY = 6.0


@dataclass(frozen=True, slots=True)
class Sizes:
    callers: int = 64
    rounds: int = 2
    process_rounds: int = 10
    trials: int = 40
    server_rounds: int = 25
    lost_rounds: int = 10


FULL, SMALL = Sizes(), Sizes(callers=8, rounds=1, process_rounds=2, trials=4, server_rounds=2, lost_rounds=2)


def expired(stage: Stage, sizes: Sizes) -> Facts:
    """The access token has expired by its own clock."""
    ((grant, place),) = stage.expired(1)
    stage.platform.begin()
    stage.open(place)
    return {"ends": _counted(stage.player.ask("call", times=3)), "refreshes": grant.requests}


def revoked(stage: Stage, sizes: Sizes) -> Facts:
    """The access token was revoked at the platform; the grant lives, and by its clock the token would live too."""
    grant, place = stage.kept()
    stage.platform.begin()
    stage.open(place)
    stage.platform.revoke_access_tokens(grant)
    return {"ends": _counted(stage.player.ask("call", times=3)), "refreshes": grant.requests}


def together(stage: Stage, sizes: Sizes, *, by_clock: bool, rotates: bool) -> Facts:
    """Many callers of one process at one moment, over one client."""
    rounds = []
    for _ in range(sizes.rounds):
        grant, place = stage.expired(1, rotates=rotates)[0] if by_clock else stage.kept(rotates=rotates)
        stage.platform.begin()
        stage.platform.wait_before = ROUND_TRIP
        stage.open(place)
        if not by_clock:
            stage.platform.revoke_access_tokens(grant)
        ends = _counted(stage.player.ask("together", callers=sizes.callers))
        refreshes = grant.requests
        rounds.append(
            {"ends": ends, "refreshes": refreshes, "afterwards": stage.call_apart(place), "alive": grant.alive}
        )
    return {"callers": sizes.callers, "rounds": rounds}


def processes(stage: Stage, sizes: Sizes) -> Facts:
    """Four processes over one store, the access token expired by its clock; each calls once, all at one moment."""
    rounds = []
    for grant, place in stage.expired(sizes.process_rounds, rotates=True):
        stage.platform.begin()
        stage.platform.wait_before = ROUND_TRIP
        ends = _counted(stage.forker.ask("call_apart", place=place, processes=4))
        refreshes = grant.requests
        rounds.append(
            {"ends": ends, "refreshes": refreshes, "afterwards": stage.call_apart(place), "alive": grant.alive}
        )
    return {"processes": 4, "rounds": rounds}


def kills(stage: Stage, sizes: Sizes) -> Facts:
    """kill -9 at a random moment after the platform has got the refresh, who answers it all the same."""
    chance, trials = random.Random(5), []
    grants = stage.expired(sizes.trials, rotates=True)
    stage.platform.begin()
    stage.platform.wait_before = stage.platform.wait_after = KILLED_WITHIN / 4
    for grant, place in grants:
        child = stage.forker.ask("begin_call", place=place)
        arrived = grant.arrived.wait(20)
        delay = chance.uniform(0, KILLED_WITHIN)
        time.sleep(delay)
        answered = grant.answered
        os.kill(child, signal.SIGKILL)
        stage.forker.ask("reap")
        time.sleep(KILLED_WITHIN)  # until what was under way is done
        trial = {"arrived": arrived, "answered": answered, "delay_ms": round(delay * 1000, 1)}
        trials.append({**trial, "afterwards": stage.call_apart(place), "alive": grant.alive})
    return {"trials": trials}


NO_ERROR = '{"message": "Too many requests", "trackingId": "T1"}'
OUTAGES = {
    "503": Outage(503, "<html><body>Service Unavailable</body></html>", {"Content-Type": "text/html"}),
    "429, Retry-After: 2": Outage(429, NO_ERROR, {"Retry-After": "2"}),
    "429": Outage(429, NO_ERROR, {}),
}


def outage(stage: Stage, sizes: Sizes, *, kind: str) -> Facts:
    """The token endpoint is out of order; eight callers call twice. Then it is in order again."""
    ((_, place),) = stage.expired(1)
    stage.platform.begin()
    stage.open(place)
    stage.platform.outage = OUTAGES[kind]
    began = time.monotonic()
    ends = _counted(stage.player.ask("together", callers=8, times=2))
    seconds, requests = time.monotonic() - began, stage.platform.counts["token"]
    stage.platform.outage = None
    recovered, last = _recovered(stage)
    return {
        "ends": ends,
        "requests": requests,
        "seconds": round(seconds, 2),
        "recovered_after": recovered,
        "last": last,
        "afterwards": stage.call_apart(place),
    }


def _recovered(stage: Stage) -> tuple[float | None, str]:
    """After how many seconds the same client calls with success again, and how its last call ended."""
    began = time.monotonic()
    while True:
        (said,) = stage.player.ask("call")
        passed = time.monotonic() - began
        if said == "200":
            return round(passed, 2), said
        if passed > RECOVERY:
            return None, said
        time.sleep(0.25)


CONTENT = "".join(f"line {number:06}\n" for number in range(8_000))
MIDDLE = 40_000


def upload(stage: Stage, sizes: Sizes, *, kind: str) -> Facts:
    """A body is sent with an access token that was revoked: what does the API get in the end?"""
    grant, place = stage.kept()
    stage.platform.begin()
    stage.open(place)
    stage.platform.revoke_access_tokens(grant)
    end = stage.player.ask("upload", kind=kind, content=CONTENT, begins=MIDDLE)
    return {"end": end, "arrived": [what_arrived(body, kind) for body in stage.platform.uploads]}


def what_arrived(body: bytes, kind: str) -> str:
    content = CONTENT.encode()
    if kind == "multipart":
        empty = b"\r\n\r\n\r\n--" in body
        return "right" if content in body else "empty" if empty else "wrong"
    wanted = content[MIDDLE:] if kind == "file" else content
    return "right" if body == wanted else "wrong" if body else "empty"


def gone(stage: Stage, sizes: Sizes) -> Facts:
    """The grant was revoked for good, and the access token has expired by its clock: ten calls, one after another."""
    ((grant, place),) = stage.expired(1)
    stage.platform.begin()
    stage.open(place)
    stage.platform.revoke(grant)
    ends = stage.player.ask("call", times=10)
    return {"ends": _counted(ends), "requests": stage.platform.counts["token"]}


def _counted(ends: Iterable[str]) -> Mapping[str, int]:
    """How many ended how, the most frequent first; of each kind of error the first message is kept."""
    ends = list(ends)
    first = {end.partition(":")[0]: end for end in reversed(ends)}
    counts = Counter(end.partition(":")[0] for end in ends)
    return {first[kind]: count for kind, count in counts.most_common()}


Scenario = Callable[[Stage, Sizes], Facts]

SCENARIOS: dict[str, Scenario] = {
    "expired": expired,
    "revoked": revoked,
    "together, stays": partial(together, by_clock=True, rotates=False),
    "together, rotates": partial(together, by_clock=True, rotates=True),
    "together, revoked": partial(together, by_clock=False, rotates=True),
    "processes": processes,
    "kills": kills,
    **{f"outage, {kind}": partial(outage, kind=kind) for kind in OUTAGES},
    **{f"upload, {kind}": partial(upload, kind=kind) for kind in ("bytes", "file", "generator", "multipart")},
    "gone": gone,
}
