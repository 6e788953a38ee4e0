"""What the tests of the resource owner's pages are given: the real pages over a real SQLite file, and rows in it."""

import asyncio
import base64
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
from starlette.applications import Starlette

from grantflow.protocol.secret import Secret
from grantflow.resource_owner import TEMPLATES, ResourceOwnerSettings, routes
from grantflow.resource_owner.passwords import hash_password
from grantflow.resource_owner.people import new_person
from grantflow.resource_owner.records import Person
from grantflow.storage.administration import AdministrationStore
from grantflow.storage.connected_apps import ConnectedAppStore
from grantflow.storage.consents import ConsentStore
from grantflow.storage.engine import Row, Statement, Work
from grantflow.storage.failures import FailureStore
from grantflow.storage.people import PeopleStore
from grantflow.storage.sessions import SessionStore
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.times import milliseconds
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.errors import error_handlers
from grantflow.web.pages import Pages
from grantflow.web.site import Site

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ORG = "8b1d7f52-52c5-4f0a-9a3c-0f6f4b1f8c11"
BASE_URL = "http://127.0.0.1:9000"
PASSWORD = "correct horse battery staple"
PASSWORD_HASH = hash_password(Secret(PASSWORD), mint=secrets.token_bytes)
REDIRECT_URI = "http://localhost:8000/oauth"
SCOPES = "spark:people_read spark:rooms_read spark:messages_write spark:kms"
SITE_URL = "http://localhost:8000/"


@cache
def pages_of(site: Site) -> Pages:
    """Compiled once for all tests."""
    return Pages(site, templates=(TEMPLATES,))


@dataclass(slots=True)
class House:
    """The platform's pages for one test. `now` may be moved."""

    engine: SqliteEngine
    site: Site
    path: Path
    app: Starlette = field(init=False)
    now: datetime = NOW

    def __post_init__(self) -> None:
        pages = pages_of(self.site)
        own = routes(
            pages=pages,
            settings=ResourceOwnerSettings(
                form_key=secrets.token_bytes(32),
                api_url=f"{BASE_URL}/v1",
                access_token_lifetime=1_209_600,
                refresh_token_lifetime=7_776_000,
            ),
            people=PeopleStore(self.engine),
            sessions=SessionStore(self.engine),
            questions=ConsentStore(self.engine),
            grants=ConnectedAppStore(self.engine),
            administration=AdministrationStore(self.engine),
            failures=FailureStore(self.engine),
            clock=lambda: self.now,
            mint=secrets.token_bytes,
        )
        self.app = Starlette(
            routes=[pages.static.route(), *own],
            exception_handlers=error_handlers(pages, new_reference=lambda: secrets.token_hex(8)),
        )

    @property
    def files(self) -> list[Path]:
        """The database and its log."""
        return sorted(self.path.glob("platform.db*"))

    def browser(self, address: str = "192.0.2.1") -> "Browser":
        transport = httpx2.ASGITransport(app=self.app, client=(address, 40_000))
        return Browser(httpx2.AsyncClient(transport=transport, base_url=self.site.base_url), self)

    async def person(
        self,
        email: str = "ada@sandbox.example",
        name: str = "Ada Lovelace",
        *,
        org_id: str = ORG,
        is_admin: bool = False,
    ) -> Person:
        person = new_person(email, name, org_id=org_id, now=NOW, mint=secrets.token_bytes, is_admin=is_admin)
        await PeopleStore(self.engine).add(person, password_hash=PASSWORD_HASH)
        return person

    async def signed_in(self, person: Person) -> "Browser":
        """A browser whose session began now, without the cost of a password."""
        return await self.signed_in_by_id(person.id)

    async def signed_in_by_id(self, person_id: str) -> "Browser":
        browser = self.browser()
        token = secrets.token_urlsafe(32)
        await SessionStore(self.engine).begin(
            Secret(token).digest(),
            person_id=person_id,
            now=self.now,
            expires_at=self.now + timedelta(hours=12),
            instead_of=None,
        )
        browser.bring(token)
        return browser

    async def integration(
        self, name: str = "LockBot", *, owner: Person | None = None, site_url: str | None = SITE_URL
    ) -> str:
        client_id = "C" + secrets.token_hex(32)
        await self.save(
            "integrations",
            client_id=client_id,
            name=name,
            owner_id=owner.id if owner else None,
            site_url=site_url,
            profile="webex",
            client_type="confidential",
            scopes=SCOPES,
            created_at=milliseconds(NOW),
        )
        return client_id

    async def question(self, client_id: str, **changed: object) -> str:
        """An authorization request that waits for a person; answers its id."""
        request_id = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        values: dict[str, object] = {
            "id_hash": Secret(request_id).digest(),
            "query": f"client_id={client_id}",
            "scopes": SCOPES,
            "redirect_uri": REDIRECT_URI,
            "client_id": client_id,
            "created_at": milliseconds(self.now),
            "expires_at": milliseconds(self.now + timedelta(minutes=10)),
        }
        await self.save("authorization_requests", **{**values, **changed})
        return request_id

    async def grant(self, person: Person, client_id: str, **changed: object) -> str:
        values: dict[str, object] = {
            "id": str(uuid4()),
            "person_id": person.id,
            "client_id": client_id,
            "scopes": SCOPES,
            "remembered": 1,
            "created_at": milliseconds(NOW - timedelta(days=3)),
            "last_used_at": milliseconds(NOW - timedelta(minutes=5)),
        }
        await self.save("grants", **(values := {**values, **changed}))
        return str(values["id"])

    async def save(self, table: str, **values: object) -> None:
        def work() -> Work[None]:
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            yield Statement(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)

        await self.engine.write(work())

    async def change(self, sql: str) -> None:
        def work() -> Work[None]:
            yield Statement(sql)

        await self.engine.write(work())

    async def rows(self, sql: str, **values: object) -> list[Row]:
        return list(await self.engine.read(Statement(sql, values)))

    async def stored(self, request_id: str) -> Row:
        (row,) = await self.rows(
            "SELECT * FROM authorization_requests WHERE id_hash = :id", id=Secret(request_id).digest()
        )
        return row


