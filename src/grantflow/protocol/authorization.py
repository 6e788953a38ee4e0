"""The authorization request and its answer, which travel through the person's browser (RFC 6749 section 4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from grantflow.protocol.errors import OAuthError, printable
from grantflow.protocol.http import read_form
from grantflow.protocol.redirect_uri import with_parameters
from grantflow.protocol.secret import Secret


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """As it came, unchecked: any field may be missing."""

    client_id: str | None
    response_type: str | None = "code"
    redirect_uri: str | None = None
    scope: str | None = None
    state: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    prompt: str | None = None
    login_hint: str | None = None
    nonce: str | None = None
    max_age: str | None = None
    request: str | None = None
    request_uri: str | None = None


#: In the order of the portal's OAuth Authorization URL (W20); the rest follows.
PARAMETERS = tuple(AuthorizationRequest.__dataclass_fields__)
_ORDER = ("client_id", "response_type", "redirect_uri", "scope", "state")

#: In bytes: a state of 2,000 characters, each percent-encoded, and all the rest. Anybody can have one kept.
QUERY_LIMIT = 8 * 1024

#: Stands in the portal's URL where each request must put a state of its own.
STATE_PLACEHOLDER = "set_state_here"


def authorization_url(endpoint: str, request: AuthorizationRequest) -> str:
    """The URL to send the person to: W20's order first, spaces as %20, what is None left out.

    The endpoint's own query is kept (RFC 6749 section 3.1), but for what the request says too.
    """
    names = [*_ORDER, *(name for name in PARAMETERS if name not in _ORDER)]
    pairs = [(name, value) for name in names if (value := getattr(request, name)) is not None]
    return with_parameters(endpoint, pairs)


def read_authorization_request(query: bytes) -> AuthorizationRequest:
    """Read the query of ``GET /authorize``; unknown parameters are ignored, empty ones absent (RFC 6749 3.1).

    Raises:
        RepeatedParameter: a parameter occurs twice.
        InvalidRequest: the query is not UTF-8.
        RequestTooLarge: over 8 KiB.
    """
    return authorization_request(read_form(query, limit=QUERY_LIMIT))


def authorization_request(fields: Mapping[str, str]) -> AuthorizationRequest:
    return AuthorizationRequest(**{name: fields.get(name) for name in PARAMETERS})


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """What the redirect URI receives. Either ``code`` or ``error`` is there in an honest answer."""

    code: Secret | None = None
    state: str | None = None
    iss: str | None = None
    error: str | None = None
    error_description: str | None = None


def authorization_redirect(redirect_uri: str, *, code: Secret, state: str | None, issuer: str) -> str:
    """The address of a success: code, the state exactly as it came, and ``iss`` (RFC 9207)."""
    return with_parameters(redirect_uri, _present(code=code.reveal(), state=state, iss=issuer))


def error_redirect(redirect_uri: str, error: OAuthError, *, state: str | None, issuer: str) -> str:
    """The address of a refusal (RFC 6749 section 4.1.2.1), with ``iss`` too (RFC 9207 section 2)."""
    return with_parameters(
        redirect_uri,
        _present(error=error.code, error_description=error.description, state=state, iss=issuer),
    )


def _present(**fields: str | None) -> list[tuple[str, str]]:
    return [(name, value) for name, value in fields.items() if value is not None]


def read_authorization_response(parameters: str | Mapping[str, str]) -> AuthorizationResponse:
    """Read what came to the redirect URI: its whole URL, its query string, or the parameters.

    Raises:
        InvalidRequest: a parameter occurs twice, or the query is not UTF-8.
    """
    fields = parameters if isinstance(parameters, Mapping) else read_form(_query_of(parameters))
    code, error = fields.get("code"), fields.get("error")
    description = fields.get("error_description")
    return AuthorizationResponse(
        code=Secret(code) if code else None,
        state=fields.get("state") or None,
        iss=fields.get("iss") or None,
        error=printable(error)[:100] if error else None,
        error_description=printable(description)[:500] if description else None,
    )


def _query_of(url: str) -> bytes:
    query = urlsplit(url).query if "?" in url else ("" if "://" in url else url)
    return query.encode("utf-8", "surrogatepass")  # halves of characters are refused where the bytes are read
