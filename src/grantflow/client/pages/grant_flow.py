"""The way through the grant: the click, and the answer that comes to the redirect URI (RFC 6749 section 4.1)."""

import logging
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from grantflow.client.errors import GrantflowError, MissingCode
from grantflow.client.pages.mount import CONNECT, Mount
from grantflow.client.pages.outcomes import Outcomes
from grantflow.client.pages.pending_cookies import discard, keep
from grantflow.client.pending import check_return_to
from grantflow.web.headers import page_headers

log = logging.getLogger("grantflow.pages")

#: Marks who was sent to the redirect URI's origin already: behind a proxy that changes the Host header we would send
#: them there for ever.
_MOVED = "moved"


@dataclass(frozen=True, slots=True)
class GrantFlow:
    mount: Mount
    outcomes: Outcomes

    async def connect(self, request: Request) -> Response:
        """The click on Grant: state and PKCE are made here, and the browser that clicks keeps their cookie.

        `grant` names the grant to be renewed, `return_to` a path of this origin to come back to; `switch` asks the
        platform to let the person choose another account.
        """
        if elsewhere := self._right_origin(request):
            return self._redirect(elsewhere)
        asked = request.query_params
        begun = await self.mount.integration.authorization_request(
            owner=await self.mount.viewers.owner(request),
            return_to=self._own_path(asked.get("return_to")),
            prompt="select_account" if asked.get("switch") else None,
            grant=asked.get("grant"),
        )
        response = self._redirect(begun.url)
        keep(response, begun.cookie, already=request.cookies)
        return response

    async def redirect_uri(self, request: Request) -> Response:
        """The answer of the platform: exchanged at once, and away from the address that holds the code."""
        if request.method != "GET":  # a program that looks ahead with HEAD must not spend the person's code
            raise HTTPException(405, headers={"Allow": "GET"})
        if not request.query_params:
            nothing = MissingCode("The redirect URI was opened without any answer of the platform.")
            return self._redirect(self.outcomes.address_of(nothing))
        answer = "?" + request.scope["query_string"].decode("latin-1")
        try:
            grant = await self.mount.integration.complete_authorization(answer, request.cookies)
        except GrantflowError as error:
            response = self._redirect(self.outcomes.address_of(error))
            discard(response, error.cookie_name)
            return response
        response = self._redirect(self.outcomes.address_of(grant))
        self.mount.viewers.welcome(response, grant)
        discard(response, grant.cookie_name)
        return response

    def _right_origin(self, request: Request) -> str | None:
        """Where to go first if this is another origin than the redirect URI's: the cookie would not come back.

        The Host header only decides whether we send the person to our own address, never where that is.
        """
        site, query = self.mount.site, request.query_params
        here = request.headers.get("host", "").lower()
        if _MOVED in query or here == urlsplit(site.origin).netloc:
            return None
        return f"{site.public_url(CONNECT)}?{urlencode([*query.multi_items(), (_MOVED, '1')])}"

    def _own_path(self, return_to: str | None) -> str | None:
        if not return_to:
            return None
        try:
            return check_return_to(return_to, redirect_uri=self.mount.site.origin)
        except ValueError:
            log.info("return_to leads to another site and was left out")
            return None

    def _redirect(self, address: str) -> Response:
        """303 to an address that was made here; the address that is left stays out of the Referer header."""
        headers = page_headers(self.mount.site, referrer="no-referrer")
        return RedirectResponse(address, status_code=303, headers=headers)
