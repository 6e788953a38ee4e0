"""The values that the developer portal speaks of. Times are aware UTC, digests are SHA-256."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from grantflow.protocol.registration import Registration
from grantflow.protocol.scope import Scopes, without_kms

# --- what is registered ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Integration:
    """A registered integration, whole. ``owner_id`` is the person who registered it, shown as its publisher.

    ``icon`` is the name of one of the platform's own, or the digest of an uploaded one. ``version`` counts its changes.
    """

    registration: Registration
    created_at: datetime
    description: str = ""
    contact_email: str = ""
    owner_id: str | None = None
    site_url: str | None = None
    icon: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class NewSecret:
    """``last_four`` lets people tell their secrets apart, once the text is gone."""

    digest: bytes = field(repr=False)
    last_four: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Icon:
    """An uploaded picture that was looked at: ``type`` is what its content says, not what the sender said."""

    type: str
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """Its name and its address: 64 hex digits."""
        return hashlib.sha256(self.content).hexdigest()


class Amendment(Enum):
    """What came of a change."""

    SAVED = auto()
    NAME_TAKEN = auto()
    STALE = auto()
    """Somebody changed or deleted the integration meanwhile; nothing was saved."""


# --- what its owner sees -----------------------------------------------------------------------------------------


class Session(Protocol):
    """Who is signed in in this browser."""

    @property
    def token_hash(self) -> bytes: ...
    @property
    def person_id(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def display_name(self) -> str: ...
    @property
    def org_id(self) -> str: ...
    @property
    def is_admin(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class MyApp:
    """One line of My Webex Apps. ``people`` is how many have granted it something that they have not revoked."""

    client_id: str
    name: str
    icon: str | None
    scopes: Scopes
    people: int
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class MyApps:
    """One page in the order of the names, and how many there are on all pages."""

    shown: tuple[MyApp, ...]
    total: int


@dataclass(frozen=True, slots=True)
class HeldSecret:
    """What is left to see of a client secret. ``expires_at`` None: until it is regenerated."""

    last_four: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class PersonsGrant:
    """What one person granted, as the integration's owner sees it. ``acts``: an access token lives; ``renews``: a
    refresh token does.
    """

    grant_id: str
    person: str
    scopes: Scopes
    since: datetime
    last_used_at: datetime
    acts: bool
    renews: bool


@dataclass(frozen=True, slots=True)
class PeopleWhoGranted:
    """One page of living grants, last used first, and how many there are on all pages."""

    shown: tuple[PersonsGrant, ...]
    total: int


# --- what everybody sees -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HubEntry:
    """An integration in the App Hub. There is no contact email in it: that is shown to nobody but the owner."""

    client_id: str
    name: str
    icon: str | None
    description: str
    publisher: str | None
    scopes: Scopes
    site_url: str

    @property
    def visible(self) -> Scopes:
        return without_kms(self.scopes)


@dataclass(frozen=True, slots=True)
class Hub:
    shown: tuple[HubEntry, ...]
    total: int


# --- bots --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bot:
    """An account of its own, which acts with a token of its own. ``owner_id`` is the person who registered it, ``icon``
    the name of one of the platform's own. ``version`` counts its tokens.
    """

    id: str
    username: str
    email: str
    name: str
    org_id: str
    created_at: datetime
    description: str = ""
    owner_id: str | None = None
    icon: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class NewBotToken:
    """It takes the place of the one before."""

    digest: bytes = field(repr=False)
    scopes: Scopes
    issued_at: datetime
    expires_at: datetime
