"""The API described for programs (OpenAPI 3.1): openapi.json beside this, at the addresses where it is served.

Every path and method that is served stands in it and no other; a test holds the one against the other.
"""

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/v1/openapi.json"
_FILE = Path(__file__).with_name("openapi.json")


def description_route(api_url: str) -> Route:
    """For anybody, without a token; the same bytes each time."""
    body = json.dumps(described(api_url), ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"cache-control": "public, max-age=300"}

    async def show(request: Request) -> Response:
        return Response(body, media_type="application/json", headers=headers)

    return Route(PATH, show)


def described(api_url: str) -> dict[str, Any]:
    """``api_url`` is the public address of the API, up to ``/v1``."""
    document: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return {**document, "servers": [{"url": api_url}]}
