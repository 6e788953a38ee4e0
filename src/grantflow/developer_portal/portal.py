"""What all pages of the portal share: who looks at them, the account that they show, the forms bound to a session."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal import paths
from grantflow.developer_portal.authorization_address import environment_file
from grantflow.developer_portal.ports import Sessions
from grantflow.developer_portal.records import Integration, Session
from grantflow.developer_portal.settings import LINKS, PortalSettings
from grantflow.protocol.minting import Mint
from grantflow.protocol.secret import Secret
from grantflow.web.addresses import own_query, with_query
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.csrf import FormGuard, session_binding
from grantflow.web.errors import PageError
from grantflow.web.pages import Pages
from grantflow.web.site import Account, Link

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
#: A page of somebody who is signed in.
OwnPage: TypeAlias = Callable[[Request, Session], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Portal:
    pages: Pages
    guard: FormGuard
    sessions: Sessions
    settings: PortalSettings
    clock: Callable[[], datetime]
    mint: Mint

    @property
    def sandbox(self) -> bool:
        return self.pages.site.sandbox

    async def session(self, request: Request) -> Session | None:
        sent = Cookies(self.pages.site).read(request, SESSION)
        return await self.sessions.find(Secret(sent).digest(), now=self.clock()) if sent else None

    def signed_in(self, shown: OwnPage, submitted: OwnPage | None = None, *, form_at: str = "") -> Endpoint:
        """The endpoint of a page for whoever is signed in; everybody else signs in first and comes back to it.

        ``form_at`` is the path of the page whose form leads here, with the same parameters, where nothing shows at
        this one.
        """

        async def page(request: Request) -> Response:
            session = await self.session(request)
            if session is not None:
                return await (submitted if submitted and request.method == "POST" else shown)(request, session)
            if request.method == "POST":
                raise _signed_out(self._sign_in(request, form_at.format_map(request.path_params)))
            return self.pages.redirect(self._sign_in(request))

        return page

    def page(
        self,
        request: Request,
        template: str,
        session: Session | None,
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        token = self.guard.token(session_binding(session.token_hash)) if session else ""
        account = self._account(session, token) if session else None
        return self.pages.page(
            request,
            template,
            status,
            headers=headers,
            account=account,
            form_token=token,
            paths=paths,
            portal_links=LINKS,
            **context,
        )

    def environment_of(self, integration: Integration, secret: Secret | None) -> str:
        """The ``.env`` of an integration whose secret is shown now."""
        settings = self.settings
        return environment_file(
            integration,
            secret,
            api_url=settings.api_url,
            authorization_endpoint=settings.authorization_endpoint,
            platform=self.pages.site.name,
            connected_apps_url=settings.connected_apps_url,
        )

    def check(self, request: Request, form: Mapping[str, str], session: Session, *, again: str) -> None:
        """Let a form of this session pass, or raise the page that says why not."""
        self.guard.check(request, form, binding=session_binding(session.token_hash), again=again)

    def proof(self, session: Session, what: str) -> str:
        """Stands in an address beside what a page is to tell: nobody else can make it say what is not so."""
        return self.guard.token(session_binding(session.token_hash, what))

    def redirect(self, path: str, **query: str | None) -> Response:
        return self.pages.redirect(with_query(path, **query))

    def _account(self, session: Session, token: str) -> Account:
        settings = self.settings
        links = settings.account_links + (settings.admin_links if session.is_admin else ())
        return Account(session.display_name, session.email, links, settings.sign_out, token)

    def _path(self, request: Request) -> str:
        """Below the prefix that the app is mounted at."""
        return request.url.path.removeprefix(self.pages.site.prefix)

    def _sign_in(self, request: Request, form_at: str = "") -> str:
        here = form_at or self._path(request) + own_query(request)
        return with_query(self.settings.sign_in, next=self.settings.seen_from_sign_in + here)


def _signed_out(sign_in: str) -> PageError:
    return PageError(
        401,
        "You were signed out meanwhile",
        why="Nothing was saved.",
        next_step="Sign in again in another tab, then go back in this one: your browser still has what you typed, and "
        "the form can be sent once more.",
        actions=(Link("Sign in", sign_in, "primary"),),
        kind="warning",
        reason="a form of the portal came without a living session",
    )


def version_of(fields: Mapping[str, str]) -> int:
    """The version that a form was made for; one that nothing has, where it names none."""
    text = fields.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def not_yours() -> PageError:
    """The same for what belongs to somebody else and for what was never there: nobody learns which."""
    return PageError(
        404,
        "There is no such app of yours",
        why="It was deleted, or it belongs to another account.",
        next_step="What you have registered stands under My Webex Apps.",
        actions=(Link("My Webex Apps", paths.MY_APPS, "primary"),),
        kind="info",
        reason="no integration of this person has this client id",
    )
