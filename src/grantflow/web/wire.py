"""Between Starlette's requests and responses and the protocol's: bounded bytes in, bytes out, a tracking id on each."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.types import Receive, Scope, Send

from grantflow.protocol.errors import InvalidRequest, RequestTooLarge
from grantflow.protocol.http import FORM_LIMIT, Request, Response

_TRACKING_ID = re.compile(rb"[A-Za-z0-9_\-.:]{1,128}")


async def read_request(request: HttpRequest, *, limit: int = FORM_LIMIT) -> Request:
    """The whole request as a protocol value.

    Its ``url`` is path and query alone: which host a request claims to be for is never believed (RFC 9700 4.13). Of a
    header that was sent twice the first is taken.

    Raises:
        RequestTooLarge: the body is larger than ``limit`` bytes; reading stops there.
        InvalidRequest: a header that says who asks was sent twice, or the body ended early.
    """
    headers = _read_headers(request)
    body = await _read_body(request, limit)
    return Request(request.method, _target(request), headers, body)


def _target(request: HttpRequest) -> str:
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


def _read_headers(request: HttpRequest) -> dict[str, str]:
    # Straight from the scope: through Starlette's Headers this is most of what a thin API call costs.
    raw = request.scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(raw)}
    if len(headers) < len(raw) and sum(name == b"authorization" for name, _ in raw) > 1:
        raise InvalidRequest("The Authorization header was sent more than once; send it once.")
    return headers


async def _read_body(request: HttpRequest, limit: int) -> bytes:
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise RequestTooLarge(f"The body is larger than {limit} bytes.")
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise InvalidRequest("The connection ended before the body did.") from error
    return b"".join(chunks)


def write_response(response: Response) -> HttpResponse:
    return HttpResponse(response.body, status_code=response.status, headers=dict(response.headers))


@dataclass(frozen=True, slots=True)
class AnyMethod:
    """For ``Route(path, AnyMethod(handler))``: the handler is asked whatever the method, HEAD and OPTIONS too, and
    refuses in its own words. (A handler alone would be given HEAD with GET, and 405 answered without it.)
    """

    handler: Callable[[HttpRequest], Awaitable[HttpResponse]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.handler(HttpRequest(scope, receive))
        await response(scope, receive, send)


def tracking_id(request: HttpRequest, *, mint_uuid: Callable[[], UUID]) -> str:
    """The client's own TrackingID where it sent a plain one, else a new one; it stands in the answer and the log."""
    for name, value in request.scope["headers"]:
        if name == b"trackingid" and _TRACKING_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return f"ROUTERGW_{mint_uuid()}"
