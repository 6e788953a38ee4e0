"""The access token on an API call, and the refusals of a resource server (RFC 6750)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from grantflow.protocol.errors import InsufficientScope, InvalidToken, OAuthError
from grantflow.protocol.http import JSON, Response
from grantflow.protocol.secret import Secret

#: Webex's words for a missing, expired or revoked token: the walkthrough's "Invalid Token Error" (W31).
INVALID_TOKEN_MESSAGE = "The request requires a valid access token set in the Authorization request header."
#: Webex's words for a token that does not reach that far (W09).
INSUFFICIENT_SCOPE_MESSAGE = (
    "The server understood the request, but refused to fulfill it because the access token is missing required "
    "scopes or the user is missing required roles or licenses."
)


def write_bearer(access_token: Secret) -> str:
    """The value of the Authorization header (RFC 6750 section 2.1)."""
    return f"Bearer {access_token.reveal()}"


def read_bearer(headers: Mapping[str, str]) -> Secret | None:
    """The token of the Authorization header; a token in the query or body is not looked for (RFC 9700 4.3.2)."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    return Secret(token) if scheme.lower() == "bearer" and token else None


@dataclass(eq=False)
class ApiError(Exception):
    """A refusal of the resource server in Webex's shape; ``retry_after`` is in seconds.

    ``description`` says more than ``message`` where that is bound to Webex's words.
    """

    status: int
    message: str
    retry_after: int | None = None
    description: str | None = None


def api_error_response(error: ApiError, *, tracking_id: str, challenge: str | None = None) -> Response:
    """``{"message", "errors": [{"description"}], "trackingId"}`` as every Webex client expects it."""
    body = {
        "message": error.message,
        "errors": [{"description": error.description or error.message}],
        "trackingId": tracking_id,
    }
    headers = {"content-type": JSON, "trackingid": tracking_id, "cache-control": "no-store"}
    if challenge is not None:
        headers["www-authenticate"] = challenge
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    return Response(error.status, headers, json.dumps(body).encode())


def refuse_token(error: OAuthError | None, *, tracking_id: str) -> Response:
    """401 without error code where no token came, 401 invalid_token, or 403 insufficient_scope (RFC 6750 3.1)."""
    if isinstance(error, InsufficientScope):
        refusal = ApiError(403, INSUFFICIENT_SCOPE_MESSAGE, description=error.description)
    else:
        refusal = ApiError(401, INVALID_TOKEN_MESSAGE, description=error.description if error else None)
    return api_error_response(refusal, tracking_id=tracking_id, challenge=write_challenge(error))


def write_challenge(error: OAuthError | None) -> str:
    if not isinstance(error, InvalidToken | InsufficientScope):
        return 'Bearer realm="grantflow"'
    return f'Bearer realm="grantflow", error="{error.code}", error_description="{error.description}"'
