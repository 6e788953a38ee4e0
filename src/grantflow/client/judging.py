"""What an answer of the token endpoint means, and who waits how long for the next try: pure decisions over values."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from grantflow.client.grant import Brake, Grant, Standing, StoredGrant
from grantflow.protocol.token import TokenRefusal

#: More refused grants than so many, and this share of all that the platform judged, within this time, are not people
#: who took their grants back one by one: something is wrong with the platform, the registration or the network.
_MANY_REFUSED: Final = 20
_SHARE_REFUSED: Final = 0.2
MASS_REFUSAL_WITHIN: Final = timedelta(minutes=5)
_LONGEST_BACK_OFF: Final = 60.0
#: How often a grant alone must have been refused as if the integration were, before the next time is final.
_ALONE_BEFORE: Final = 2
#: The most by which a grant for which the integration is refused lets others try first.
_OTHERS_FIRST: Final = timedelta(seconds=5)
#: By how much the clocks of processes over one vault may differ without harm.
CLOCKS_DIFFER: Final = timedelta(minutes=10)
#: The longest that one answer of the token endpoint can make a grant wait, in seconds, whatever its Retry-After says:
#: one request an hour burdens nobody, and what was said by mistake is over within the hour.
_LONGEST_FOR_ONE: Final = 3_600.0
#: The same where it makes all grants wait, and a person who has mended the integration with them.
_LONGEST_FOR_ALL: Final = 300.0


class Verdict(Enum):
    """What a refusal of the token endpoint means."""

    FINAL = auto()
    """For this grant alone: the person must grant again."""
    INTEGRATION = auto()
    """The integration's own fault; no grant is harmed, an operator must look."""
    TRANSIENT = auto()
    """Nothing is harmed; try again later."""


def judge(refusal: TokenRefusal) -> Verdict:
    """Sort a refusal by status and shape, never by wording (webex-contract 5: no two layers word it alike).

    A page for people is the word of a proxy, a captive portal or a login wall, not of a token endpoint; and
    invalid_grant speaks of one grant whatever 4xx carries it (docs/decisions/0009).
    """
    status = refusal.status
    if is_passing(status) or 200 <= status < 300 or refusal.is_html:
        return Verdict.TRANSIENT
    if refusal.error == "invalid_grant" and told_clearly(refusal):
        return Verdict.FINAL
    if status != 400:
        return Verdict.INTEGRATION
    if refusal.error is not None:
        return Verdict.FINAL if _is_webexs_invalid_grant(refusal) else Verdict.INTEGRATION
    return Verdict.FINAL if refusal.webex_shape else Verdict.TRANSIENT


def is_passing(status: int) -> bool:
    """Whether a server says so that it has not judged: it is busy or out of order."""
    return status in {408, 425, 429} or status >= 500


def _is_webexs_invalid_grant(refusal: TokenRefusal) -> bool:
    # Webex's identity service says invalid_request where RFC 6749 says invalid_grant; it adds its tracking id.
    return refusal.error == "invalid_request" and refusal.tracking_id is not None and not refusal.webex_shape


def told_clearly(refusal: TokenRefusal) -> bool:
    """Whether the server surely did not swap the token: a 4xx. After a 5xx or a torn 2xx it may have."""
    return 400 <= refusal.status < 500


def is_dead_alone(stored: StoredGrant, refusal: TokenRefusal) -> bool:
    """Whether one more 401 to this grant alone condemns it: others were served before each of the last ones. What names
    the client condemns no grant."""
    return refusal.status == 401 and refusal.error != "invalid_client" and stored.failures >= _ALONE_BEFORE


def braked(brake: Brake, *, refused: int, judged: int, now: datetime) -> Brake:
    """The brake after one more refusal, beside so many refused grants of so many refreshes before it."""
    if brake.on_since is not None or not is_mass_refusal(refused + 1, judged + 1):
        return brake
    reason = f"{refused + 1} grants were refused within five minutes, of {judged + 1} refreshes"
    return replace(brake, on_since=now, reason=reason)


def is_mass_refusal(refused: int, judged: int) -> bool:
    """`refused` grants of `judged` refreshes within `MASS_REFUSAL_WITHIN`."""
    return refused > _MANY_REFUSED and refused >= _SHARE_REFUSED * judged


def integration_refused(standing: Standing, *, reason: str, retry_after: float | None, now: datetime) -> Standing:
    failures = standing.failures + 1
    wait = timedelta(seconds=back_off(failures, retry_after=retry_after, longest=_LONGEST_FOR_ALL))
    return replace(standing, refused_at=now, retry_at=now + wait, failures=failures, reason=reason)


def back_off(failures: int, *, retry_after: float | None = None, longest: float = _LONGEST_FOR_ONE) -> float:
    """Seconds to wait after so many failures in a row: 1, 2, 4, ... 60, or what the server asked for, up to an hour."""
    own = min(2.0 ** min(failures - 1, 10), _LONGEST_BACK_OFF)
    return max(own, min(retry_after or 0.0, longest))


def waits_for_itself(grant: Grant, *, now: datetime) -> bool:
    """Whether this grant's next try is still to come. No wait is longer than an hour: one that is comes of a clock that
    was ahead."""
    return _is_ahead(grant.retry_at, now=now, longest=_LONGEST_FOR_ONE)


def next_try(stored: StoredGrant, standing: Standing) -> datetime | None:
    """When this grant may be asked for while the integration is refused. One for which it was refused lets others try
    first, for as long again, but for seconds at most: else one whose refusal is its own would be asked again and again,
    and no other ever."""
    if standing.retry_at is None or standing.refused_at is None or stored.suspected_at is None:
        return standing.retry_at
    return standing.retry_at + min(standing.retry_at - standing.refused_at, _OTHERS_FIRST)


def waits_for_all(moment: datetime | None, *, now: datetime) -> bool:
    """The same of everybody's next try under one client secret, which is at most minutes away."""
    return _is_ahead(moment, now=now, longest=_LONGEST_FOR_ALL)


def _is_ahead(moment: datetime | None, *, now: datetime, longest: float) -> bool:
    return moment is not None and timedelta(0) < moment - now <= timedelta(seconds=longest) + CLOCKS_DIFFER
