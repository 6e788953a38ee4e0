"""The token request and its answer, which travel between the two servers (RFC 6749 sections 4.1.3, 5, 6).

Side by side: ``exchange_request`` / ``refresh_request`` and ``read_token_request``; ``tokens_response`` and
``read_tokens``; ``error_response`` and what ``read_tokens`` raises.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard
from urllib.parse import quote, quote_plus

from grantflow.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    OAuthError,
    UnsupportedGrantType,
    UnsupportedMediaType,
    printable,
)
from grantflow.protocol.http import (
    FORM,
    JSON,
    NO_STORE,
    Request,
    Response,
    is_page,
    read_basic_credentials,
    read_form,
    retry_after,
    shown,
    whole_number,
    write_basic_credentials,
    write_form,
)
from grantflow.protocol.scope import Scopes, read_scopes
from grantflow.protocol.secret import Secret

AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"
BEARER = "Bearer"
Members = Callable[[list[tuple[str, Any]]], dict[str, Any]]
#: The most that a token may hold, in characters. The standard sets no bound; an access token travels in a header, where
#: servers take 8 to 16 KiB in all, so whatever is longer could be kept and never be used.
TOKEN_LIMIT = 16 * 1024
_SECRET_FIELDS = ("client_secret", "code", "code_verifier", "refresh_token")
#: A server may send tokens that cannot be used, and words about them.
_TOKENS = ("access_token", "refresh_token", "id_token")
#: In characters: what is shorter is guessed anyway, and may be part of an honest word.
_SECRET_FROM = 8
_REFUSED_GRANT_TYPES = {
    "password": "The password grant is not offered (RFC 9700 section 2.4): the person's password stays here.",
    "client_credentials": "Integrations act for a person; client_credentials is not offered.",
    "implicit": "The implicit grant is not offered (RFC 9700 section 2.1.2); use authorization_code.",
}


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who asks. ``basic`` tells whether the Authorization header was used (it then appears in the challenge)."""

    client_id: str
    client_secret: Secret | None = None
    basic: bool = False


@dataclass(frozen=True, slots=True)
class CodeExchange:
    credentials: ClientCredentials
    code: Secret
    redirect_uri: str | None = None
    code_verifier: Secret | None = None


