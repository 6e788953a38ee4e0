"""What the developer portal asks of storage. Any of these may raise TemporarilyUnavailable; then nothing was kept."""

from datetime import datetime
from typing import Protocol

from grantflow.developer_portal.records import Bot, Integration, NewBotToken, NewSecret


class Registrations(Protocol):
    async def add(self, integration: Integration, secret: NewSecret | None) -> bool:
        """Keep a new integration; False where its name is taken (upper and lower case alike)."""

    async def add_secret(self, client_id: str, secret: NewSecret, *, others_expire_at: datetime | None) -> bool:
        """Keep another secret. The others end then at the latest, or live on where it is None.

        False where there is no such integration, or it is public and has no secrets.
        """

    async def find(self, client_id: str) -> Integration | None: ...


class Bots(Protocol):
    """Bots that are not deleted."""

    async def add(self, bot: Bot, token: NewBotToken) -> bool:
        """Keep a new bot and its token; False where its username is taken, or was once."""

    async def find(self, username: str) -> Bot | None: ...

    async def replace_token(self, bot_id: str, token: NewBotToken) -> bool:
        """The token before ends in the same moment. False where there is no such bot."""

    async def rooms_of(self, bot_id: str) -> int:
        """How many rooms it is in."""

    async def delete(self, bot_id: str, *, now: datetime) -> bool:
        """End its token and take it out of its group rooms; what it wrote stays. False where there is no such bot."""
