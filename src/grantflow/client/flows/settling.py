"""What comes of a refresh request: tokens, a refusal, or silence; saved where the token sent is still the stored one.

Every function answers with the renewed grant, raises what the callers shall see, or answers None: somebody else has
changed the grant meanwhile, so nothing was saved and the vault must be read again.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from grantflow.client import judging, rules
from grantflow.client.events import Event, Kind
from grantflow.client.flows.credentials import Chosen, choose, clear, mark_refused
from grantflow.client.flows.ending import end_if_revoked
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.flows.recording import tell
from grantflow.client.flows.saving_late import keep_unsaved, renewal
from grantflow.client.flows.telling import many_are_refused, must_grant_again, must_wait, operator_must_look
from grantflow.client.grant import StoredGrant
from grantflow.client.judging import Verdict
from grantflow.client.steps import Flow, Unanswered, current_time, load, pause, save
from grantflow.client.vault import Refusing
from grantflow.protocol.http import Response
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import TokenRefusal, read_tokens

#: In seconds, where new tokens could not be saved: a server that restarts, a lock that others wait for too.
_PAUSES_BETWEEN_TRIES: Final = (0.1, 0.3, 1.0, 2.0)


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
        if refusal.refresh_token is not None and refusal.refresh_token != leased.refresh_token:
            return (yield from _settle_swap(parts, leased, refusal.refresh_token, refusal, holder=holder))
        return (yield from _settle_refusal(parts, leased, refusal, chosen=chosen, holder=holder))
    renewed = rules.renewed(leased, tokens, now=asked_at)
    event = renewal(parts, renewed, over=leased, now=(yield from current_time()), credentials=chosen.name)
    if not (yield from _save_tokens(parts, renewed, over=leased, event=event, holder=holder)):
        return None
    yield from clear(parts, chosen)
    yield from tell(parts, event)
    return renewed


def _settle_swap(
    parts: Parts, leased: StoredGrant, refresh_token: Secret, refusal: TokenRefusal, *, holder: str
) -> Flow[StoredGrant | None]:
    """A new refresh token beside an access token that cannot be used. The one that was sent may be dead, so it is
    saved as tokens are; otherwise the platform has not helped."""
    now = yield from current_time()
    delayed = rules.delayed(
        rules.swapped(leased, refresh_token),
        reason=f"{refusal}; the new refresh token that came with it is kept",
        incident=parts.incident(),
        retry_after=refusal.retry_after,
        unanswered=False,
        now=now,
    )
    event = renewal(parts, delayed, over=leased, now=now)
    if not (yield from _save_tokens(parts, delayed, over=leased, event=event, holder=holder)):
        return None
    yield from tell(parts, event)
    raise must_wait(delayed, now=now, status=refusal.status)


def settle_silence(parts: Parts, leased: StoredGrant, silence: Unanswered, *, holder: str) -> Flow[StoredGrant | None]:
    reason, unanswered = str(silence), silence.sent
    return (yield from _save_delay(parts, leased, reason=reason, unanswered=unanswered, holder=holder))


def condemn(parts: Parts, leased: StoredGrant, *, reason: str, holder: str) -> Flow[StoredGrant | None]:
    """Declare the grant dead. Raises ReauthorizationRequired."""
    now = yield from current_time()
    refused = rules.refused(leased, reason=reason, incident=parts.incident(), now=now)
    kind = _kind_of_end(refused)
    if not (yield from _save_verdict(parts, refused, over=leased, kind=kind, now=now, holder=holder)):
        return None
    grant = refused.grant
    parts.live.drop(grant.key)
    raise must_grant_again(grant, configuration=parts.configuration, unanswered_since=refused.unanswered_since)


def _condemn_or_hold(parts: Parts, leased: StoredGrant, *, reason: str, holder: str) -> Flow[StoredGrant | None]:
    """The platform refused the token. Where it refuses many at once this is not believed, and an operator must look.
    Raises ReauthorizationRequired, RefusalHeldBack."""
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
    unanswered_since = refusing.believed.unanswered_since
    raise must_grant_again(
        refusing.believed.grant, configuration=parts.configuration, unanswered_since=unanswered_since
    )


def _kind_of_end(refused: StoredGrant) -> Kind:
    return Kind.OUTCOME_UNKNOWN if refused.unanswered_since else Kind.REAUTHORIZATION_REQUIRED


def _refusing(parts: Parts, leased: StoredGrant, *, reason: str, holder: str, now: datetime) -> Refusing:
    incident, sent = parts.incident(), leased.refresh_token
    believed = rules.refused(leased, reason=reason, incident=incident, now=now)
    held = rules.held_back(leased, reason=reason, incident=incident, now=now)
    token = sent.fingerprint() if sent else None
    return Refusing(
        believed,
        parts.event(_kind_of_end(believed), believed.grant, at=now, token=token),
        held,
        parts.event(Kind.HELD_BACK, held.grant, at=now, token=token),
        parts.event(Kind.BRAKE_ON, at=now, incident=parts.incident()),
        over=leased.grant.generation,
        holder=holder,
    )


def _settle_refusal(
    parts: Parts, leased: StoredGrant, refusal: TokenRefusal, *, chosen: Chosen, holder: str
) -> Flow[StoredGrant | None]:
    verdict = judging.judge(refusal)
    is_alone = verdict is Verdict.INTEGRATION and (yield from _is_alone(parts, leased, chosen=chosen, holder=holder))
    if verdict is Verdict.FINAL or (is_alone and judging.is_dead_alone(leased, refusal)):
        return (yield from _condemn_or_hold(parts, leased, reason=str(refusal), holder=holder))
    if is_alone:
        return (yield from _save_delay_alone(parts, leased, refusal, holder=holder))
    if verdict is Verdict.INTEGRATION:
        return (yield from _blame_integration(parts, leased, refusal, chosen=chosen, holder=holder))
    return (
        yield from _save_delay(
            parts,
            leased,
            reason=str(refusal),
            unanswered=not judging.told_clearly(refusal),
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


def _is_alone(parts: Parts, leased: StoredGrant, *, chosen: Chosen, holder: str) -> Flow[bool]:
    """Whether the platform refuses the integration for this grant alone: since it last did, it has served others under
    the same client secret. That it serves another process's new secret says nothing for this one's."""
    key = leased.grant.key
    if leased.suspected_at is None:
        return False
    try:
        return (yield from load(lambda: parts.vault.served_others(key, credentials=chosen.name)))
    except BaseException:
        yield from give_back(parts, leased, holder=holder, unanswered_since=leased.unanswered_since)
        raise


def _save_delay_alone(
    parts: Parts, leased: StoredGrant, refusal: TokenRefusal, *, holder: str
) -> Flow[StoredGrant | None]:
    """One person's trouble is not everybody's: an account that is disabled, a scope that was taken away."""
    now = yield from current_time()
    alone = rules.refused_alone(leased, reason=str(refusal), incident=parts.incident(), now=now)
    if not (yield from _save_verdict(parts, alone, over=leased, kind=Kind.REFRESH_DELAYED, now=now, holder=holder)):
        return None
    raise must_wait(alone, now=now, status=refusal.status)


def _blame_integration(
    parts: Parts, leased: StoredGrant, refusal: TokenRefusal, *, chosen: Chosen, holder: str
) -> Flow[StoredGrant | None]:
    """None where another client secret is there to be tried."""
    try:
        marked = yield from mark_refused(parts, chosen, refusal)
        another, now = (yield from choose(parts)), (yield from current_time())
    except BaseException:
        yield from give_back(parts, leased, holder=holder, unanswered_since=leased.unanswered_since)
        raise
    goes_on = another.name != chosen.name and another.may_ask(now)
    # It may be this grant's own fault: remembered, to be judged when the same credentials have served another.
    untouched = replace(leased, suspected_at=now, failures=0)
    kind = None if goes_on else Kind.REFRESH_DELAYED
    if not (
        yield from _save_verdict(parts, untouched, over=leased, kind=kind, now=now, reason=str(refusal), holder=holder)
    ):
        return None
    if goes_on:
        return None
    raise operator_must_look(marked, until=judging.next_try(untouched, marked), now=now, status=refusal.status)


def _save_verdict(
    parts: Parts,
    judged: StoredGrant,
    *,
    over: StoredGrant,
    holder: str,
    kind: Kind | None = None,
    now: datetime | None = None,
    reason: str | None = None,
) -> Flow[bool]:
    """Save where the vault still has the token that was sent, and nobody else has taken up the refresh meanwhile."""
    generation, sent = over.grant.generation, over.refresh_token
    event = None
    if kind is not None and now is not None:
        event = parts.event(kind, judged.grant, at=now, reason=reason, token=sent.fingerprint() if sent else None)
        event = event if event.incident else replace(event, incident=parts.incident())
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


def _save_tokens(parts: Parts, renewed: StoredGrant, *, over: StoredGrant, event: Event, holder: str) -> Flow[bool]:
    """Save where the vault still has the token that was sent, whoever holds the lease by now. That token may be dead,
    so the new ones are not given up: where they cannot be saved they stay in this process until they can be, and the
    lease is left to end by itself, so that nobody sends the old token meanwhile."""
    try:
        saved = yield from _insist(parts, renewed, over=over, event=event, holder=holder)
    except BaseException:
        yield from keep_unsaved(parts, renewed)
        raise
    if not saved:
        yield from end_if_revoked(parts, renewed, sent=over.refresh_token)
    parts.unsaved.drop(renewed)
    return saved


def _insist(parts: Parts, renewed: StoredGrant, *, over: StoredGrant, event: Event, holder: str) -> Flow[bool]:
    def write() -> bool:
        return parts.vault.save(renewed, generation=over.grant.generation, holder=holder, event=event)

    try:
        for seconds in _PAUSES_BETWEEN_TRIES:
            try:
                return (yield from save(write))
            except Exception as error:
                logger.warning("grant %s: the new tokens could not be saved, trying again: %s", renewed.grant.id, error)
                parts.unsaved.keep(renewed)  # for others in this process, who may come when the lease has ended
                yield from pause(seconds)
        return (yield from save(write))
    except BaseException as error:
        if not isinstance(error, Exception):  # an interrupt from the keyboard, or the end of the event loop
            yield from save(write)
        raise


def give_back(parts: Parts, leased: StoredGrant, *, holder: str, unanswered_since: datetime | None) -> Flow[None]:
    """End the lease on the way out with an error, which stays the one that is told: a lease ends by itself too."""
    grant_id = leased.grant.id
    try:
        yield from save(lambda: parts.vault.release(grant_id, holder=holder, unanswered_since=unanswered_since))
    except Exception as error:
        logger.warning("grant %s: the lease is left to end by itself: %s", grant_id, error)
