"""One request, one response, and the form encoding between them (RFC 6749 appendix B)."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from grantflow.protocol.errors import InvalidClient, InvalidRequest, RepeatedParameter, RequestTooLarge
from grantflow.protocol.secret import Secret

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
_PAGES = {"text/html", "application/xhtml+xml"}
#: In characters: that of RFC 850, on a Wednesday.
_LONGEST_DATE = 33
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}

#: The most that a form may hold, in bytes: sixteen times the largest honest one.
FORM_LIMIT = 64 * 1024
FORM_FIELDS_LIMIT = 100


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """``headers`` have lower-case names. Kept out of the repr is what may hold secrets: headers, body, and the query,
    into which some clients put a token.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.url.partition('?')[0]!r})"

    @property
    def media_type(self) -> str:
        return media_type(self.headers)


@dataclass(frozen=True, slots=True)
class Response:
    """``headers`` have lower-case names. The body is kept out of the repr: it may hold secrets. ``request`` is what was
    asked, where that is known.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    request: Request | None = field(default=None, repr=False, compare=False)

    @property
    def media_type(self) -> str:
        return media_type(self.headers)


def media_type(headers: Mapping[str, str]) -> str:
    """The content type without parameters, lower case; empty where none was sent."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_page(response: Response) -> bool:
    """Whether it is a page for people: the word of a proxy or a login wall. By the body too: those are careless with
    headers."""
    return response.media_type in _PAGES or response.body.lstrip()[:1] == b"<"


def retry_after(response: Response) -> int | None:
    """Seconds, up to ten digits of them. A date (RFC 9110 section 10.2.3) counts from the answer's own Date, so that
    our clock need not be that server's; one without that, or nonsense, says nothing."""
    told = response.headers.get("retry-after", "")
    end, sent = _http_date(told), _http_date(response.headers.get("date", ""))
    if end is None or sent is None:
        return whole_number(told)
    return max(0, int((end - sent).total_seconds()))


def _http_date(text: str) -> datetime | None:
    if not text.endswith(" GMT") or len(text) > _LONGEST_DATE:
        return None
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else None


def write_form(fields: Iterable[tuple[str, str]]) -> bytes:
    return urlencode(list(fields), quote_via=quote, safe="").encode("ascii")


def read_form(body: bytes, *, limit: int = FORM_LIMIT, keep_empty: bool = False) -> dict[str, str]:
    """Read a form or a query string.

    A parameter without value counts as absent, unless ``keep_empty``; a repeated one is an error (RFC 6749 section 3.1
    and 3.2).

    Raises:
        RequestTooLarge: more than ``limit`` bytes or more than 100 fields.
        RepeatedParameter: a parameter occurs twice.
        InvalidRequest: not UTF-8.
    """
    if len(body) > limit:
        raise RequestTooLarge(f"The request is larger than {limit} bytes; an OAuth request needs far less.")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FORM_FIELDS_LIMIT,
        )
    except UnicodeDecodeError as error:
        raise InvalidRequest("The parameters are not valid UTF-8; encode them as UTF-8 first.") from error
    except ValueError as error:
        raise RequestTooLarge(f"More than {FORM_FIELDS_LIMIT} parameters were sent.") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _repeated(pairs)
    return {name: value for name, value in fields.items() if value or keep_empty}


def _repeated(pairs: list[tuple[str, str]]) -> RepeatedParameter:
    times = Counter(name for name, _ in pairs)
    names = [name for name in times if times[name] > 1]
    return RepeatedParameter(
        f"The parameter {shown(names[0])} occurs more than once; send it once.",
        names=frozenset(names),
        others={name: value for name, value in pairs if value and times[name] == 1},
    )


def shown(name: str) -> str:
    """A parameter's name as it may be repeated to the sender: short and plain."""
    plain = "".join(c for c in name if c.isascii() and (c.isalnum() or c in "_-."))
    return f"'{plain[:40]}'"


def write_basic_credentials(client_id: str, client_secret: Secret) -> str:
    """The value of the Authorization header (RFC 6749 section 2.3.1: both parts are form-encoded first)."""
    pair = f"{quote(client_id, safe='')}:{quote(client_secret.reveal(), safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def read_basic_credentials(header: str) -> tuple[str, Secret]:
    """Read ``Basic ...``.

    Raises:
        InvalidClient: the header is not well-formed.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("The Authorization header must be Basic with client_id and client_secret.")
    try:
        client_id, colon, client_secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError as error:  # of base64, of UTF-8, and of a header that is not even ASCII
        raise InvalidClient("The Basic credentials are not valid base64 of client_id:client_secret.") from error
    if not colon:
        raise InvalidClient("The Basic credentials lack the colon between client_id and client_secret.")
    return unquote_plus(client_id), Secret(unquote_plus(client_secret))
