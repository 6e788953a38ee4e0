"""Adopt: tokens that another program got come in, and nobody is asked again.

They are in the vault before anything is sent. Where it is not known whose they are, they lie there under a name made of
the refresh token's own SHA-256 until the platform has told it: so a crash at any point loses nothing, and whoever
brings the same token again goes on where the first one ended (docs/decisions/0013). What the platform refuses for good
before anybody knows whose it is leaves nothing but its events.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Final

from grantflow.client import judging, presenting, rules, webex
from grantflow.client.errors import GrantflowError, ReauthorizationRequired, TransientTokenError, UnknownPerson
from grantflow.client.events import Event, Kind
from grantflow.client.flows.identifying import question
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.flows.recording import tell
from grantflow.client.flows.refreshing import NO_TOKEN, refresh
from grantflow.client.flows.settling import give_back
from grantflow.client.grant import AdoptedGrant, Adoption, ExistingTokens, Grant, Person, StoredGrant
from grantflow.client.steps import Flow, Unanswered, alone, current_time, identify, load, pause, save, send
from grantflow.client.vault import Adopting
from grantflow.protocol.http import is_page, retry_after
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import is_token

#: How many are written in one transaction: others wait for it no longer than for any other write.
_TOGETHER: Final = 500
_LOOK_AGAIN_SECONDS: Final = 0.1


def adopt(parts: Parts, tokens: ExistingTokens, *, instead: bool) -> Flow[AdoptedGrant]:
    """`instead`: in place of a grant that is here, whichever is newer.

    Raises ValueError (tokens that cannot be sent, times without a zone), UnknownPerson, and as a refresh:
    ReauthorizationRequired, TransientTokenError, IntegrationRefused. With these the tokens are kept, and whoever adopts
    the same again goes on; but where they are refused for good, they go.
    """
    (taken,) = yield from take_in(parts, [tokens], instead=instead)
    if taken.is_named:
        return taken
    return (yield from alone(("adopt", taken.id), lambda: _name(parts, tokens, instead=instead)))


def take_in(
    parts: Parts, batch: Sequence[ExistingTokens], *, instead: bool, dry_run: bool = False
) -> Flow[list[AdoptedGrant]]:
    """Keep all of them, asking nobody; one answer for each, in their order. `dry_run`: only tell what would become of
    them. Raises ValueError."""
    for tokens in batch:
        check(tokens)
    taken: list[AdoptedGrant] = []
    for begin in range(0, len(batch), _TOGETHER):
        some = batch[begin : begin + _TOGETHER]
        taken += yield from _take_in(parts, some, instead=instead, dry_run=dry_run)
    return taken


def check(tokens: ExistingTokens) -> None:
    """Raises ValueError; its words quote no token."""
    for name in ("refresh_token", "access_token"):
        token = getattr(tokens, name)
        if token is not None and not is_token(token.reveal()):
            raise ValueError(
                f"{name} is no token: it is empty, too long, or holds other characters than printable ASCII."
            )
    for name in ("access_expires_at", "refresh_expires_at", "issued_at"):
        moment = getattr(tokens, name)
        if moment is not None and moment.tzinfo is None:
            raise ValueError(f"{name} has no time zone; give it as an aware datetime.")
    if tokens.person is not None and presenting.presentable(tokens.person) is None:
        raise ValueError("The person's id is empty, too long, or holds characters that cannot be shown.")
    if tokens.owner is not None:
        presenting.check_owner(tokens.owner)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found where tokens go. `known`: they have come in before; then `here` is what they became."""

    known: bool
    here: StoredGrant | None


def _take_in(
    parts: Parts, batch: Sequence[ExistingTokens], *, instead: bool, dry_run: bool
) -> Flow[list[AdoptedGrant]]:
    taken: dict[int, AdoptedGrant] = {}
    left = list(range(len(batch)))
    while left:
        numbers = left
        # So many reads as a write is performed: on an event loop they would keep everybody else waiting.
        seen = yield from save(lambda: [_look(parts, batch[number]) for number in numbers])  # noqa: B023  performed here
        now = yield from current_time()
        coming: list[tuple[int, Adoption, Adopting]] = []
        for number, found in zip(numbers, seen, strict=True):
            outcome = rules.weigh(batch[number], known=found.known, here=found.here, instead=instead)
            if outcome in {Adoption.UNCHANGED, Adoption.KEPT}:
                assert found.here is not None
                taken[number] = _told(found.here.grant, outcome)
            else:
                coming.append((number, outcome, _adopting(parts, batch[number], found, now=now)))
        if dry_run:
            kept: Sequence[StoredGrant | None] = [entry.stored for _, _, entry in coming]
        elif coming:
            kept = yield from save(lambda: parts.vault.adopt([entry for _, _, entry in coming], at=now))  # noqa: B023
        else:
            kept = []
        left = []
        for (number, outcome, entry), stored in zip(coming, kept, strict=True):
            if stored is None:  # somebody was there first: to be weighed again
                left.append(number)
                continue
            if not dry_run:
                parts.live.drop(stored.grant.key)
                assert entry.event is not None
                yield from tell(parts, entry.event.of(stored.grant))
            taken[number] = _told(stored.grant, outcome)
    return [taken[number] for number in range(len(batch))]


