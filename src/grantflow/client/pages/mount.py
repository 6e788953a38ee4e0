"""What all pages of one mounted integration share."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from grantflow.client.grant import Grant
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages.about import About
from grantflow.client.pages.notes import Notes
from grantflow.client.pages.viewer import Viewers
from grantflow.web.csrf import FormGuard
from grantflow.web.pages import Pages
from grantflow.web.site import Site

#: Paths below the mount; that of the redirect URI is the integration's to say.
LANDING = "/"
CONNECT = "/connect"
DISCONNECT = "/disconnect"
GRANTED = "/granted"
DECLINED = "/declined"
WENT_WRONG = "/went-wrong"
MESSAGES = "/messages"


@dataclass(frozen=True, slots=True)
class Mount:
    """`new_reference` mints the id that a page shows and the log repeats; `home` is the host application's page, a path
    of its site; `try_it` offers the sample action."""

    integration: AsyncIntegration
    about: About
    pages: Pages
    viewers: Viewers
    notes: Notes
    guard: FormGuard
    new_reference: Callable[[], str]
    home: str | None
    try_it: bool

    @property
    def site(self) -> Site:
        return self.pages.site

    @property
    def ends_at_platform(self) -> bool:
        """Whether disconnecting asks the platform to end the grant (RFC 7009); Webex documents no way to."""
        return self.integration.configuration.revocation_url is not None

    def connect_address(self, *, grant: str | None = None, return_to: str | None = None, switch: bool = False) -> str:
        """The link behind a Grant button, relative to the mount."""
        asked = {"grant": grant, "return_to": return_to, "switch": "1" if switch else None}
        query = urlencode({name: value for name, value in asked.items() if value})
        return f"{CONNECT}?{query}" if query else CONNECT

    def form_token(self, request: Request, grant: Grant) -> tuple[str, str]:
        """The visitor to remember, and the token for a form of this person in this browser."""
        visitor = self.guard.visitor(request)
        return visitor, self.guard.token(_binding(visitor, grant))

    def own_form(self, request: Request, form: dict[str, str], grant: Grant | None) -> Grant:
        """The grant of whoever sent this form. Raises PageError where it is not that person's own form."""
        binding = _binding(self.guard.visitor(request), grant) if grant else None
        self.guard.check(request, form, binding=binding, again=LANDING)
        assert grant is not None
        return grant


def _binding(visitor: str, grant: Grant) -> str:
    return f"{visitor}\0{grant.id}"
