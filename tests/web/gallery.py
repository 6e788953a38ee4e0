"""Every component in use on pages like the real ones, to be looked at and searched for barriers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from grantflow.protocol.scope import meaning
from grantflow.web.errors import PageError, error_handlers
from grantflow.web.forms import read_form
from grantflow.web.pages import Message, Pages
from grantflow.web.site import Account, Link, Role, Site

TEMPLATES = Path(__file__).parent / "templates"
SCOPES = [(name, meaning(name)) for name in ("spark:people_read", "spark:rooms_read", "spark:messages_write")]
NOW = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
TOKEN = "gallery-form-token"
ACCOUNT = Account(
    "Sample Person",
    "sample.person@sandbox.example",
    (Link("Connected apps", "/connected"), Link("My apps", "/app")),
    "/sign-out",
    TOKEN,
)
LONG = "An integration whose name somebody made as long as the form allowed, without thinking of phones"
APPS = [
    ("Lockbot", "Locks and unlocks spaces", NOW - timedelta(days=40), NOW - timedelta(minutes=3), 3),
    (LONG, "publisher-with-a-very-long-address@department.sandbox.example", NOW, NOW - timedelta(days=2), 11),
    ("Standup", "Posts the questions of the day", NOW - timedelta(days=400), None, 1),
]
ERRORS = {
    "": "The email address or the password is wrong.",
    "email": "Enter your email address, like name@example.com",
    "password": "Enter your password",
}

#: path: (template, what it is given)
PLATFORM: dict[str, tuple[str, dict[str, Any]]] = {
    "/sign-in": ("sign_in.html", {}),
    "/sign-in-wrong": ("sign_in.html", {"errors": ERRORS}),
    "/consent": ("consent.html", {"account": ACCOUNT, "app": "Lockbot"}),
    "/consent-long": ("consent.html", {"account": ACCOUNT, "app": LONG}),
    "/connected": ("connected.html", {"account": ACCOUNT, "apps": APPS}),
    "/connected-none": ("connected.html", {"account": ACCOUNT, "apps": []}),
    "/app": ("app.html", {"account": ACCOUNT}),
    "/new": ("new.html", {"account": ACCOUNT, "errors": {"name": "Another integration has this name."}}),
    "/components": ("components_in_use.html", {"account": ACCOUNT}),
}
INTEGRATION: dict[str, tuple[str, dict[str, Any]]] = {
    "/": ("landing.html", {}),
    "/connected": ("landing_connected.html", {}),
    "/by-hand": ("by_hand.html", {}),
}
MESSAGES = {
    "/granted": Message(
        "Lockbot is connected",
        why="You are Sample Person (sample.person@sandbox.example).",
        next_step="Lockbot can now act for you until you take it back. You can close this page.",
        kind="success",
        actions=(Link("Go to your spaces", "/", "primary"), Link("What did I allow?", "/connected")),
    ),
    "/declined": Message(
        "You declined",
        why="Nothing was granted, and nothing was stored.",
        next_step="If that was a mistake, start again; you will be asked the same question.",
        kind="info",
        actions=(Link("Start again", "/", "primary"),),
        reference="GF-7K3M-9QXT",
    ),
    "/stale": Message(
        "This link has been used or is too old",
        why="The answer from the platform belongs to a grant that was begun more than ten minutes ago.",
        next_step="Start again from this browser.",
        kind="warning",
        actions=(Link("Start again", "/", "primary"),),
        reference="GF-7K3M-9QXT",
    ),
}


def _template(pages: Pages, name: str, context: dict[str, Any]) -> Callable[[Request], Response]:
    given = {"now": NOW, "scopes": SCOPES, "form_token": TOKEN, **context}
    return lambda request: pages.page(request, name, **given)


def _message(pages: Pages, message: Message) -> Callable[[Request], Response]:
    return lambda request: pages.message(request, message, referrer="no-referrer")


def _refuse(_: Request) -> Response:
    raise PageError(403, "This form came from another site", why="Because.", next_step="Open the form here.")


def _crash(_: Request) -> Response:
    raise RuntimeError("a secret detail that nobody may see")


def gallery(role: Role, base_url: str = "http://127.0.0.1:9000", decisions: list[str] | None = None) -> Starlette:
    """One half of the gallery. Its consent form is answered after half a second; `decisions` collects what it sent."""

    async def decide(request: Request) -> Response:
        form = await read_form(request)
        (decisions if decisions is not None else []).append(form.get("decision", "nothing"))
        await anyio.sleep(0.5)
        return pages.redirect("/connected")

    site = Site(
        name="Grantflow platform" if role == "platform" else "Lockbot",
        base_url=base_url,
        role=role,
        sandbox=role == "platform",
        links=(Link("Documentation", "/components"),) if role == "platform" else (),
    )
    pages = Pages(site, templates=(TEMPLATES,))
    shown = PLATFORM if role == "platform" else INTEGRATION
    routes = [Route(path, _template(pages, name, context)) for path, (name, context) in shown.items()]
    if role == "integration":
        routes += [Route(path, _message(pages, message)) for path, message in MESSAGES.items()]
    return Starlette(
        routes=[
            *routes,
            Route("/decide", decide, methods=["POST"]),
            Route("/refused", _refuse),
            Route("/broken", _crash),
            pages.static.route(),
        ],
        exception_handlers=error_handlers(pages, new_reference=lambda: "GF-7K3M-9QXT"),
    )
