"""Both halves in one process under one clock that a test can move: the real platform on a real socket, the real
library, real SQLite files; and a person without eyes in between."""

import asyncio
import logging
import secrets
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from grantflow import CompletedGrant, Integration, KeyRing, SqliteVault
from grantflow.app import Storage, platform
from grantflow.authorization_server import Settings
from grantflow.developer_portal.bots import BotApplication, RegisteredBot, register_bot
from grantflow.developer_portal.registration import Application, register
from grantflow.protocol.registration import ClientType, Profile
from grantflow.protocol.secret import Secret
from grantflow.resource_owner.passwords import hash_password
from grantflow.resource_owner.people import new_person
from grantflow.web.site import Site
from tests.whole.person import Person

REDIRECT_URI = "http://127.0.0.1:8000/oauth"
SCOPES = "spark:people_read spark:rooms_read spark:rooms_write spark:messages_read spark:messages_write"
ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "password": "a sentence of many words"}
GRACE = {"name": "Grace Hopper", "email": "grace@example.com", "password": "another sentence of words"}


@dataclass
class Clock:
    """The real time, moved on by `ahead`."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass(frozen=True)
class App:
    """A registered integration as its developer knows it."""

    client_id: str
    client_secret: str | None
    redirect_uri: str
    scopes: str


@dataclass
class BothHalves:
    folder: Path
    clock: Clock
    url: str
    storage: Storage
    loop: asyncio.AbstractEventLoop
    key: str = field(default_factory=KeyRing.new_key)
    made: list[Integration] = field(default_factory=list)

    @property
    def api_url(self) -> str:
        return f"{self.url}/v1"

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "platform.db", timeout=10, isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()

    def register(
        self,
        name: str,
        *redirect_uris: str,
        scopes: str = SCOPES,
        profile: Profile = Profile.WEBEX,
        client_type: ClientType = ClientType.CONFIDENTIAL,
    ) -> App:
        application = Application(
            name, redirect_uris or (REDIRECT_URI,), scopes, profile=profile, client_type=client_type
        )
        made = register(application, now=self.clock(), mint=secrets.token_bytes, sandbox=True)
        self._run(self.storage.registrations.add(made.integration, made.kept_secret))
        registration = made.integration.registration
        secret = made.secret.reveal() if made.secret else None
        return App(registration.client_id, secret, application.redirect_uris[0], scopes)

    def integration(self, app: App, *, vault: str = "vault.db", **settings: Any) -> Integration:
        made_with: dict[str, Any] = {
            "redirect_uri": app.redirect_uri,
            "scopes": app.scopes,
            "vault": SqliteVault(self.folder / vault, keys=KeyRing(self.key)),
            "api_url": self.api_url,
            "issuer": self.api_url,
            "revocation_url": f"{self.api_url}/revoke",
            "_now": self.clock,
        }
        self.made.append(Integration(app.client_id, app.client_secret, **(made_with | settings)))
        return self.made[-1]

    @contextmanager
    def browser(self, account: dict[str, str], *stops: str) -> Iterator[Person]:
        with Person(account, stops=stops or (REDIRECT_URI,)) as person:
            yield person

    def grant(self, integration: Integration, account: dict[str, str] = ADA, **request: Any) -> CompletedGrant:
        """The whole flow for one person: begin, sign in, accept, come back, exchange."""
        begun = integration.authorization_request(**request)
        with self.browser(account, integration.configuration.redirect_uri) as person:
            address = person.grant(begun.url)
        return integration.complete_authorization(address, {begun.cookie.name: begun.cookie.value})

    def post(self, path: str, **form: str) -> httpx2.Response:
        return httpx2.post(f"{self.api_url}/{path}", data=form, trust_env=False, timeout=30)

    def get(self, path: str, access_token: str) -> httpx2.Response:
        bearer = {"authorization": f"Bearer {access_token}"}
        return httpx2.get(f"{self.api_url}/{path}", headers=bearer, trust_env=False, timeout=30)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def add_person(self, account: dict[str, str], *, is_admin: bool = False) -> None:
        person = new_person(
            account["email"],
            account["name"],
            org_id=str(ORG),
            now=self.clock(),
            mint=secrets.token_bytes,
            is_admin=is_admin,
        )
        self._run(self.storage.people.add(person, password_hash=hashed(account["password"])))

    def add_bot(self, username: str, name: str) -> RegisteredBot:
        made = register_bot(BotApplication(username, name), org_id=ORG, now=self.clock(), mint=secrets.token_bytes)
        assert self._run(self.storage.bots.add(made.bot, made.kept_token))
        return made


@cache
def hashed(password: str) -> str:
    """Once in a run: Argon2id takes its time, and dozens of platforms begin with the same people."""
    return hash_password(Secret(password), mint=secrets.token_bytes)


ORG = "5d8a7c1e-2f64-4b8e-9d0a-6a4b7c9e1f20"


@contextmanager
def both_halves(folder: Path, **settings: Any) -> Iterator[BothHalves]:
    """Serve the platform from a thread, with two people, until the test is over."""
    clock = Clock()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    storage = Storage.open(folder / "platform.db")
    site = Site("Grantflow platform", url, sandbox=True)
    app = platform(storage, Settings(f"{url}/v1", **settings), site=site, form_key=secrets.token_bytes(32), clock=clock)
    server = uvicorn.Server(uvicorn.Config(app, log_level=logging.ERROR, access_log=False, lifespan="on"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve([listening]),), daemon=True)
    thread.start()
    try:
        running = BothHalves(folder, clock, url, storage, loop)
        running.add_person(ADA)
        running.add_person(GRACE)
        yield running
        for integration in running.made:
            integration.close()
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        loop.close()
        listening.close()
