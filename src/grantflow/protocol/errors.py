"""The errors of the OAuth wire, one tree (RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1).

::

    OAuthError
    ├── InvalidRequest            a parameter is missing, repeated or malformed
    │   ├── RepeatedParameter     it occurs twice, so that nobody can say which one counts
    │   ├── UnsupportedMediaType  415: the body is not form-encoded (W26)
    │   └── RequestTooLarge       413
    ├── UntrustedRequest          client or redirect URI cannot be trusted: shown, never redirected
    ├── InvalidClient             401: the integration could not be authenticated
    ├── InvalidGrant              the code or refresh token is dead or belongs elsewhere
    ├── UnauthorizedClient        this integration may not use this grant type
    ├── UnsupportedGrantType
    ├── UnsupportedResponseType
    ├── UnsupportedTokenType      RFC 7009 section 2.2.1
    ├── InvalidScope
    ├── AccessDenied              the person declined
    ├── LoginRequired             prompt=none without a session (OpenID Connect Core 3.1.2.6)
    ├── ConsentRequired           prompt=none without consent
    ├── RequestNotSupported       a request object (OpenID Connect Core 3.1.2.6)
    ├── RequestUriNotSupported    the address of one
    ├── InvalidToken              401 of the resource server
    ├── InsufficientScope         403 of the resource server
    ├── ServerError
    └── TemporarilyUnavailable    503 with Retry-After

Beside it `GrantflowError`, which an integration's author catches; its tree is drawn in ``grantflow.client.errors``. It
stands here because sealing and migrations raise some of that tree and know nothing else.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class GrantflowError(Exception):
    """Something that the integration half raises on purpose; the message says what happened, why, and what to do.

    `code` names the kind for pages and logs. Where it happened while an authorization was completed, `owner` had
    begun it, `return_to` is the checked path they wanted to go to, and `cookie_name` is the cookie that has served.
    """

    code: ClassVar[str] = "grantflow_error"
    owner: str | None = None
    return_to: str | None = None
    cookie_name: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[GrantflowError], args: tuple[Any, ...], attributes: dict[str, Any]) -> GrantflowError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class OAuthError(Exception):
    """Something that the other side is told about.

    ``description`` is for the other side (it never quotes input), ``reason`` for our log, ``redirectable`` says
    whether it may be sent to the redirect URI, ``retry_after`` is in seconds.
    """

    code: ClassVar[str] = "server_error"
    status: int = 400
    redirectable: bool = True

    def __init__(
        self,
        description: str,
        *,
        reason: str | None = None,
        status: int | None = None,
        redirectable: bool | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(description)
        self.description = printable(description)
        self.reason = reason or description
        self.retry_after = retry_after
        if status is not None:
            self.status = status
        if redirectable is not None:
            self.redirectable = redirectable


class InvalidRequest(OAuthError):
    code = "invalid_request"


class RepeatedParameter(InvalidRequest):
    """``names`` occurred more than once; ``others`` are the fields that did not."""

    def __init__(self, description: str, *, names: frozenset[str], others: Mapping[str, str]) -> None:
        super().__init__(description)
        self.names = names
        self.others = others


class UnsupportedMediaType(InvalidRequest):
    status = 415


class RequestTooLarge(InvalidRequest):
    status = 413


class UntrustedRequest(InvalidRequest):
    """``parameter`` is the one that cannot be trusted; the person sees it with the reason and the fix (W23)."""

    redirectable = False

    def __init__(self, description: str, *, parameter: str, fix: str, reason: str | None = None) -> None:
        super().__init__(description, reason=reason)
        self.parameter = parameter
        self.fix = fix


class InvalidClient(OAuthError):
    code = "invalid_client"
    status = 401
    redirectable = False


class InvalidGrant(OAuthError):
    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    code = "unsupported_response_type"


class UnsupportedTokenType(OAuthError):
    code = "unsupported_token_type"


class InvalidScope(OAuthError):
    code = "invalid_scope"


class AccessDenied(OAuthError):
    code = "access_denied"


class LoginRequired(OAuthError):
    code = "login_required"


class ConsentRequired(OAuthError):
    code = "consent_required"


class RequestNotSupported(OAuthError):
    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    code = "request_uri_not_supported"


class InvalidToken(OAuthError):
    code = "invalid_token"
    status = 401
    redirectable = False


class InsufficientScope(OAuthError):
    code = "insufficient_scope"
    status = 403
    redirectable = False


class ServerError(OAuthError):
    code = "server_error"
    status = 500


class TemporarilyUnavailable(OAuthError):
    code = "temporarily_unavailable"
    status = 503


def printable(text: str) -> str:
    """Keep to the characters that RFC 6749 section 5.2 allows in error_description: no quote, no backslash."""
    return "".join(
        "'" if character == '"' else character for character in text if " " <= character <= "~" and character != "\\"
    )
