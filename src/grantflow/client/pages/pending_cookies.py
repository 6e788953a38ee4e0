"""The cookies of authorizations under way, on their way to the browser and out of it (RFC 9700 section 4.7.1)."""

from collections.abc import Mapping

from starlette.responses import Response

from grantflow.client.pending import PendingCookie

#: So many a browser keeps, and so many bytes they may have in all: proxies let 8 KiB of headers pass, and whoever
#: exceeds them is locked out until the cookies end. Who begins more loses the oldest.
MOST = 20
_MOST_BYTES = 7_000
_SECURE = "__Host-"
_PREFIX = "grantflow-"


def keep(response: Response, cookie: PendingCookie, *, already: Mapping[str, str]) -> None:
    """`already` are the request's cookies; browsers send the oldest first (RFC 6265 section 5.4)."""
    pending = {name: value for name, value in already.items() if name.removeprefix(_SECURE).startswith(_PREFIX)}
    room, places = _MOST_BYTES - len(cookie.name + cookie.value), MOST - 1
    for name, value in reversed(pending.items()):
        room, places = room - len(name + value), places - 1
        if room < 0 or places < 0:
            discard(response, name)
    response.headers.append("Set-Cookie", cookie.header)


def discard(response: Response, name: str | None) -> None:
    """The cookie has served. Without a name there was none."""
    if name:
        response.delete_cookie(name, secure=name.startswith(_SECURE), httponly=True, samesite="lax")
