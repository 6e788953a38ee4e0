"""Long lists in pages: an opaque cursor, and the one Link header that leads to the next page (RFC 8288).

The cursor travels in a parameter of its own: a known client sends its own `before` again on top of the link's, and
would otherwise read the same page for ever.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from grantflow.protocol.bearer import ApiError
from grantflow.protocol.http import write_form
from grantflow.protocol.timestamp import read_timestamp, write_timestamp
from grantflow.resource_server.records import Cursor

Item = TypeVar("Item")

_CURSOR = re.compile(r"(\S+) ([0-9a-f-]{36}) ([^\0]*)")


def write_cursor(cursor: Cursor) -> str:
    text = f"{write_timestamp(cursor.at)} {cursor.id} {cursor.name}"
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def read_cursor(query: Mapping[str, str]) -> Cursor | None:
    """Where the page begins; None: at the start.

    Raises:
        ApiError: 400 where the cursor was not made here.
    """
    text = query.get("cursor")
    if text is None:
        return None
    try:
        return _read(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except (ValueError, OverflowError) as error:
        raise ApiError(400, "The parameter 'cursor' must come from the Link header of the page before.") from error


def _read(text: str) -> Cursor:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise ValueError("no cursor")
    at, identifier, name = match.groups()
    return Cursor(identifier, read_timestamp(at), name)


def cut(items: Sequence[Item], *, size: int) -> tuple[Sequence[Item], Item | None]:
    """A page of ``size`` from a list that was loaded one longer, and its last item if more follow."""
    page = items[:size]
    return page, page[-1] if len(items) > size else None


def next_url(url: str, query: Mapping[str, str], *, after: Cursor | None) -> str | None:
    """The address of the next page: the query as it came, from the cursor on; None without a cursor."""
    if after is None:
        return None
    return f"{url}?{write_form({**query, 'cursor': write_cursor(after)}.items()).decode('ascii')}"
