"""My Webex Apps: what this person has registered, and the choice of what to make next (W17)."""

from dataclasses import dataclass
from hmac import compare_digest

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal import paths
from grantflow.developer_portal.portal import Portal
from grantflow.developer_portal.ports import Bots, MyAppsPort
from grantflow.developer_portal.records import Session
from grantflow.web.addresses import with_query
from grantflow.web.listing import Listing, page_number, searched

PAGE_SIZE = 25
#: Bots that are listed; whoever has more finds them by name.
BOTS_LIMIT = 100


@dataclass(frozen=True, slots=True)
class MyAppsPages:
    portal: Portal
    mine: MyAppsPort
    bots: Bots

    async def overview(self, request: Request, session: Session) -> Response:
        search = searched(request)
        apps = await self.mine.page(session.person_id, search=search, page=page_number(request), size=PAGE_SIZE)
        listing = Listing.of(request, apps.total, here=with_query(paths.MY_APPS, q=search), size=PAGE_SIZE)
        if listing.last_page:
            return self.portal.redirect(listing.last_page)
        return self.portal.page(
            request,
            "my_apps.html",
            session,
            apps=apps.shown,
            bots=await self.bots.of_owner(session.person_id, search=search, limit=BOTS_LIMIT),
            total=apps.total,
            search=search,
            listing=listing,
            deleted=self._is_told(request, session, "deleted"),
            deleted_bot=self._is_told(request, session, "deleted-bot"),
        )

    async def chooser(self, request: Request, session: Session) -> Response:
        return self.portal.page(request, "new_app.html", session, kinds=self.portal.settings.kinds)

    def _is_told(self, request: Request, session: Session, what: str) -> bool:
        """Whether the notice is true: a made-up link makes it say nothing that is not so."""
        query = request.query_params
        expected = self.portal.proof(session, f"{what} {query.get(what, '')}")
        return what in query and compare_digest(query.get("proof", "").encode(), expected.encode())
