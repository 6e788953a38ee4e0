"""Refresh: one request for each dead access token, over all threads, tasks, processes and machines.

The caller names the token that was rejected, so whoever comes late finds the new one and does nothing. In this
process callers share one flight (`Alone`); between processes the lease in the grant's own row decides, and who does
not get it waits and looks again. No lock and no transaction is held while the request is under way.
"""

from collections.abc import Hashable
from typing import Final

from grantflow.client import judging
from grantflow.client.errors import VaultUnavailable
from grantflow.client.flows import brake
from grantflow.client.flows.credentials import Chosen, choose
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.saving_late import save_late
from grantflow.client.flows.settling import condemn, give_back, settle, settle_silence
from grantflow.client.flows.telling import many_are_refused, must_grant_again, must_wait, operator_must_look
from grantflow.client.grant import GrantKey, Status, StoredGrant
from grantflow.client.observing import Refreshing, Waiting
from grantflow.client.steps import Flow, Unanswered, alone, current_time, load, moment, pause, save, send
from grantflow.protocol.http import Response
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials, Refresh, refresh_request

_FIRST_LOOK_SECONDS: Final = 0.02
_LONGEST_LOOK_SECONDS: Final = 0.5
#: Named as the rejected one where a grant that was brought in has no access token yet: whoever comes late finds one.
NO_TOKEN: Final = Secret("")


def refresh(parts: Parts, key: GrantKey, *, rejected: Secret | None) -> Flow[StoredGrant]:
    """The grant with a token other than the rejected one; where none is named, other than the one stored now.

    Raises ReauthorizationRequired, TransientTokenError, IntegrationRefused.
    """
    flight = (key, None if rejected is None else rejected.digest())
    with Waiting(parts.observers, key.integration, key, flight=flight) as waiting:

        def lead() -> Flow[StoredGrant]:
            waiting.leads = True
            return _lead(parts, key, rejected, flight=flight)

        stored = yield from alone(flight, lead, apart=True)
    parts.live.keep(key, stored, now=(yield from current_time()))
    return stored


def find_usable(parts: Parts, key: GrantKey) -> Flow[StoredGrant]:
    """The grant, as long as calls may be made on it. Raises ReauthorizationRequired."""
    yield from save_late(parts, key)
    stored = yield from load(lambda: parts.vault.find(key))
    if stored is None or stored.grant.status in {Status.REAUTHORIZATION_REQUIRED, Status.REVOKED}:
        parts.live.drop(key)
        raise must_grant_again(
            stored.grant if stored else None,
            configuration=parts.configuration,
            unanswered_since=stored.unanswered_since if stored else None,
        )
    return stored


def _lead(parts: Parts, key: GrantKey, rejected: Secret | None, *, flight: Hashable) -> Flow[StoredGrant]:
    with Refreshing(parts.observers, key.integration, key, flight=flight) as refreshing:
        stored = yield from _refresh(parts, key, rejected, refreshing)
        refreshing.grant = stored.grant
        return stored


def _refresh(parts: Parts, key: GrantKey, rejected: Secret | None, refreshing: Refreshing) -> Flow[StoredGrant]:
    holder = parts.mint(12)
    look_again = _FIRST_LOOK_SECONDS
    late = yield from save_late(parts, key)
    if late is not None and late.grant.status is Status.ACTIVE and late.access_token != rejected:
        refreshing.renewed = True
        return late
    while True:
        stored = yield from find_usable(parts, key)
        if rejected is None:
            rejected = stored.access_token or NO_TOKEN
        if stored.access_token is not None and stored.access_token != rejected:
            return stored
        yield from _check_may_ask(parts, stored)
        leased = yield from _take_lease(parts, stored, holder=holder)
        if leased is None:
            refreshing.pauses += look_again
            yield from pause(look_again)
            look_again = min(look_again * 1.5, _LONGEST_LOOK_SECONDS)
            continue
        renewed = yield from _renew(parts, leased, refreshing, holder=holder)
        if renewed is not None:
            refreshing.renewed = True
            return renewed


def _check_may_ask(parts: Parts, stored: StoredGrant) -> Flow[Chosen]:
    """One request for each step of back-off, over all callers. Raises TransientTokenError, IntegrationRefused."""
    now = yield from current_time()
    if judging.waits_for_itself(stored.grant, now=now):
        raise must_wait(stored, now=now)
    if stored.grant.is_held_back and (yield from brake.is_on(parts)):
        raise many_are_refused(stored.grant)
    chosen = yield from choose(parts)
    until = judging.next_try(stored, chosen.standing)
    if judging.waits_for_all(until, now=now):
        raise operator_must_look(chosen.standing, until=until, now=now)
    return chosen


def _take_lease(parts: Parts, stored: StoredGrant, *, holder: str) -> Flow[StoredGrant | None]:
    grant, seconds = stored.grant, parts.configuration.lease_seconds
    try:
        return (
            yield from save(
                lambda: parts.vault.take_lease(grant.id, generation=grant.generation, holder=holder, seconds=seconds)
            )
        )
    except VaultUnavailable:
        raise  # the lease was not taken, and to say so would mean to wait once more
    except BaseException:
        # Interrupted, perhaps with the lease in hand.
        yield from give_back(parts, stored, holder=holder, unanswered_since=stored.unanswered_since)
        raise


def _renew(parts: Parts, leased: StoredGrant, refreshing: Refreshing, *, holder: str) -> Flow[StoredGrant | None]:
    """With the lease in hand: ask, and keep what comes. None where there is reason to look again first."""
    if leased.refresh_token is None:
        refreshing.is_decided = True
        return (yield from condemn(parts, leased, reason="the platform gave no refresh token", holder=holder))
    # Before the lease is looked at: whatever pause comes after it, nothing is sent that might outlast the lease.
    since = yield from moment()
    chosen = yield from _check_before_sending(parts, leased, holder=holder)
    if chosen is None:
        return None
    refreshing.is_decided = True
    asked_at = yield from current_time()
    try:
        response = yield from _ask(parts, leased.refresh_token, credentials=chosen.credentials, since=since)
    except Unanswered as silence:
        return (yield from settle_silence(parts, leased, silence, holder=holder))
    except BaseException:
        # Given up in the middle: whoever comes next sends the same token again, and at once.
        yield from give_back(parts, leased, holder=holder, unanswered_since=leased.unanswered_since or asked_at)
        raise
    return (yield from settle(parts, leased, response, asked_at=asked_at, chosen=chosen, holder=holder))


def _check_before_sending(parts: Parts, leased: StoredGrant, *, holder: str) -> Flow[Chosen | None]:
    """None where so much of the lease has gone by, in a pause of this process, that it might end under way."""
    chosen = None
    try:
        # The one who had the lease before may have met a refusal meanwhile.
        chosen = yield from _check_may_ask(parts, leased)
        left = yield from load(lambda: parts.vault.lease_left(leased.grant.id, holder=holder))
        if left < parts.configuration.deadline:
            chosen = None
    finally:
        if chosen is None:
            yield from give_back(parts, leased, holder=holder, unanswered_since=leased.unanswered_since)
    return chosen


def _ask(parts: Parts, refresh_token: Secret, *, credentials: ClientCredentials, since: float) -> Flow[Response]:
    request = refresh_request(parts.configuration.token_endpoint, Refresh(credentials, refresh_token))
    return (yield from send(request, deadline=parts.configuration.deadline, since=since))
