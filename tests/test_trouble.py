"""A database that cannot be written: every endpoint says so and when to come again, and keeps nothing by halves."""

import asyncio
import re
import resource
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from grantflow.app import Storage, platform
from grantflow.authorization_server import Settings
from grantflow.developer_portal.registration import Application, register
from grantflow.protocol.registration import Profile
from grantflow.protocol.secret import Secret
from grantflow.resource_owner.passwords import hash_password
from grantflow.resource_owner.people import new_person
from grantflow.storage import sqlite
from grantflow.storage.sqlite import SqliteEngine
from grantflow.web.site import Site
from tests.parts import ROOT
from tests.troubles import hold, write_protect

URL = "http://127.0.0.1:9000"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
REDIRECT_URI = "http://127.0.0.1:8000/oauth"
SCOPES = "spark:people_read spark:rooms_read spark:rooms_write spark:messages_write spark:memberships_write"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
EMAIL, PASSWORD = "ada@example.com", "a sentence of many words"
PASSWORD_HASH = hash_password(Secret(PASSWORD), mint=secrets.token_bytes)
FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')

Asking = Callable[[], Awaitable[httpx2.Response]]


@dataclass(slots=True)
class House:
    """A platform with one person and one integration of each profile."""

    storage: Storage
    folder: Path
    client: httpx2.AsyncClient
    apps: dict[Profile, dict[str, str]] = field(default_factory=dict)

    def kept(self) -> list[str]:
        """All rows of all tables, as another process sees them."""
        with closing(sqlite3.connect(self.folder / "platform.db")) as database:
            return list(database.iterdump())

    async def furnish(self) -> None:
        person = new_person(EMAIL, "Ada", org_id=secrets.token_hex(16), now=NOW, mint=secrets.token_bytes)
        await self.storage.people.add(person, password_hash=PASSWORD_HASH)
        for profile in Profile:
            application = Application(f"App {profile}", (REDIRECT_URI,), SCOPES, profile=profile)
            made = register(application, now=NOW, mint=secrets.token_bytes, sandbox=True)
            await self.storage.registrations.add(made.integration, made.kept_secret)
            assert made.secret is not None
            client_id = made.integration.registration.client_id
            self.apps[profile] = {"client_id": client_id, "client_secret": made.secret.reveal()}

    # --- what people and integrations do ---------------------------------------------------------------------------

    async def form(self, path: str) -> tuple[str, str]:
        """Where the page at ``path`` is after its redirects, and its form's token."""
        page = await self.client.get(path, follow_redirects=True)
        return str(page.url).removeprefix(URL), FORM_TOKEN.findall(page.text)[-1]  # the first one may be the menu's

    async def signed_in(self) -> None:
        path, token = await self.form("/signin")
        answer = await self.client.post(path, data={"form_token": token, "email": EMAIL, "password": PASSWORD})
        assert answer.status_code == 303

    def authorize(self, profile: Profile = Profile.WEBEX) -> str:
        asked = {"client_id": self.apps[profile]["client_id"], "response_type": "code", "redirect_uri": REDIRECT_URI}
        asked |= {"scope": SCOPES, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        return f"/v1/authorize?{httpx2.QueryParams(asked)}"

    async def code(self, profile: Profile = Profile.WEBEX) -> str:
        path, token = await self.form(self.authorize(profile))
        decided = await self.client.post(path, data={"form_token": token, "decision": "accept"})
        answer = await self.client.get(decided.headers["location"])
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    def exchange(self, code: str, profile: Profile = Profile.WEBEX) -> Awaitable[httpx2.Response]:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        return self.client.post("/v1/access_token", data=fields | {"code_verifier": VERIFIER} | self.apps[profile])

    async def tokens(self, profile: Profile = Profile.WEBEX) -> dict[str, Any]:
        answer = await self.exchange(await self.code(profile), profile)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def api(self) -> "Api":
        await self.signed_in()
        api = Api(self, (await self.tokens())["access_token"])
        api.room = (await api.ask("POST", "rooms", title="Lunch")).json()["id"]
        api.message = (await api.ask("POST", "messages", roomId=api.room, text="Noon?")).json()["id"]
        return api


@dataclass(slots=True)
class Api:
    house: House
    token: str
    room: str = ""
    message: str = ""

    def ask(self, method: str, path: str, **members: str) -> Awaitable[httpx2.Response]:
        bearer = {"authorization": f"Bearer {self.token}"}
        return self.house.client.request(method, f"/v1/{path}", json=members or None, headers=bearer)


# --- each way to write: made ready while all is well -------------------------------------------------------------


async def a_request_that_waits(house: House) -> Asking:
    return lambda: house.client.get(house.authorize())


async def a_sign_in(house: House) -> Asking:
    path, token = await house.form("/signin")
    return lambda: house.client.post(path, data={"form_token": token, "email": EMAIL, "password": PASSWORD})


async def a_wrong_password(house: House) -> Asking:
    path, token = await house.form("/signin")
    return lambda: house.client.post(path, data={"form_token": token, "email": EMAIL, "password": "wrong"})


async def a_decision(house: House) -> Asking:
    await house.signed_in()
    path, token = await house.form(house.authorize())
    return lambda: house.client.post(path, data={"form_token": token, "decision": "accept"})


async def a_code_to_be_issued(house: House) -> Asking:
    decided = await (await a_decision(house))()
    return lambda: house.client.get(decided.headers["location"])


async def a_code_to_be_spent(house: House) -> Asking:
    await house.signed_in()
    code = await house.code()
    return lambda: house.exchange(code)


def a_refresh(profile: Profile) -> Callable[[House], Awaitable[Asking]]:
    async def ready(house: House) -> Asking:
        await house.signed_in()
        token = (await house.tokens(profile))["refresh_token"]
        fields = {"grant_type": "refresh_token", "refresh_token": token} | house.apps[profile]
        return lambda: house.client.post("/v1/access_token", data=fields)

    return ready


async def a_revocation(house: House) -> Asking:
    await house.signed_in()
    fields = {"token": (await house.tokens())["refresh_token"]} | house.apps[Profile.WEBEX]
    return lambda: house.client.post("/v1/revoke", data=fields)


async def a_sign_out(house: House) -> Asking:
    await house.signed_in()
    await house.tokens()
    _, token = await house.form("/connected-apps")
    return lambda: house.client.post("/signout", data={"form_token": token})


async def a_disconnection(house: House) -> Asking:
    await house.signed_in()
    await house.tokens()
    path, token = await house.form("/connected-apps/revocation")
    return lambda: house.client.post(path, data={"form_token": token})


def a_call(method: str, path: str, **members: str) -> Callable[[House], Awaitable[Asking]]:
    async def ready(house: House) -> Asking:
        api = await house.api()
        ids = {"room": api.room, "message": api.message}
        sent = {name: value.format(**ids) for name, value in members.items()}
        return lambda: api.ask(method, path.format(**ids), **sent)

    return ready


WRITES: dict[str, tuple[Callable[[House], Awaitable[Asking]], int]] = {
    "a request that waits": (a_request_that_waits, 303),
    "a sign-in": (a_sign_in, 303),
    "a wrong password": (a_wrong_password, 400),
    "a decision": (a_decision, 303),
    "a code to be issued": (a_code_to_be_issued, 303),
    "a code to be spent": (a_code_to_be_spent, 200),
    "a renewal": (a_refresh(Profile.WEBEX), 200),
    "a rotation": (a_refresh(Profile.STRICT), 200),
    "a revocation": (a_revocation, 200),
    "a sign-out": (a_sign_out, 303),
    "a disconnection": (a_disconnection, 303),
    "a room": (a_call("POST", "rooms", title="Tea"), 200),
    "another name of a room": (a_call("PUT", "rooms/{room}", title="Tea"), 200),
    "the end of a room": (a_call("DELETE", "rooms/{room}"), 204),
    "a message": (a_call("POST", "messages", roomId="{room}", text="x" * 7_000), 200),
    "another text of a message": (a_call("PUT", "messages/{message}", roomId="{room}", text="x" * 7_000), 200),
    "the end of a message": (a_call("DELETE", "messages/{message}"), 204),
}


@asynccontextmanager
async def house_in(folder: Path) -> AsyncIterator[House]:
    storage = Storage.open(folder / "platform.db")
    app = platform(
        storage, Settings(f"{URL}/v1"), site=Site("Grantflow", URL), form_key=secrets.token_bytes(32), clock=lambda: NOW
    )
    browser = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=URL, headers={"accept": "text/html"})
    async with app.router.lifespan_context(app), browser:
        house = House(storage, folder, browser)
        await house.furnish()
        yield house


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [hold, write_protect])
@pytest.mark.parametrize("write", WRITES)
def test_what_cannot_be_written_is_a_503_that_says_when_to_come_again_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str, trouble: Callable[[Storage], Callable[[], object]]
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.05)
    asyncio.run(in_trouble(tmp_path, write, trouble))


