"""Errors that a person sees: a page with what happened, why, what to do, and an id that the log holds too."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from grantflow.protocol.errors import TemporarilyUnavailable
from grantflow.web.headers import page_headers
from grantflow.web.pages import Message, MessageKind, Pages
from grantflow.web.site import Link

log = logging.getLogger("grantflow.web")

Handler = Callable[[Request, Exception], Awaitable[Response]]


class PageError(Exception):
    """Ends a request with a page for the person.

    `why`, `details` and `next_step` are shown; `reason` goes to the log alone and may say more, but never a secret.
    `kind` is the page's colour: something that merely came too late need not look like an accident.
    """

    def __init__(
        self,
        status: int,
        title: str,
        *,
        why: str,
        next_step: str,
        actions: tuple[Link, ...] = (),
        kind: MessageKind = "danger",
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        details: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(title)
        self.status = status
        self.message = Message(title, why=why, next_step=next_step, kind=kind, actions=actions, details=details)
        self.reason = reason
        self.headers = dict(headers or {})


def error_handlers(pages: Pages, *, new_reference: Callable[[], str]) -> dict[Any, Handler]:
    """For `Starlette(exception_handlers=...)`: no error of this app ends in a bare line or a traceback.

    `new_reference` mints the id that the page shows and the log repeats.
    """

    async def answer(request: Request, error: PageError, *, cause: Exception | None = None) -> Response:
        reference = new_reference()
        log.log(
            logging.ERROR if error.status >= 500 else logging.INFO,
            "%s %s was answered %d, %s: %s (reference %s)",
            request.method,
            request.url.path,
            error.status,
            error.message.title,
            error.reason or error.message.why,
            reference,
            exc_info=cause,
        )
        message = replace(error.message, reference=reference)
        if prefers_json(request.headers.get("accept", "")):
            return _problem(pages, message, error.status, error.headers)
        return pages.message(request, message, error.status, headers=error.headers)

    async def on_page_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, PageError)
        return await answer(request, error)

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await answer(request, _page_error(error))

    async def on_unavailable(request: Request, error: Exception) -> Response:
        assert isinstance(error, TemporarilyUnavailable)
        return await answer(request, _unavailable(error))

    async def on_crash(request: Request, error: Exception) -> Response:
        return await answer(request, _CRASH, cause=error)

    return {
        PageError: on_page_error,
        HTTPException: on_http_exception,
        TemporarilyUnavailable: on_unavailable,
        Exception: on_crash,
    }


_HOME = (Link("Go to the start page", "/", "primary"),)

_CRASH = PageError(
    500,
    "Something went wrong here",
    why="The fault is ours, not yours. It has been written down.",
    next_step="Try again in a moment. If it happens again, tell whoever runs this service the reference below.",
    actions=_HOME,
    reason="an exception that nobody caught",
)

_KNOWN: dict[int, tuple[str, str, str]] = {
    404: (
        "This page does not exist",
        "The address may be mistyped, or what it showed has been removed.",
        "Check the address, or go on from the start page.",
    ),
    405: (
        "This address cannot be opened like that",
        "It takes part in a form or another program's request and shows nothing by itself.",
        "Go back to the page you came from and use its buttons.",
    ),
    413: (
        "That was too much to send",
        "The form or file is larger than this service takes.",
        "Go back and send something smaller.",
    ),
}


def _unavailable(error: TemporarilyUnavailable) -> PageError:
    return PageError(
        503,
        "This does not work just now",
        why="The service cannot reach its records at the moment. Nothing was changed.",
        next_step="Wait a moment, then try again.",
        kind="warning",
        reason=error.reason,
        headers={"Retry-After": str(error.retry_after or 1)},
    )


def _page_error(error: HTTPException) -> PageError:
    phrase = HTTPStatus(error.status_code).phrase.lower()
    title, why, next_step = _KNOWN.get(
        error.status_code,
        ("This did not work", f"The service answered: {phrase}.", "Go back and try again."),
    )
    return PageError(
        error.status_code,
        title,
        why=why,
        next_step=next_step,
        actions=_HOME,
        reason=str(error.detail),
        headers=error.headers,
    )


def _problem(pages: Pages, message: Message, status: int, headers: Mapping[str, str]) -> Response:
    """The same words as JSON (RFC 9457)."""
    return JSONResponse(
        {
            "title": message.title,
            "status": status,
            "detail": f"{message.why} {message.next_step}",
            "reference": message.reference,
        },
        status_code=status,
        headers={**page_headers(pages.site), **headers},
        media_type="application/problem+json",
    )


def prefers_json(accept: str) -> bool:
    """Whether JSON is asked for before HTML; a browser's list, an empty one and `*/*` mean a page (RFC 9110 12.5.1)."""
    weights = {"html": 0.0, "json": 0.0}
    for part in accept.lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        kind = media_type.rpartition("/")[2].rpartition("+")[2]
        kind = "html" if kind == "xhtml" or media_type == "application/xhtml+xml" else kind
        if kind in weights:
            weights[kind] = max(weights[kind], _quality(parameters))
    return weights["json"] > weights["html"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
