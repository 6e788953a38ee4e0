"""Administrators take away one grant, all of one person's, or all of one integration's (W02).

What is lost is said first, confirmed, and written down; nobody else's grants are touched.
"""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from grantflow.protocol.scope import in_words
from grantflow.resource_owner.administration import PAGE_SIZE
from grantflow.resource_owner.administration_desk import Desk
from grantflow.resource_owner.connected_apps import ALL
from grantflow.resource_owner.paths import ADMINISTRATION, app_page, end_of_all, end_of_grant, person_page
from grantflow.resource_owner.ports import Grants
from grantflow.resource_owner.records import GivenGrant, Session
from grantflow.resource_owner.words import counted
from grantflow.web.addresses import with_query
from grantflow.web.audit import note_all_of_a_person_ended, note_all_to_an_app_ended, note_grant_ended

#: Where a grant was looked at: at the integration's page; else at the person's.
AT_THE_APP = "integration"


@dataclass(frozen=True, slots=True)
class AdministrationEndings:
    desk: Desk
    grants: Grants

    # --- taking one away ---------------------------------------------------------------------------------------------

    async def confirm_one(self, request: Request) -> Response:
        session = await self.desk.administrator(request)
        if session is None:
            return self.desk.sign_in_first(ADMINISTRATION)
        given = await self.desk.given(request, session)
        if given.grant.revoked_at is not None:
            return self.desk.told(_back_to(request, given), given.grant.grant_id)
        return self.desk.page(
            request,
            "administration_revoke_one.html",
            session,
            given=given,
            action=_here(request, given),
            back=_back_to(request, given),
            scopes=in_words(given.grant.visible),
        )

    async def revoke_one(self, request: Request) -> Response:
        session = await self.desk.checked(request, again=end_of_grant(str(request.path_params["grant_id"])))
        given = await self.desk.given(request, session)
        grant = given.grant
        if await self.grants.revoke(grant.grant_id, person_id=given.person_id, now=self.desk.clock()):
            note_grant_ended(by=session.email, person=given.email, app=grant.app, grant_id=grant.grant_id)
        return self.desk.told(_back_to(request, given), grant.grant_id)

    # --- taking all away ---------------------------------------------------------------------------------------------

    async def confirm_all_of_person(self, request: Request) -> Response:
        here = person_page(str(request.path_params["person_id"]))
        session = await self.desk.administrator(request)
        if session is None:
            return self.desk.sign_in_first(here)
        person = await self.desk.person(request, session)
        found = await self.grants.connected(person.id, page=1, size=PAGE_SIZE)
        if not found.total:
            return self.desk.pages.redirect(here)
        return self._confirm_all(
            request,
            session,
            back=here,
            heading=f"Revoke all access to the account of {person.display_name}?",
            losers=[(grant.app, "", "app") for grant in found.shown],
            total=found.total,
            loss=f"{counted(found.total, 'app')} can no longer act for {person.display_name}, who must grant again "
            "in each. Nobody else loses anything.",
        )

    async def revoke_all_of_person(self, request: Request) -> Response:
        here = person_page(str(request.path_params["person_id"]))
        session = await self.desk.checked(request, again=end_of_all(here))
        person = await self.desk.person(request, session)
        if count := await self.grants.revoke_all(person.id, now=self.desk.clock()):
            note_all_of_a_person_ended(by=session.email, person=person.email, count=count)
        return self.desk.told(here, ALL)

    async def confirm_all_of_app(self, request: Request) -> Response:
        here = app_page(str(request.path_params["client_id"]))
        session = await self.desk.administrator(request)
        if session is None:
            return self.desk.sign_in_first(here)
        app = await self.desk.app(request)
        found = await self.desk.administration.given_to(app.client_id, org_id=session.org_id, page=1, size=PAGE_SIZE)
        if not found.total:
            return self.desk.pages.redirect(here)
        return self._confirm_all(
            request,
            session,
            back=here,
            heading=f"Revoke all access of {app.name}?",
            losers=[(given.person, given.email, "person") for given in found.shown],
            total=found.total,
            loss=f"{counted(found.total, 'person', many='people')} must grant again to use {app.name}. "
            "Their other apps keep what they have.",
        )

    async def revoke_all_of_app(self, request: Request) -> Response:
        here = app_page(str(request.path_params["client_id"]))
        session = await self.desk.checked(request, again=end_of_all(here))
        app = await self.desk.app(request)
        count = await self.desk.administration.revoke_all_given_to(
            app.client_id, org_id=session.org_id, now=self.desk.clock()
        )
        if count:
            note_all_to_an_app_ended(by=session.email, app=app.name, client_id=app.client_id, count=count)
        return self.desk.told(here, ALL)

    def _confirm_all(self, request: Request, session: Session, *, back: str, **context: Any) -> Response:
        return self.desk.page(
            request, "administration_revoke_all.html", session, back=back, action=end_of_all(back), **context
        )


def _here(request: Request, given: GivenGrant) -> str:
    at = AT_THE_APP if request.query_params.get("from") == AT_THE_APP else None
    return with_query(end_of_grant(given.grant.grant_id), **{"from": at})


def _back_to(request: Request, given: GivenGrant) -> str:
    if request.query_params.get("from") == AT_THE_APP:
        return app_page(given.grant.client_id)
    return person_page(given.person_id)
