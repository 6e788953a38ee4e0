"""What becomes of an error that has no caller: one of whoever watches is theirs and stops no refresh, and what is done
meanwhile is tried again."""

import logging

from grantflow.client.events import Event

_logger = logging.getLogger("grantflow")


def not_taken(event: Event, error: BaseException) -> None:
    _logger.error(
        "on_event failed on %s of grant %s and is called with it again in a minute or more: %s: %s",
        event.kind,
        event.grant_id,
        type(error).__name__,
        error,
        exc_info=error,
    )


def not_done(key: object, error: BaseException) -> None:
    _logger.error("%s: this failed and is tried again: %s: %s", key, type(error).__name__, error, exc_info=error)
