"""How many authorization requests may wait for a person at once: anybody can begin one, so a flood must find an end."""

from grantflow.authorization_server.records import OpenRequests
from grantflow.authorization_server.settings import Settings
from grantflow.protocol.errors import TemporarilyUnavailable

#: In seconds: requests are finished, or expire, all the time.
COME_AGAIN_AFTER = 60


class TooManyOpenRequests(TemporarilyUnavailable):
    """429: this address has too many; 503: all together are too many."""


def check_room(found: OpenRequests, *, settings: Settings) -> None:
    """Whether one more may be kept.

    Raises:
        TooManyOpenRequests: no; nothing was kept.
    """
    if found.of_address >= settings.open_requests_of_an_address:
        raise TooManyOpenRequests(
            "Too many authorization requests from this address wait for a person.",
            status=429,
            retry_after=COME_AGAIN_AFTER,
        )
    if found.in_all >= settings.open_requests:
        raise TooManyOpenRequests(
            "Too many authorization requests wait for a person.", status=503, retry_after=COME_AGAIN_AFTER
        )
