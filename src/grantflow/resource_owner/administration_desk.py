"""Where administrators work: who they are, what they may look at, and the pages that they are answered with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from grantflow.resource_owner.paths import (
    APPS,
    CONNECTED_APPS,
    PEOPLE,
    app_page,
    end_of_all,
    end_of_grant,
    person_page,
    sign_in_first,
)
from grantflow.resource_owner.ports import Administration
from grantflow.resource_owner.records import App, GivenGrant, Person, Session
from grantflow.resource_owner.visits import Visits, binding
from grantflow.resource_owner.words import counted
from grantflow.web.addresses import with_query
from grantflow.web.csrf import FormGuard
from grantflow.web.errors import PageError
from grantflow.web.forms import read_form
from grantflow.web.pages import Pages
from grantflow.web.site import Link


@dataclass(frozen=True, slots=True)
class Desk:
    pages: Pages
    guard: FormGuard
    visits: Visits
    administration: Administration
    clock: Callable[[], datetime]

    async def administrator(self, request: Request) -> Session | None:
        """Who looks; None for nobody who is signed in.

        Raises:
            PageError: somebody who is no administrator.
        """
        session = await self.visits.session(request, now=self.clock())
        if session is not None and not session.is_admin:
            raise _for_administrators()
        return session

    async def checked(self, request: Request, *, again: str) -> Session:
        form = await read_form(request)
        session = await self.administrator(request)
        self.guard.check(request, form, binding=binding(session) if session else None, again=again)
        assert session is not None  # the guard lets nothing pass that is bound to nobody
        return session

    async def person(self, request: Request, session: Session) -> Person:
        person = await self.administration.person(str(request.path_params["person_id"]), org_id=session.org_id)
        if person is None:
            raise _not_here("There is no such person", "Nobody in your organization has this address.")
        return person

    async def app(self, request: Request) -> App:
        app = await self.administration.app(str(request.path_params["client_id"]))
        if app is None:
            raise _not_here("There is no such integration", "No integration that is registered here has this address.")
        return app

    async def given(self, request: Request, session: Session) -> GivenGrant:
        given = await self.administration.given(str(request.path_params["grant_id"]), org_id=session.org_id)
        if given is None:
            raise _not_here("There is no such grant", "Nobody in your organization has given it.")
        return given

    def page(self, request: Request, template: str, session: Session, **context: Any) -> Response:
        return self.pages.page(
            request,
            template,
            account=self.visits.account(session),
            form_token=self.guard.token(binding(session)),
            people_path=PEOPLE,
            apps_path=APPS,
            person_page=person_page,
            app_page=app_page,
            end_of_grant=end_of_grant,
            end_of_all=end_of_all,
            counted=counted,
            **context,
        )

    def told(self, page: str, what: str) -> Response:
        return self.pages.redirect(with_query(page, revoked=what))

    def sign_in_first(self, path: str) -> Response:
        return self.pages.redirect(sign_in_first(path))


def _for_administrators() -> PageError:
    return PageError(
        403,
        "This page is for administrators",
        why="It shows what others have granted, and your account is not an administrator's.",
        next_step="What you have granted yourself stands under your connected apps.",
        actions=(Link("Your connected apps", CONNECTED_APPS, "primary"),),
        kind="info",
        reason="this person is no administrator",
    )


def _not_here(title: str, why: str) -> PageError:
    return PageError(
        404,
        title,
        why=why,
        next_step="Look it up among people and integrations.",
        actions=(Link("People", PEOPLE, "primary"), Link("Integrations", APPS)),
        kind="info",
        reason="nothing in this administrator's organization has this id",
    )
