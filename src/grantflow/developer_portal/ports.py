"""What the developer portal asks of storage. Any of these may raise TemporarilyUnavailable; then nothing was kept.

Where an owner is named, what belongs to anybody else is as good as not there. ``page`` counts from 1; ``search`` is
part of a name, upper and lower case alike, and empty for all.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from grantflow.developer_portal.records import (
    Amendment,
    Bot,
    HeldSecret,
    Hub,
    HubEntry,
    Icon,
    Integration,
    MyApps,
    NewBotToken,
    NewSecret,
    PeopleWhoGranted,
    PersonsGrant,
    Session,
)


class Sessions(Protocol):
    async def find(self, token_hash: bytes, *, now: datetime) -> Session | None:
        """The living session; an expired one is None."""


class Registrations(Protocol):
    async def add(
        self, integration: Integration, secret: NewSecret | None, *, icon: Icon | None = None, form: bytes | None = None
    ) -> bool:
        """Keep a new integration; False where its name is taken (upper and lower case alike), or where the ``form``
        (its digest) has made one already.
        """

    async def count(self, owner_id: str) -> int: ...

    async def made_by(self, form: bytes, *, owner_id: str) -> str | None:
        """The client ID of what this form has made."""

    async def add_secret(
        self, client_id: str, secret: NewSecret, *, others_expire_at: datetime | None, version: int | None = None
    ) -> bool:
        """Keep another secret. The others end then at the latest, or live on where it is None.

        False where there is no such integration, it is public and has no secrets, or ``version`` is another by now.
        """

    async def find(self, client_id: str) -> Integration | None: ...

    async def find_by_name(self, name: str) -> Integration | None:
        """Upper and lower case alike."""

    async def amend(self, integration: Integration, *, icon: Icon | None = None) -> Amendment:
        """Save all of it but client ID, owner and client type, if it still is in the version that it says."""

    async def delete(self, client_id: str, *, owner_id: str) -> bool:
        """With its secrets, and all that people granted it. That goes first, a portion at a time: where it is
        interrupted, the integration is still there and can be deleted again.
        """


class MyAppsPort(Protocol):
    async def page(self, owner_id: str, *, search: str, page: int, size: int) -> MyApps: ...

    async def find(self, client_id: str, *, owner_id: str) -> Integration | None: ...

    async def secrets(self, client_id: str, *, now: datetime) -> tuple[HeldSecret, ...]:
        """Those that serve still, newest first."""


class GrantedPort(Protocol):
    """What people granted an integration. The caller has seen that it is its owner who asks."""

    async def count(self, client_id: str) -> int: ...

    async def last_use(self, client_id: str) -> datetime | None:
        """Of any grant to it, ended ones too; None where nobody ever granted it anything."""

    async def page(self, client_id: str, *, search: str, page: int, size: int, now: datetime) -> PeopleWhoGranted: ...

    async def find(self, grant_id: str, *, client_id: str, now: datetime) -> PersonsGrant | None:
        """A living grant."""

    async def expire(self, grant_id: str, *, client_id: str, now: datetime) -> int:
        """Let its access tokens expire now; the refresh token lives on. Answers how many there were."""

    async def revoke(self, grant_id: str, *, client_id: str, now: datetime) -> bool: ...


class AppHubPort(Protocol):
    async def page(self, *, search: str, page: int, size: int) -> Hub:
        """Those that have a landing page, in the order of their names."""

    async def find(self, client_id: str) -> HubEntry | None: ...

    async def icon(self, digest: str) -> Icon | None: ...


class Bots(Protocol):
    """Bots that are not deleted."""

    async def add(self, bot: Bot, token: NewBotToken) -> bool:
        """Keep a new bot and its token; False where its username is taken, or was once."""

    async def find(self, username: str) -> Bot | None: ...

    async def of_owner(self, owner_id: str, *, search: str, limit: int) -> Sequence[Bot]:
        """In the order of their usernames."""

    async def count(self, owner_id: str) -> int:
        """With those that are deleted: their usernames stay taken."""

    async def replace_token(self, bot_id: str, token: NewBotToken, *, version: int | None = None) -> bool:
        """The token before ends in the same moment. False where there is no such bot, or ``version`` is another."""

    async def rooms_of(self, bot_id: str) -> int:
        """How many rooms it is in."""

    async def delete(self, bot_id: str, *, now: datetime) -> bool:
        """End its token and take it out of its group rooms; what it wrote stays. False where there is no such bot."""
