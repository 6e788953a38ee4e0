"""Reports that the API refuses a token which was issued just now: another would fare no better, so each is put off
longer than the one before, and whoever reports in a loop does not become a loop at the token endpoint.
"""

from datetime import datetime, timedelta
from typing import Final

from grantflow.client import judging, rules
from grantflow.client.errors import TransientTokenError
from grantflow.client.flows.parts import Parts
from grantflow.client.grant import StoredGrant

#: A token that is reported later than this after it was issued has served, and is renewed at once. Twice the longest
#: wait: whoever comes back when the wait is over is not taken for one whose token had served.
_HAS_SERVED: Final = timedelta(minutes=2)


def put_off(parts: Parts, stored: StoredGrant, *, now: datetime) -> float:
    """Seconds until the API's refusal of the stored token is a reason to renew it: 0, or while it is younger than 1, 2,
    4, ... 60 seconds, by how many before it were renewed in vain."""
    row, age = parts.vain.count(stored.grant.key), _age(stored, now=now)
    if row == 0 or age is None:
        return 0.0
    return max(0.0, judging.back_off(row) - age.total_seconds())


def reported(parts: Parts, stored: StoredGrant, *, now: datetime) -> float:
    """The same for a program that calls by its own means: it never tells of a token that works, so that one was issued
    in vain is seen by when it is reported. The same one counts once, whoever reports it."""
    age = _age(stored, now=now)
    if age is None or rules.is_ending(stored.grant, now=now):
        return 0.0
    if age >= _HAS_SERVED:
        parts.vain.end(stored.grant.key)
    else:
        parts.vain.add(stored.grant.key, generation=stored.grant.generation)
    return put_off(parts, stored, now=now)


def check_may_report(parts: Parts, stored: StoredGrant, *, now: datetime, too_young: timedelta = timedelta(0)) -> None:
    """`too_young` is the age below which no token may be reported, whichever came before it.

    Raises TransientTokenError.
    """
    since = now - (stored.grant.refreshed_at or stored.grant.granted_at)
    left = reported(parts, stored, now=now)
    if timedelta(0) <= since < too_young:
        left = max(left, (too_young - since).total_seconds())
    if left:
        raise TransientTokenError(
            f"That token was issued {since.total_seconds():.0f} s ago, and another would fare no better: is the API "
            f"in trouble? It can be reported again in {left:.0f} s.",
            retry_after=left,
            grant=stored.grant,
        )


def _age(stored: StoredGrant, *, now: datetime) -> timedelta | None:
    """None of the first one, which replaced none, and where the clock has gone back."""
    if stored.grant.refreshed_at is None or now < stored.grant.refreshed_at:
        return None
    return now - stored.grant.refreshed_at
