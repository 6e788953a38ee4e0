"""What becomes of a grant: pure decisions over values, so that every one can be shown in a table of cases."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from grantflow.client.grant import (
    Adoption,
    ExistingTokens,
    Grant,
    GrantKey,
    Person,
    Status,
    StoredGrant,
)
from grantflow.client.judging import CLOCKS_DIFFER, back_off
from grantflow.client.presenting import presentable
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens

#: How long a refused refresh token stays sealed, so that an operator can try it again.
REFUSED_TOKENS_KEPT: Final = timedelta(days=30)
#: How long the audit log reaches back: a year and a month, so that last year's incident can still be looked up.
EVENTS_KEPT: Final = timedelta(days=400)
#: How long a request may lie at a server before it is served, by the clock of any process.
_SERVED_LATE: Final = timedelta(minutes=5) + CLOCKS_DIFFER
#: An access token that is handed out has this much of its life left at least, or a tenth of it where that is less.
_LEFT_WHEN_HANDED_OUT: Final = timedelta(seconds=30)


def has_ended(grant: Grant, *, now: datetime) -> bool:
    """Whether the access token's time is over, as far as the platform told."""
    return grant.access_expires_at is not None and grant.access_expires_at <= now


def is_ending(grant: Grant, *, now: datetime) -> bool:
    """Whether it is over so soon that the token might die on its way to whom it is handed out."""
    if grant.access_expires_at is None:
        return False
    lifetime = grant.access_expires_at - (grant.refreshed_at or grant.granted_at)
    return grant.access_expires_at - min(_LEFT_WHEN_HANDED_OUT, lifetime / 10) <= now


def granted(
    grant_id: str, key: GrantKey, *, person: Person, tokens: Tokens, asked: Scopes, now: datetime
) -> StoredGrant:
    """A fresh grant. An answer without scope grants what was asked (RFC 6749 section 5.1)."""
    grant = Grant(
        id=grant_id,
        integration=key.integration,
        owner=key.owner,
        person_id=key.person_id,
        display_name=person.display_name,
        email=person.email,
        status=Status.ACTIVE,
        scopes=asked if tokens.scope is None else tokens.scope,
        generation=1,
        granted_at=now,
        access_expires_at=_after(now, tokens.expires_in),
        refresh_expires_at=_after(now, tokens.refresh_token_expires_in),
    )
    return StoredGrant(grant, access_token=tokens.access_token, refresh_token=tokens.refresh_token)


def weigh(tokens: ExistingTokens, *, known: bool, here: StoredGrant | None, instead: bool) -> Adoption:
    """What to do with tokens that are brought in. `known`: they have come in before, and became `here`; else `here` is
    the grant of the same person and owner. `instead`: whoever brings them wants them in its place.

    Tokens that came in before never take the place of what works: they may have been swapped for it since.
    """
    if here is None:
        return Adoption.ADOPTED
    works = here.grant.status in {Status.ACTIVE, Status.REFRESH_DELAYED}
    if known or here.refresh_token == tokens.refresh_token:
        return Adoption.REPLACED if instead and not works else Adoption.UNCHANGED
    if instead:
        return Adoption.REPLACED
    if here.grant.status is Status.REVOKED:
        return Adoption.KEPT
    newer = is_newer(tokens, here.grant)
    # What does not work any more gives way to what may: the person would have to be asked again otherwise.
    taken = newer if works else newer is not False
    return Adoption.REPLACED if taken else Adoption.KEPT


def is_newer(tokens: ExistingTokens, grant: Grant) -> bool | None:
    """Whether they were issued after those of the grant; None where that cannot be told."""
    if tokens.issued_at is not None:
        return tokens.issued_at > (grant.refreshed_at or grant.granted_at)
    for theirs, ours in (
        (tokens.refresh_expires_at, grant.refresh_expires_at),
        (tokens.access_expires_at, grant.access_expires_at),
    ):
        if theirs is not None and ours is not None:
            return theirs > ours
    return None


def adopted(
    grant_id: str, key: GrantKey, tokens: ExistingTokens, *, here: Grant | None, asked: Scopes, now: datetime
) -> StoredGrant:
    """A grant of tokens that were brought in; what they do not tell of the person is as it was `here`."""
    person = presentable(tokens.person) if tokens.person else None
    grant = Grant(
        id=grant_id,
        integration=key.integration,
        owner=key.owner,
        person_id=key.person_id,
        display_name=(person.display_name if person else None) or (here.display_name if here else None),
        email=(person.email if person else None) or (here.email if here else None),
        status=Status.ACTIVE,
        scopes=asked if tokens.scopes is None else tokens.scopes,
        generation=1,
        granted_at=tokens.issued_at or now,
        access_expires_at=tokens.access_expires_at,
        refresh_expires_at=tokens.refresh_expires_at,
    )
    return StoredGrant(grant, access_token=tokens.access_token, refresh_token=tokens.refresh_token)


def came_in_vain(stored: StoredGrant) -> bool:
    """Whether nothing of tokens that were brought in is worth keeping: the platform refused them for good, nobody ever
    knew whose they are, no answer was lost that may have held others, and whoever brought them has the same still."""
    grant, token = stored.grant, stored.refresh_token
    return (
        grant.status is Status.REAUTHORIZATION_REQUIRED
        and not grant.is_named
        and stored.unanswered_since is None
        and (token is None or ExistingTokens(refresh_token=token).person_id == grant.person_id)
    )


