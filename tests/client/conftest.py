"""An integration against a foreign platform over a socket, with a real vault and a clock that can be moved.

The vault is a SQLite file; a test or file that is marked `BOTH` (tests/engines.py) lives through it on PostgreSQL too.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import AsyncIntegration, CompletedGrant, Integration, KeyRing, open_vault
from grantflow.client.integration.making import Made
from grantflow.protocol.secret import Secret
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Platform, foreign_platform
from tests.client.shells import Kinds
from tests.engines import Home, OnServer

REDIRECT_URI = "http://localhost:8000/oauth"
SCOPES = "spark:people_read spark:rooms_read"


@dataclass
class Clock:
    """Stands still, and moves when told. The vault's leases are on the database's clock, which goes on."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class World:
    platform: Platform
    api_url: str
    folder: Path
    clock: Clock
    key: str
    made: list[Integration]
    home: Home

    @property
    def path(self) -> Path:
        """The vault's file, where it is one."""
        return self.folder / "grants.db"

    @property
    def where(self) -> str:
        """What opens the vault: a path, or an address."""
        return self.home.where if isinstance(self.home, OnServer) else str(self.path)

    def options(self, **options: Any) -> dict[str, Any]:
        return {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uri": REDIRECT_URI,
            "scopes": SCOPES,
            "api_url": self.api_url,
            "vault": open_vault(self.where, keys=KeyRing(self.key)),
            "_now": self.clock.now,
            **options,
        }

    def integration(self, **options: Any) -> Integration:
        integration = Integration(**self.options(**options))
        self.made.append(integration)
        return integration

    def async_integration(self, **options: Any) -> AsyncIntegration:
        return AsyncIntegration(**self.options(**options))

    def grant(self, integration: Integration, *, person: str = "ada", **asked: Any) -> CompletedGrant:
        """The person walks through the flow in one browser."""
        begun = integration.authorization_request(**asked)
        answer = self.platform.accept(begun.url, person=person)
        return integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})

    def stored(
        self, integration: Made, person_id: str = "id-ada", owner: str | None = None
    ) -> tuple[Secret | None, Secret | None]:
        """Access token and refresh token, opened from the vault."""
        stored = integration._parts.vault.find(integration._parts.key(person_id, owner))
        assert stored is not None
        return stored.access_token, stored.refresh_token

    def stored_tokens(self, integration: Made, person_id: str = "id-ada", owner: str | None = None) -> tuple[str, str]:
        """The same as text."""
        access_token, refresh_token = self.stored(integration, person_id, owner)
        assert access_token is not None
        assert refresh_token is not None
        return access_token.reveal(), refresh_token.reveal()


@pytest.fixture
def world(tmp_path: Path, home: Home) -> Iterator[World]:
    with foreign_platform() as (platform, api_url):
        world = World(platform, api_url, tmp_path, Clock(), KeyRing.new_key(), made=[], home=home)
        yield world
        for integration in world.made:
            integration.close()


@pytest.fixture(params=["blocking", "awaiting"])
def either(world: World, request: pytest.FixtureRequest) -> Iterator[Kinds]:
    """Makes an integration of one kind, then of the other: the promise holds in both."""
    with asyncio.Runner() as runner:
        kinds = Kinds(world, awaits=request.param == "awaiting", runner=runner)
        yield kinds
        kinds.close()
