"""Every address of the platform, read off its route table: one that is added tomorrow is looked at from then on."""

import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from starlette.applications import Starlette
from starlette.routing import Route

from grantflow.app import Storage, platform
from grantflow.authorization_server import Settings
from grantflow.resource_owner.people import new_person
from grantflow.resource_owner.records import Person
from grantflow.web.site import Site
from tests.developer_portal.given import ORG, URL, Browser, Form, House, forms_of, png
from tests.walkthrough.both_halves import hashed

#: Programs come here with credentials of their own. What a browser sends by itself, its cookies, must do nothing here.
FOR_PROGRAMS = re.compile(r"/(v1|idb/oauth2/v1)/(?!authorize$)|/\.well-known/|/(healthz$|static/|icons/)|/v1$")
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
PASSWORD = "a sentence of many words"
#: What an address may hold unquoted, and more than it should.
UNQUOTED = "<>\"'/()=&;"


def routes() -> list[Route]:
    """Nothing is asked of storage for that, so there is none."""
    nowhere: Any = None
    app = platform(Storage(nowhere), Settings(f"{URL}/v1"), site=Site("Grantflow", URL), form_key=bytes(32))
    return routes_of(app)


def routes_of(app: Starlette) -> list[Route]:
    return [route for route in app.routes if isinstance(route, Route)]


def takes(route: Route, method: str) -> bool:
    return route.methods is None or method in route.methods


PAGES = [route.path for route in routes() if takes(route, "GET") and not FOR_PROGRAMS.match(route.path)]
FORMS = [route.path for route in routes() if route.methods and "POST" in route.methods]


@dataclass(slots=True)
class Cast:
    """Ada has registered an integration and a bot, is an administrator, and has granted her own integration access: so
    one value of each parameter of a path serves all paths. Grace is nobody to all of that.
    """

    house: House
    ada: Person
    grace: Person
    browser: Browser
    values: dict[str, str]
    request_id: str

    def path(self, template: str) -> str:
        """Raises KeyError where a new route has a parameter that nothing here stands for: add it to `values`."""
        path = _PARAMETER.sub(lambda found: self.values[found[1]], template)
        asked = {"/consent": f"?request={self.request_id}", "/signin": "?switch=yes"}
        return path + asked.get(template, "")

    async def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """All rows of all tables, but for when a health check was written."""
        tables = await self.house.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        return {
            row["name"]: [tuple(found) for found in await self.house.rows(f"SELECT * FROM {row['name']}")]
            for row in tables
        }

    async def counted(self) -> dict[str, int]:
        return {table: len(rows) for table, rows in (await self.everything()).items()}

    async def form(self, browser: Browser, template: str) -> Form:
        """The form that leads there, filled in, from the first page that shows one to whoever has this browser: most
        lead to the page that they stand on."""
        path = urlsplit(self.path(template)).path
        for page in sorted(PAGES, key=lambda page: (page != template, "people" not in page)):
            for form in forms_of(await browser.open(self.path(page))):
                if urlsplit(form.action).path == path and "form_token" in form.fields:
                    return self._filled(form)
        raise AssertionError(f"no page shows a form that leads to {template}")

    def _filled(self, form: Form) -> Form:
        """What a person types and chooses, in whichever of these fields the form has."""
        typed = {
            "email": self.ada.email,
            "password": PASSWORD,
            "name": "Another name",
            "username": "another",
            "redirect_uris": "https://lockbot.example/oauth",
        }
        if form.action.endswith("/deletion"):
            typed |= {"name": "LockBot", "username": self.values["username"]}
        fields = form.fields | {name: text for name, text in typed.items() if name in form.fields}
        if "/new/integration" in form.action:
            fields["scope.spark:rooms_read"] = "on"
        if form.action.startswith("/consent"):
            fields["decision"] = "accept"
        return Form(form.action, form.multipart, fields)


async def sent(browser: Browser, form: Form, *, headers: dict[str, str] | None = None) -> httpx2.Response:
    if form.multipart:
        parts = [(name, (None, value)) for name, value in form.fields.items()]
        return await browser.client.post(form.action, files=parts, headers=headers)
    return await browser.client.post(form.action, data=form.fields, headers=headers)


async def cast(house: House, *, text: str = "") -> Cast:
    """`text` is added to whatever somebody can choose: names of people, apps and bots, descriptions, addresses."""
    ada, grace = [await _person(house, name, text) for name in ("Ada", "Grace")]
    browser = await house.signed_in(ada)
    client_id = await browser.created(
        name=f"LockBot{text}",
        description=f"It locks.{text}",
        site_url=f"https://lockbot.example/?{quote(text, safe=UNQUOTED)}",
        picture=("icon.png", png(), "image/png"),
    )
    bot = {"name": f"Bot{text}", "username": "robot", "description": f"It talks.{text}"}
    assert (await browser.send(await browser.open("/my-apps/new/bot"), bot)).status_code == 201
    scopes = {"scopes": "spark:rooms_read spark:kms"}
    grant_id = await house.grant(client_id, ada, **scopes)
    asked = {"client_id": client_id, "response_type": "code", "scope": "spark:messages_write", "state": "s"}
    answer = await browser.client.get("/v1/authorize", params=asked)
    (icon,) = await house.rows("SELECT icon FROM integrations WHERE client_id = :id", id=client_id)
    request_id = answer.headers["location"].partition("/consent?request=")[2]
    assert request_id, answer.headers
    values = {
        "client_id": client_id,
        "grant_id": grant_id,
        "person_id": ada.id,
        "username": "robot",
        "digest": icon["icon"],
        "name": "grantflow.css",
        **dict.fromkeys(("room_id", "membership_id", "message_id", "authorization_id", "rest"), "nothing"),
    }
    return Cast(house, ada, grace, browser, values, request_id)


async def _person(house: House, name: str, text: str) -> Person:
    is_ada = name == "Ada"
    person = new_person(
        f"{name.lower()}@sandbox.example",
        f"{name} Somebody{text}",
        org_id=ORG,
        now=house.now,
        mint=secrets.token_bytes,
        is_admin=is_ada,
    )
    await house.storage.people.add(person, password_hash=hashed(PASSWORD) if is_ada else None)
    return person
