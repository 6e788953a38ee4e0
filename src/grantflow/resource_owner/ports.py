"""What the resource owner's pages ask of storage. Any of these may raise the store's "unavailable" error."""

from datetime import datetime
from typing import Protocol

from grantflow.resource_owner.records import (
    App,
    ConnectedApp,
    ConnectedApps,
    Credentials,
    Decision,
    GivenGrant,
    Person,
    Portion,
    Question,
    Session,
)


class People(Protocol):
    async def credentials(self, email: str) -> Credentials | None:
        """By email, upper and lower case alike; None for nobody, and for bots, who have no password."""


class Sessions(Protocol):
    async def find(self, token_hash: bytes, *, now: datetime) -> Session | None:
        """The living session; an expired one is None."""

    async def begin(
        self, token_hash: bytes, *, person_id: str, now: datetime, expires_at: datetime, instead_of: bytes | None
    ) -> None:
        """Save a session and delete the one whose place it takes, both or neither."""

    async def end(self, token_hash: bytes, *, revoke_grants_at: datetime | None = None) -> None:
        """With ``revoke_grants_at``, the time now, what the person granted ends in the same unit of work."""


class Questions(Protocol):
    async def find(self, id_hash: bytes, *, person_id: str | None) -> Question | None:
        """Also one that is expired or answered. `person_id` is whose earlier grant `allowed` tells of."""

    async def decide(
        self, id_hash: bytes, *, person_id: str, decision: Decision, remember: bool, now: datetime
    ) -> bool:
        """Record the first decision, if the question is still open; False where it is not (any more)."""


class Grants(Protocol):
    async def connected(self, person_id: str, *, page: int, size: int) -> ConnectedApps:
        """`page` counts from 1."""

    async def find(self, grant_id: str, *, person_id: str) -> ConnectedApp | None:
        """One grant of this person, also a revoked one."""

    async def revoke(self, grant_id: str, *, person_id: str, now: datetime) -> bool:
        """End one living grant of this person, and so all its tokens at once; False where there is none."""

    async def revoke_all(self, person_id: str, *, now: datetime) -> int:
        """End all living grants of this person; answers how many there were."""


class Administration(Protocol):
    """What an administrator sees of the organization ``org_id``, and of no other. `page` counts from 1."""

    async def people(self, beginning: str, *, org_id: str, page: int, size: int) -> Portion[Person]:
        """Whose name or email begins so, whatever the case, by name; everybody for an empty beginning."""

    async def person(self, person_id: str, *, org_id: str) -> Person | None: ...

    async def apps(self, beginning: str, *, page: int, size: int) -> Portion[App]:
        """Whose name begins so, or that have this client ID, by name."""

    async def app(self, client_id: str) -> App | None: ...

    async def given_to(self, client_id: str, *, org_id: str, page: int, size: int) -> Portion[GivenGrant]:
        """The living grants to one integration, the newest first."""

    async def given(self, grant_id: str, *, org_id: str) -> GivenGrant | None:
        """One grant, also a revoked one."""

    async def revoke_all_given_to(self, client_id: str, *, org_id: str, now: datetime) -> int:
        """End all living grants to one integration; answers how many there were."""
