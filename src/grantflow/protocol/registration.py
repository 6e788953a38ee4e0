"""What is known of a registered integration (RFC 6749 section 2), and the shape of what the platform issues."""

import re
from dataclasses import dataclass
from enum import StrEnum

from grantflow.protocol.scope import Scopes


class Profile(StrEnum):
    """How closely the platform keeps to Webex's habits for one integration."""

    WEBEX = "webex"
    """PKCE optional for confidential clients, the refresh token stays and its 90 days slide."""
    STRICT = "strict"
    """RFC 9700: PKCE always, refresh rotation."""


class ClientType(StrEnum):
    CONFIDENTIAL = "confidential"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Registration:
    """One integration as the authorization server needs it. Public clients are always strict."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    scopes: Scopes
    profile: Profile = Profile.WEBEX
    client_type: ClientType = ClientType.CONFIDENTIAL

    @property
    def strict(self) -> bool:
        return self.profile is Profile.STRICT or self.client_type is ClientType.PUBLIC

    @property
    def needs_pkce(self) -> bool:
        return self.strict


CLIENT_ID = re.compile(r"C[0-9a-f]{64}")
"""``C`` and 64 lower-case hex digits, as Webex issues them."""
CLIENT_SECRET = re.compile(r"[0-9a-f]{64}")