def _look(parts: Parts, tokens: ExistingTokens) -> _Seen:
    before = parts.vault.adopted(parts.configuration.client_id, digest=tokens.refresh_token.digest())
    if before is not None:
        return _Seen(known=True, here=before)
    return _Seen(known=False, here=parts.vault.find(parts.key(tokens.person_id, tokens.owner)))


def _adopting(parts: Parts, tokens: ExistingTokens, seen: _Seen, *, now: datetime) -> Adopting:
    here = seen.here.grant if seen.here else None
    key = here.key if here else parts.key(tokens.person_id, tokens.owner)
    stored = rules.adopted(parts.grant_id(), key, tokens, here=here, asked=parts.configuration.scopes, now=now)
    return Adopting(
        stored,
        digest=tokens.refresh_token.digest(),
        known=seen.known,
        over=here.generation if here else None,
        event=_event(parts, stored, now=now),
    )


def _event(parts: Parts, stored: StoredGrant, *, now: datetime) -> Event:
    came, access = stored.refresh_token, stored.access_token
    return parts.event(
        Kind.ADOPTED,
        stored.grant,
        at=now,
        token=came.fingerprint() if came else None,
        new_token=access.fingerprint() if access else None,
    )


def _told(grant: Grant, outcome: Adoption) -> AdoptedGrant:
    return AdoptedGrant(**{each.name: getattr(grant, each.name) for each in fields(Grant)}, outcome=outcome)


# --- whose they are ---------------------------------------------------------------------------------------------------


def _name(parts: Parts, tokens: ExistingTokens, *, instead: bool) -> Flow[AdoptedGrant]:
    """Find out whose they are, and move them under that person's name."""
    digest = tokens.refresh_token.digest()
    while True:
        stored = yield from load(lambda: parts.vault.adopted(parts.configuration.client_id, digest=digest))
        if stored is None or stored.grant.is_named:
            # Another process was as far, or further.
            (taken,) = yield from take_in(parts, [tokens], instead=instead)
            if taken.is_named:
                return taken
            continue
        try:
            stored, person = yield from _whose(parts, stored)
            moved = yield from _move(parts, stored, replace(tokens, person=person), instead=instead)
        except ReauthorizationRequired as error:
            if error.grant is None:
                continue  # it has moved, just before it was to be renewed
            if (yield from _drop(parts, error.grant)):
                raise _came_in_vain(parts, error.grant) from error
            raise
        if moved is not None:
            return moved
        yield from pause(_LOOK_AGAIN_SECONDS)


def _drop(parts: Parts, refused: Grant) -> Flow[bool]:
    """It would stand among the grants for good, and nobody could do anything with it."""
    stored = yield from load(lambda: parts.vault.find(refused.key))
    if stored is None or not rules.came_in_vain(stored):
        return False
    return (yield from save(lambda: parts.vault.drop_refused(stored.grant)))


def _came_in_vain(parts: Parts, grant: Grant) -> ReauthorizationRequired:
    url = parts.configuration.grant_url(None)
    return ReauthorizationRequired(
        f"The refresh token that came in is no longer accepted: {grant.reason}. Nobody knows whose it was, so nothing "
        f"of it is kept. Send the person to {url} to grant access. Incident {grant.incident}.",
        grant=grant,
        grant_url=url,
    )


def _whose(parts: Parts, stored: StoredGrant) -> Flow[tuple[StoredGrant, Person]]:
    """By the access token that came, where it works; else by a new one."""
    now, expires_at = (yield from current_time()), stored.grant.access_expires_at
    if stored.access_token is not None and (expires_at is None or now < expires_at):
        person = yield from _ask(parts, stored.grant, stored.access_token, is_new=False)
        if person is not None:
            return stored, person
    rejected = NO_TOKEN if stored.access_token is None else stored.access_token
    stored = yield from refresh(parts, stored.grant.key, rejected=rejected)
    assert stored.access_token is not None
    person = yield from _ask(parts, stored.grant, stored.access_token, is_new=True)
    assert person is not None
    return stored, person


