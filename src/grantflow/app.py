"""The composition root: which parts make a platform or an integration, with the real clock and real chance."""

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from grantflow import authorization_server, developer_portal, resource_owner, resource_server
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages import About, integration_pages
from grantflow.protocol.errors import TemporarilyUnavailable
from grantflow.protocol.metadata import metadata_url
from grantflow.protocol.secret import Secret
from grantflow.roles import Addresses, Role
from grantflow.storage.access import AccessTokenStore
from grantflow.storage.administration import AdministrationStore
from grantflow.storage.app_hub import AppHubStore
from grantflow.storage.authorization_requests import AuthorizationRequestStore
from grantflow.storage.authorizations import AuthorizationStore
from grantflow.storage.bots import BotStore
from grantflow.storage.connected_apps import ConnectedAppStore
from grantflow.storage.consents import ConsentStore
from grantflow.storage.directory import DirectoryStore
from grantflow.storage.engine import Engine, Statement, StorageReplaced
from grantflow.storage.failures import FailureStore
from grantflow.storage.granted import GrantedStore
from grantflow.storage.housekeeping import Housekeeping
from grantflow.storage.memberships import MembershipStore
from grantflow.storage.messages import MessageStore
from grantflow.storage.my_apps import MyAppStore
from grantflow.storage.people import PeopleStore
from grantflow.storage.probe import WriteProbe
from grantflow.storage.registrations import RegistrationStore
from grantflow.storage.rooms import RoomStore
from grantflow.storage.sessions import SessionStore
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.tokens import TokenStore
from grantflow.web.errors import error_handlers
from grantflow.web.pages import Pages
from grantflow.web.site import Link, Site
from grantflow.web.throttle import FailuresInMemory

log = logging.getLogger("grantflow.app")

Clock = Callable[[], datetime]
Mint = Callable[[int], bytes]
#: A client ID and its new secret; answers whether something here goes on with it.
TakeOver = Callable[[str, Secret], bool]

SWEEP_EVERY = 60.0
#: What whoever starts the command line under another name, as ``./dev`` does, sets it to: pages tell people to type it.
PROGRAM = "GRANTFLOW_PROGRAM"


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
        self.administration = AdministrationStore(engine)
        self.failures = FailureStore(engine)
        self.registrations = RegistrationStore(engine)
        self.bots = BotStore(engine)
        self.authorization_requests = AuthorizationRequestStore(engine)
        self.tokens = TokenStore(engine)
        self.authorizations = AuthorizationStore(engine)
        self.access_tokens = AccessTokenStore(engine)
        self.directory = DirectoryStore(engine)
        self.rooms = RoomStore(engine)
        self.memberships = MembershipStore(engine)
        self.messages = MessageStore(engine)
        self.my_apps = MyAppStore(engine)
        self.granted = GrantedStore(engine)
        self.app_hub = AppHubStore(engine)
        self.housekeeping = Housekeeping(engine)
        self.probe = WriteProbe(engine)

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
    roles: Collection[Role] = tuple(Role),
    addresses: Addresses | None = None,
    take_over: TakeOver | None = None,
    clock: Clock = clock,
    mint: Mint = mint,
    environ: Mapping[str, str] | None = None,
) -> Starlette:
    """The platform's roles, or some of them, over one storage, which it closes at the end.

    ``settings.issuer`` is the authorization server's address with ``/v1`` below it; ``form_key`` is 32 bytes or more,
    the same on every node. ``addresses`` tells where each role is found, those that run elsewhere too; without it all
    are at ``site.base_url``. ``take_over`` is told each client secret that is regenerated, see `PortalSettings`. Of
    ``environ`` nothing is read but what the command line is called here.
    """
    addresses = addresses or Addresses.at(site.base_url)
    pages = Pages(addresses.share(site), templates=(resource_owner.TEMPLATES, developer_portal.TEMPLATES))
    program = (os.environ if environ is None else environ).get(PROGRAM) or "grantflow"
    parts = Parts(storage, settings, addresses, pages, form_key, clock, mint, take_over, program)
    routes: list[BaseRoute] = [Route("/healthz", _health(storage), methods=["GET"]), pages.static.route()]
    routes.append(developer_portal.icon_route(storage.app_hub))  # the pages of every role show icons
    for role, routes_of in _ROUTES.items():
        if role in roles:
            routes += routes_of(parts)
    if Role.RESOURCE_OWNER not in roles:
        routes.append(Route("/", _to_the_front_page(parts), methods=["GET"]))
    app = Starlette(
        routes=routes,
        exception_handlers=error_handlers(pages, new_reference=lambda: mint(6).hex()),
        lifespan=lambda _: _running(storage, clock=clock),
    )
    app.router.redirect_slashes = False  # a 307 would carry a client's secret, or a form, to a second address
    return app


