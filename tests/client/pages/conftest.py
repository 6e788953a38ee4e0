"""The pages served on a socket, against the foreign platform, and browsers that visit them."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from grantflow import AsyncIntegration, Integration, KeyRing, SqliteVault
from grantflow.app import Storage, clock, integration, mint, platform
from grantflow.authorization_server import Settings
from grantflow.client.pages import About, integration_pages
from grantflow.data_directory import DataDirectory
from grantflow.seeding import Sandbox, furnish
from grantflow.web.site import Site
from tests.client.conftest import World
from tests.whole.person import Page, Person

PATIENCE = 60.0

ABOUT = About("Sample <b>app</b>", does="Post in your own name", lead="A line or two.", operator="the help desk")


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A socket at a free port of loopback, and the address that browsers find it at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # else who comes before the server is up is refused
        yield listener, f"http://localhost:{listener.getsockname()[1]}"


def hosting(integration: AsyncIntegration, *routes: BaseRoute) -> Starlette:
    """An application that closes the integration when it ends."""

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        async with integration:
            yield

    return Starlette(routes=routes, lifespan=running)


@contextmanager
def served(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


class Browser(Person):
    """It stops where the foreign platform would show its sign-in page, and is patient on a busy machine."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._http.timeout = PATIENCE

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._http.cookies.jar}

    def see(self, method: str, url: str) -> httpx2.Response:
        """One answer as it comes, followed nowhere."""
        return self._http.request(method, url)

    @contextmanager
    def keeping_cookies(self) -> Iterator[None]:
        """What a site has discarded meanwhile is there again afterwards, as on the way back in the history."""
        kept = list(self._http.cookies.jar)
        yield
        for cookie in kept:
            self._http.cookies.jar.set_cookie(cookie)


@dataclass
class Sample:
    """An integration whose pages are served at `url`."""

    world: World
    url: str
    integration: AsyncIntegration

    def browser(self) -> "Browser":
        return Browser(stops=(f"{self.world.api_url}/authorize",))

    def elsewhere(self) -> Integration:
        """The same integration in another process of the host application: the same vault."""
        return self.world.integration(redirect_uri=f"{self.url}/oauth")

    def accepted(self, visitor: Browser, *, person: str = "ada", start: str = "/connect") -> str:
        """Click on Grant and accept at the platform: the address that the browser is now sent to."""
        return self.world.platform.accept(visitor.open(self.url + start).url, person=person)

    def grant(self, visitor: Browser, *, person: str = "ada", start: str = "/connect") -> Page:
        return visitor.open(self.accepted(visitor, person=person, start=start))

    def http(self, **options: Any) -> httpx2.Client:
        """A client that follows nothing and keeps cookies."""
        return httpx2.Client(base_url=self.url, trust_env=False, timeout=PATIENCE, **options)


Serve = Callable[..., Sample]


@pytest.fixture
def serve(world: World) -> Iterator[Serve]:
    """Serves the pages of an integration with these options, until the test ends."""
    with ExitStack() as stack:

        def serve_pages(about: About = ABOUT, *, pages: dict[str, Any] | None = None, **options: Any) -> Sample:
            listener, url = stack.enter_context(listening())
            integration = world.async_integration(redirect_uri=f"{url}/oauth", **options)
            app = hosting(integration, Mount("/", integration_pages(integration, about, **(pages or {}))))
            stack.enter_context(served(app, listener))
            return Sample(world, url, integration)

        yield serve_pages


@pytest.fixture
def sample(serve: Serve) -> Sample:
    return serve()


# --- against our own platform --------------------------------------------------------------------------------------

SCOPES = "spark:people_read spark:rooms_read spark:rooms_write spark:messages_write"


@dataclass
class Both:
    """Platform and integration, each at its address; the platform's database can be looked into."""

    platform_url: str
    url: str
    database: Path
    sandbox: Sandbox

    @contextmanager
    def person(self, number: int) -> Iterator[Person]:
        account = self.sandbox.people[number]
        with Browser(account={"email": account.email, "password": account.password.reveal()}) as person:
            yield person

    def connect(self, person: Person) -> Page:
        person.grant(f"{self.url}/connect")
        return person.open(self.url)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database, timeout=PATIENCE, isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()

    def authors_of(self, text: str) -> list[str]:
        found = self.sql("SELECT email FROM messages JOIN people ON people.id = person_id WHERE text = ?", text)
        return [email for (email,) in found]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    storage = Storage.open(folder / "platform.db")
    with listening() as (platform_socket, address), listening() as (socket, url):
        platform_url = address.replace("localhost", "127.0.0.1")
        redirect_uri, api_url = f"{url}/oauth", f"{platform_url}/v1"
        furnishing = furnish(
            storage,
            DataDirectory(folder),
            redirect_uri=redirect_uri,
            own_redirect_uri="http://localhost:8001/oauth",
            now=clock(),
            mint=mint,
        )
        sandbox = asyncio.run(furnishing)
        client = AsyncIntegration(
            sandbox.sample.registration.client_id,
            sandbox.sample.client_secret,
            redirect_uri=redirect_uri,
            scopes=SCOPES,
            vault=SqliteVault(folder / "vault.db", keys=KeyRing(KeyRing.new_key())),
            api_url=api_url,
            issuer=api_url,
            revocation_url=f"{api_url}/revoke",
        )
        site = Site("Platform", platform_url, sandbox=True)
        other_half = platform(storage, Settings(issuer=api_url), site=site, form_key=mint(32))
        pages = integration(client, About("Sample", does="It posts"), base_url=url, try_it=True)
        with served(other_half, platform_socket), served(pages, socket):
            yield Both(platform_url, url, folder / "platform.db", sandbox)
