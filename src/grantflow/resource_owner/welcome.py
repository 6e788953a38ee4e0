"""The platform's front page: what this is, for whoever is not signed in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from grantflow.resource_owner.paths import CONNECTED_APPS, SIGN_IN
from grantflow.resource_owner.settings import ResourceOwnerSettings
from grantflow.resource_owner.visits import Visits
from grantflow.web.pages import Pages


@dataclass(frozen=True, slots=True)
class Welcome:
    pages: Pages
    visits: Visits
    settings: ResourceOwnerSettings
    clock: Callable[[], datetime]

    async def page(self, request: Request) -> Response:
        if await self.visits.session(request, now=self.clock()):
            return self.pages.redirect(CONNECTED_APPS)
        return self.pages.page(
            request,
            "welcome.html",
            signed_out="signed-out" in request.query_params,
            sign_in=SIGN_IN,
            api_url=self.settings.api_url,
            metadata=self.settings.metadata,
            portal_links=self.settings.portal_links,
        )
