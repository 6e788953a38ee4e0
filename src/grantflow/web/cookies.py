"""Cookies of one app: names that no other app of the host shares, and attributes that are never forgotten."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from grantflow.web.site import Site

#: The short name of the platform's session cookie: its value is 32 random bytes as base64url text, of which the
#: sessions table keeps the SHA-256 alone.
SESSION = "session"


@dataclass(frozen=True, slots=True)
class Cookies:
    """Sets, reads and clears cookies by their short names (`session`, `visitor`).

    Over https the full name begins with `__Host-`, so that no other host or path can set it (RFC 6265bis section
    4.1.3.2). Over http it does not: Safari drops Secure cookies on http://localhost. All ports of a host share their
    cookies, so role and port stand in the name; the roles of one platform read the same ones, whatever their ports.
    """

    site: Site

    def name(self, short: str) -> str:
        port = urlsplit(self.site.cookies_of or self.site.base_url).port
        parts = ["grantflow", self.site.role, *([str(port)] if port else []), short]
        return ("__Host-" if self.site.https else "") + "_".join(parts)

    def read(self, request: Request, short: str) -> str | None:
        """The value that the browser sent, or None. It is a stranger's text until something has vouched for it."""
        return request.cookies.get(self.name(short)) or None

    def set(self, response: Response, short: str, value: str, *, max_age: int | None = None) -> None:
        """`max_age` is in seconds; without it the cookie goes when the browser closes."""
        response.set_cookie(
            self.name(short),
            value,
            max_age=max_age,
            path="/",
            secure=self.site.https,
            httponly=True,
            samesite="lax",
        )

    def clear(self, response: Response, short: str) -> None:
        response.delete_cookie(self.name(short), path="/", secure=self.site.https, httponly=True, samesite="lax")
