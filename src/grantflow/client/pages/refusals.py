"""What a page of the host application answers where a call in a person's name could not be made.

Whoever must grant again is sent there and comes back to where they were, by way of the landing page where there is no
grant yet; what passes is told as a page with the words that all our pages use, and as JSON to programs.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from grantflow.client.errors import GrantflowError, IntegrationRefused, ReauthorizationRequired, TransientTokenError
from grantflow.client.grant import Status
from grantflow.client.pages.mount import LANDING, Mount
from grantflow.client.pages.notices import trouble
from grantflow.client.pages.records import Handler
from grantflow.client.pending import check_return_to
from grantflow.web.errors import PageError, prefers_json
from grantflow.web.headers import page_headers
from grantflow.web.site import Link

_SAFE_METHODS = ("GET", "HEAD")


async def answer_refusal(
    mount: Mount, handlers: Mapping[Any, Handler], request: Request, error: GrantflowError
) -> Response:
    """Raises the error itself where it is the host application's own doing, which no person can help."""
    if isinstance(error, ReauthorizationRequired):
        return _to_grant(mount, request, error)
    if isinstance(error, TransientTokenError | IntegrationRefused):
        return await handlers[PageError](request, _passing(mount, request, error))
    for kind, handler in handlers.items():
        if isinstance(kind, type) and issubclass(kind, GrantflowError) and isinstance(error, kind):
            return await handler(request, error)
    raise error


def _to_grant(mount: Mount, request: Request, error: ReauthorizationRequired) -> Response:
    headers = page_headers(mount.site, referrer="no-referrer")
    if prefers_json(request.headers.get("accept", "")):
        told = {"title": "The grant has ended", "status": 409, "detail": str(error), "grant_url": error.grant_url}
        return JSONResponse(told, status_code=409, headers=headers, media_type="application/problem+json")
    # Who has never granted, or has disconnected, is asked first: a platform that remembers a consent asks nobody.
    was_granted = error.grant is not None and error.grant.status is not Status.REVOKED
    address = error.grant_url if was_granted else mount.site.public_url(LANDING)
    return RedirectResponse(_and_back(address, _place_of(request, mount)), status_code=303, headers=headers)


def _and_back(address: str, return_to: str | None) -> str:
    if return_to is None:
        return address
    return address + ("&" if "?" in address else "?") + urlencode({"return_to": return_to})


def _place_of(request: Request, mount: Mount) -> str | None:
    """The page that the person was on: of a form that was sent, the page that it stood on."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    place = here if request.method in _SAFE_METHODS else request.headers.get("referer", "")
    try:
        return check_return_to(place, redirect_uri=mount.site.origin)
    except ValueError:
        return None


def _passing(mount: Mount, request: Request, error: TransientTokenError | IntegrationRefused) -> PageError:
    notice, place = trouble(error, about=mount.about, reference=""), _place_of(request, mount)
    return PageError(
        503,
        notice.title,
        why=notice.text,
        next_step="",
        kind=notice.kind,
        actions=(Link("Try again", mount.site.origin + place, "primary"),) if place else (),
        reason=str(error),
        headers={"Retry-After": str(max(1, round(error.retry_after)))},
    )
