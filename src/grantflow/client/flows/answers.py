"""The answer at the redirect URI, checked in one ladder before anything is sent (RFC 6749 4.1.2, RFC 9207)."""

import hmac
from collections.abc import Mapping
from datetime import datetime

from grantflow.client.configuration import Configuration
from grantflow.client.errors import (
    AccessDenied,
    AuthorizationResponseError,
    ExpiredState,
    MismatchingIssuer,
    MismatchingState,
    MissingCode,
)
from grantflow.client.flows.parts import Parts
from grantflow.client.pending import Pending
from grantflow.protocol.authorization import AuthorizationResponse, read_authorization_response
from grantflow.protocol.errors import OAuthError
from grantflow.protocol.secret import Secret


def read_answer(answer: str | Mapping[str, str]) -> AuthorizationResponse:
    """Raises AuthorizationResponseError where a parameter comes twice or is unreadable."""
    try:
        return read_authorization_response(answer)
    except OAuthError as error:
        raise AuthorizationResponseError(
            f"The answer of the platform cannot be read: {error.description} Begin again on the landing page.",
            error=error.code,
        ) from error


def open_pending(response: AuthorizationResponse, cookies: Mapping[str, str], *, parts: Parts) -> Pending:
    """What this browser began with this state. Raises MismatchingState; an error without state speaks for itself."""
    if response.state is None:
        if response.error is not None:
            raise error_of(response)
        raise MismatchingState(
            "The answer carries no state, so it cannot be told whose it is. Begin again on the landing page."
        )
    pending = parts.cookies.read(cookies, state=Secret(response.state))
    if pending is None:
        raise MismatchingState(
            "The answer does not belong to an authorization that this browser has begun here: it was begun in another "
            "browser, the cookie is gone (after ten minutes, or by a setting), or the link was made by somebody else. "
            "Nothing was exchanged; begin again on the landing page."
        )
    return pending


def check_answer(
    response: AuthorizationResponse, pending: Pending, *, configuration: Configuration, now: datetime
) -> Secret:
    """The code, when everything else is right. Raises the tree of AuthorizationResponseError."""
    if pending.expired(now=now):
        raise ExpiredState(
            "The authorization was begun more than ten minutes ago. Nothing was exchanged; begin again on the landing "
            "page."
        )
    _check_issuer(response.iss, expected=configuration.issuer, required=configuration.iss_required)
    if response.error is not None:
        raise error_of(response)
    if response.code is None:
        raise MissingCode(
            "The answer of the platform carries neither a code nor an error. Begin again on the landing page."
        )
    return response.code


def _check_issuer(issuer: str | None, *, expected: str | None, required: bool) -> None:
    if expected is None or (issuer is None and not required):
        return
    if issuer is None or not hmac.compare_digest(issuer.encode("utf-8", "surrogatepass"), expected.encode()):
        told = "no issuer" if issuer is None else "another issuer"
        raise MismatchingIssuer(
            f"The answer names {told} than {expected}: it may come from another server than the one that was asked "
            "(RFC 9207). Nothing was exchanged; begin again on the landing page."
        )


def error_of(response: AuthorizationResponse) -> AuthorizationResponseError:
    if response.error == "access_denied":
        return AccessDenied(
            "Access was declined on the platform's page, so nothing is connected. It can be granted at any time.",
            error=response.error,
        )
    words = f": {response.error_description.rstrip('.')}" if response.error_description else ""
    return AuthorizationResponseError(
        f"The platform refused with {response.error}{words}. Begin again on the landing page; if it comes back, the "
        "integration's registration is to be checked.",
        error=response.error,
    )
