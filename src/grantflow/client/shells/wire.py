"""From our requests and responses to the HTTP library's and back; and the connections that are shared."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from grantflow.client import judging
from grantflow.client.errors import UnknownPerson
from grantflow.client.steps import Unanswered
from grantflow.protocol.http import Request, Response

#: The most that an answer of the token endpoint may hold, in bytes.
ANSWER_LIMIT: Final = 1024 * 1024
USER_AGENT: Final = "grantflow"

#: No answer came, or one that cannot be read: cut short, in another coding than its headers say; or it was refused by
#: a host application's `raise_for_status`.
NO_USABLE_ANSWER: Final = (httpx2.HTTPError, httpx2.StreamError)
_NEVER_LEFT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
# Many servers close a connection that has rested for five seconds (uvicorn, Node, our platform), and so would we by the
# library's default: in the same moment, so that now and then a call was sent into a closing one. What still meets one
# is sent once more where that is safe (repeating.py).
MANY: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=3.0)
# A connection that was kept may be dead without our knowing, and a refresh request is not to be lost on one.
FRESH_EACH_TIME: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=0)


#: In seconds: enough to read what has come, and far less than the lease lasts beyond the deadline.
MOMENT: Final = 1.0


class Remaining(dict[str, float]):
    """The timeouts of one request, in seconds: each phase gets what the phases before it have left of the deadline.

    Half of it is for the answer. A request that has found no connection in the other half is not sent any more: its
    answer might be dropped on the way, and with a platform that swaps refresh tokens that would cost the grant. So
    would one that came in time, to a process that was stopped until the time was over: what lies there is read.

    `ends_reading`: whether the HTTP library is to end a read, since nobody else does.
    """

    def __init__(
        self,
        deadline: float,
        *,
        monotonic: Callable[[], float],
        since: float | None = None,
        ends_reading: bool = True,
    ) -> None:
        super().__init__()
        self.deadline = deadline
        self._monotonic = monotonic
        self.end = (monotonic() if since is None else since) + deadline
        self._ends_reading = ends_reading
        self._is_over = False

    @property
    def seconds(self) -> float:
        return self.end - self._monotonic()

    def to_connect(self) -> float:
        """Raises Unanswered where none is left. The moment for reading is none for sending anything more."""
        left = self.seconds - self.deadline / 2
        if left <= 0 or self._is_over:
            raise Unanswered(f"no connection within {self.deadline / 2:g} s, so nothing was sent", sent=False)
        return left

    def to_answer(self) -> float:
        """Raises Unanswered where none is left."""
        left = self.seconds
        if left <= 0:
            raise too_late(self.deadline)
        return left

    def to_read(self) -> float:
        """What is left, and a moment where it is found to be over. Raises Unanswered where that is over too."""
        if self.seconds <= 0 and not self._is_over:
            self._is_over = True
            self.end = self._monotonic() + MOMENT
        return self.to_answer()

    def get(self, phase: str, default: object = None, /) -> float:
        """What the HTTP library asks, before it connects, and again before it writes the headers and the body."""
        if phase == "connect":
            return self.to_connect()
        if phase == "read":
            return self.to_read() if self._ends_reading else inf
        if phase == "write":
            self.to_connect()
        return self.to_answer()


def outgoing(request: Request, *, timeouts: Remaining) -> httpx2.Request:
    headers = {"user-agent": USER_AGENT, **request.headers}
    extensions = {"timeout": timeouts}
    return httpx2.Request(request.method, request.url, headers=headers, content=request.body, extensions=extensions)


def incoming(response: httpx2.Response, body: bytearray) -> Response:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status_code, headers, bytes(body))


def silence(error: httpx2.HTTPError | httpx2.StreamError) -> Unanswered:
    words = str(error) or type(error).__name__
    if isinstance(error, httpx2.HTTPStatusError):
        return Unanswered(f"an answer that is none ({error.response.status_code})")
    told = "an answer that cannot be decoded" if isinstance(error, httpx2.DecodingError) else "no answer"
    return Unanswered(f"{told} ({words})", sent=not isinstance(error, _NEVER_LEFT))


def unidentified(error: httpx2.HTTPError | httpx2.StreamError) -> Exception:
    """What a host's own `identify` met: a platform that is away, or an answer that says that it asks the wrong thing,
    which no waiting mends."""
    if not isinstance(error, httpx2.HTTPStatusError) or not 400 <= error.response.status_code < 500:
        return silence(error)
    status, request = error.response.status_code, error.request
    if judging.is_passing(status):
        return silence(error)
    url = f"{request.url.scheme}://{request.url.netloc.decode()}{request.url.path}"
    return UnknownPerson(
        f"identify failed: {request.method} {url} was answered {status}, so it is not known who granted. "
        "Correct the address that your identify asks, or the scopes that it needs."
    )


def too_late(deadline: float) -> Unanswered:
    return Unanswered(f"no answer within {deadline:g} s")


def check_size(body: bytearray) -> None:
    if len(body) > ANSWER_LIMIT:
        raise Unanswered(f"an answer of more than {ANSWER_LIMIT} bytes")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a shell connects to: the API and its further origins, and the token endpoint."""

    api: str
    origins: tuple[str, ...]
    token_endpoint: str

    def ssl_context(self) -> ssl.SSLContext:
        """Made once and shared: reading the authorities' certificates takes tens of milliseconds. Where nothing is
        https it knows none of them, and so trusts nobody."""
        secure = any(url.startswith("https:") for url in (self.api, *self.origins, self.token_endpoint))
        return httpx2.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for that address, as for other programs."""
    parts = urlsplit(url)
    proxies = getproxies()
    return None if proxy_bypass(parts.netloc) else proxies.get(parts.scheme) or proxies.get("all")
