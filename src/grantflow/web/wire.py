"""Between Starlette's requests and responses and the protocol's: bounded bytes in, bytes out, a tracking id on each."""

import re
from collections.abc import Callable
from uuid import UUID

from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from grantflow.protocol.errors import InvalidRequest, RequestTooLarge
from grantflow.protocol.http import FORM_LIMIT, Request, Response

_TRACKING_ID = re.compile(r"[A-Za-z0-9_\-.:]{1,128}")


async def read_request(request: HttpRequest, *, limit: int = FORM_LIMIT) -> Request:
    """The whole request as a protocol value.

    Raises:
        RequestTooLarge: the body is larger than ``limit`` bytes; reading stops there.
        InvalidRequest: a header that says who asks was sent twice.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise RequestTooLarge(f"The body is larger than {limit} bytes.")
        chunks.append(chunk)
    if len(request.headers.getlist("authorization")) > 1:
        raise InvalidRequest("The Authorization header was sent more than once; send it once.")
    return Request(request.method, str(request.url), dict(request.headers), b"".join(chunks))


def write_response(response: Response) -> HttpResponse:
    return HttpResponse(response.body, status_code=response.status, headers=dict(response.headers))


def tracking_id(request: HttpRequest, *, mint_uuid: Callable[[], UUID]) -> str:
    """The client's own TrackingID where it sent a plain one, else a new one; it stands in the answer and the log."""
    sent = request.headers.get("trackingid", "")
    return sent if _TRACKING_ID.fullmatch(sent) else f"ROUTERGW_{mint_uuid()}"
