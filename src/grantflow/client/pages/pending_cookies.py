"""The cookies of authorizations under way, on their way to the browser and out of it (RFC 9700 section 4.7.1)."""

from collections.abc import Iterable

from starlette.responses import Response

from grantflow.client.pending import PendingCookie

#: So many a browser keeps; whoever begins more loses the oldest. Together they must fit into what proxies let pass.
MOST = 20
_SECURE = "__Host-"
_PREFIX = "grantflow-"


def keep(response: Response, cookie: PendingCookie, *, already: Iterable[str]) -> None:
    """`already` are the names of the request's cookies; browsers send the oldest first (RFC 6265 section 5.4)."""
    pending = [name for name in already if name.removeprefix(_SECURE).startswith(_PREFIX)]
    for name in pending[: len(pending) - MOST + 1] if len(pending) >= MOST else []:
        discard(response, name)
    response.headers.append("Set-Cookie", cookie.header)


def discard(response: Response, name: str | None) -> None:
    """The cookie has served. Without a name there was none."""
    if name:
        response.delete_cookie(name, secure=name.startswith(_SECURE), httponly=True, samesite="lax")
