"""Tells a form that our own page sent from one that another site made the browser send (RFC 6749 section 10.12)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from grantflow.web.cookies import Cookies
from grantflow.web.errors import PageError
from grantflow.web.site import Link, Site

FORM_FIELD = "form_token"
VISITOR = "visitor"
VISITOR_SECONDS = 86_400
_VISITOR_ID = re.compile(r"[A-Za-z0-9_-]{16,128}")


def session_binding(token_hash: bytes, what: str = "") -> str:
    """What a form of a session is bound to, in whichever role's pages it stands, and to one matter where named."""
    return f"{token_hash.hex()} {what}".rstrip()


@dataclass(frozen=True, slots=True)
class FormGuard:
    """Makes and checks the hidden token of forms.

    The token is an HMAC of what the form is bound to: the session's id, or, where nobody is signed in yet, the id in
    the visitor cookie. `key` (32 bytes or more) is the same on every node. `mint` makes unguessable URL-safe text.
    """

    site: Site
    key: bytes = field(repr=False)
    mint: Callable[[], str]

    def token(self, binding: str) -> str:
        summed = hmac.new(self.key, b"form\0" + binding.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(summed).rstrip(b"=").decode("ascii")

    def visitor(self, request: Request) -> str:
        """The id of a browser that is not signed in: from its cookie, or a new one to be remembered."""
        sent = Cookies(self.site).read(request, VISITOR) or ""
        return sent if _VISITOR_ID.fullmatch(sent) else self.mint()

    def remember(self, response: Response, visitor: str) -> Response:
        Cookies(self.site).set(response, VISITOR, visitor, max_age=VISITOR_SECONDS)
        return response

    def check(self, request: Request, form: Mapping[str, str], *, binding: str | None, again: str = "/") -> None:
        """Let the form pass, or raise the page that explains why not.

        `binding` is what the token was made from; None where the session is gone. `again` is the path of the page
        that holds a fresh form.

        Raises:
            PageError: 403, sent by another site; 400, the token is missing, of another session or browser.
        """
        self._check_origin(request, again)
        given = form.get(FORM_FIELD, "")
        expected = self.token(binding) if binding else ""
        if not (expected and hmac.compare_digest(given.encode(), expected.encode())):
            raise PageError(
                400,
                "This form has expired",
                why="It was opened before you signed in or out, or its cookie is gone. Nothing was changed.",
                next_step="Open the form again and send it once more.",
                actions=(Link("Open the form again", again, "primary"),),
                kind="warning",
                reason="the form token is missing or does not belong to this session",
            )

    def _check_origin(self, request: Request, again: str) -> None:
        """Browsers say where a form came from; programs and old browsers do not, and the token alone decides.

        What Sec-Fetch-Site and Origin say must agree where both are there. An Origin of `null` says nothing, and on a
        developer's machine people may open the site by another of its names (localhost for 127.0.0.1). What
        Sec-Fetch-Site calls same-site may be any port of this host: the siblings' alone pass.
        """
        fetch_site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if fetch_site is None and origin is None:
            return
        if fetch_site in ("same-origin", "none") and (origin in (None, "null") or self.site.is_own(origin)):
            return
        if fetch_site in ("same-site", None) and origin in self.site.origins:
            return
        sender = origin if origin and origin != "null" else "another site"
        raise PageError(
            403,
            "This form came from another site",
            why=f"Your browser says that {sender} sent it, and only {self.site.origin} may. Nothing was changed.",
            next_step="Open the form here and send it again. If you run this site, compare its public address setting "
            "with the address in the browser.",
            actions=(Link("Open the form here", again, "primary"),),
            reason=f"Origin {origin!r}, Sec-Fetch-Site {fetch_site!r}",
        )