def _ask(parts: Parts, grant: Grant, access_token: Secret, *, is_new: bool) -> Flow[Person | None]:
    """None where a token that is not new may be dead. Raises UnknownPerson, TransientTokenError."""
    try:
        if parts.asks_for_person:
            person = yield from _ask_host(access_token, is_new=is_new)
            whose, fix = "identify told", "check what it takes for the person's id"
        else:
            asked = question(parts.configuration, access_token)
            response = yield from send(asked.request, deadline=parts.configuration.deadline)
            if webex.is_away(response):
                told = "a web page" if is_page(response) else str(response.status)
                raise _later(
                    grant,
                    f"{asked.called} answered with {told}",
                    seconds=retry_after(response),
                    status=response.status,
                )
            person = asked.read(response)
            if response.status == 401 and not is_new:
                return None
            whose, fix = f"{asked.called} answered {response.status} and told", asked.fix
    except Unanswered as silence:
        raise _later(grant, f"The platform did not answer: {silence}") from silence
    shown = presenting.presentable(person) if person else None
    if shown is None and (is_new or not parts.asks_for_person):
        raise UnknownPerson(
            f"The tokens are kept as grant {grant.id}, but {whose} no person, so nobody can use them. Say whose they "
            f"are, or {fix}; then adopt them again."
        )
    return shown


def _ask_host(access_token: Secret, *, is_new: bool) -> Flow[Person | None]:
    """The host's own callable meets a dead token with whatever error it likes; with a new one that is its own."""
    try:
        return (yield from identify(access_token))
    except UnknownPerson as error:
        if is_new or error.__cause__ is None:  # it came of no answer to that token
            raise
        return None
    except (Unanswered, GrantflowError):
        raise
    except Exception:
        if is_new:
            raise
        return None


def _later(grant: Grant, what: str, *, seconds: int | None = None, status: int | None = None) -> TransientTokenError:
    return TransientTokenError(
        f"{what}, when it was asked whose tokens came in. They are kept as grant {grant.id}; adopt them again to go "
        "on.",
        retry_after=judging.back_off(1, retry_after=seconds),
        status=status,
        grant=grant,
    )


def _move(parts: Parts, stored: StoredGrant, tokens: ExistingTokens, *, instead: bool) -> Flow[AdoptedGrant | None]:
    """Under the lease, so that no refresh is under way that would seal its answer for the old name. None where there is
    reason to look again."""
    nameless, holder = stored.grant, parts.mint(12)
    generation, seconds = nameless.generation, parts.configuration.lease_seconds
    leased = yield from save(
        lambda: parts.vault.take_lease(nameless.id, generation=generation, holder=holder, seconds=seconds)
    )
    if leased is None:
        return None
    moved = None
    try:
        if leased.unanswered_since is None:
            moved = yield from _settle(parts, leased, tokens, instead=instead, holder=holder)
    finally:
        if moved is None:
            yield from give_back(parts, leased, holder=holder, unanswered_since=leased.unanswered_since)
    if leased.unanswered_since is not None:
        # Some refresh had no answer, and may have swapped the token: it is sent again, before anything is moved.
        rejected = NO_TOKEN if leased.access_token is None else leased.access_token
        yield from refresh(parts, nameless.key, rejected=rejected)
    return moved


def _settle(
    parts: Parts, leased: StoredGrant, tokens: ExistingTokens, *, instead: bool, holder: str
) -> Flow[AdoptedGrant | None]:
    nameless = leased.grant
    key = parts.key(tokens.person_id, tokens.owner)
    here = yield from load(lambda: parts.vault.find(key))
    outcome = rules.weigh(tokens, known=False, here=here, instead=instead)
    if outcome in {Adoption.UNCHANGED, Adoption.KEPT}:
        assert here is not None
        into, swapped = here.grant, nameless.generation > 1
        if not (yield from save(lambda: parts.vault.merge(nameless, into=into.id, holder=holder, remember=swapped))):
            return None
        grant = into
    else:
        assert tokens.person is not None
        named, over = rules.named(leased, key, person=tokens.person), here.grant.generation if here else None
        event = _event(parts, named, now=(yield from current_time()))
        kept = yield from save(lambda: parts.vault.rename(nameless, to=named, over=over, holder=holder, event=event))
        if kept is None:
            return None
        yield from tell(parts, event.of(kept.grant))
        grant = kept.grant
    parts.live.drop(nameless.key)
    parts.live.drop(key)
    logger.info("grant %s is known now to be that of grant %s: %s", nameless.id, grant.id, outcome.value.lower())
    return _told(grant, outcome)
