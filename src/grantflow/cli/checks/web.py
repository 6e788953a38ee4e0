"""How a check asks a server."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from socket import create_connection
from urllib.parse import urlsplit

import httpx2

from grantflow.cli.own import port_in
from grantflow.protocol.http import Request, Response

Clock = Callable[[], datetime]

_PATIENCE = 10.0


class Web:
    """Asks servers, and remembers how far the platform's clock is from ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._context = httpx2.create_ssl_context()
        self._client = httpx2.Client(timeout=_PATIENCE, verify=self._context, headers={"user-agent": "grantflow"})

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, request: Request) -> tuple[Response, float | None]:
        """The answer, and by how many seconds its Date is ahead of us. Raises httpx2.HTTPError."""
        sent_at = self._clock()
        answer = self._client.request(
            request.method, request.url, headers=dict(request.headers), content=request.body or None
        )
        between = sent_at + (self._clock() - sent_at) / 2
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.content), _seconds_ahead(headers.get("date"), between)

    def certificate_of(self, url: str) -> datetime:
        """Until when it is good, after its chain and its name have been checked. Raises OSError."""
        parts = urlsplit(url)
        with (
            create_connection((parts.hostname or "", port_in(parts)), timeout=_PATIENCE) as plain,
            self._context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            certificate = secure.getpeercert() or {}
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def _seconds_ahead(date: str | None, moment: datetime) -> float | None:
    try:
        return (parsedate_to_datetime(date or "") - moment).total_seconds()
    except (TypeError, ValueError):
        return None


def words_of(error: Exception) -> str:
    return str(error) or type(error).__name__
