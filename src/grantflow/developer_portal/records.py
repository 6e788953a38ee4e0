"""The values that the developer portal speaks of. Times are aware UTC, digests are SHA-256."""

from dataclasses import dataclass, field
from datetime import datetime

from grantflow.protocol.registration import Registration
from grantflow.protocol.scope import Scopes


@dataclass(frozen=True, slots=True)
class Integration:
    """A registered integration, whole. ``owner_id`` is the person who registered it, shown as its publisher."""

    registration: Registration
    created_at: datetime
    description: str = ""
    contact_email: str = ""
    owner_id: str | None = None
    site_url: str | None = None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """``last_four`` lets people tell their secrets apart, once the text is gone."""

    digest: bytes = field(repr=False)
    last_four: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Bot:
    """An account of its own, which acts with a token of its own. ``owner_id`` is the person who registered it."""

    id: str
    username: str
    email: str
    name: str
    org_id: str
    created_at: datetime
    description: str = ""
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewBotToken:
    """It takes the place of the one before."""

    digest: bytes = field(repr=False)
    scopes: Scopes
    issued_at: datetime
    expires_at: datetime
