"""The values that the resource owner's pages speak of. Times are aware UTC."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from grantflow.protocol.scope import Scopes, without_kms


@dataclass(frozen=True, slots=True)
class Person:
    """A resource owner (RFC 6749 section 1.1). `id` and `org_id` are UUIDs, `email` is lower case and unique."""

    id: str
    email: str
    display_name: str
    org_id: str
    created_at: datetime
    first_name: str | None = None
    last_name: str | None = None
    nick_name: str | None = None
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """`password_hash` is an Argon2id PHC string; None means that this person cannot sign in."""

    person_id: str
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """One browser in which one person is signed in. `token_hash` is the SHA-256 of what its cookie holds."""

    token_hash: bytes = field(repr=False)
    person_id: str
    email: str
    display_name: str
    authenticated_at: datetime
    expires_at: datetime
    org_id: str = ""
    is_admin: bool = False


class Decision(StrEnum):
    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Question:
    """What an integration asks a person: an authorization request that waits for sign-in or consent.

    `publisher` is the display name of the person who registered the integration, `site_url` its landing page;
    `allowed` is what the person who looks at it allows the integration already. `answered_at` is when the integration
    was given its answer, which comes after the decision.
    """

    client_id: str
    app: str
    publisher: str | None
    site_url: str | None
    scopes: Scopes
    redirect_uri: str
    login_hint: str | None
    created_at: datetime
    expires_at: datetime
    allowed: Scopes
    decision: Decision | None
    decided_by: str | None
    answered_at: datetime | None
    icon: str | None = None

    @property
    def visible(self) -> Scopes:
        return without_kms(self.scopes)

    @property
    def new(self) -> Scopes:
        """What the person has not allowed yet."""
        return self.visible.beyond(self.allowed)

    @property
    def old(self) -> Scopes:
        return self.visible.beyond(self.new)


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """One grant as its person sees it. `grant_id` is a UUID."""

    grant_id: str
    client_id: str
    app: str
    publisher: str | None
    site_url: str | None
    scopes: Scopes
    since: datetime
    last_used_at: datetime
    revoked_at: datetime | None
    icon: str | None = None

    @property
    def visible(self) -> Scopes:
        return without_kms(self.scopes)


@dataclass(frozen=True, slots=True)
class ConnectedApps:
    """One page of a person's living grants, last used first, and how many there are on all pages."""

    shown: tuple[ConnectedApp, ...]
    total: int


# --- for administrators --------------------------------------------------------------------------------------------

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Portion(Generic[T]):
    """One page of a list, and how many there are on all pages."""

    shown: tuple[T, ...]
    total: int


@dataclass(frozen=True, slots=True)
class App:
    """An integration as those see it who may take away what was granted to it."""

    client_id: str
    name: str
    publisher: str | None = None
    description: str = ""
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class GivenGrant:
    """A grant with the person who gave it; ``person`` is the display name."""

    grant: ConnectedApp
    person_id: str
    email: str
    person: str
