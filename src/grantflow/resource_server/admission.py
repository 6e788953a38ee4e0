"""Who may make a call: the access token is checked on every one, for its life and its scopes (RFC 6750, W09, W31)."""

from datetime import datetime

from grantflow.protocol.errors import InsufficientScope, InvalidToken
from grantflow.resource_server.records import Access


def admit(access: Access | None, *, needs: str, now: datetime) -> Access:
    """
    Raises:
        InvalidToken: unknown, expired or revoked.
        InsufficientScope: it lives, but does not reach this call.
    """
    if access is None:
        raise InvalidToken("The access token is unknown here: get one through the grant flow.")
    if access.is_revoked:
        raise InvalidToken("The access token was revoked: refresh it, or go through the grant flow again.")
    if access.expires_at <= now:
        raise InvalidToken("The access token has expired: refresh it.")
    if not access.scopes.allow(needs):
        raise InsufficientScope(f"This call needs the scope {needs}, which the access token lacks.")
    return access
