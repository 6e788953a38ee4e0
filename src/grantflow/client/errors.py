"""What an integration's author catches, one tree.

::

    GrantflowError
    ├── AuthorizationResponseError     what came to the redirect URI gave no grant; nothing was stored
    │   ├── AccessDenied               the person declined
    │   ├── MismatchingState           the answer does not belong to this browser
    │   │   ├── ExpiredState           begun more than ten minutes ago
    │   │   └── ReusedState            this answer has been used already
    │   ├── MismatchingIssuer          another server answered than the one that was asked (RFC 9207)
    │   ├── MissingCode                neither code nor error
    │   ├── WrongAccount               somebody else granted than the person whose grant was to be renewed
    │   └── UnknownPerson              granted, but the platform did not say by whom
    ├── TokenEndpointError             the token endpoint gave no tokens
    │   ├── TransientTokenError        unreachable, overloaded or out of order: nothing is harmed, `retry_after`
    │   └── IntegrationRefused         it refuses the integration itself: an operator must look
    │       └── RefusalHeldBack        it refuses the grants of many at once, which is not believed
    ├── ReauthorizationRequired        the person must grant again, at `grant_url`
    │   └── RefreshOutcomeUnknown      because an answer was lost on the way
    ├── VaultUnavailable               the grants cannot be read or written just now: locked, full, ...; `retry_after`
    │   └── VaultNotOpened             because the file cannot be opened or made; an OSError too
    ├── SchemaTooNew                   a newer Grantflow has written the vault; a RuntimeError too
    ├── SealingError                   of `grantflow.sealing`, which says more
    │   ├── MissingKey                 no key was given
    │   ├── MalformedKey               what was given is not a key
    │   ├── WrongKey                   a record was sealed under a key that is not in the ring
    │   └── Tampered                   a record was changed, cut short, or moved to where it does not belong
    ├── DiscoveryFailed                a server's metadata cannot be had, or not be used
    ├── CallerRefused                  a program that asks for tokens with its own key is given none
    │   ├── UnknownCaller              the key is nobody's
    │   ├── NotForCaller               no grant was given to it that could be meant
    │   └── GrantGone                  the one that was given to it is no longer here
    ├── CallerExists                   a caller of that name is there already
    ├── ForeignOrigin                  the URL is outside the API: the token is not sent there
    └── BodyNotReplayable              the body can be sent only once, and would have to be sent again

Every error is picklable and holds no secret.
"""

from grantflow.client.grant import Grant
from grantflow.protocol.errors import GrantflowError as GrantflowError  # noqa: PLC0414  exported from here


class AuthorizationResponseError(GrantflowError):
    """`error` is what the platform called it (RFC 6749 section 4.1.2.1), where it did."""

    code = "authorization_refused"

    def __init__(self, message: str, *, error: str | None = None) -> None:
        super().__init__(message)
        self.error = error


class AccessDenied(AuthorizationResponseError):
    code = "access_denied"


class MismatchingState(AuthorizationResponseError):
    code = "mismatching_state"


class ExpiredState(MismatchingState):
    code = "expired_state"


class ReusedState(MismatchingState):
    code = "reused_state"


class MismatchingIssuer(AuthorizationResponseError):
    code = "mismatching_issuer"


class MissingCode(AuthorizationResponseError):
    code = "missing_code"


class WrongAccount(AuthorizationResponseError):
    """`expected` is the grant that was to be renewed, untouched; `came` names who granted instead."""

    code = "wrong_account"

    def __init__(self, message: str, *, expected: Grant, came: str) -> None:
        super().__init__(message)
        self.expected = expected
        self.came = came


class UnknownPerson(AuthorizationResponseError):
    code = "unknown_person"


class TokenEndpointError(GrantflowError):
    """`status` is the HTTP status of the answer, None where there was none."""

    code = "token_endpoint_refused"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class TransientTokenError(TokenEndpointError):
    """Try again after `retry_after` seconds; `grant` is the grant concerned, unharmed, where there is one."""

    code = "token_endpoint_unavailable"

    def __init__(
        self, message: str, *, retry_after: float, status: int | None = None, grant: Grant | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after
        self.grant = grant


class IntegrationRefused(TokenEndpointError):
    """The integration's own fault: client id, secret, address or registration. No grant is harmed.

    Asked again after `retry_after` seconds at the earliest, over all callers.
    """

    code = "integration_refused"

    def __init__(self, message: str, *, status: int | None = None, retry_after: float = 0) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class RefusalHeldBack(IntegrationRefused):
    """The platform refused this grant and those of many others at the same time, so none of them is declared dead until
    an operator has looked (docs/decisions/0014). `grant` is the grant concerned; its person may also grant again."""

    code = "refusal_held_back"

    def __init__(self, message: str, *, grant: Grant, retry_after: float) -> None:
        super().__init__(message, retry_after=retry_after)
        self.grant = grant


class ReauthorizationRequired(GrantflowError):
    """Send the person to `grant_url`; `grant` is None where they never granted."""

    code = "reauthorization_required"

    def __init__(self, message: str, *, grant: Grant | None, grant_url: str) -> None:
        super().__init__(message)
        self.grant = grant
        self.grant_url = grant_url


class RefreshOutcomeUnknown(ReauthorizationRequired):
    """An earlier refresh had no answer; the same token was sent again and is refused now.

    With a server that swaps refresh tokens and does not repeat its answer no client can close this window.
    """

    code = "refresh_outcome_unknown"


class VaultUnavailable(GrantflowError):
    """The vault's file does not work, and nothing was changed. Worth another try after `retry_after` seconds."""

    code = "vault_unavailable"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VaultNotOpened(VaultUnavailable, OSError):
    """The message names the file, the system's reason, and what to do."""

    code = "vault_not_opened"


class DiscoveryFailed(GrantflowError):
    """No integration was made; the message names each address that was asked, and what came from there."""

    code = "discovery_failed"


class CallerRefused(GrantflowError):
    code = "caller_refused"


class UnknownCaller(CallerRefused):
    code = "unknown_caller"


class NotForCaller(CallerRefused):
    code = "not_for_caller"


class GrantGone(CallerRefused):
    code = "grant_gone"


class CallerExists(GrantflowError):
    code = "caller_exists"


class ForeignOrigin(GrantflowError):
    """Nothing was sent. Name further origins of the API as `api_origins=` of the integration."""

    code = "foreign_origin"


class BodyNotReplayable(GrantflowError):
    """The API refused the old access token, so the call had no effect, and a new token is in place; or it redirected
    the call to another address (307, 308), where nothing was done.

    Call again with a fresh body, or give the body as bytes or as a seekable file.
    """

    code = "body_not_replayable"
