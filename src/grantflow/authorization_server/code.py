"""Authorization codes: made when the person has said yes, turned into tokens once (RFC 6749 section 4.1)."""

from datetime import datetime

from grantflow.authorization_server.dispatch import IssueCode
from grantflow.authorization_server.records import Code, GrantChange, NewCode, Redemption, TokenPair
from grantflow.authorization_server.settings import Settings
from grantflow.protocol.errors import InvalidGrant, InvalidRequest
from grantflow.protocol.minting import Mint, mint_token, mint_uuid
from grantflow.protocol.pkce import check_verifier
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import CodeExchange


class ReuseDetected(InvalidGrant):
    """What was presented has served before, and not a moment ago: ``family`` must be revoked."""

    def __init__(self, description: str, *, family: str) -> None:
        super().__init__(description, reason=f"{description} Family {family} is revoked.")
        self.family = family


def issue_code(step: IssueCode, *, settings: Settings, now: datetime, mint: Mint) -> tuple[Secret, NewCode]:
    """A code for the redirect URI, and what is kept of it."""
    code = mint_token(mint, org_id=step.session.org_id)
    return code, NewCode(
        digest=code.digest(),
        family=str(mint_uuid(mint)),
        grant=_change_grant(step, mint=mint),
        scopes=step.checked.scopes,
        redirect_uri=step.trusted.redirect_uri,
        redirect_uri_sent=step.trusted.redirect_uri_sent,
        challenge=step.checked.challenge,
        created_at=now,
        expires_at=now + settings.code_lifetime,
        answers=step.pending.digest if step.pending else None,
    )


def _change_grant(step: IssueCode, *, mint: Mint) -> GrantChange:
    """What was allowed before stays allowed; whether it is remembered follows the latest answer."""
    grant = step.grant
    before = grant.scopes if grant else Scopes()
    return GrantChange(
        id=grant.id if grant else str(mint_uuid(mint)),
        person_id=step.session.person_id,
        client_id=step.trusted.registration.client_id,
        scopes=before | step.checked.scopes,
        remembered=step.remember,
        loaded=grant,
    )


def redeem(exchange: CodeExchange, code: Code | None, *, settings: Settings, now: datetime, mint: Mint) -> Redemption:
    """Turn a code into the first tokens of its family; the client has been authenticated.

    Reuse comes after the checks of redirect URI and verifier: who fails those may have stolen the code alone, and
    must not be able to end the grant with it (OAuth 2.1 draft section 7.5.2; S35).

    Raises:
        InvalidRequest: redirect_uri is missing where the authorization request had one.
        InvalidGrant: anything else.
        ReuseDetected: a valid repeat, too late for a client's own retry.
    """
    if code is None:
        raise InvalidGrant("The authorization code is unknown; it may be cut short, or from another platform.")
    if code.client_id != exchange.credentials.client_id:
        raise InvalidGrant(
            "The authorization code was issued to another integration.",
            reason=f"a code of client {code.client_id} was presented by client {exchange.credentials.client_id}",
        )
    _check_redirect_uri(exchange.redirect_uri, code)
    check_verifier(exchange.code_verifier, challenge=code.challenge)
    if code.spent_at is not None:
        _refuse_repeat(code, spent_at=code.spent_at, settings=settings, now=now)
    if not code.grant_lives:
        raise InvalidGrant("The grant was revoked; send the person through it again.")
    if code.expires_at <= now:
        raise InvalidGrant("The authorization code has expired; exchange it at once, or send the person again.")
    return Redemption(code, _first_pair(code, settings=settings, now=now, mint=mint), now)


def _check_redirect_uri(presented: str | None, code: Code) -> None:
    if presented is None:
        if code.redirect_uri_sent:
            raise InvalidRequest("The parameter 'redirect_uri' is missing; the authorization request had one.")
        return
    if presented != code.redirect_uri:
        raise InvalidGrant("redirect_uri is not the one that the authorization request was answered at.")


def _refuse_repeat(code: Code, *, spent_at: datetime, settings: Settings, now: datetime) -> None:
    if now - spent_at <= settings.repeat_grace:
        raise InvalidGrant("The authorization code was used a moment ago; a code serves exactly one request.")
    raise ReuseDetected(
        "The authorization code was used before; a code serves exactly one request. The tokens that it led to are "
        "revoked, since somebody else may hold it too.",
        family=code.family,
    )


def _first_pair(code: Code, *, settings: Settings, now: datetime, mint: Mint) -> TokenPair:
    return TokenPair(
        access_token=mint_token(mint, org_id=code.org_id),
        access_expires_at=now + settings.access_token_lifetime,
        refresh_token=mint_token(mint, org_id=code.org_id),
        refresh_expires_at=now + settings.refresh_token_lifetime,
        scopes=code.scopes,
    )
