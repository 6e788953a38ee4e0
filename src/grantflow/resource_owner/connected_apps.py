"""Connected apps: what each integration may do, since when, and how to revoke it (W02)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from grantflow.protocol.scope import in_words
from grantflow.resource_owner.paths import CONNECTED_APPS, REVOCATION_OF_ALL, revocation, sign_in_first
from grantflow.resource_owner.ports import Grants
from grantflow.resource_owner.records import ConnectedApp, Session
from grantflow.resource_owner.visits import Visits, binding
from grantflow.web.addresses import with_query
from grantflow.web.csrf import FormGuard
from grantflow.web.errors import PageError
from grantflow.web.forms import read_form
from grantflow.web.listing import Listing, page_number
from grantflow.web.pages import Pages
from grantflow.web.site import Link

PAGE_SIZE = 50
ALL = "all"


@dataclass(frozen=True, slots=True)
class ConnectedAppsPages:
    pages: Pages
    guard: FormGuard
    visits: Visits
    grants: Grants
    clock: Callable[[], datetime]

    async def overview(self, request: Request) -> Response:
        session = await self.visits.session(request, now=self.clock())
        if session is None:
            return self.pages.redirect(sign_in_first(CONNECTED_APPS))
        apps = await self.grants.connected(session.person_id, page=page_number(request), size=PAGE_SIZE)
        listing = Listing.of(request, apps.total, here=CONNECTED_APPS, size=PAGE_SIZE)
        if listing.last_page:
            return self.pages.redirect(listing.last_page)
        return self._page(
            request,
            "connected_apps.html",
            session,
            apps=apps.shown,
            total=apps.total,
            listing=listing,
            revoked=await self._just_revoked(request, session, left=apps.total),
            in_words=in_words,
        )

    async def confirm_one(self, request: Request) -> Response:
        session = await self.visits.session(request, now=self.clock())
        if session is None:
            return self.pages.redirect(sign_in_first(_here(request)))
        app = await self._app(request, session)
        if app.revoked_at is not None:
            return self._told(app.grant_id)
        return self._page(request, "revoke_one.html", session, app=app, scopes=in_words(app.visible))

    async def revoke_one(self, request: Request) -> Response:
        session = await self._checked(request, again=_here(request))
        app = await self._app(request, session)
        await self.grants.revoke(app.grant_id, person_id=session.person_id, now=self.clock())
        return self._told(app.grant_id)

    async def confirm_all(self, request: Request) -> Response:
        session = await self.visits.session(request, now=self.clock())
        if session is None:
            return self.pages.redirect(sign_in_first(REVOCATION_OF_ALL))
        apps = await self.grants.connected(session.person_id, page=1, size=PAGE_SIZE)
        if not apps.total:
            return self.pages.redirect(CONNECTED_APPS)
        return self._page(request, "revoke_all.html", session, apps=apps.shown, total=apps.total)

    async def revoke_all(self, request: Request) -> Response:
        session = await self._checked(request, again=REVOCATION_OF_ALL)
        await self.grants.revoke_all(session.person_id, now=self.clock())
        return self._told(ALL)

    async def _app(self, request: Request, session: Session) -> ConnectedApp:
        app = await self.grants.find(str(request.path_params["grant_id"]), person_id=session.person_id)
        if app is None:
            raise _not_connected()
        return app

    async def _checked(self, request: Request, *, again: str) -> Session:
        form = await read_form(request)
        session = await self.visits.session(request, now=self.clock())
        bound_to = binding(session) if session else None
        self.guard.check(request, form, binding=bound_to, again=again)
        assert session is not None  # the guard lets nothing pass that is bound to nobody
        return session

    async def _just_revoked(self, request: Request, session: Session, *, left: int) -> str | None:
        """What the notice names: an app, or all. A made-up link makes it say nothing that is not so."""
        told = request.query_params.get("revoked", "")
        if told == ALL:
            return ALL if left == 0 else None
        app = await self.grants.find(told, person_id=session.person_id) if told else None
        return app.app if app and app.revoked_at else None

    def _page(self, request: Request, template: str, session: Session, **context: Any) -> Response:
        return self.pages.page(
            request,
            template,
            account=self.visits.account(session),
            form_token=self.guard.token(binding(session)),
            connected_apps=CONNECTED_APPS,
            revocation=revocation,
            revocation_of_all=REVOCATION_OF_ALL,
            **context,
        )

    def _told(self, what: str) -> Response:
        return self.pages.redirect(with_query(CONNECTED_APPS, revoked=what))


def _here(request: Request) -> str:
    return revocation(str(request.path_params["grant_id"]))


def _not_connected() -> PageError:
    return PageError(
        404,
        "This app is not connected",
        why="It has no access to your account, so there is nothing to revoke.",
        next_step="What is connected stands under your connected apps.",
        actions=(Link("Your connected apps", CONNECTED_APPS, "primary"),),
        kind="info",
        reason="this person has no grant with this id",
    )
