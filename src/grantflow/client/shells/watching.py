"""What becomes of an error of whoever watches: it is theirs, and stops no refresh."""

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
