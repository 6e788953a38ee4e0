"""Settings of one's own integration against a foreign platform, for commands performed in this very process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Integration, KeyRing, SqliteVault
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Line, Platform, foreign_platform

SCOPES = "spark:people_read spark:rooms_read"


@dataclass(frozen=True)
class Own:
    platform: Platform
    api_url: str
    vault: Path
    key: str

    @contextmanager
    def integration(self, **options: Any) -> Iterator[Integration]:
        """What the commands have in their hands, too."""
        with Integration(
            CLIENT_ID,
            CLIENT_SECRET,
            redirect_uri="http://localhost:8000/oauth",
            scopes=SCOPES,
            api_url=self.api_url,
            vault=SqliteVault(self.vault, keys=KeyRing(self.key)),
            revocation_url=f"{self.api_url}/revoke",
            **options,
        ) as integration:
            yield integration

    def line(self, person: str, *, access: str = "") -> Line:
        """What another program has got from the platform: its refresh token is refresh-of-PERSON."""
        line = Line(person, {access} if access else set(), f"refresh-of-{person}")
        self.platform.lines.append(line)
        return line

    def grant(self, *people: str, owner: str | None = None, days_ago: float = 0) -> None:
        """They walk through the grant flow, so many days ago."""
        when = datetime.now(UTC) - timedelta(days=days_ago)
        with self.integration(_now=lambda: when) as integration:
            for person in people:
                begun = integration.authorization_request(owner=owner)
                answer = self.platform.accept(begun.url, person=person)
                integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})

    def adopt(self, *people: str) -> None:
        """Their grants are here, without an access token."""
        with self.integration() as integration:
            for person in people:
                self.line(person)
                integration.adopt(f"refresh-of-{person}")


@contextmanager
def own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Own]:
    with foreign_platform() as (platform, api_url):
        made = Own(platform, api_url, folder / "vault.db", KeyRing.new_key())
        settings = {
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": CLIENT_SECRET,
            "SCOPES": SCOPES,
            "KEY": made.key,
            "VAULT": str(made.vault),
            "API_URL": api_url,
            "REVOCATION_URL": f"{api_url}/revoke",
            "DATA": str(folder / "data"),
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"GRANTFLOW_{name}", value)
        yield made
