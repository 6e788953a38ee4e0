"""Lockbot: everybody sees their own spaces, and locks and unlocks them, from any browser."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates

from grantflow import AsyncIntegration, Grant, KeyRing, ReauthorizationRequired, TokenEndpointError, open_vault
from grantflow.client.pages import About, Link, integration_pages

KEY = "GRANTFLOW_KEY_FILE" if os.environ.get("GRANTFLOW_KEY_FILE") else "GRANTFLOW_KEY"
NEEDED = ("GRANTFLOW_CLIENT_ID", "GRANTFLOW_CLIENT_SECRET", "GRANTFLOW_REDIRECT_URI", KEY)
if missing := [name for name in NEEDED if not os.environ.get(name)]:
    raise SystemExit(f'Not set: {", ".join(missing)}. Beside ./dev up, run: eval "$(./dev grantflow status -o env)"')

integration = AsyncIntegration(
    os.environ["GRANTFLOW_CLIENT_ID"],
    os.environ["GRANTFLOW_CLIENT_SECRET"],
    redirect_uri=os.environ["GRANTFLOW_REDIRECT_URI"],
    scopes="spark:people_read spark:rooms_read spark:rooms_write",
    vault=open_vault(os.environ.get("GRANTFLOW_VAULT", "lockbot.db"), keys=KeyRing.from_env()),
    api_url=os.environ.get("GRANTFLOW_API_URL", "https://webexapis.com/v1"),
    revocation_url=os.environ.get("GRANTFLOW_REVOCATION_URL"),  # Webex documents none
)
HOME = urlsplit(integration.redirect_uri)
pages = integration_pages(
    integration,
    About(
        "Lockbot",
        does="Lock your spaces, from wherever you are",
        lead="In a locked space only moderators add people.",
        platform=os.environ.get("GRANTFLOW_PLATFORM", ""),
        connected_apps_url=os.environ.get("GRANTFLOW_CONNECTED_APPS_URL"),
    ),
    links=(Link("Your spaces", "/spaces"),),
    home="/spaces",
)
templates = Jinja2Templates(Path(__file__).parent)


async def whose(request: Request) -> Grant:
    """The grant of the person whose browser this is; without one they are sent to grant."""
    grant = await pages.grant(request)
    if grant is None:
        raise HTTPException(303, headers={"Location": "/"})
    return grant


async def spaces(request: Request) -> Response:
    return await show_spaces(request, await whose(request))


async def show_spaces(request: Request, grant: Grant, *, refusal: str = "") -> Response:
    async with integration.client_for(grant.person_id) as webex:
        answer = await webex.get("rooms", params={"type": "group", "max": 1000})
    rooms = sorted(answer.raise_for_status().json()["items"], key=lambda room: room["title"].casefold())
    shown = {"name": grant.called, "rooms": rooms, "refusal": refusal}
    return templates.TemplateResponse(request, "spaces.html", shown, status_code=403 if refusal else 200)


async def lock(request: Request) -> Response:
    """A form's answer: lock the space, or unlock it."""
    if request.headers.get("origin") != f"{HOME.scheme}://{HOME.netloc}":
        raise HTTPException(403, "This form was sent from another site.")
    if "charset" in request.headers.get("content-type", "").lower():  # Starlette would take any codec, slow ones too
        raise HTTPException(415, "Forms are read as UTF-8 here.")
    if not 0 < int(request.headers.get("content-length", 0)) <= 10_000:
        raise HTTPException(413, "This form is too long.")
    grant = await whose(request)
    async with request.form() as form:
        room_id, is_locked = str(form.get("room")), form.get("lock") == "yes"
    if "room" not in form or "lock" not in form or not re.fullmatch("[A-Za-z0-9_=-]+", room_id):  # it becomes a path
        raise HTTPException(400, "Name a space by its id, and whether to lock it.")
    async with integration.client_for(grant.person_id) as webex:
        room = (await webex.get(f"rooms/{room_id}")).raise_for_status().json()
        answer = await webex.put(f"rooms/{room_id}", json={"title": room["title"], "isLocked": is_locked})
    if answer.status_code == 403:
        return await show_spaces(request, grant, refusal=f"Only a moderator of {room['title']} can unlock it.")
    answer.raise_for_status()
    return RedirectResponse("/spaces", status_code=303)


async def failed(request: Request, error: Exception) -> Response:
    if isinstance(error, ReauthorizationRequired):
        return RedirectResponse(error.grant_url, status_code=303)
    return PlainTextResponse(f"That did not work, try again in a moment: {error}", status_code=503)


@asynccontextmanager
async def running(_: Starlette) -> AsyncIterator[None]:
    async with integration:
        yield


app = Starlette(
    routes=[
        Route("/spaces", spaces),
        Route("/spaces", lock, methods=["POST"]),
        Mount("/", pages),
    ],
    exception_handlers=dict.fromkeys([ReauthorizationRequired, TokenEndpointError, httpx2.HTTPError], failed),
    lifespan=running,
)

if __name__ == "__main__":
    uvicorn.run(app, port=HOME.port or 8000, access_log=False)  # its log of requests would hold the codes