def named(stored: StoredGrant, key: GrantKey, *, person: Person) -> StoredGrant:
    """The same tokens under the name of their person. The new generation keeps a refresh under way from coming back."""
    grant = replace(
        stored.grant,
        owner=key.owner,
        person_id=key.person_id,
        display_name=person.display_name,
        email=person.email,
        generation=stored.grant.generation + 1,
    )
    return replace(stored, grant=grant)


def renewed(stored: StoredGrant, tokens: Tokens, *, now: datetime) -> StoredGrant:
    """The grant with its new tokens; the old refresh token stays where none came (RFC 6749 section 6)."""
    old = stored.grant
    rotated = tokens.refresh_token is not None and tokens.refresh_token != stored.refresh_token
    refresh_expires_at = _after(now, tokens.refresh_token_expires_in)
    grant = replace(
        old,
        status=Status.ACTIVE,
        scopes=old.scopes if tokens.scope is None else tokens.scope,
        generation=old.generation + 1,
        refreshed_at=now,
        access_expires_at=_after(now, tokens.expires_in),
        refresh_expires_at=refresh_expires_at or (None if rotated else old.refresh_expires_at),
        retry_at=None,
        refused_at=None,
        incident=None,
        reason=None,
    )
    return StoredGrant(
        grant,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or stored.refresh_token,
        overtaken_since=_overtaken_since(stored, rotated=rotated, now=now),
    )


def _overtaken_since(stored: StoredGrant, *, rotated: bool, now: datetime) -> datetime | None:
    """Since when the server may come to a request yet whose successor it has just answered. It would take it for the
    use of a stolen token, and end the grant (RFC 9700 section 4.14.2); where it swaps no tokens it does not."""
    if rotated and stored.unanswered_since is not None:
        return stored.unanswered_since  # of several, the first; the last may have been sent just now
    sent_at = stored.overtaken_since
    return None if sent_at is None or now - sent_at > _SERVED_LATE else sent_at


def swapped(stored: StoredGrant, refresh_token: Secret) -> StoredGrant:
    """The platform gave this one in place of the one that was sent, and no access token that can be used."""
    grant = replace(stored.grant, generation=stored.grant.generation + 1, refresh_expires_at=None, refused_at=None)
    overtaken = stored.unanswered_since or stored.overtaken_since
    return replace(stored, grant=grant, refresh_token=refresh_token, unanswered_since=None, overtaken_since=overtaken)


def delayed(
    stored: StoredGrant, *, reason: str, incident: str, retry_after: float | None, unanswered: bool, now: datetime
) -> StoredGrant:
    """The platform did not help this time. `unanswered`: whether it may have swapped the token nevertheless."""
    failures = stored.failures + 1
    wait = timedelta(seconds=back_off(failures, retry_after=retry_after))
    grant = replace(stored.grant, status=Status.REFRESH_DELAYED, retry_at=now + wait, incident=incident, reason=reason)
    since = (stored.unanswered_since or now) if unanswered else stored.unanswered_since
    return replace(stored, grant=grant, failures=failures, unanswered_since=since, suspected_at=None)


def refused_alone(stored: StoredGrant, *, reason: str, incident: str, now: datetime) -> StoredGrant:
    """The integration was refused for this grant, but serves others: this one waits by itself."""
    waiting = delayed(stored, reason=reason, incident=incident, retry_after=None, unanswered=False, now=now)
    return replace(waiting, suspected_at=now)


def refused(stored: StoredGrant, *, reason: str, incident: str, now: datetime) -> StoredGrant:
    """The refresh token is dead. It stays sealed for 30 days, for an operator to try again."""
    grant = replace(
        stored.grant,
        status=Status.REAUTHORIZATION_REQUIRED,
        retry_at=None,
        refused_at=now,
        incident=incident,
        reason=reason,
    )
    unanswered_since = stored.unanswered_since or stored.overtaken_since
    return replace(stored, grant=grant, unanswered_since=unanswered_since, failures=0, suspected_at=None)


def held_back(stored: StoredGrant, *, reason: str, incident: str, now: datetime) -> StoredGrant:
    """Refused together with many others: not believed, and not asked again until an operator has looked."""
    held = refused(stored, reason=reason, incident=incident, now=now)
    return replace(held, grant=replace(held.grant, status=Status.REFRESH_DELAYED))


def reopened(stored: StoredGrant) -> StoredGrant:
    """The refused token may be tried again, once: what is told of it stays until then."""
    grant = replace(stored.grant, status=Status.REFRESH_DELAYED, retry_at=None, refused_at=None)
    return replace(stored, grant=grant, failures=0)


def revoked(grant: Grant) -> StoredGrant:
    """Disconnected: the tokens are forgotten, and the new generation keeps a refresh under way from coming back."""
    forgotten = replace(
        grant,
        status=Status.REVOKED,
        generation=grant.generation + 1,
        access_expires_at=None,
        refresh_expires_at=None,
        retry_at=None,
        refused_at=None,
        incident=None,
        reason=None,
    )
    return StoredGrant(forgotten)


def _after(now: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
