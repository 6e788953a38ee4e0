"""What becomes of a grant: pure decisions over values, so that every one can be shown in a table of cases."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from grantflow.client.grant import (
    Adoption,
    Brake,
    ExistingTokens,
    Grant,
    GrantKey,
    Person,
    Standing,
    Status,
    StoredGrant,
)
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import TokenRefusal, Tokens

#: The most that an id, a name or an address of a person may hold, in characters: thrice what Webex, OpenID Connect
#: (255 for an id) and e-mail (254) allow.
_LONGEST_WORDS: Final = 768
#: In bytes. Owner, person and client id share one key of an index, for which PostgreSQL has room for 2,704.
_LONGEST_OWNER: Final = 1_000
#: Shown or needed within words, though Python counts them as not printable: joiners, and spaces that do not break.
_WITHIN_WORDS: Final = frozenset("\u200c\u200d\u00a0\u202f\u3000")
#: How long a refused refresh token stays sealed, so that an operator can try it again.
REFUSED_TOKENS_KEPT: Final = timedelta(days=30)
#: How long the audit log reaches back: a year and a month, so that last year's incident can still be looked up.
EVENTS_KEPT: Final = timedelta(days=400)
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
#: How long a request may lie at a server before it is served, by the clock of any process.
_SERVED_LATE: Final = timedelta(minutes=5) + CLOCKS_DIFFER
#: An access token that is handed out has this much of its life left at least, or a tenth of it where that is less.
_LEFT_WHEN_HANDED_OUT: Final = timedelta(seconds=30)
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


def presentable(person: Person) -> Person | None:
    """What can be stored, logged and shown of what the platform tells; a name that is none is left out.

    None where there is no usable id.
    """
    if not _is_shown(person.person_id):
        return None
    return Person(
        person_id=person.person_id,
        display_name=person.display_name if _is_shown(person.display_name) else None,
        email=person.email if _is_shown(person.email) else None,
    )


def check_owner(owner: str) -> None:
    """Raises ValueError where no vault could keep it, whichever database that is in."""
    if not owner.strip():
        raise ValueError("owner is empty; leave it out where you have no users of your own.")
    try:
        length = len(owner.encode())
    except UnicodeEncodeError:  # its own message would quote the owner
        raise ValueError("owner holds half a character (a lone surrogate), which cannot be written.") from None
    if "\0" in owner or length > _LONGEST_OWNER:
        raise ValueError(f"owner holds a NUL, or more than {_LONGEST_OWNER:,} bytes, which not every vault can keep.")


def _is_shown(words: object) -> bool:
    # Halves of characters cannot be written, line breaks forge lines of a log, marks of direction turn pages around.
    return (
        isinstance(words, str)
        and 0 < len(words.encode("utf-8", "surrogatepass")) <= _LONGEST_WORDS
        and not words.isspace()
        and all(character.isprintable() or character in _WITHIN_WORDS for character in words)
    )


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
    overtaken = stored.unanswered_since if rotated else None
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
        overtaken_since=overtaken or stored.overtaken_since,
    )


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
    unanswered_since = _missing_since(stored, now=now)
    return replace(stored, grant=grant, unanswered_since=unanswered_since, failures=0, suspected_at=None)


def _missing_since(stored: StoredGrant, *, now: datetime) -> datetime | None:
    """Since when an answer has been missing that a refusal may come of: one to a request with this token, or to an
    earlier one that the server may have come to only after its successor, and taken for reuse (RFC 9700 section 4.14).
    """
    overtaken = stored.overtaken_since
    if overtaken is not None and now - overtaken > _SERVED_LATE:
        overtaken = None
    return stored.unanswered_since or overtaken


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


def integration_refused(standing: Standing, *, reason: str, retry_after: float | None, now: datetime) -> Standing:
    failures = standing.failures + 1
    wait = timedelta(seconds=back_off(failures, retry_after=retry_after, longest=_LONGEST_FOR_ALL))
    return replace(standing, refused_at=now, retry_at=now + wait, failures=failures, reason=reason)


def _after(now: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
