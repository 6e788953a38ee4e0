"""The living client in requests: a transport adapter, which sees each request that leaves, redirected ones too."""

import re
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from grantflow.client.bodies import Body, Reading, body_of
from grantflow.client.integration import Integration
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.calls import REFUSAL_LIMIT, TOO_LONG_A_REFUSAL, Calls
from grantflow.client.steps import Call
from grantflow.protocol.bearer import write_bearer

#: An address with a scheme of its own; one may also stand in a query, where it says nothing.
_WHOLE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
#: In bytes.
_CHUNK: Final = 16 * 1024


class GrantSession(requests.Session):
    """A session for one person's calls; relative addresses lie under the API's URL."""

    def __init__(self, integration: Integration, person_id: str, *, owner: str | None = None) -> None:
        super().__init__()
        self._base = f"{integration.configuration.api_url}/"
        carry_grant(self, integration, person_id, owner=owner)

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        # As httpx2 merges them: a path with a slash in front lies under the API's URL too.
        address = (url.decode() if isinstance(url, bytes) else str(url)).lstrip()
        if not _WHOLE.match(address):
            address = self._base + address.removeprefix("/")
        return super().request(method, address, *args, **options)


def carry_grant(
    session: requests.Session, integration: Integration, person_id: str, *, owner: str | None = None
) -> None:
    """Let every request of any session carry the person's token; what it carried before is replaced.

    Its adapters stay and do the sending. Calls raise what those of `client_for` raise; `ForeignOrigin` for each
    address outside of the API, also where the API redirects there: nothing is sent.
    """
    calls = integration.calls_for(person_id, owner=owner)
    for prefix, adapter in list(session.adapters.items()):
        session.mount(prefix, GrantAdapter(calls, through=adapter))


class GrantAdapter(BaseAdapter):
    """Sends through another adapter, with a living token, and once more with a new one where the API refuses it."""

    def __init__(self, calls: Calls[Shell], *, through: BaseAdapter) -> None:
        super().__init__()
        self._calls = calls
        self._through = through

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        at, body = urlsplit(request.url or ""), _remembered(request)
        refused: list[requests.Response] = []
        with closing(self._calls.begin(at.scheme, at.hostname or "", at.port, replayable=body.replayable)) as run:
            while call := self._calls.shell.until_call(run):
                response = self._through.send(_carrying(call, request, body), *args, **options)
                run.feed(response.status_code)
                if run.step is not None:
                    refused.append(_read(response))
        answer = response if response not in refused else refused.pop()
        answer.history[:0] = refused
        return answer

    def close(self) -> None:
        self._through.close()


@lru_cache(maxsize=64)
def _host_and_port(netloc: str) -> tuple[str, int | None]:
    at = urlsplit(f"//{netloc}")
    return at.hostname or "", at.port


def _carrying(call: Call, request: requests.PreparedRequest, body: Body) -> requests.PreparedRequest:
    # A copy, since the session makes redirected requests from the original: that one never holds a token. Its own
    # copy() copies the cookies as well, which takes longer than all the rest.
    carrying = requests.PreparedRequest()
    vars(carrying).update(vars(request))
    carrying.headers = request.headers.copy()
    if call.again:
        body.rewind()
    carrying.headers["Authorization"] = write_bearer(call.access_token)
    return carrying


def _read(response: requests.Response) -> requests.Response:
    """Read a refusal whole, so that its connection can serve the second try."""
    read = bytearray()
    for chunk in response.iter_content(8192):
        read += chunk
        if len(read) > REFUSAL_LIMIT:
            response.close()
            raise requests.ConnectionError(TOO_LONG_A_REFUSAL, response=response)
    response._content = bytes(read)
    return response


class _Resent:
    """A body that cannot tell where it stands, so that requests, and urllib3 for a retry, would go on reading it where
    it has ended. It stays in the request of the session, which makes redirected ones from that."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.reading = Reading(_body_of(body))

    def __iter__(self) -> Iterator[bytes]:
        again = self.reading.has_begun
        self.reading.begin()
        body = _anew(self._body) if again else self._body
        chunks = iter(lambda: body.read(_CHUNK) or b"", b"") if hasattr(body, "read") else iter(body)
        return self.reading.watch(chunks)


def _remembered(request: Any) -> Body:
    """Raises BodyNotReplayable."""
    body = request.body
    if isinstance(body, _Resent):
        body.reading.check()
        return body.reading.body
    if body is None or isinstance(body, str | bytes | bytearray) or hasattr(body, "tell"):
        return body_of(body, None)
    request.body = resent = _Resent(body)
    return resent.reading.body


def _body_of(body: Any) -> Body:
    if not _is_multipart_encoder(body):
        return body_of(body, None)
    parts = body.fields.items() if hasattr(body.fields, "items") else body.fields
    files = [part[1] if isinstance(part, list | tuple) else part for _, part in parts]
    each = [body_of(file, None) for file in files]
    return Body(all(one.replayable for one in each), tuple(file for one in each for file in one.files))


def _is_multipart_encoder(body: Any) -> bool:
    """The one of requests_toolbelt, by which both of Webex's SDKs upload files: it is read once, and can be made anew
    from what it was made of."""
    return type(body).__name__ == "MultipartEncoder" and hasattr(body, "boundary_value") and hasattr(body, "fields")


def _anew(body: Any) -> Any:
    if not _is_multipart_encoder(body):
        return body
    return type(body)(body.fields, boundary=body.boundary_value, encoding=body.encoding)
