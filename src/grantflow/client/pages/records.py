"""The pages for when the integration's own records cannot be used: clean, temporary, and told to the operator."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from grantflow.client.errors import VaultUnavailable
from grantflow.client.pages.about import About
from grantflow.client.pages.mount import CONNECT
from grantflow.migrations import SchemaTooNew
from grantflow.sealing import SealingError
from grantflow.web.errors import PageError
from grantflow.web.site import Link

Handler = Callable[[Request, Exception], Awaitable[Response]]

#: Where an operator must do something first.
_RETRY_SECONDS = 60


def record_handlers(handlers: Mapping[Any, Handler], *, about: About) -> dict[Any, Handler]:
    """Beside the handlers that all pages share, one of which shows a `PageError`."""
    show = handlers[PageError]

    async def on_vault(request: Request, error: Exception) -> Response:
        return await show(request, _unreachable(error, about=about))

    async def on_seal(request: Request, error: Exception) -> Response:
        return await show(request, _unopened(error, about=about))

    return {**handlers, VaultUnavailable: on_vault, SchemaTooNew: on_vault, SealingError: on_seal}


def _unreachable(error: Exception, *, about: About) -> PageError:
    retry_after = error.retry_after if isinstance(error, VaultUnavailable) else _RETRY_SECONDS
    return PageError(
        503,
        "This does not work just now",
        why=f"{about.name} cannot use its own records at the moment. Nothing was changed, and your grant is unharmed.",
        next_step=f"Wait a moment, then try again. If it goes on, tell {about.operator} the reference below.",
        kind="warning",
        reason=str(error),
        headers={"Retry-After": str(max(1, round(retry_after)))},
    )


def _unopened(error: Exception, *, about: About) -> PageError:
    return PageError(
        503,
        "What is kept of your grant does not open",
        why=f"{about.name} keeps it sealed, and the seal does not open: its key or the record has been changed.",
        next_step=f"Tell {about.operator} the reference below; they can mend it, and you need do nothing. Or grant "
        "again, which takes the place of what is kept.",
        actions=(Link("Grant again", CONNECT, "primary"),),
        reason=" ".join((str(error), *getattr(error, "__notes__", ()))),
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )
