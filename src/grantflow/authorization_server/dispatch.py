"""Decides the next step of an authorization request, whoever comes back from wherever: one pure rule."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from grantflow.authorization_server.authorization import (
    CONSENT,
    LOGIN,
    SELECT_ACCOUNT,
    Asked,
    CheckedRequest,
    TrustedRequest,
    check,
    trust,
)
from grantflow.authorization_server.records import Decision, Grant, PendingRequest, Session, Situation
from grantflow.protocol.errors import AccessDenied, ConsentRequired, LoginRequired, OAuthError
from grantflow.protocol.registration import ClientType
from grantflow.protocol.scope import Scopes


@dataclass(frozen=True, slots=True)
class Ended:
    """This pending request is over: it was answered, or nobody answered it in time."""

    answered: bool


@dataclass(frozen=True, slots=True)
class SignIn:
    """``scopes`` is what consent will be asked for; empty where the request is no good and will be refused."""

    trusted: TrustedRequest
    scopes: Scopes


@dataclass(frozen=True, slots=True)
class AskConsent:
    trusted: TrustedRequest
    checked: CheckedRequest


@dataclass(frozen=True, slots=True)
class Refuse:
    """The error goes to the redirect URI."""

    trusted: TrustedRequest
    error: OAuthError


@dataclass(frozen=True, slots=True)
class IssueCode:
    """The person has accepted, now or earlier. ``pending`` is the request that this answers, where one waited;
    ``remember`` says whether the grant will cover the next request without asking.
    """

    trusted: TrustedRequest
    checked: CheckedRequest
    session: Session
    grant: Grant | None
    pending: PendingRequest | None
    remember: bool


Step: TypeAlias = Ended | SignIn | AskConsent | Refuse | IssueCode


def next_step(asked: Asked, situation: Situation, *, now: datetime) -> Step:
    """What happens next, from first to last: page, sign in, refuse, sign in afresh, decline, code, ask.

    Raises:
        UntrustedRequest: client or redirect URI cannot be trusted; the person sees why.
    """
    pending = situation.pending
    if pending is not None and (pending.answered_at is not None or pending.expires_at <= now):
        return Ended(answered=pending.answered_at is not None)
    trusted = trust(asked, situation.registration)
    session = situation.session
    if session is None or not session.lives(now):
        return _sign_in(asked, trusted)
    try:
        checked = check(asked, trusted.registration)
    except OAuthError as error:
        return Refuse(trusted, error)
    if not _fresh(checked, session, pending=pending, now=now):
        return _sign_in(asked, trusted)
    if pending is not None and pending.decision is not None and pending.decided_by == session.person_id:
        if pending.decision is Decision.DECLINED:
            return Refuse(trusted, AccessDenied("The person declined."))
        return IssueCode(trusted, checked, session, situation.grant, pending, pending.remember)
    if _covered(checked, trusted, situation.grant):
        return IssueCode(trusted, checked, session, situation.grant, pending, remember=True)
    if asked.silent:
        return Refuse(trusted, ConsentRequired("The person has not consented to this, and prompt=none forbids asking."))
    return AskConsent(trusted, checked)


def _sign_in(asked: Asked, trusted: TrustedRequest) -> Step:
    """Signing in comes before any redirect, also before that of a refusal (RFC 9700 section 4.11.2): a link to us must
    not become a link to elsewhere. prompt=none is the exception that OpenID Connect makes.
    """
    if asked.silent:
        return Refuse(trusted, LoginRequired("Nobody signed in here recently enough, and prompt=none forbids asking."))
    try:
        return SignIn(trusted, check(asked, trusted.registration).scopes)
    except OAuthError:
        return SignIn(trusted, Scopes())


def _fresh(checked: CheckedRequest, session: Session, *, pending: PendingRequest | None, now: datetime) -> bool:
    """Whether the person signed in recently enough; who signed in for this very request always has."""
    if pending is not None and session.authenticated_at >= pending.created_at:
        return True
    if checked.prompts & {LOGIN, SELECT_ACCOUNT}:
        return False
    return checked.max_age is None or now - session.authenticated_at < checked.max_age


def _covered(checked: CheckedRequest, trusted: TrustedRequest, grant: Grant | None) -> bool:
    """Whether an earlier consent suffices. Anybody can claim to be a public client, so it never does for one (S23)."""
    return (
        grant is not None
        and grant.remembered
        and checked.scopes.within(grant.scopes)
        and CONSENT not in checked.prompts
        and trusted.registration.client_type is not ClientType.PUBLIC
    )
