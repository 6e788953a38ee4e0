"""A FastAPI application whose users connect their account: pages, signed-in user, and a path that calls in their name.

The redirect URI lies in a folder of its own:
export GRANTFLOW_REDIRECT_URI="${GRANTFLOW_REDIRECT_URI%/oauth}/webex/oauth"
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from urllib.parse import urlsplit

import uvicorn
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from own import settings
from starlette.middleware.sessions import SessionMiddleware

from grantflow import AsyncIntegration
from grantflow.client.adapters.fastapi import mount
from grantflow.client.pages import About
from grantflow.client.shells.clients import AsyncGrantClient

integration = AsyncIntegration(**settings(below="/webex"))


@asynccontextmanager
async def closing(_: FastAPI) -> AsyncIterator[None]:
    async with integration:
        yield


app = FastAPI(lifespan=closing)
app.add_middleware(SessionMiddleware, secret_key=integration.mint(32))


def signed_in(request: Request) -> str:
    """Your application's own user. Whoever is not signed in is sent to sign in first."""
    user: str | None = request.session.get("user")
    if user is None:
        raise HTTPException(303, headers={"Location": "/sign-in"})
    return user


webex = mount(app, integration, About("Space list", does="See your spaces here"), owner_of=signed_in, home="/")


@app.get("/")
async def spaces(client: Annotated[AsyncGrantClient, Depends(webex.client)]) -> list[str]:
    rooms = (await client.get("rooms")).raise_for_status().json()["items"]
    return [room["title"] for room in rooms]


@app.get("/sign-in")
async def sign_in() -> HTMLResponse:
    """Any name will do here; yours asks for more."""
    return HTMLResponse('<form method="post"><input name="user" aria-label="Name"><button>Sign in</button></form>')


@app.post("/sign-in")
async def signed(request: Request, user: Annotated[str, Form()]) -> Response:
    request.session["user"] = user
    return RedirectResponse("/", 303)


if __name__ == "__main__":
    # Without its log of requests, which would hold the codes.
    uvicorn.run(app, port=urlsplit(integration.redirect_uri).port or 8000, access_log=False)
