"""What the developer portal asks of storage. Any of these may raise TemporarilyUnavailable; then nothing was kept."""

from datetime import datetime
from typing import Protocol

from grantflow.developer_portal.records import Integration, NewSecret


class Registrations(Protocol):
    async def add(self, integration: Integration, secret: NewSecret | None) -> bool:
        """Keep a new integration; False where its name is taken (upper and lower case alike)."""

    async def add_secret(self, client_id: str, secret: NewSecret, *, others_expire_at: datetime | None) -> bool:
        """Keep another secret. The others end then at the latest, or live on where it is None.

        False where there is no such integration, or it is public and has no secrets.
        """

    async def find(self, client_id: str) -> Integration | None: ...