@dataclass(slots=True)
class Browser:
    """Opens pages and sends their forms, as a browser without JavaScript does; it follows no redirect by itself."""

    client: httpx2.AsyncClient
    house: House

    async def open(self, path: str) -> httpx2.Response:
        return await self.client.get(path)

    async def send(self, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """Send the page's form (the last on it) with its hidden fields and these; the page says where to."""
        action, hidden = form_of(page)
        return await self.client.post(action, data={**hidden, **fields})

    async def sign_in(
        self, path: str, *, email: str = "ada@sandbox.example", password: str = PASSWORD
    ) -> httpx2.Response:
        return await self.send(await self.open(path), email=email, password=password)

    def bring(self, session: str) -> None:
        """Put a session cookie into the browser, as if it had been there before."""
        host = urlsplit(self.house.site.base_url).hostname or ""
        self.client.cookies.set(Cookies(self.house.site).name(SESSION), session, domain=host)

    @property
    def session(self) -> str | None:
        return self.client.cookies.get(Cookies(self.house.site).name(SESSION))


def form_of(page: httpx2.Response) -> tuple[str, dict[str, str]]:
    """Where the page's last form goes, and its hidden fields."""
    form = page.text.rpartition("<form ")[2]
    action = re.search(r'action="([^"]*)"', form)
    assert action, f"there is no form on {page.url}"
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    return unescape(action[1]), {name: unescape(value) for name, value in hidden}


def text_of(page: httpx2.Response) -> str:
    """What the page says, without markup and with single spaces."""
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", f"<{main}")).split())


def run(path: Path, story: Callable[[House], Awaitable[None]], *, base_url: str = BASE_URL) -> None:
    """Play a story in a house of its own."""

    async def play() -> None:
        engine = SqliteEngine.open(path / "platform.db")
        try:
            await story(House(engine, Site("Grantflow platform", base_url, sandbox=True), path))
        finally:
            await engine.close()

    asyncio.run(play())
