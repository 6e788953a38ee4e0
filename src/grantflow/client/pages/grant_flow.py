"""The way through the grant: the click, the answer at the redirect URI, and the pages that say what came of it."""

import logging
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from grantflow.client.errors import GrantflowError
from grantflow.client.pages.about import in_plain_words
from grantflow.client.pages.endings import ENDINGS, ending_of, particulars
from grantflow.client.pages.mount import CONNECT, DECLINED, GRANTED, LANDING, WENT_WRONG, Mount
from grantflow.client.pages.pending_cookies import discard, keep
from grantflow.client.pending import check_return_to
from grantflow.web.headers import page_headers
from grantflow.web.pages import Message
from grantflow.web.site import Link

log = logging.getLogger("grantflow.pages")

#: Marks who was sent to the redirect URI's origin already: behind a proxy that changes the Host header we would send
#: them there for ever.
_MOVED = "moved"


@dataclass(frozen=True, slots=True)
class GrantFlow:
    mount: Mount

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
        mount = self.mount
        answer = "?" + request.scope["query_string"].decode("latin-1")
        try:
            grant = await mount.integration.complete_authorization(answer, request.cookies)
        except GrantflowError as error:
            return self._without_grant(error)
        response = self._redirect(mount.site.url(mount.notes.address(GRANTED, return_to=grant.return_to or "")))
        mount.viewers.welcome(response, grant)
        discard(response, grant.cookie_name)
        return response

    async def granted(self, request: Request) -> Response:
        mount = self.mount
        grant = await mount.viewers.grant(request)
        if grant is None:
            return mount.pages.redirect(LANDING)
        note = mount.notes.read(request, GRANTED) or {}
        return mount.pages.page(
            request,
            "granted.html",
            referrer="no-referrer",
            about=mount.about,
            grant=grant,
            scopes=in_plain_words(grant.scopes),
            missing=in_plain_words(mount.integration.scopes.beyond(grant.scopes)),
            go_on=mount.site.origin + note["return_to"] if note.get("return_to") else None,
            again=mount.connect_address(grant=grant.id),
        )

    async def declined(self, request: Request) -> Response:
        return self._ending(request, DECLINED)

    async def went_wrong(self, request: Request) -> Response:
        return self._ending(request, WENT_WRONG)

    def _without_grant(self, error: GrantflowError) -> Response:
        mount, name, reference = self.mount, ending_of(error), self.mount.new_reference()
        level = logging.ERROR if ENDINGS[name].for_operator else logging.INFO
        log.log(level, "A grant flow ended without a grant, %s: %s (reference %s)", name, error, reference)
        path = DECLINED if ENDINGS[name].declined else WENT_WRONG
        note = mount.notes.address(path, ending=name, reference=reference, **particulars(error))
        response = self._redirect(mount.site.url(note))
        if error.cookie_name:
            discard(response, error.cookie_name)
        return response

    def _ending(self, request: Request, path: str) -> Response:
        """The page for one row of `ENDINGS`. Without a note nobody was sent here: then there is nothing to say."""
        mount = self.mount
        note = mount.notes.read(request, path)
        if note is None:
            return mount.pages.redirect(LANDING)
        ending, about = ENDINGS[note["ending"]], mount.about
        words = {"integration": about.name, "platform": about.platform, "operator": about.operator, **note}
        wrong_account = "grant" in note
        again = mount.connect_address(grant=note.get("grant"), return_to=note.get("return_to"), switch=wrong_account)
        message = Message(
            title=ending.title.format_map(words),
            why=ending.why.format_map(words),
            next_step=ending.next_step.format_map(words),
            kind=ending.kind,
            actions=(
                Link(ending.again, again, "primary"),
                Link("Go to the start page", LANDING),
            ),
            reference="" if ending.declined else note["reference"],
        )
        headers = {"Retry-After": note["retry_after"]} if "retry_after" in note else None
        return mount.pages.message(request, message, ending.status, referrer="no-referrer", headers=headers)

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
            log.info("return_to is not a path of this site and was left out")
            return None

    def _redirect(self, address: str) -> Response:
        """303 to an address that was made here; the address that is left stays out of the Referer header."""
        headers = page_headers(self.mount.site, referrer="no-referrer")
        return RedirectResponse(address, status_code=303, headers=headers)
