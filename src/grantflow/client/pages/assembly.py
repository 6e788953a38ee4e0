"""The pages of one integration, put together as an ASGI app."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from grantflow.client.errors import GrantflowError
from grantflow.client.flows.parts import readable
from grantflow.client.flows.telling import must_grant_again
from grantflow.client.grant import Grant
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages import mount as paths
from grantflow.client.pages.about import About
from grantflow.client.pages.disconnect import Disconnect
from grantflow.client.pages.grant_flow import GrantFlow
from grantflow.client.pages.landing import Landing
from grantflow.client.pages.messages import Messages
from grantflow.client.pages.mount import Mount
from grantflow.client.pages.notes import Notes
from grantflow.client.pages.outcomes import Outcomes
from grantflow.client.pages.records import record_handlers
from grantflow.client.pages.refusals import answer_refusal
from grantflow.client.pages.sealed import SealedTexts
from grantflow.client.pages.viewer import AskHost, Viewers
from grantflow.client.pending import check_return_to
from grantflow.client.shells.clients import AsyncGrantClient
from grantflow.web.cookies import Cookies
from grantflow.web.csrf import FormGuard
from grantflow.web.errors import error_handlers
from grantflow.web.pages import Pages
from grantflow.web.site import Link, Site

TEMPLATES = Path(__file__).parent / "templates"

log = logging.getLogger("grantflow.pages")


class RedirectUriElsewhere(ValueError):
    """The redirect URI lies outside of the address that the pages were given."""


class IntegrationPages(Starlette):
    """What `integration_pages` makes: an ASGI app, and what its host may ask of it."""

    def __init__(self, mount: Mount, **options: Any) -> None:
        super().__init__(**options)
        self._mount = mount
        self._viewers = mount.viewers
        self._site = mount.site
        self._is_compared = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_compared:
            self._is_compared = True
            _compare_mount(scope.get("root_path", ""), site=self._site)
        await super().__call__(scope, receive, send)

    async def grant(self, request: Request) -> Grant | None:
        """The grant of whoever sent a request to the host application, dead or alive; None where there is none.

        By themselves the pages are the host's sign-in this way: who has come back with a grant is known in that
        browser until it closes, for twelve hours at most.
        """
        return await self._viewers.grant(request)

    async def require_grant(self, request: Request) -> Grant:
        """The same, for who is about to call. Raises ReauthorizationRequired where there is none."""
        grant = await self.grant(request)
        if grant is None:
            raise must_grant_again(None, configuration=self._mount.integration.configuration)
        return grant

    async def client(self, request: Request) -> AsyncGrantClient:
        """An `httpx2.AsyncClient` that calls in the name of whoever sent a request to the host application.

        Raises ReauthorizationRequired where that person has not granted.
        """
        grant = await self.require_grant(request)
        return self._mount.integration.client_for(grant.person_id, owner=grant.owner)

    async def answer_refusal(self, request: Request, error: GrantflowError) -> Response:
        """What a page of the host application answers, where an error of ours ended it.

        ReauthorizationRequired leads to `grant_url`, or to the landing page where nothing was granted yet, and from
        there back to where the person was; what passes is a 503 with Retry-After (VaultUnavailable,
        TransientTokenError, IntegrationRefused). Programs that ask for JSON get that: a 409 with `grant_url`, or the
        same 503. Raises every other error again: it is the host's own doing.
        """
        return await answer_refusal(self._mount, self.exception_handlers, request, error)

    @property
    def folder(self) -> str:
        """The path to mount them at in a host application. Raises ValueError where they take all of its addresses."""
        if not self._site.prefix:
            raise ValueError(
                f"The redirect URI {self._mount.integration.redirect_uri} lies at the root, so these pages would take "
                "the host application's own addresses. Register one in a folder, such as "
                f"{self._site.origin}/webex/oauth."
            )
        return self._site.prefix


def integration_pages(
    integration: AsyncIntegration,
    about: About,
    *,
    base_url: str | None = None,
    person_of: AskHost | None = None,
    owner_of: AskHost | None = None,
    try_it: bool = False,
    sandbox: bool = False,
    links: tuple[Link, ...] = (),
    home: str | None = None,
) -> IntegrationPages:
    """The pages of `integration`; only the awaiting kind can serve them.

    - `base_url`: where the public finds the landing page; the redirect URI must lie below it. By default the folder
      that the redirect URI lies in. It is never taken from a request, so proxies need no trust.
    - `owner_of`: the host application's own signed-in user of a request, whom grants then belong to. Grants that were
      made without an owner are shown to nobody then.
    - `person_of`: the id at the platform of whoever sent a request. Without either, the pages know a person by a
      sealed cookie that is set when they come back with a grant.
    - `try_it`: let a connected person post a message in their name, as the sample does; it needs the scopes
      spark:people_read, spark:rooms_read and spark:messages_write, and Webex's API.
    - `sandbox`: say on each page that people and data are samples.
    - `links`: further pages of the host application, for the header.
    - `home`: the host application's page, as a path of its site, where a person who has just granted goes on.

    Raises ValueError: the redirect URI is no web address, or lies outside `base_url`; or `home` is no path.
    """
    about = about.with_platform_at(integration.configuration.authorization_endpoint)
    redirect_uri = urlsplit(integration.redirect_uri)
    if redirect_uri.scheme not in ("http", "https"):
        raise ValueError(f"Pages can serve an http or https redirect URI only, not {integration.redirect_uri}.")
    base_url = base_url or urljoin(integration.redirect_uri, ".")
    site = Site(about.name, base_url, role="integration", sandbox=sandbox, links=links)
    viewers = Viewers(integration, Cookies(site), texts=_texts(integration), person_of=person_of, owner_of=owner_of)
    home = check_return_to(home, redirect_uri=site.origin, called="home") if home else None
    mount = _mount(integration, about, site=site, viewers=viewers, home=home, try_it=try_it)
    _compare_grant_url(integration.configuration.connect_url, with_pages_at=site.public_url(paths.CONNECT))
    app = IntegrationPages(
        mount,
        routes=_routes(mount, callback=_path_below(site, redirect_uri)),
        exception_handlers=record_handlers(error_handlers(mount.pages, new_reference=mount.new_reference), about=about),
    )
    app.router.redirect_slashes = False  # it would build the address from the Host header
    return app


def _path_below(site: Site, redirect_uri: SplitResult) -> str:
    """The path of the redirect URI as seen from the mount."""
    path = redirect_uri.path or "/"
    same_origin = Site("", redirect_uri._replace(path="", query="", fragment="").geturl()).origin == site.origin
    if not (same_origin and f"{path}/".startswith(f"{site.prefix}/")):
        raise RedirectUriElsewhere(
            f"The redirect URI {redirect_uri.geturl()} does not lie below {site.public_url('/')}, where the pages are: "
            "the platform would send people to an address that they do not serve. Change base_url or redirect_uri."
        )
    return path[len(site.prefix) :] or "/"


def _compare_grant_url(grant_url: str, *, with_pages_at: str) -> None:
    if grant_url != with_pages_at:
        log.warning(
            "People who must grant again are sent to %s, but these pages begin grants at %s. If that is not meant, "
            "give AsyncIntegration(grant_url=...) the latter.",
            grant_url,
            with_pages_at,
        )


def _compare_mount(root_path: str, *, site: Site) -> None:
    """A proxy may take a first part of the path away, or all of it; what is left must be its end."""
    if not site.prefix.endswith(root_path.rstrip("/")):
        log.warning(
            "These pages are mounted at %s, but the redirect URI and their links lie below %s: mount them at %s, or "
            "register a redirect URI below %s.",
            root_path,
            site.public_url("/"),
            site.prefix or "/",
            site.origin + root_path,
        )


def _mount(
    integration: AsyncIntegration,
    about: About,
    *,
    site: Site,
    viewers: Viewers,
    home: str | None,
    try_it: bool,
) -> Mount:
    return Mount(
        integration=integration,
        about=about,
        pages=Pages(site, templates=(TEMPLATES,)),
        viewers=viewers,
        notes=Notes(_texts(integration)),
        guard=FormGuard(site, integration.keys.mac_key("pages"), mint=lambda: integration.mint(24)),
        home=home,
        new_reference=lambda: readable(integration.mint(5)),
        try_it=try_it,
    )


def _texts(integration: AsyncIntegration) -> SealedTexts:
    return SealedTexts(integration.keys.derive("pages"), integration.now)


def _routes(mount: Mount, *, callback: str) -> list[BaseRoute]:
    landing, outcomes = Landing(mount), Outcomes(mount)
    flow = GrantFlow(mount, outcomes)
    messages = [Route(paths.MESSAGES, Messages(mount, landing).post, methods=["POST"])] if mount.try_it else []
    return [
        *_front_pages(flow, landing, callback=callback),
        Route(paths.CONNECT, flow.connect, methods=["GET", "POST"]),
        Route(paths.GRANTED, outcomes.granted, methods=["GET"]),
        Route(paths.DECLINED, outcomes.declined, methods=["GET"]),
        Route(paths.WENT_WRONG, outcomes.went_wrong, methods=["GET"]),
        Route(paths.DISCONNECT, Disconnect(mount).submitted, methods=["POST"]),
        *messages,
        mount.pages.static.route(),
    ]


def _front_pages(flow: GrantFlow, landing: Landing, *, callback: str) -> list[BaseRoute]:
    """The landing page and the redirect URI, which may be one address: a development server's plain root."""

    async def either(request: Request) -> Response:
        answered = request.query_params.keys() & {"code", "error"}
        page: Callable[[Request], Awaitable[Response]] = flow.redirect_uri if answered else landing.page
        return await page(request)

    if callback == paths.LANDING:
        return [Route(paths.LANDING, either, methods=["GET"])]
    return [
        Route(paths.LANDING, landing.page, methods=["GET"]),
        Route(callback, flow.redirect_uri, methods=["GET"]),
    ]
