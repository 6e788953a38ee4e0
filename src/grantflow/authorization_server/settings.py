"""What an operator may set of the authorization server. Lifetimes are timedeltas; the defaults are Webex's."""

from dataclasses import dataclass
from datetime import timedelta

#: RFC 9700 section 2.1.1 and RFC 6749 section 4.1.2: the longest that a code may live.
LONGEST_CODE_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Settings:
    """``issuer`` is the platform's ``api_url``, which ends in ``/v1``; the endpoints lie below it.

    Raises:
        ValueError: a lifetime is not positive, or a code's is longer than ten minutes.
    """

    issuer: str
    code_lifetime: timedelta = timedelta(minutes=5)
    access_token_lifetime: timedelta = timedelta(days=14)
    refresh_token_lifetime: timedelta = timedelta(days=90)
    #: How long a request waits for the person to sign in and consent.
    request_lifetime: timedelta = timedelta(minutes=10)
    #: How many may wait at once, with up to 8 KiB each, and how many from one address: an office shares one.
    open_requests: int = 10_000
    open_requests_of_an_address: int = 500

    #: For so long after a code was spent, its valid repeat revokes nothing: a client's own retry (S34).
    repeat_grace: timedelta = timedelta(seconds=10)
    #: For so long at most a rotated refresh token is answered again, until its successor is first used (S67).
    replay_window: timedelta = timedelta(hours=24)
    #: For so long after that, stragglers with the old token are refused and nothing is revoked.
    straggler_grace: timedelta = timedelta(seconds=60)

    #: Signing out takes away all that the person granted, tokens and consent (RFC 9700 section 4.14.2).
    revoke_on_sign_out: bool = False
    #: Report a ``refresh_token_expires_in`` that counts down across refreshes, as captures of Webex show, although
    #: the true deadline moves with each use.
    report_countdown: bool = False
    token_endpoint_accepts_json: bool = False
    #: Error bodies exactly as Webex's, without RFC 6749's ``error`` and ``error_description``.
    webex_error_body: bool = False

    #: Where the person's pages take over, each of which leads back to the authorization endpoint with the request's id:
    #: paths, or addresses where these pages have one of their own.
    sign_in_page: str = "/signin"
    consent_page: str = "/consent"
    #: Where developers find what they have registered; empty where there is no developer portal.
    my_apps_page: str = ""

    def __post_init__(self) -> None:
        lifetimes = ("code_lifetime", "access_token_lifetime", "refresh_token_lifetime", "request_lifetime")
        for name in lifetimes:
            if getattr(self, name) <= timedelta(0):
                raise ValueError(f"{name} must be positive.")
        if self.code_lifetime > LONGEST_CODE_LIFETIME:
            raise ValueError("code_lifetime must be ten minutes at most (RFC 6749 section 4.1.2).")

    @property
    def authorization_endpoint(self) -> str:
        return f"{self.issuer}/authorize"

    @property
    def token_endpoint(self) -> str:
        return f"{self.issuer}/access_token"

    @property
    def revocation_endpoint(self) -> str:
        return f"{self.issuer}/revoke"
