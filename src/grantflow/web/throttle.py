"""Slows those who guess a password or a client secret, and nobody else.

Failures are counted by account and address, so that guessing at somebody's account keeps them out from nowhere but
the guesser's own address (RFC 6749 section 2.3.1, RFC 6819 section 5.1.4.2.3)::

    throttle = Throttle(failures, what="person")
    if seconds := await throttle.wait(email, address=sender(request), now=now):
        ...                                       # refuse unseen, with Retry-After
    if not right:
        await throttle.failed(email, address=sender(request), now=now)
    else:
        await throttle.succeeded(email, address=sender(request))
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal, Protocol

from starlette.requests import Request

from grantflow.protocol.secret import Secret

What = Literal["client", "person"]


@dataclass(frozen=True, slots=True)
class Failures:
    """How often one account was got wrong from one address, and when last."""

    count: int
    last_at: datetime


class FailureLog(Protocol):
    """Where failures are kept, for all processes alike. `subject` is a digest."""

    async def find(self, what: What, subject: str, *, address: str) -> Failures | None: ...

    async def add(self, what: What, subject: str, *, address: str, now: datetime, forget_before: datetime) -> None:
        """Count one more, and drop what is older than `forget_before`."""

    async def clear(self, what: What, subject: str, *, address: str) -> None: ...


class FailuresInMemory:
    """A failure log of this process alone, for what is asked thousands of times a second and guessed in vain: client
    secrets have 256 bits. At most ``capacity`` are kept; those longest without a failure go first.
    """

    def __init__(self, *, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._failures: dict[tuple[What, str, str], Failures] = {}

    async def find(self, what: What, subject: str, *, address: str) -> Failures | None:
        return self._failures.get((what, subject, address))

    async def add(self, what: What, subject: str, *, address: str, now: datetime, forget_before: datetime) -> None:
        known = self._failures.pop((what, subject, address), None)
        count = known.count if known and known.last_at >= forget_before else 0
        while len(self._failures) >= self._capacity:
            del self._failures[next(iter(self._failures))]
        self._failures[what, subject, address] = Failures(count + 1, now)

    async def clear(self, what: What, subject: str, *, address: str) -> None:
        self._failures.pop((what, subject, address), None)


@dataclass(frozen=True, slots=True)
class Throttle:
    """`free` failures cost nothing, each further one doubles the wait up to `longest` seconds; after `forget_after`
    quiet seconds all is forgotten. Waiting is never added to by trying meanwhile.
    """

    failures: FailureLog
    what: What
    free: int = 5
    longest: int = 900
    forget_after: int = 3_600

    async def wait(self, subject: str, *, address: str, now: datetime) -> int:
        """Seconds until the next try is looked at; 0 where it may be now."""
        known = await self.failures.find(self.what, _digest(subject), address=address)
        return seconds_to_wait(known, now=now, rule=self) if known else 0

    async def failed(self, subject: str, *, address: str, now: datetime) -> None:
        forget_before = now - timedelta(seconds=self.forget_after)
        await self.failures.add(self.what, _digest(subject), address=address, now=now, forget_before=forget_before)

    async def succeeded(self, subject: str, *, address: str) -> None:
        """Forget the failures; writes only where there are any."""
        if await self.failures.find(self.what, _digest(subject), address=address):
            await self.failures.clear(self.what, _digest(subject), address=address)


def seconds_to_wait(known: Failures, *, now: datetime, rule: Throttle) -> int:
    passed = (now - known.last_at).total_seconds()
    over = known.count - rule.free
    if over < 0 or passed >= rule.forget_after:
        return 0
    pause: int = min(rule.longest, 1 << min(over, 20))
    return max(0, math.ceil(pause - passed))


def sender(request: Request) -> str:
    """The address that a request came from; of IPv6 the /64 that one customer has whole (RFC 6177)."""
    return _customer(request.client.host if request.client else "")


@lru_cache(maxsize=4_096)
def _customer(host: str) -> str:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def _digest(subject: str) -> str:
    """People type passwords into the wrong field: what was typed is never kept readable."""
    return Secret(subject.strip().lower()).digest().hex()
