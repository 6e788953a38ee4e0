"""Administration: administrators find a person or an integration, and see what was granted (W02)."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from grantflow.protocol.scope import in_words
from grantflow.resource_owner.administration_desk import Desk
from grantflow.resource_owner.connected_apps import ALL
from grantflow.resource_owner.paths import APPS, PEOPLE, app_page, person_page
from grantflow.resource_owner.ports import Grants
from grantflow.resource_owner.records import GivenGrant, Session
from grantflow.web.addresses import with_query
from grantflow.web.listing import Listing, page_number, searched

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class AdministrationPages:
    desk: Desk
    grants: Grants

    async def begin(self, request: Request) -> Response:
        return self.desk.pages.redirect(PEOPLE)

    async def people(self, request: Request) -> Response:
        session = await self.desk.administrator(request)
        if session is None:
            return self.desk.sign_in_first(PEOPLE)
        beginning, page = searched(request), page_number(request)
        found = await self.desk.administration.people(beginning, org_id=session.org_id, page=page, size=PAGE_SIZE)
        here = with_query(PEOPLE, q=beginning)
        return self._list(request, "administration_people.html", session, found=found, here=here, beginning=beginning)

    async def apps(self, request: Request) -> Response:
        session = await self.desk.administrator(request)
        if session is None:
            return self.desk.sign_in_first(APPS)
        beginning, page = searched(request), page_number(request)
        found = await self.desk.administration.apps(beginning, page=page, size=PAGE_SIZE)
        here = with_query(APPS, q=beginning)
        return self._list(request, "administration_apps.html", session, found=found, here=here, beginning=beginning)

    async def person(self, request: Request) -> Response:
        here = person_page(str(request.path_params["person_id"]))
        session = await self.desk.administrator(request)
        if session is None:
            return self.desk.sign_in_first(here)
        person = await self.desk.person(request, session)
        found = await self.grants.connected(person.id, page=page_number(request), size=PAGE_SIZE)
        revoked = await self._just_revoked(request, session, left=found.total)
        return self._list(
            request,
            "administration_person.html",
            session,
            found=found,
            here=here,
            person=person,
            revoked=revoked,
            in_words=in_words,
        )

    async def app(self, request: Request) -> Response:
        here = app_page(str(request.path_params["client_id"]))
        session = await self.desk.administrator(request)
        if session is None:
            return self.desk.sign_in_first(here)
        app = await self.desk.app(request)
        found = await self.desk.administration.given_to(
            app.client_id, org_id=session.org_id, page=page_number(request), size=PAGE_SIZE
        )
        revoked = await self._just_revoked(request, session, left=found.total)
        return self._list(request, "administration_app.html", session, found=found, here=here, app=app, revoked=revoked)

    async def _just_revoked(self, request: Request, session: Session, *, left: int) -> GivenGrant | str | None:
        """What the notice names: a grant, or all. A made-up link makes it say nothing that is not so."""
        told = request.query_params.get("revoked", "")
        if told == ALL:
            return ALL if left == 0 else None
        given = await self.desk.administration.given(told, org_id=session.org_id) if told else None
        return given if given and given.grant.revoked_at else None

    def _list(
        self, request: Request, template: str, session: Session, *, found: Any, here: str, **context: Any
    ) -> Response:
        listing = Listing.of(request, found.total, here=here, size=PAGE_SIZE)
        if listing.last_page:
            return self.desk.pages.redirect(listing.last_page)
        return self.desk.page(
            request,
            template,
            session,
            shown=found.shown,
            total=found.total,
            listing=listing,
            **context,
        )
