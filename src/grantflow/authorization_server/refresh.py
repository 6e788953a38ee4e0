"""Refresh tokens (RFC 6749 section 6): kept and slid in the ``webex`` profile, rotated in the ``strict`` one.

Rotation is safe to retry. A client that never got the answer, or fifty callers that ask at once, present the old
token again and get the very same answer, until its successor is first used (at the token endpoint or the API) or a
day has passed. Then stragglers are refused for a minute and nothing is harmed; whoever comes later holds a stolen
token or has been stolen from, and the family ends (RFC 9700 section 4.14.2).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from grantflow.authorization_server.code import ReuseDetected
from grantflow.authorization_server.records import (
    Client,
    RefreshToken,
    Renewal,
    Rotation,
    Successor,
    TokenPair,
)
from grantflow.authorization_server.settings import Settings
from grantflow.protocol.errors import InvalidGrant, InvalidScope
from grantflow.protocol.minting import Mint, mint_token
from grantflow.protocol.scope import Scopes, read_scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Refresh


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer that the presented token was given before, once more; nothing is saved."""

    presented: RefreshToken
    pair: TokenPair


RefreshOutcome: TypeAlias = Renewal | Rotation | Replay


def refresh(
    asked: Refresh, client: Client, token: RefreshToken | None, *, settings: Settings, now: datetime, mint: Mint
) -> RefreshOutcome:
    """Turn a refresh token into an access token; the client has been authenticated.

    Raises:
        InvalidGrant: the token is dead, unknown or another client's.
        ReuseDetected: a rotated token came back too late.
        InvalidScope: more than the grant holds was asked for, or other than what a lost answer was for.
    """
    if token is None:
        raise InvalidGrant("The refresh token is unknown or long expired; send the person through the grant again.")
    if token.client_id != client.client_id:
        raise InvalidGrant(
            "The refresh token was issued to another integration.",
            reason=f"a refresh token of client {token.client_id} was presented by client {client.client_id}",
        )
    if not token.lives:
        raise InvalidGrant("The refresh token was revoked; send the person through the grant again.")
    if token.expires_at <= now:
        raise InvalidGrant("The refresh token has expired unused; send the person through the grant again.")
    if token.successor is not None:
        return _again(asked, token, token.successor, settings=settings, now=now)
    scopes = _narrow(asked.scope, token.scopes)
    pair = _next_pair(token, asked.refresh_token, client=client, scopes=scopes, settings=settings, now=now, mint=mint)
    if client.strict:
        return Rotation(token, asked.refresh_token, pair, now)
    return Renewal(token, pair, now)


def _again(asked: Refresh, token: RefreshToken, successor: Successor, *, settings: Settings, now: datetime) -> Replay:
    latest = successor.replaced_at + settings.replay_window
    closed_at = min(successor.first_used_at or latest, latest)
    if successor.first_used_at is None and now <= closed_at and successor.pair is not None:
        if set(_narrow(asked.scope, token.scopes)) != set(successor.pair.scopes):
            raise InvalidScope(
                f"The refresh token was used already, with the scope '{successor.pair.scopes}'; ask for that once "
                "more, and for another scope with the refresh token that the answer brings."
            )
        return Replay(token, successor.pair)
    if now <= closed_at + settings.straggler_grace:
        raise InvalidGrant("The refresh token was replaced, and its successor is in use; take that one.")
    raise ReuseDetected(
        "The refresh token was replaced before. All tokens that stem from it are revoked, since somebody else may hold "
        "them too; send the person through the grant again.",
        family=token.family,
    )


def _narrow(scope: str | None, granted: Scopes) -> Scopes:
    """The access token's scopes; the refresh token keeps its own (OAuth 2.1 draft section 4.3.3)."""
    if scope is None:
        return granted
    asked = read_scopes(scope)
    if not asked or not asked.within(granted):
        raise InvalidScope("The scope goes beyond what was granted; leave it out, or ask for less.")
    return asked


def _next_pair(
    token: RefreshToken,
    presented: Secret,
    *,
    client: Client,
    scopes: Scopes,
    settings: Settings,
    now: datetime,
    mint: Mint,
) -> TokenPair:
    return TokenPair(
        access_token=mint_token(mint, org_id=token.org_id),
        access_expires_at=now + settings.access_token_lifetime,
        refresh_token=mint_token(mint, org_id=token.org_id) if client.strict else presented,
        refresh_expires_at=now + settings.refresh_token_lifetime,
        scopes=scopes,
    )
