"""What the authorization server asks of storage. Any of these may raise TemporarilyUnavailable; then nothing was kept.

What saves answers False where what the rule decided on is no longer so (somebody was faster, or took the grant away):
nothing of it was kept; load and decide again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from grantflow.authorization_server.records import (
    Client,
    Code,
    NewCode,
    NewPendingRequest,
    OpenRequests,
    Redemption,
    RefreshToken,
    Renewal,
    Revocable,
    Rotation,
    Situation,
)
from grantflow.protocol.secret import Secret


class AuthorizationRequests(Protocol):
    async def situation(self, client_id: str, *, session: bytes | None) -> Situation:
        """What a fresh request meets. ``session`` is the digest of the session cookie; one that expired counts."""

    async def pending(self, request: bytes, *, session: bytes | None) -> Situation:
        """The same for a request that waited; without ``pending`` and ``registration`` where there is none."""

    async def save(self, request: NewPendingRequest, *, check_room: Callable[[OpenRequests], None]) -> None:
        """Keep it, if ``check_room`` raises nothing at how many are open; it is asked inside the unit of work."""

    async def answer(self, request: bytes, *, now: datetime) -> bool:
        """Mark a pending request as answered; False where it was already."""

    async def issue(self, code: NewCode) -> bool:
        """Keep the grant and the code, and mark the pending request as answered."""


class Tokens(Protocol):
    async def code(self, client_id: str, code: Secret) -> tuple[Client | None, Code | None]: ...

    async def refresh_token(self, client_id: str, token: Secret) -> tuple[Client | None, RefreshToken | None]: ...

    async def revocable(self, client_id: str, token: Secret) -> tuple[Client | None, Revocable | None]:
        """An access or refresh token, whichever it is (RFC 7009 section 2.1)."""

    async def redeem(self, redemption: Redemption) -> bool: ...

    async def renew(self, renewal: Renewal) -> bool: ...

    async def rotate(self, rotation: Rotation) -> bool: ...

    async def revoke_family(self, family: str, *, now: datetime) -> None:
        """Revoke all that one authorization code led to, and end the grant where nothing that could act is left."""

    async def revoke_access_token(self, token: bytes, *, now: datetime) -> None:
        """Revoke it alone, and end the grant where nothing that could act is left."""

    async def note_use_of_secret(self, client_id: str, secret: bytes, *, now: datetime) -> None:
        """Remember when a client secret was last used, so that its owner knows when an old one can go."""
