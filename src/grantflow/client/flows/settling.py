"""What comes of a refresh request: tokens, a refusal, or silence; saved where the token sent is still the stored one.

Every function answers with the renewed grant, raises what the callers shall see, or answers None: somebody else has
changed the grant meanwhile, so nothing was saved and the vault must be read again.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from grantflow.client import rules
from grantflow.client.events import Event, Kind
from grantflow.client.flows.credentials import Chosen, choose, clear, mark_refused
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.flows.recording import tell
from grantflow.client.flows.revoking import end_at_platform
from grantflow.client.flows.telling import many_are_refused, must_grant_again, must_wait, operator_must_look
from grantflow.client.grant import Status, StoredGrant
from grantflow.client.rules import Verdict
from grantflow.client.steps import Flow, Unanswered, current_time, load, save
from grantflow.client.vault import Refusing
from grantflow.protocol.http import Response
from grantflow.protocol.token import TokenRefusal, read_tokens

#: Each try may wait for a lock by itself: many grants that are renewed at once write one after the other.
_TRIES_TO_SAVE: Final = 4


def settle(
    parts: Parts,
    leased: StoredGrant,
    response: Response,
    *,
    asked_at: datetime,
    chosen: Chosen,
    holder: str,
) -> Flow[StoredGrant | None]:
    """Lifetimes count from `asked_at`, so that no token is thought to live longer than it does."""
    try:
        tokens = read_tokens(response)
    except TokenRefusal as refusal:
        return (yield from _settle_refusal(parts, leased, refusal, chosen=chosen, holder=holder))
    renewed = rules.renewed(leased, tokens, now=asked_at)
    event = _renewal(parts, renewed, over=leased, now=(yield from current_time()))
    if not (yield from _save_tokens(parts, renewed, over=leased, asked_at=asked_at, event=event, holder=holder)):
        yield from _end_if_revoked(parts, renewed, over=leased)
        return None
    yield from clear(parts, chosen)
    yield from tell(parts, event)
    return renewed


def _renewal(parts: Parts, renewed: StoredGrant, *, over: StoredGrant, now: datetime) -> Event:
    sent, came = over.refresh_token, renewed.access_token
    return parts.event(
        Kind.REFRESHED,
        renewed.grant,
        at=now,
        token=sent.fingerprint() if sent else None,
        new_token=came.fingerprint() if came else None,
    )


def _end_if_revoked(parts: Parts, renewed: StoredGrant, *, over: StoredGrant) -> Flow[None]:
    """The grant may have been revoked while these tokens were under way: then whoever revoked it knew only the ones
    before, and a platform that does not count them as one family would let these live on."""
    key = renewed.grant.key
    found = yield from load(lambda: parts.vault.grant(key))
    if found is None or found.status is not Status.REVOKED:
        return
    swapped = renewed.refresh_token != over.refresh_token
    revocation = yield from end_at_platform(parts, renewed if swapped else replace(renewed, refresh_token=None))
    if not revocation.at_platform:
        words = "grant %s was revoked while it was renewed, and the new tokens may live on at the platform: %s"
        logger.warning(words, found.id, revocation.reason)


def settle_silence(parts: Parts, leased: StoredGrant, silence: Unanswered, *, holder: str) -> Flow[StoredGrant | None]:
    reason, unanswered = str(silence), silence.sent
    return (yield from _save_delay(parts, leased, reason=reason, unanswered=unanswered, holder=holder))


def condemn(parts: Parts, leased: StoredGrant, *, reason: str, holder: str) -> Flow[StoredGrant | None]:
    """Declare the grant dead. Raises ReauthorizationRequired."""
    now = yield from current_time()
    refused = rules.refused(leased, reason=reason, incident=parts.incident(), now=now)
    kind = Kind.OUTCOME_UNKNOWN if leased.unanswered_since else Kind.REAUTHORIZATION_REQUIRED
    if not (yield from _save_verdict(parts, refused, over=leased, kind=kind, now=now, holder=holder)):
        return None
    grant = refused.grant
    parts.live.drop(grant.key)
    raise must_grant_again(grant, configuration=parts.configuration, unanswered_since=refused.unanswered_since)


def _condemn_or_hold(parts: Parts, leased: StoredGrant, *, reason: str, holder: str) -> Flow[StoredGrant | None]:
    """The platform refused the token. Where it refuses many at once this is not believed, and an operator must look;
    but where an answer was lost before, the cause is known. Raises ReauthorizationRequired, RefusalHeldBack."""
    if leased.unanswered_since is not None:
        return (yield from condemn(parts, leased, reason=reason, holder=holder))
    now = yield from current_time()
    refusing = _refusing(parts, leased, reason=reason, holder=holder, now=now)
    try:
        events = yield from save(lambda: parts.vault.refuse(refusing, now=now))
    except BaseException:
        yield from give_back(parts, leased, holder=holder, unanswered_since=leased.unanswered_since)
        raise
    for event in events:
        yield from tell(parts, event)
    if not events:
        return None
    if events[0].kind is Kind.HELD_BACK:
        raise many_are_refused(refusing.held.grant)
    parts.live.drop(leased.grant.key)
    raise must_grant_again(refusing.believed.grant, configuration=parts.configuration)


def _refusing(parts: Parts, leased: StoredGrant, *, reason: str, holder: str, now: datetime) -> Refusing:
    incident, sent = parts.incident(), leased.refresh_token
    believed = rules.refused(leased, reason=reason, incident=incident, now=now)
    held = rules.held_back(leased, reason=reason, incident=incident, now=now)
    token = sent.fingerprint() if sent else None
    return Refusing(
        believed,
        parts.event(Kind.REAUTHORIZATION_REQUIRED, believed.grant, at=now, token=token),
        held,
        parts.event(Kind.HELD_BACK, held.grant, at=now, token=token),
        parts.event(Kind.BRAKE_ON, at=now, incident=parts.incident()),
        over=leased.grant.generation,
        holder=holder,
    )


def _settle_refusal(
    parts: Parts, leased: StoredGrant, refusal: TokenRefusal, *, chosen: Chosen, holder: str
) -> Flow[StoredGrant | None]:
    verdict = rules.judge(refusal)
    dead_alone = refusal.status == 401 and rules.is_dead_alone(leased, chosen.standing)
    if verdict is Verdict.FINAL or dead_alone:
        return (yield from _condemn_or_hold(parts, leased, reason=str(refusal), holder=holder))
    if verdict is Verdict.INTEGRATION:
        return (yield from _blame_integration(parts, leased, refusal, chosen=chosen, holder=holder))
    return (
        yield from _save_delay(
            parts,
            leased,
            reason=str(refusal),
            unanswered=not rules.told_clearly(refusal),
            retry_after=refusal.retry_after,
            status=refusal.status,
            holder=holder,
        )
    )


def _save_delay(
    parts: Parts,
    leased: StoredGrant,
    *,
    reason: str,
    unanswered: bool,
    holder: str,
    retry_after: float | None = None,
    status: int | None = None,
) -> Flow[StoredGrant | None]:
    now = yield from current_time()
    delayed = rules.delayed(
        leased,
        reason=reason,
        incident=parts.incident(),
        retry_after=retry_after,
        unanswered=unanswered,
        now=now,
    )
    if not (yield from _save_verdict(parts, delayed, over=leased, kind=Kind.REFRESH_DELAYED, now=now, holder=holder)):
        return None
    raise must_wait(delayed, now=now, status=status)


def _blame_integration(
    parts: Parts, leased: StoredGrant, refusal: TokenRefusal, *, chosen: Chosen, holder: str
) -> Flow[StoredGrant | None]:
    """None where another client secret is there to be tried."""
    now = yield from current_time()
    # A lone 401 may be this grant's own: remembered, to be judged when the same credentials have served another.
    suspected_at = leased.suspected_at or (now if refusal.status == 401 else None)
    untouched = replace(leased, suspected_at=suspected_at)
    if not (yield from _save_verdict(parts, untouched, over=leased, holder=holder)):
        return None
    marked = yield from mark_refused(parts, chosen, refusal)
    another = yield from choose(parts)
    if another.name != chosen.name and another.may_ask(now):
        return None
    raise operator_must_look(marked, now=now, status=refusal.status)


def _save_verdict(
    parts: Parts,
    judged: StoredGrant,
    *,
    over: StoredGrant,
    holder: str,
    kind: Kind | None = None,
    now: datetime | None = None,
) -> Flow[bool]:
    """Save where the vault still has the token that was sent, and nobody else has taken up the refresh meanwhile."""
    generation, sent = over.grant.generation, over.refresh_token
    event = None
    if kind is not None and now is not None:
        event = parts.event(kind, judged.grant, at=now, token=sent.fingerprint() if sent else None)
    try:
        saved = yield from save(
            lambda: parts.vault.save(judged, generation=generation, holder=holder, only_holder=True, event=event)
        )
    except BaseException:
        yield from give_back(parts, over, holder=holder, unanswered_since=judged.unanswered_since)
        raise
    if saved and event is not None:
        yield from tell(parts, event)
    return saved


def _save_tokens(
    parts: Parts, renewed: StoredGrant, *, over: StoredGrant, asked_at: datetime, event: Event, holder: str
) -> Flow[bool]:
    """Save where the vault still has the token that was sent, whoever holds the lease by now. That token may be dead,
    so the new ones are not given up at the first failure; where they must be, whoever comes next need not wait."""
    try:
        return (yield from _insist(parts, renewed, over=over, event=event, holder=holder))
    except BaseException:
        parts.unsaved.keep(renewed)
        since = over.unanswered_since or asked_at
        yield from give_back(parts, over, holder=holder, unanswered_since=since)
        raise


def save_late(parts: Parts, stored: StoredGrant) -> Flow[StoredGrant | None]:
    """Save what came for this very token while the vault did not work; None where there is no such thing."""
    key, generation = stored.grant.key, stored.grant.generation
    renewed = parts.unsaved.get(key)
    if renewed is None:
        return None
    over_this = renewed.grant.generation == generation + 1
    event = _renewal(parts, renewed, over=stored, now=(yield from current_time()))
    saved = over_this and (yield from save(lambda: parts.vault.save(renewed, generation=generation, event=event)))
    parts.unsaved.drop(key)
    if not saved:
        return None
    yield from tell(parts, event)
    return renewed


def _insist(parts: Parts, renewed: StoredGrant, *, over: StoredGrant, event: Event, holder: str) -> Flow[bool]:
    def write() -> bool:
        return parts.vault.save(renewed, generation=over.grant.generation, holder=holder, event=event)

    try:
        for _ in range(_TRIES_TO_SAVE - 1):
            try:
                return (yield from save(write))
            except Exception as error:
                logger.warning("grant %s: the new tokens could not be saved, trying again: %s", renewed.grant.id, error)
        return (yield from save(write))
    except Exception:
        raise
    except BaseException:
        # An interrupt from the keyboard, or the end of the event loop.
        yield from save(write)
        raise


def give_back(parts: Parts, leased: StoredGrant, *, holder: str, unanswered_since: datetime | None) -> Flow[None]:
    """End the lease on the way out with an error, which stays the one that is told: a lease ends by itself too."""
    grant_id = leased.grant.id
    try:
        yield from save(lambda: parts.vault.release(grant_id, holder=holder, unanswered_since=unanswered_since))
    except Exception as error:
        logger.warning("grant %s: the lease is left to end by itself: %s", grant_id, error)
