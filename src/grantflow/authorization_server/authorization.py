"""The checks of an authorization request, in order, a line each (RFC 6749 section 4.1.2.1; W23).

``trust`` comes first: until it has passed, nothing is sent to the redirect URI, and the person sees a page. What
``check`` refuses goes to the redirect URI.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

from grantflow.protocol.authorization import AuthorizationRequest, authorization_request, read_authorization_request
from grantflow.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    RepeatedParameter,
    RequestNotSupported,
    RequestUriNotSupported,
    UnsupportedResponseType,
    UntrustedRequest,
)
from grantflow.protocol.pkce import check_challenge
from grantflow.protocol.redirect_uri import find_registered
from grantflow.protocol.registration import Registration
from grantflow.protocol.scope import KMS, Scopes, read_scopes

NONE, LOGIN, CONSENT, SELECT_ACCOUNT = "none", "login", "consent", "select_account"
PROMPTS = frozenset({NONE, LOGIN, CONSENT, SELECT_ACCOUNT})
#: OpenID Connect is not offered: a client that counts on an id_token must learn so at once.
OPENID_SCOPES = Scopes.of("openid", "email", "profile", "phone", "address")
_IMPLICIT = frozenset({"token", "id_token"})
_SCOPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_:.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Asked:
    """An authorization request as it came. What was ``repeated`` is absent from ``request``."""

    request: AuthorizationRequest
    repeated: RepeatedParameter | None = None

    def repeats(self, name: str) -> bool:
        return self.repeated is not None and name in self.repeated.names

    @property
    def silent(self) -> bool:
        """Whether the person must not be shown anything: ``prompt=none`` alone. With others beside it, it is an error
        (OpenID Connect Core 3.1.2.1), told like every other after the sign-in.
        """
        return set((self.request.prompt or "").split()) == {NONE}


@dataclass(frozen=True, slots=True)
class TrustedRequest:
    """Who asks and where an answer may go: both have been checked."""

    registration: Registration
    redirect_uri: str
    redirect_uri_sent: bool
    state: str | None


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """The rest of a request, found good. ``scopes`` are those the code will carry."""

    scopes: Scopes
    challenge: str | None
    prompts: frozenset[str]
    max_age: timedelta | None


def read(query: bytes) -> Asked:
    """Read the query, keeping a repeated parameter for the ladder to refuse in its place.

    Raises:
        InvalidRequest: the query cannot be read at all.
    """
    try:
        return Asked(read_authorization_request(query))
    except RepeatedParameter as error:
        return Asked(authorization_request(error.others), error)


# --- whom to answer ----------------------------------------------------------------------------------------------


def trust(asked: Asked, registration: Registration | None) -> TrustedRequest:
    """Find out who asks and where the answer goes.

    Raises:
        UntrustedRequest: client or redirect URI cannot be trusted; it names the parameter, the reason and the fix.
    """
    request = asked.request
    if asked.repeats("client_id"):
        raise _untrusted_client("It occurs more than once, so it is not clear which integration asks.")
    if request.client_id is None:
        raise _untrusted_client("It is missing, so nobody knows which integration asks.")
    if registration is None:
        raise _untrusted_client("No integration with this client ID is registered here.")
    if asked.repeats("redirect_uri"):
        raise _untrusted_redirect("It occurs more than once, so it is not clear where the answer should go.")
    if request.redirect_uri is not None:
        if find_registered(request.redirect_uri, registration.redirect_uris) is None:
            raise _untrusted_redirect("It is not registered for this integration, so no answer may be sent there.")
        return TrustedRequest(registration, request.redirect_uri, True, request.state)
    if len(registration.redirect_uris) != 1:
        raise _untrusted_redirect("It is missing, and this integration has registered more than one.")
    return TrustedRequest(registration, registration.redirect_uris[0], False, request.state)


def _untrusted_client(why: str) -> UntrustedRequest:
    fix = "Copy the authorization URL from the integration's page again, whole, with its client ID unchanged."
    return UntrustedRequest(why, parameter="client_id", fix=fix)


def _untrusted_redirect(why: str) -> UntrustedRequest:
    fix = (
        "Send exactly one of the registered redirect URIs: scheme, host, port, path, query and a slash at the end "
        "all count. Or register the one that you send."
    )
    return UntrustedRequest(why, parameter="redirect_uri", fix=fix)


# --- what is asked -----------------------------------------------------------------------------------------------


def check(asked: Asked, registration: Registration) -> CheckedRequest:
    """Check all else. Each refusal is sent to the redirect URI.

    Raises:
        InvalidRequest, RequestNotSupported, RequestUriNotSupported, UnsupportedResponseType, InvalidScope.
    """
    request = asked.request
    if asked.repeated is not None:
        raise asked.repeated
    if request.request is not None:
        raise RequestNotSupported("request is not supported (request objects); send the parameters themselves.")
    if request.request_uri is not None:
        raise RequestUriNotSupported("request_uri is not supported; send the parameters themselves.")
    _check_response_type(request.response_type)
    scopes = _check_scope(request.scope, registration.scopes)
    if request.code_challenge is None and registration.needs_pkce:
        raise InvalidRequest("code_challenge is missing; this integration must use PKCE with S256 (RFC 7636).")
    check_challenge(request.code_challenge, request.code_challenge_method)
    return CheckedRequest(scopes, request.code_challenge, _prompts(request.prompt), _max_age(request.max_age))


def _check_response_type(response_type: str | None) -> None:
    if response_type is None:
        raise InvalidRequest("The parameter 'response_type' is missing; it must be code.")
    if _IMPLICIT & set(response_type.split()):
        raise UnsupportedResponseType("The implicit grant is not offered (RFC 9700 2.1.2); response_type must be code.")
    if response_type != "code":
        raise UnsupportedResponseType("response_type is none that is offered here; it must be code.")


def _check_scope(scope: str | None, registered: Scopes) -> Scopes:
    """A subset of what is registered, and spark:kms.

    Webex adds spark:kms by itself and no client can do without it, so it is granted with any scope wherever it is
    registered, asked for or not.
    """
    if scope is None:
        raise InvalidScope("The parameter 'scope' is missing; name at least one registered scope.")
    asked = read_scopes(scope)
    if not asked:
        raise InvalidScope("The parameter 'scope' names no scope; name at least one registered scope.")
    beyond = asked.beyond(registered)
    if any(token in OPENID_SCOPES for token in beyond):
        raise InvalidScope(
            "The scope asks for OpenID Connect (openid, email, profile, phone, address), which is not offered here; "
            "leave that out."
        )
    if beyond:
        raise InvalidScope(
            f"The scope goes beyond what is registered for this integration: {_named(beyond)}. Ask for less, "
            "or register more.",
            reason=f"not registered: {beyond}",
        )
    return asked | Scopes.of(KMS) if KMS in registered else asked


def _named(beyond: Scopes) -> str:
    """The first few, where they are written as scopes are: what else may stand in an address is not repeated."""
    shown = [token for token in beyond if _SCOPE_NAME.fullmatch(token)][:3]
    others = len(beyond) - len(shown)
    return ", ".join([*shown, *([f"{others} more"] if others else [])])


def _prompts(prompt: str | None) -> frozenset[str]:
    prompts = frozenset((prompt or "").split())
    if not prompts <= PROMPTS:
        raise InvalidRequest("prompt must be none, login, consent or select_account; any other word is unknown here.")
    if NONE in prompts and len(prompts) > 1:
        raise InvalidRequest("prompt=none cannot be combined with other prompts; send none alone, or leave it out.")
    return prompts


def _max_age(max_age: str | None) -> timedelta | None:
    """Seconds since the person last signed in; 0 asks for a fresh sign-in (OpenID Connect Core 3.1.2.1)."""
    if max_age is None:
        return None
    if not (max_age.isascii() and max_age.isdecimal() and len(max_age) <= 9):
        raise InvalidRequest("max_age is no time; it must be a whole number of seconds, of nine digits at most.")
    return timedelta(seconds=int(max_age))