def integration(
    client: AsyncIntegration,
    about: About,
    *,
    base_url: str,
    sandbox: bool = False,
    try_it: bool = False,
    behind_proxy: bool = True,
) -> Starlette:
    """An integration's pages by themselves; at the end its connections and its vault are closed.

    A path of ``base_url`` is what a proxy takes away, or else, not ``behind_proxy``, where the pages are mounted.
    """

    async def healthz(request: Request) -> Response:
        return _WELL

    @contextlib.asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    pages = integration_pages(client, about, base_url=base_url, sandbox=sandbox, try_it=try_it)
    prefix = "" if behind_proxy else urlsplit(base_url).path.rstrip("/")
    routes: list[BaseRoute] = [Route("/healthz", healthz, methods=["GET"]), Mount(prefix or "/", pages)]
    if prefix:
        routes += [Route(path, _to(f"{prefix}/"), methods=["GET"]) for path in ("/", prefix)]
    app = Starlette(routes=routes, lifespan=running, exception_handlers=pages.exception_handlers)
    app.router.redirect_slashes = False
    return app


def metrics_of(client: AsyncIntegration) -> Starlette:
    """What Prometheus scrapes, at ``/metrics``: of this integration and this process. Needs the extra ``metrics``."""
    from grantflow.client.adapters import prometheus

    prometheus.measure(client)

    def scrape(request: Request) -> Response:  # not async, so that a thread counts the grants
        text, content_type = prometheus.exposition(accept=request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type, "cache-control": "no-store"})

    return Starlette(routes=[Route("/metrics", scrape, methods=["GET"])])


def trace(client: AsyncIntegration) -> None:
    """Have spans made where OpenTelemetry is installed; then none cost anything until it is given a provider."""
    with contextlib.suppress(ModuleNotFoundError):
        from grantflow.client.adapters import opentelemetry

        opentelemetry.trace(client)


def _to(path: str) -> Callable[[Request], Awaitable[Response]]:
    async def redirect(request: Request) -> Response:
        return RedirectResponse(path, status_code=303)

    return redirect


@dataclass(frozen=True, slots=True)
class Parts:
    """What the roles of one process are made of."""

    storage: Storage
    settings: authorization_server.Settings
    addresses: Addresses
    pages: Pages
    form_key: bytes = field(repr=False)
    clock: Clock
    mint: Mint
    take_over: TakeOver | None = None
    program: str = "grantflow"

    def link(self, address: str, path: str) -> str:
        """What leads from a page of this process to a path of a role at this address."""
        return path if address == self.pages.site.base_url else address + path

    @property
    def account_links(self) -> tuple[Link, ...]:
        """The avatar's menu, the same on the pages of every role."""
        connected = self.link(self.addresses.resource_owner, resource_owner.CONNECTED_APPS)
        return (Link("Connected apps", connected), *self.portal_links[:1])

    @property
    def admin_links(self) -> tuple[Link, ...]:
        """What administrators have in the menu too."""
        return (Link("Administration", self.link(self.addresses.resource_owner, resource_owner.ADMINISTRATION)),)

    @property
    def portal_links(self) -> tuple[Link, ...]:
        """My Webex Apps, and what the developer portal shows to everybody; none where there is no portal."""
        portal = self.addresses.developer_portal
        shown = developer_portal.LINKS if portal else ()
        return tuple(replace(link, href=self.link(portal or "", link.href)) for link in shown)


def _authorization_server(parts: Parts) -> list[BaseRoute]:
    person = parts.addresses.resource_owner
    settings = replace(
        parts.settings,
        sign_in_page=parts.link(person, resource_owner.SIGN_IN),
        consent_page=parts.link(person, resource_owner.CONSENT),
        my_apps_page=next((link.href for link in parts.portal_links), ""),
    )
    return authorization_server.routes(
        settings=settings,
        requests=parts.storage.authorization_requests,
        tokens=parts.storage.tokens,
        failures=FailuresInMemory(),
        pages=parts.pages,
        clock=parts.clock,
        mint=parts.mint,
    )


