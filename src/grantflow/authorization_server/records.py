"""The values that the authorization server's rules decide on. Times are aware UTC, digests are SHA-256."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from grantflow.protocol.registration import ClientType, Profile, Registration
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret

# --- who asks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One of the secrets that an integration may have at a time. ``expires_at`` None: until it is regenerated."""

    digest: bytes = field(repr=False)
    expires_at: datetime | None = None
    last_used_at: datetime | None = None

    def lives(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True)
class Client:
    """An integration as the token endpoint needs it."""

    client_id: str
    client_type: ClientType
    profile: Profile
    secrets: tuple[ClientSecret, ...] = ()

    @property
    def public(self) -> bool:
        return self.client_type is ClientType.PUBLIC

    @property
    def strict(self) -> bool:
        return self.public or self.profile is Profile.STRICT


# --- the authorization endpoint ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in in this browser, and since when."""

    person_id: str
    org_id: str
    authenticated_at: datetime
    expires_at: datetime

    def lives(self, now: datetime) -> bool:
        return now < self.expires_at


class Decision(StrEnum):
    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Grant:
    """What the signed-in person allows the integration so far. ``remembered``: only ask for what is new."""

    id: str
    scopes: Scopes
    remembered: bool
    version: int


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """An authorization request that waits, or waited, for a person. ``query`` is as it came."""

    digest: bytes = field(repr=False)
    query: str = field(repr=False)
    created_at: datetime
    expires_at: datetime
    decision: Decision | None = None
    decided_by: str | None = None
    remember: bool = False
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewPendingRequest:
    """``scopes`` and ``redirect_uri`` are for the pages that ask the person; ``query`` is checked again each time.

    ``address`` is whom it is counted against.
    """

    digest: bytes = field(repr=False)
    query: str = field(repr=False)
    client_id: str
    scopes: Scopes
    redirect_uri: str
    login_hint: str | None
    address: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OpenRequests:
    """How many wait unanswered now, for anybody and for people at one address."""

    in_all: int
    of_address: int


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the next step of an authorization request depends on, but for the request itself."""

    registration: Registration | None = None
    owner_id: str | None = None
    session: Session | None = None
    grant: Grant | None = None
    pending: PendingRequest | None = None


# --- codes and tokens --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GrantChange:
    """What a new code does to the grant. ``loaded`` is the grant as the rule saw it; None makes one."""

    id: str
    person_id: str
    client_id: str
    scopes: Scopes
    remembered: bool
    loaded: Grant | None

    @property
    def changes(self) -> bool:
        return self.loaded is None or (self.scopes, self.remembered) != (self.loaded.scopes, self.loaded.remembered)


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code about to be sent to ``redirect_uri``. ``answers`` is the digest of the pending request, if one waited."""

    digest: bytes = field(repr=False)
    family: str
    grant: GrantChange
    scopes: Scopes
    redirect_uri: str
    redirect_uri_sent: bool
    challenge: str | None
    created_at: datetime
    expires_at: datetime
    answers: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code as stored, with what its person and grant are now."""

    digest: bytes = field(repr=False)
    family: str
    grant_id: str
    grant_lives: bool
    client_id: str
    person_id: str
    org_id: str
    scopes: Scopes
    redirect_uri: str
    redirect_uri_sent: bool
    challenge: str | None
    expires_at: datetime
    spent_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What one answer of the token endpoint hands out."""

    access_token: Secret
    access_expires_at: datetime
    refresh_token: Secret
    refresh_expires_at: datetime
    scopes: Scopes


@dataclass(frozen=True, slots=True)
class Successor:
    """What came after a rotated refresh token. ``pair`` is the sealed answer, opened; None where it is gone."""

    replaced_at: datetime
    first_used_at: datetime | None
    pair: TokenPair | None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as stored. ``lives`` is False once it, its family or its grant was revoked."""

    digest: bytes = field(repr=False)
    family: str
    grant_id: str
    client_id: str
    person_id: str
    org_id: str
    scopes: Scopes
    issued_at: datetime
    expires_at: datetime
    lives: bool
    successor: Successor | None = None


@dataclass(frozen=True, slots=True)
class Redemption:
    """A code turns into tokens."""

    code: Code
    pair: TokenPair
    now: datetime


@dataclass(frozen=True, slots=True)
class Renewal:
    """The ``webex`` profile: another access token, and the same refresh token for another 90 days."""

    presented: RefreshToken
    pair: TokenPair
    now: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """The ``strict`` profile: a successor takes the presented token's place.

    ``key`` is the presented token: the answer is sealed under it, for whoever lost the answer and holds it still.
    """

    presented: RefreshToken
    key: Secret
    pair: TokenPair
    now: datetime


@dataclass(frozen=True, slots=True)
class Revocable:
    """A token that a client wants revoked: a refresh token goes with its family, an access token alone."""

    digest: bytes = field(repr=False)
    client_id: str | None
    family: str | None
    is_refresh_token: bool
