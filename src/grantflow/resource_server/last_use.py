"""When a grant was last used, for the person's page of connected apps: kept to the minute, at no call's expense."""

import logging
from datetime import datetime, timedelta

from grantflow.protocol.errors import TemporarilyUnavailable
from grantflow.resource_server.ports import AccessTokens
from grantflow.resource_server.records import Access

log = logging.getLogger("grantflow.resource_server")

#: How old the time in the store may become before a call writes it anew.
PRECISION = timedelta(minutes=1)


class LastUse:
    """At most one write a minute for a grant, however many calls there are at once."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens
        self._writing: set[str] = set()

    async def note(self, access: Access, *, now: datetime) -> None:
        """Called after the answer was sent; a store that cannot be written costs the time, not the call."""
        if access.grant_id is None or not is_due(access, now=now) or access.grant_id in self._writing:
            return
        self._writing.add(access.grant_id)
        try:
            await self._tokens.note_use(access, now=now, unless_since=now - PRECISION)
        except TemporarilyUnavailable as error:
            log.warning("the last use of a grant was not noted: %s", error.reason)
        finally:
            self._writing.discard(access.grant_id)


def is_due(access: Access, *, now: datetime) -> bool:
    """The first use of a rotation's tokens is noted at once: until then the answer to the refresh can be had again."""
    if access.unused_successor is not None or access.grant_last_used_at is None:
        return True
    return access.grant_last_used_at <= now - PRECISION
