"""What everybody may see: the App Hub (W21), the icons in it, and every scope in plain words (W09)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from grantflow.developer_portal import paths
from grantflow.developer_portal.portal import Portal
from grantflow.developer_portal.ports import AppHubPort
from grantflow.protocol.scope import FAR_REACHING, KMS, MEANINGS, in_words
from grantflow.web.addresses import with_query
from grantflow.web.errors import PageError
from grantflow.web.icons import DIGEST, UPLOADED
from grantflow.web.listing import Listing, page_number, searched
from grantflow.web.site import Link

PAGE_SIZE = 24
#: An icon never changes under its address. It is a picture and nothing else, wherever it is opened.
_ICON_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class AppHubPages:
    portal: Portal
    hub: AppHubPort

    async def overview(self, request: Request) -> Response:
        search = searched(request)
        found = await self.hub.page(search=search, page=page_number(request), size=PAGE_SIZE)
        listing = Listing.of(request, found.total, here=with_query(paths.APP_HUB, q=search), size=PAGE_SIZE)
        if listing.last_page:
            return self.portal.redirect(listing.last_page)
        return self.portal.page(
            request,
            "app_hub.html",
            await self.portal.session(request),
            apps=found.shown,
            total=found.total,
            search=search,
            listing=listing,
        )

    async def entry(self, request: Request) -> Response:
        app = await self.hub.find(str(request.path_params["client_id"]))
        if app is None:
            raise _not_in_the_hub()
        session = await self.portal.session(request)
        return self.portal.page(request, "hub_app.html", session, app=app, scopes=in_words(app.visible))

    async def scopes(self, request: Request) -> Response:
        scopes = [(token, words, token in FAR_REACHING, token == KMS) for token, words in MEANINGS.items()]
        return self.portal.page(request, "scopes.html", await self.portal.session(request), scopes=scopes)


def icon_route(hub: AppHubPort) -> Route:
    """Icons, for the pages of whichever role this process has."""

    async def icon(request: Request) -> Response:
        digest = str(request.path_params["digest"])
        found = await hub.icon(digest) if DIGEST.fullmatch(digest) else None
        if found is None:
            headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
            return Response("There is no such icon.\n", status_code=404, media_type="text/plain", headers=headers)
        return Response(found.content, headers={**_ICON_HEADERS, "Content-Type": found.type})

    return Route(f"{UPLOADED}/{{digest}}", icon, methods=["GET"])


def _not_in_the_hub() -> PageError:
    return PageError(
        404,
        "This app is not in the App Hub",
        why="Its address is mistyped, or its publisher does not list it here.",
        next_step="What is listed stands in the App Hub.",
        actions=(Link("App Hub", paths.APP_HUB, "primary"),),
        kind="info",
        reason="no integration with a landing page has this client id",
    )