def _resource_owner(parts: Parts) -> list[BaseRoute]:
    settings, storage = parts.settings, parts.storage
    return resource_owner.routes(
        pages=parts.pages,
        settings=resource_owner.ResourceOwnerSettings(
            form_key=parts.form_key,
            api_url=f"{parts.addresses.resource_server}/v1",
            access_token_lifetime=int(settings.access_token_lifetime.total_seconds()),
            refresh_token_lifetime=int(settings.refresh_token_lifetime.total_seconds()),
            revoke_on_sign_out=settings.revoke_on_sign_out,
            authorization_endpoint=parts.link(parts.addresses.authorization_server, "/v1/authorize"),
            metadata=metadata_url(settings.issuer),
            own_pages=tuple(link.href for link in (*parts.account_links, *parts.admin_links)),
            account_links=parts.account_links,
            admin_links=parts.admin_links,
            portal_links=parts.portal_links,
            program=parts.program,
        ),
        people=storage.people,
        sessions=storage.sessions,
        questions=storage.consents,
        grants=storage.connected_apps,
        administration=storage.administration,
        failures=storage.failures,
        clock=parts.clock,
        mint=parts.mint,
    )


def _resource_server(parts: Parts) -> list[BaseRoute]:
    storage = parts.storage
    return resource_server.routes(
        resource_server.Ports(
            tokens=storage.access_tokens,
            directory=storage.directory,
            rooms=storage.rooms,
            memberships=storage.memberships,
            messages=storage.messages,
            authorizations=storage.authorizations,
        ),
        resource_server.Settings(api_url=f"{parts.addresses.resource_server}/v1"),
        clock=parts.clock,
        mint=parts.mint,
    )


def _developer_portal(parts: Parts) -> list[BaseRoute]:
    storage, person = parts.storage, parts.addresses.resource_owner
    portal = parts.addresses.developer_portal or parts.pages.site.base_url
    return developer_portal.routes(
        developer_portal.Ports(
            sessions=storage.sessions,
            registrations=storage.registrations,
            mine=storage.my_apps,
            granted=storage.granted,
            hub=storage.app_hub,
            bots=storage.bots,
        ),
        developer_portal.PortalSettings(
            form_key=parts.form_key,
            api_url=f"{parts.addresses.resource_server}/v1",
            authorization_endpoint=parts.settings.authorization_endpoint,
            account_links=parts.account_links,
            admin_links=parts.admin_links,
            sign_in=parts.link(person, resource_owner.SIGN_IN),
            sign_out=parts.link(person, resource_owner.SIGN_OUT),
            seen_from_sign_in="" if portal == person else portal,
            take_over=parts.take_over,
            connected_apps_url=person + resource_owner.CONNECTED_APPS,
            program=parts.program,
        ),
        pages=parts.pages,
        clock=parts.clock,
        mint=parts.mint,
    )


#: In the order in which they are asked for a route: those first that are asked most often. The resource server takes
#: all that the authorization server leaves of /v1.
_ROUTES: Mapping[Role, Callable[[Parts], list[BaseRoute]]] = {
    Role.AUTHORIZATION_SERVER: _authorization_server,
    Role.RESOURCE_SERVER: _resource_server,
    Role.RESOURCE_OWNER: _resource_owner,
    Role.DEVELOPER_PORTAL: _developer_portal,
}


def _to_the_front_page(parts: Parts) -> Callable[[Request], Awaitable[Response]]:
    """For a process without one: who opens its address, or presses the name at the top of a page, is led there."""

    async def front_page(request: Request) -> Response:
        return parts.pages.redirect(parts.link(parts.addresses.resource_owner, "/"))

    return front_page


def _not_well(error: TemporarilyUnavailable, **told: str) -> Response:
    headers = {"retry-after": str(error.retry_after or 1), "cache-control": "no-store"}
    return JSONResponse(told, status_code=503, headers=headers)


_WELL = JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


def _health(storage: Storage) -> Callable[[Request], Awaitable[Response]]:
    """200 while the database is read and written, else 503: for load balancers and whoever waits for the start."""

    async def healthz(request: Request) -> Response:
        try:
            await storage.engine.read(Statement("SELECT 1"))
            await storage.probe.check()
        except StorageReplaced as error:  # which is in the log already
            return _not_well(error, status="storage replaced", fix=error.FIX)
        except TemporarilyUnavailable as error:
            log.warning("not well: %s", error.reason)
            return _not_well(error, status="storage unavailable")
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
