"""What leaves: an answer as JSON, and every refusal in Webex's shape with its tracking id."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from json import JSONEncoder
from typing import Any

from grantflow.protocol.bearer import ApiError, api_error_response, refuse_token
from grantflow.protocol.errors import InsufficientScope, InvalidToken, OAuthError
from grantflow.protocol.http import JSON, Response

log = logging.getLogger("grantflow.resource_server")

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Answer:
    """200 with ``members``, or 204 without; ``next_url`` leads to the next page of a list."""

    members: Mapping[str, Any] | None = None
    next_url: str | None = None


def write_answer(answer: Answer, *, tracking_id: str) -> Response:
    headers = {"trackingid": tracking_id, "cache-control": "no-store"}
    if answer.members is None:
        return Response(204, headers)
    headers["content-type"] = JSON
    if answer.next_url is not None:
        headers["link"] = f'<{answer.next_url}>; rel="next"'
    return Response(200, headers, _encode(answer.members).encode())


def refuse(error: Exception, *, tracking_id: str, call: str) -> Response:
    """The answer to a call that failed; ``call`` names it in the log, where a fault of ours is written down."""
    if isinstance(error, InvalidToken | InsufficientScope):
        return refuse_token(error, tracking_id=tracking_id)
    if isinstance(error, OAuthError):
        if error.status >= 500:
            log.warning("%s was refused: %s (%s)", call, error.reason, tracking_id)
        error = ApiError(error.status, error.description, error.retry_after)
    if not isinstance(error, ApiError):
        log.error("%s failed (%s)", call, tracking_id, exc_info=error)
        error = ApiError(500, "Something went wrong on the server. It was written down with the tracking ID.")
    return api_error_response(error, tracking_id=tracking_id)


def refuse_method(served: Iterable[str], *, tracking_id: str) -> Response:
    allowed = ", ".join(served)
    refusal = api_error_response(
        ApiError(405, f"This resource does not serve that method; it serves {allowed}."), tracking_id=tracking_id
    )
    return replace(refusal, headers={**refusal.headers, "allow": allowed})
