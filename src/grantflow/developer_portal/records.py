"""The values that the developer portal speaks of. Times are aware UTC, digests are SHA-256."""

from dataclasses import dataclass, field
from datetime import datetime

from grantflow.protocol.registration import Registration


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
