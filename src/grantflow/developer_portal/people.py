"""Who granted the integration what, and the owner's two ways to end it: expire the access tokens, revoke the grant."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal import paths
from grantflow.developer_portal.details import owned
from grantflow.developer_portal.portal import Portal
from grantflow.developer_portal.ports import GrantedPort, MyAppsPort
from grantflow.developer_portal.records import Integration, PersonsGrant, Session
from grantflow.protocol.scope import in_words, without_kms
from grantflow.web.addresses import with_query
from grantflow.web.errors import PageError
from grantflow.web.forms import read_form
from grantflow.web.listing import Listing, page_number, searched
from grantflow.web.site import Link

PAGE_SIZE = 50
_NOTICES = ("expired", "revoked")


@dataclass(frozen=True, slots=True)
class PeoplePages:
    portal: Portal
    mine: MyAppsPort
    granted: GrantedPort

    async def overview(self, request: Request, session: Session) -> Response:
        integration = await owned(request, session, self.mine)
        client_id = integration.registration.client_id
        search, page, now = searched(request), page_number(request), self.portal.clock()
        found = await self.granted.page(client_id, search=search, page=page, size=PAGE_SIZE, now=now)
        here = with_query(paths.people(client_id), q=search)
        listing = Listing.of(request, found.total, here=here, size=PAGE_SIZE)
        if listing.last_page:
            return self.portal.redirect(listing.last_page)
        return self.portal.page(
            request,
            "people.html",
            session,
            app=integration,
            people=found.shown,
            total=found.total,
            search=search,
            listing=listing,
            notice=next((name for name in _NOTICES if name in request.query_params), None),
        )

    async def expired(self, request: Request, session: Session) -> Response:
        integration, grant = await self._checked(request, session)
        client_id = integration.registration.client_id
        await self.granted.expire(grant.grant_id, client_id=client_id, now=self.portal.clock())
        return self.portal.redirect(paths.people(client_id), expired="yes")

    async def confirm(self, request: Request, session: Session) -> Response:
        integration = await owned(request, session, self.mine)
        grant = await self._grant(request, integration)
        scopes = in_words(without_kms(grant.scopes))
        return self.portal.page(request, "revoke_person.html", session, app=integration, grant=grant, scopes=scopes)

    async def revoked(self, request: Request, session: Session) -> Response:
        integration, grant = await self._checked(request, session)
        client_id = integration.registration.client_id
        await self.granted.revoke(grant.grant_id, client_id=client_id, now=self.portal.clock())
        return self.portal.redirect(paths.people(client_id), revoked="yes")

    async def _checked(self, request: Request, session: Session) -> tuple[Integration, PersonsGrant]:
        fields = await read_form(request)
        integration = await owned(request, session, self.mine)
        self.portal.check(request, fields, session, again=paths.people(integration.registration.client_id))
        return integration, await self._grant(request, integration)

    async def _grant(self, request: Request, integration: Integration) -> PersonsGrant:
        client_id = integration.registration.client_id
        grant_id = str(request.path_params["grant_id"])
        grant = await self.granted.find(grant_id, client_id=client_id, now=self.portal.clock())
        if grant is None:
            raise PageError(
                404,
                "This grant has ended",
                why="It was revoked, by the person, by you or by an administrator.",
                next_step="Who grants the integration something now stands in its list of people.",
                actions=(Link("People", paths.people(client_id), "primary"),),
                kind="info",
                reason="the integration has no living grant with this id",
            )
        return grant
