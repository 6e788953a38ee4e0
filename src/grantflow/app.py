"""The composition root: which parts make a platform or an integration, with the real clock and real chance."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from grantflow import authorization_server, resource_owner, resource_server
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages import About, integration_pages
from grantflow.protocol.errors import TemporarilyUnavailable
from grantflow.storage.access import AccessTokenStore
from grantflow.storage.authorization_requests import AuthorizationRequestStore
from grantflow.storage.connected_apps import ConnectedAppStore
from grantflow.storage.consents import ConsentStore
from grantflow.storage.directory import DirectoryStore
from grantflow.storage.engine import Engine, Statement
from grantflow.storage.failures import FailureStore
from grantflow.storage.housekeeping import Housekeeping
from grantflow.storage.memberships import MembershipStore
from grantflow.storage.messages import MessageStore
from grantflow.storage.people import PeopleStore
from grantflow.storage.registrations import RegistrationStore
from grantflow.storage.rooms import RoomStore
from grantflow.storage.sessions import SessionStore
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.tokens import TokenStore
from grantflow.web.errors import error_handlers
from grantflow.web.pages import Pages
from grantflow.web.site import Site
from grantflow.web.throttle import FailuresInMemory

log = logging.getLogger("grantflow.app")

Clock = Callable[[], datetime]
Mint = Callable[[int], bytes]

SWEEP_EVERY = 60.0


def clock() -> datetime:
    return datetime.now(UTC)


def mint(count: int) -> bytes:
    """That many unguessable bytes."""
    return secrets.token_bytes(count)


class Storage:
    """All of the platform's stores over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.people = PeopleStore(engine)
        self.sessions = SessionStore(engine)
        self.consents = ConsentStore(engine)
        self.connected_apps = ConnectedAppStore(engine)
        self.failures = FailureStore(engine)
        self.registrations = RegistrationStore(engine)
        self.authorization_requests = AuthorizationRequestStore(engine)
        self.tokens = TokenStore(engine)
        self.access_tokens = AccessTokenStore(engine)
        self.directory = DirectoryStore(engine)
        self.rooms = RoomStore(engine)
        self.memberships = MembershipStore(engine)
        self.messages = MessageStore(engine)
        self.housekeeping = Housekeeping(engine)

    @classmethod
    def open(cls, database: Path) -> "Storage":
        """Over an SQLite file, which is made or brought to the schema of this version."""
        return cls(SqliteEngine.open(database))


def platform(
    storage: Storage,
    settings: authorization_server.Settings,
    *,
    site: Site,
    form_key: bytes,
    clock: Clock = clock,
    mint: Mint = mint,
) -> Starlette:
    """Authorization server, resource owner's pages and resource server over one storage, which it closes at the end.

    ``settings.issuer`` is the API's address, ``/v1`` below the site's; ``form_key`` is 32 bytes or more, the same on
    every node.
    """
    pages = Pages(site, templates=(resource_owner.TEMPLATES,))
    routes: list[BaseRoute] = [
        Route("/healthz", _health(storage.engine), methods=["GET"]),
        pages.static.route(),
        *_authorization_server(storage, settings, pages=pages, clock=clock, mint=mint),
        *_resource_owner(storage, settings, pages=pages, form_key=form_key, clock=clock, mint=mint),
        *_resource_server(storage, settings, clock=clock, mint=mint),
    ]
    return Starlette(
        routes=routes,
        exception_handlers=error_handlers(pages, new_reference=lambda: mint(6).hex()),
        lifespan=lambda _: _running(storage, clock=clock),
    )


def integration(
    client: AsyncIntegration, about: About, *, base_url: str, sandbox: bool = False, try_it: bool = False
) -> Starlette:
    """An integration's pages by themselves; at the end its connections and its vault are closed."""

    async def healthz(request: Request) -> Response:
        return _WELL

    @contextlib.asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    pages = integration_pages(client, about, base_url=base_url, sandbox=sandbox, try_it=try_it)
    return Starlette(routes=[Route("/healthz", healthz, methods=["GET"]), Mount("/", pages)], lifespan=running)


def _authorization_server(
    storage: Storage, settings: authorization_server.Settings, *, pages: Pages, clock: Clock, mint: Mint
) -> list[BaseRoute]:
    return authorization_server.routes(
        settings=settings,
        requests=storage.authorization_requests,
        tokens=storage.tokens,
        failures=FailuresInMemory(),
        pages=pages,
        clock=clock,
        mint=mint,
    )


def _resource_owner(
    storage: Storage,
    settings: authorization_server.Settings,
    *,
    pages: Pages,
    form_key: bytes,
    clock: Clock,
    mint: Mint,
) -> list[BaseRoute]:
    return resource_owner.routes(
        pages=pages,
        settings=resource_owner.ResourceOwnerSettings(
            form_key=form_key,
            api_url=settings.issuer,
            access_token_lifetime=int(settings.access_token_lifetime.total_seconds()),
            refresh_token_lifetime=int(settings.refresh_token_lifetime.total_seconds()),
        ),
        people=storage.people,
        sessions=storage.sessions,
        questions=storage.consents,
        grants=storage.connected_apps,
        failures=storage.failures,
        clock=clock,
        mint=mint,
    )


def _resource_server(
    storage: Storage, settings: authorization_server.Settings, *, clock: Clock, mint: Mint
) -> list[BaseRoute]:
    return resource_server.routes(
        resource_server.Ports(
            tokens=storage.access_tokens,
            directory=storage.directory,
            rooms=storage.rooms,
            memberships=storage.memberships,
            messages=storage.messages,
        ),
        resource_server.Settings(api_url=settings.issuer),
        clock=clock,
        mint=mint,
    )


_WELL = JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


def _health(engine: Engine) -> Callable[[Request], Awaitable[Response]]:
    """200 while the database answers, 503 while it does not: for load balancers and whoever waits for the start."""

    async def healthz(request: Request) -> Response:
        try:
            await engine.read(Statement("SELECT 1"))
        except TemporarilyUnavailable:
            return JSONResponse({"status": "storage unavailable"}, status_code=503)
        return _WELL

    return healthz


@contextlib.asynccontextmanager
async def _running(storage: Storage, *, clock: Clock) -> AsyncIterator[None]:
    """From the start to the end of the server's life."""
    sweeping = asyncio.create_task(_sweep_for_ever(storage.housekeeping, clock=clock))
    try:
        yield
    finally:
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping
        await storage.engine.close()


async def _sweep_for_ever(housekeeping: Housekeeping, *, clock: Clock) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        try:
            await housekeeping.sweep(now=clock())
        except TemporarilyUnavailable as error:
            log.warning("expired rows stay for now: %s", error.reason)