async def in_trouble(folder: Path, write: str, trouble: Callable[[Storage], Callable[[], object]]) -> None:
    prepare, well = WRITES[write]
    async with house_in(folder) as house:
        ask = await prepare(house)
        end = trouble(house.storage)
        try:
            before = house.kept()
            for _ in range(2):
                answer = await ask()
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["retry-after"]) >= 1
                assert "Traceback" not in answer.text
            assert house.kept() == before
        finally:
            end()
        assert (await ask()).status_code == well


def exhaust(storage: Storage) -> Callable[[], object]:
    """No file of this process may grow beyond what the write-ahead log has now: a disk without a byte to spare."""
    assert isinstance(storage.engine, SqliteEngine)
    log = storage.engine._path.with_name(f"{storage.engine._path.name}-wal")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, most))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@pytest.mark.slow
def test_the_same_holds_where_the_disk_is_full(tmp_path: Path) -> None:
    """In a process of its own, since the limit holds for all that a process writes."""
    program = f"""
from tests.test_trouble import *
for number, write in enumerate(WRITES):
    folder = Path({str(tmp_path)!r}) / str(number)
    folder.mkdir()
    asyncio.run(in_trouble(folder, write, exhaust))
    print(write, flush=True)
"""
    child = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert child.stdout.splitlines() == list(WRITES), child.stderr
