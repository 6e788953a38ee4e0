"""What property tests hold readers against: whatever comes is read, or refused by an error that the reader declares.

How many examples each test takes is the profile's: `quick` by default, `soak` in `./dev soak` (tests/conftest.py).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from hypothesis import strategies as st

Read = TypeVar("Read")

#: Any text that UTF-8 can carry, and any that a Python string can hold: JSON brings halves of surrogate pairs.
TEXT = st.text(st.characters(codec="utf-8"))
ANY_TEXT = st.text() | st.text(st.characters() | st.characters(categories=["Cs"]))
NONEMPTY = st.text(st.characters(codec="utf-8"), min_size=1)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)

#: Anything like a URI, with the traps of each of its parts.
URIS = st.text(st.sampled_from("aZ09:/?#[]@!$&'()*+,;=%.-_~ \\é\n"), max_size=40) | st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https", "HTTPS", "mydemoapp", "com.example", "javascript", "ftp"]),
    st.sampled_from(["host", "127.0.0.1", "[::1]", "[", "localhost:0", "u:p@host", "host:99999", "127.0.0.1:8000", ""]),
    st.sampled_from(["", "/", "/..", "/%2e%2e/x", "/a,b"]),
    st.sampled_from(["", "?code=1", "?&&", "#", "?state=%zz"]),
)

UUIDS = st.uuids().map(str)
#: To the millisecond, as times are kept and written.
MOMENTS = st.integers(0, 4_000_000_000_000).map(lambda count: datetime.fromtimestamp(count / 1000, UTC))

#: Texts that look like a time, at the ends of what times there are too.
TIMES = st.builds(
    "{}{}".format,
    st.sampled_from(["0001-01-01T00:00:00", "9999-12-31T23:59:59"]) | st.datetimes().map(datetime.isoformat),
    st.sampled_from(["Z", "", "+23:59", " 23:59", "-23:59", ".9999999Z"]),
)


def read_or_refused(read: Callable[[], Read], *declared: type[Exception]) -> Read | None:
    """What was read; None where it was refused in a declared way. Anything else that is raised fails the test."""
    try:
        return read()
    except declared:
        return None
