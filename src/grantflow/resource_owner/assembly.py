"""The resource owner's pages, put together."""

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from grantflow.resource_owner import paths
from grantflow.resource_owner.administration import AdministrationPages
from grantflow.resource_owner.administration_desk import Desk
from grantflow.resource_owner.administration_endings import AdministrationEndings
from grantflow.resource_owner.connected_apps import ConnectedAppsPages
from grantflow.resource_owner.consent import ConsentPage
from grantflow.resource_owner.passwords import PasswordPool
from grantflow.resource_owner.ports import Administration, Grants, People, Questions, Sessions
from grantflow.resource_owner.settings import ResourceOwnerSettings
from grantflow.resource_owner.sign_in import SignIn
from grantflow.resource_owner.visits import Visits
from grantflow.resource_owner.welcome import Welcome
from grantflow.web.csrf import FormGuard
from grantflow.web.pages import Pages
from grantflow.web.throttle import FailureLog, Throttle

_Endpoint = Callable[[Request], Awaitable[Response]]

#: To be among the folders of the `Pages` that `routes` is given.
TEMPLATES = Path(__file__).parent / "templates"

#: Wrong passwords from one address, for whatever accounts, before it must wait: an office shares one address.
FREE_FAILURES_OF_AN_ADDRESS = 100


def routes(
    *,
    pages: Pages,
    settings: ResourceOwnerSettings,
    people: People,
    sessions: Sessions,
    questions: Questions,
    grants: Grants,
    administration: Administration,
    failures: FailureLog,
    clock: Callable[[], datetime],
    mint: Callable[[int], bytes],
) -> list[BaseRoute]:
    """Sign-in, sign-out, consent, connected apps, administration, front page. `mint` makes that many random bytes."""
    guard = FormGuard(pages.site, settings.form_key, mint=lambda: base64.urlsafe_b64encode(mint(24)).decode("ascii"))
    visits = Visits(sessions, guard, settings=settings, mint=mint)
    sign_in = SignIn(
        pages,
        guard,
        visits=visits,
        people=people,
        questions=questions,
        passwords=PasswordPool(),
        throttle=Throttle(failures, what="person"),
        flood=Throttle(failures, what="person", free=FREE_FAILURES_OF_AN_ADDRESS),
        settings=settings,
        clock=clock,
    )
    consent = ConsentPage(pages, guard, visits=visits, questions=questions, settings=settings, clock=clock)
    connected = ConnectedAppsPages(pages, guard, visits=visits, grants=grants, clock=clock)
    welcome = Welcome(pages, visits, settings=settings, clock=clock)
    one = f"{paths.CONNECTED_APPS}/{{grant_id:uuid}}/revocation"
    return [
        Route(paths.WELCOME, welcome.page, methods=["GET"]),
        _form(paths.SIGN_IN, sign_in.form, sign_in.submitted),
        Route(paths.SIGN_OUT, sign_in.sign_out, methods=["POST"]),
        _form(paths.CONSENT, consent.ask, consent.decided),
        Route(paths.CONNECTED_APPS, connected.overview, methods=["GET"]),
        _form(paths.REVOCATION_OF_ALL, connected.confirm_all, connected.revoke_all),
        _form(one, connected.confirm_one, connected.revoke_one),
        *_administration(Desk(pages, guard, visits, administration, clock), grants),
    ]


def _administration(desk: Desk, grants: Grants) -> list[BaseRoute]:
    pages, endings = AdministrationPages(desk, grants), AdministrationEndings(desk, grants)
    person, app = paths.person_page("{person_id:uuid}"), paths.app_page("{client_id}")
    return [
        Route(paths.ADMINISTRATION, pages.begin, methods=["GET"]),
        Route(paths.PEOPLE, pages.people, methods=["GET"]),
        Route(paths.APPS, pages.apps, methods=["GET"]),
        Route(person, pages.person, methods=["GET"]),
        Route(app, pages.app, methods=["GET"]),
        _form(paths.end_of_grant("{grant_id:uuid}"), endings.confirm_one, endings.revoke_one),
        _form(paths.end_of_all(person), endings.confirm_all_of_person, endings.revoke_all_of_person),
        _form(paths.end_of_all(app), endings.confirm_all_of_app, endings.revoke_all_of_app),
    ]


def _form(path: str, shown: _Endpoint, submitted: _Endpoint) -> Route:
    """One route for a form and its answer, so that a wrong method is told of both (Allow)."""

    async def form(request: Request) -> Response:
        return await (submitted if request.method == "POST" else shown)(request)

    return Route(path, form, methods=["GET", "POST"])