@dataclass(frozen=True, slots=True)
class Refresh:
    credentials: ClientCredentials
    refresh_token: Secret
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token answer. Lifetimes are in seconds from when it was made; None where the server names none."""

    access_token: Secret
    expires_in: int | None = None
    refresh_token: Secret | None = None
    refresh_token_expires_in: int | None = None
    scope: Scopes | None = None
    token_type: str = BEARER


_A_PAGE = "a web page and no JSON, as a proxy or a login wall on the way shows, or a server at a mistaken address"


@dataclass(eq=False)
class TokenRefusal(Exception):
    """The token endpoint answered, and not with tokens. Classified by status and shape, never by wording.

    ``error`` is RFC 6749's member where there was one; ``webex_shape`` says that the body was JSON with
    ``message`` and ``trackingId``; ``is_json`` that it was a JSON object at all, ``is_html`` that it was a page for
    people; ``retry_after`` is in seconds. ``refresh_token`` came in a 2xx beside an access token that cannot be used:
    where the server swaps refresh tokens, it is the one that lives.
    """

    status: int
    error: str | None = None
    description: str | None = None
    is_json: bool = False
    webex_shape: bool = False
    retry_after: int | None = None
    tracking_id: str | None = None
    is_html: bool = False
    refresh_token: Secret | None = None

    def __str__(self) -> str:
        words = self.description or self.error or (_A_PAGE if self.is_html else "no readable reason")
        tracking = f" (tracking id {self.tracking_id})" if self.tracking_id else ""
        return f"the token endpoint answered {self.status}: {words}{tracking}"


# --- the request -----------------------------------------------------------------------------------------------


def exchange_request(endpoint: str, exchange: CodeExchange) -> Request:
    """POST the code (RFC 6749 section 4.1.3; W26)."""
    fields = {
        "grant_type": AUTHORIZATION_CODE,
        "code": exchange.code.reveal(),
        "redirect_uri": exchange.redirect_uri,
        "code_verifier": exchange.code_verifier.reveal() if exchange.code_verifier else None,
    }
    return _token_request(endpoint, exchange.credentials, fields)


def refresh_request(endpoint: str, refresh: Refresh) -> Request:
    """POST the refresh token (RFC 6749 section 6; W33)."""
    fields = {
        "grant_type": REFRESH_TOKEN,
        "refresh_token": refresh.refresh_token.reveal(),
        "scope": refresh.scope,
    }
    return _token_request(endpoint, refresh.credentials, fields)


def _token_request(endpoint: str, credentials: ClientCredentials, fields: Mapping[str, str | None]) -> Request:
    headers, identity = authenticate(credentials)
    pairs = [*fields.items(), *identity.items()]
    return Request(
        "POST",
        endpoint,
        {"content-type": FORM, "accept": JSON, **headers},
        write_form((name, value) for name, value in pairs if value is not None),
    )


def authenticate(credentials: ClientCredentials) -> tuple[dict[str, str], dict[str, str]]:
    """The headers and the form fields that name the client: one method a request (RFC 6749 section 2.3)."""
    secret = credentials.client_secret
    if secret is None:
        return {}, {"client_id": credentials.client_id}
    if credentials.basic:
        return {"authorization": write_basic_credentials(credentials.client_id, secret)}, {}
    return {}, {"client_id": credentials.client_id, "client_secret": secret.reveal()}


def read_token_request(request: Request, *, accept_json: bool = False) -> CodeExchange | Refresh:
    """Read and sort a token request; whether it may succeed is for the rules.

    Raises:
        InvalidRequest: a parameter is missing or repeated, or the client names itself in two ways.
        UnsupportedMediaType: the body is not form-encoded (415).
        InvalidClient: malformed Basic credentials.
        UnsupportedGrantType: any grant type but authorization_code and refresh_token.
    """
    fields = read_body(request, accept_json=accept_json)
    credentials = read_credentials(request, fields)
    grant_type = _required(fields, "grant_type")
    if grant_type == AUTHORIZATION_CODE:
        verifier = fields.get("code_verifier")
        return CodeExchange(
            credentials,
            Secret(_required(fields, "code")),
            fields.get("redirect_uri"),
            Secret(verifier) if verifier else None,
        )
    if grant_type == REFRESH_TOKEN:
        return Refresh(credentials, Secret(_required(fields, "refresh_token")), fields.get("scope"))
    raise UnsupportedGrantType(
        _REFUSED_GRANT_TYPES.get(grant_type, "grant_type must be authorization_code or refresh_token.")
    )


def read_body(request: Request, *, accept_json: bool = False, keep_empty: bool = False) -> dict[str, str]:
    """The fields of a POST to the token or revocation endpoint; those without value count as absent unless
    ``keep_empty`` says otherwise.

    Raises:
        UnsupportedMediaType: neither a form nor, where ``accept_json`` says so, JSON.
        InvalidRequest: not readable as what it claims to be.
    """
    if request.media_type == FORM:
        return read_form(request.body, keep_empty=keep_empty)
    if request.media_type == JSON and accept_json:
        return _read_json_fields(request.body, keep_empty=keep_empty)
    raise UnsupportedMediaType(f"The body must be {FORM}; send that Content-Type with form-encoded parameters.")


def _read_json_fields(body: bytes, *, keep_empty: bool) -> dict[str, str]:
    fields = read_json_object(body, members=_once)
    if fields is None:
        raise InvalidRequest("The body is not a JSON object.")
    if not all(isinstance(value, str) for value in fields.values()):
        raise InvalidRequest("Every member of the JSON body must be a string.")
    return {name: value for name, value in fields.items() if value or keep_empty}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A repeated member is an error, as in a form: readers differ in which one they take."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidRequest(f"The parameter {shown(name)} occurs more than once; send it once.")
        members[name] = value
    return members


def read_credentials(request: Request, fields: Mapping[str, str]) -> ClientCredentials:
    """Who asks, from header or body.

    Raises:
        InvalidRequest: both methods were used, or neither names a client_id.
        InvalidClient: malformed Basic credentials.
    """
    header = request.headers.get("authorization")
    secret = fields.get("client_secret")
    if header is None:
        return ClientCredentials(_required(fields, "client_id"), Secret(secret) if secret else None)
    if secret:
        raise InvalidRequest(
            "The client authenticated twice: Authorization header and client_secret; use one (RFC 6749 2.3)."
        )
    client_id, basic_secret = read_basic_credentials(header)
    if fields.get("client_id", client_id) != client_id:
        raise InvalidRequest("client_id in the body differs from the one in the Authorization header.")
    return ClientCredentials(client_id, basic_secret, basic=True)


def _required(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise InvalidRequest(f"The parameter '{name}' is missing.")
    return value


# --- the answer ------------------------------------------------------------------------------------------------


def tokens_response(tokens: Tokens) -> Response:
    """200 with the four fields of W27, token_type and scope; never cached (RFC 6749 section 5.1)."""
    members = {
        "access_token": tokens.access_token.reveal(),
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token.reveal() if tokens.refresh_token else None,
        "refresh_token_expires_in": tokens.refresh_token_expires_in,
        "token_type": tokens.token_type,
        "scope": str(tokens.scope) if tokens.scope is not None else None,
    }
    body = json.dumps({name: value for name, value in members.items() if value is not None})
    return Response(200, {"content-type": JSON, **NO_STORE}, body.encode())


def read_tokens(response: Response) -> Tokens:
    """Success is 2xx and a usable access_token, nothing less; unknown members are ignored (RFC 6749 section 5.1).

    What could be kept and never be sent again is no success either: a token with other characters than RFC 6749
    appendix A allows, or of a type that we cannot present. A scope that is none says nothing.

    Raises:
        TokenRefusal: anything else, sorted by status and shape.
    """
    members = read_json_object(response.body)
    if not 200 <= response.status < 300 or members is None:
        raise _refusal(response, members)
    if unusable := _unusable(members):
        refusal = _refusal(response, members)
        raise replace(refusal, description=refusal.description or unusable, refresh_token=_beside(members))
    refresh_token = members.get("refresh_token")
    return Tokens(
        access_token=Secret(members["access_token"]),
        expires_in=_seconds(members.get("expires_in")),
        refresh_token=Secret(refresh_token) if refresh_token else None,
        refresh_token_expires_in=_seconds(members.get("refresh_token_expires_in")),
        scope=_scope(members.get("scope")),
    )


def _unusable(members: Mapping[str, Any]) -> str | None:
    """What keeps these members of a 2xx from being tokens, in words for a log; none of them is quoted."""
    if not members.get("access_token"):
        return "there is no access_token in it"
    for name in ("access_token", "refresh_token"):
        token = members.get(name)
        if token and not is_token(token):
            return f"its {name} is not 1 to {TOKEN_LIMIT} characters of ASCII (RFC 6749 appendix A)"
    token_type = members.get("token_type")
    if token_type is not None and not (isinstance(token_type, str) and token_type.lower() == BEARER.lower()):
        return "its token_type is not Bearer (RFC 6749 section 7.1), so the token cannot be used"
    return None


def _beside(members: Mapping[str, Any]) -> Secret | None:
    refresh_token = members.get("refresh_token")
    return Secret(refresh_token) if is_token(refresh_token) and not members.get("error") else None


def is_token(token: object) -> TypeGuard[str]:
    """Whether it could be sent as a token (RFC 6749 appendix A)."""
    # VSCHAR of the appendix. A space at either end would be lost on the way in a header.
    return (
        isinstance(token, str)
        and 0 < len(token) <= TOKEN_LIMIT
        and token.isascii()
        and token.isprintable()
        and token == token.strip()
    )


def _scope(value: object) -> Scopes | None:
    if not isinstance(value, str) or len(value) > TOKEN_LIMIT:
        return None
    try:
        return read_scopes(value)
    except InvalidScope:
        return None


def _refusal(response: Response, members: Mapping[str, Any] | None) -> TokenRefusal:
    refusal = TokenRefusal(response.status, retry_after=retry_after(response))
    if members is None:
        return replace(refusal, is_html=is_page(response))
    error, message = members.get("error"), members.get("message")
    description = members.get("error_description") or _first_description(members.get("errors")) or message
    tracking_id = members.get("trackingId") or members.get("trackingID")
    secrets = _secrets_of(response.request, members)
    return replace(
        refusal,
        is_json=True,
        error=_quoted(error, secrets)[:100] if isinstance(error, str) else None,
        description=_quoted(description, secrets)[:500] if isinstance(description, str) else None,
        webex_shape=isinstance(message, str),
        tracking_id=_quoted(tracking_id, secrets)[:100] if isinstance(tracking_id, str) else None,
    )


def _quoted(text: str, secrets: re.Pattern[str] | None) -> str:
    """As it may stand in a log or a database: some servers repeat the token that they refuse."""
    return printable(secrets.sub("***", text) if secrets else text)


def _secrets_of(request: Request | None, members: Mapping[str, Any]) -> re.Pattern[str] | None:
    """What was secret in a request of ours, and the tokens that stand in the answer itself: as they are and as they may
    have been written on the way."""
    written = {request.headers.get("authorization", "").partition(" ")[2]} if request else set()
    tokens = [members[name] for name in _TOKENS if isinstance(members.get(name), str)]
    for secret in [*(_secret_fields(request) if request else ()), *tokens]:
        text = secret.encode(errors="replace")  # what JSON holds may be no character
        written |= {secret, printable(secret), quote(text), quote(text, safe=""), quote_plus(text)}
    told = sorted((each for each in written if len(each) >= _SECRET_FROM), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, told)), re.IGNORECASE) if told else None  # %2f is %2F


def _secret_fields(request: Request) -> list[str]:
    fields = read_form(request.body, limit=len(request.body))
    named = [fields[name] for name in _SECRET_FIELDS if name in fields]
    header = request.headers.get("authorization")
    return [*named, read_basic_credentials(header)[1].reveal()] if header else named


def _first_description(errors: object) -> object:
    if isinstance(errors, list) and errors and isinstance(errors[0], Mapping):
        return errors[0].get("description")
    return None


def _seconds(value: object) -> int | None:
    """A lifetime: servers send numbers, some send text; what is neither, or not positive, says nothing."""
    if isinstance(value, str):
        value = whole_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value < 10**10 else None


def read_json_object(body: bytes, *, members: Members | None = None) -> dict[str, Any] | None:
    """The JSON object in a body, or None where there is none (HTML, a list, nothing, nonsense). ``members`` makes an
    object of its pairs; as JSON's readers do, the last of a name counts.
    """
    try:
        read = json.loads(body, object_pairs_hook=members)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def error_response(error: OAuthError, *, tracking_id: str, webex_only: bool = False) -> Response:
    """Webex's message/errors/trackingId, and (unless ``webex_only``) RFC 6749's error and error_description."""
    members: dict[str, Any] = {
        "message": error.description,
        "errors": [{"description": error.description}],
        "trackingId": tracking_id,
    }
    if not webex_only:
        members |= {"error": error.code, "error_description": error.description}
    headers = {"content-type": JSON, "trackingid": tracking_id, **NO_STORE}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    return Response(error.status, headers, json.dumps(members).encode())
