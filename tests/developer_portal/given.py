"""What the tests of the portal are given: the whole platform over a real SQLite file, people, and their browsers."""

import asyncio
import secrets
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from re import sub
from uuid import uuid4

import httpx2
from starlette.applications import Starlette

from grantflow.app import Storage, platform
from grantflow.authorization_server import Settings
from grantflow.protocol.secret import Secret
from grantflow.resource_owner.people import new_person
from grantflow.resource_owner.records import Person
from grantflow.storage.engine import Row, Statement, Work
from grantflow.storage.times import milliseconds
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.site import Site

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL = "http://127.0.0.1:9000"
ORG = "8b1d7f52-52c5-4f0a-9a3c-0f6f4b1f8c11"
NEW = "/my-apps/new/integration"
#: A form that is filled in well; the rest of it is as the page shows it.
FILLED = {
    "name": "LockBot",
    "redirect_uris": "https://lockbot.example/oauth",
    "scope.spark:rooms_read": "on",
    "scope.spark:messages_write": "on",
}


def png(width: int = 64, height: int = 64, *, extra: bytes = b"") -> bytes:
    """A real picture, grey."""
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + png_head(width, height) + extra + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def png_head(width: int, height: int) -> bytes:
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@dataclass(slots=True)
class House:
    """The platform for one test. ``now`` may be moved."""

    storage: Storage
    folder: Path
    site: Site = field(default_factory=lambda: Site("Grantflow", URL, sandbox=True))
    app: Starlette = field(init=False)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.app = platform(
            self.storage,
            Settings(issuer=f"{URL}/v1"),
            site=self.site,
            form_key=secrets.token_bytes(32),
            clock=lambda: self.now,
        )

    async def person(self, name: str = "Ada Lovelace", *, is_admin: bool = False) -> Person:
        email = f"{name.partition(' ')[0].lower()}@sandbox.example"
        person = new_person(email, name, org_id=ORG, now=NOW, mint=secrets.token_bytes, is_admin=is_admin)
        await self.storage.people.add(person, password_hash=None)
        return person

    def visitor(self) -> "Browser":
        transport = httpx2.ASGITransport(app=self.app)
        return Browser(httpx2.AsyncClient(transport=transport, base_url=URL, headers={"accept": "text/html"}), self)

    async def signed_in(self, person: Person | None = None) -> "Browser":
        browser = self.visitor()
        await browser.sign_in(person or await self.person())
        return browser

    async def grant(self, client_id: str, person: Person, **changed: object) -> str:
        """What this person granted; with an access and a refresh token, as far as rows tell."""
        values: dict[str, object] = {
            "id": str(uuid4()),
            "person_id": person.id,
            "client_id": client_id,
            "scopes": "spark:rooms_read spark:kms",
            "remembered": 1,
            "created_at": milliseconds(NOW - timedelta(days=3)),
            "last_used_at": milliseconds(NOW - timedelta(minutes=5)),
        } | changed
        await self.save("grants", **values)
        token = {
            "family": str(uuid4()),
            "grant_id": values["id"],
            "client_id": client_id,
            "person_id": person.id,
            "scopes": values["scopes"],
            "issued_at": milliseconds(NOW),
        }
        for table, days in (("access_tokens", 14), ("refresh_tokens", 90)):
            expires_at = milliseconds(NOW + timedelta(days=days))
            await self.save(table, token_hash=secrets.token_bytes(32), expires_at=expires_at, **token)
        return str(values["id"])

    async def save(self, table: str, **values: object) -> None:
        def work() -> Work[None]:
            marks = ", ".join(f":{name}" for name in values)
            yield Statement(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", values)

        await self.storage.engine.write(work())

    async def rows(self, sql: str, **values: object) -> list[Row]:
        return list(await self.storage.engine.read(Statement(sql, values)))

    def stored(self) -> bytes:
        """All that the disk holds."""
        return b"".join(file.read_bytes() for file in sorted(self.folder.glob("platform.db*")))


@dataclass(slots=True)
class Browser:
    """Opens pages and sends their forms, as a browser without JavaScript does; it follows no redirect by itself."""

    client: httpx2.AsyncClient
    house: House

    async def sign_in(self, person: Person) -> None:
        token = secrets.token_urlsafe(32)
        await self.house.storage.sessions.begin(
            Secret(token).digest(),
            person_id=person.id,
            now=self.house.now,
            expires_at=self.house.now + timedelta(hours=12),
            instead_of=None,
        )
        self.client.cookies.set(Cookies(self.house.site).name(SESSION), token, domain="127.0.0.1")

    async def open(self, path: str) -> httpx2.Response:
        return await self.client.get(path)

    async def send(
        self,
        page: httpx2.Response,
        fields: Mapping[str, str | None] | None = None,
        *,
        picture: tuple[str, bytes, str] | None = None,
        to: str = "",
        **named: str | None,
    ) -> httpx2.Response:
        """Send the page's last form, or the one that leads ``to`` there, with these fields; None leaves one out."""
        form = next(form for form in reversed(forms_of(page)) if to in form.action)
        sent = {name: value for name, value in {**form.fields, **(fields or {}), **named}.items() if value is not None}
        if form.multipart:
            parts = [(name, (None, value)) for name, value in sent.items()]
            parts.append(("icon_file", picture or ("", b"", "application/octet-stream")))  # type: ignore[arg-type]
            return await self.client.post(form.action, files=parts)
        return await self.client.post(form.action, data=sent)

    async def create(
        self,
        fields: Mapping[str, str | None] | None = None,
        *,
        picture: tuple[str, bytes, str] | None = None,
        **named: str | None,
    ) -> httpx2.Response:
        """Fill in New Integration and send it."""
        return await self.send(await self.open(NEW), {**FILLED, **(fields or {}), **named}, picture=picture)

    async def created(self, *, picture: tuple[str, bytes, str] | None = None, **named: str | None) -> str:
        """The client ID of an integration that was just made."""
        answer = await self.create(named, picture=picture)
        assert answer.status_code == 201, text_of(answer)
        return code_of(answer, "Client ID")


@dataclass(slots=True)
class Form:
    action: str
    multipart: bool
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._text: str | None = None
        self._select: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "form":
            self.forms.append(Form(given.get("action") or "", given.get("enctype") == "multipart/form-data"))
        elif tag == "textarea":
            self._text = name
            self.forms[-1].fields[name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or self._select not in self.forms[-1].fields):
            self.forms[-1].fields[self._select] = given.get("value") or ""
        elif tag == "input" and name and self.forms and given.get("type") != "file":
            choice = given.get("type") in ("checkbox", "radio")
            if not choice or "checked" in given:
                self.forms[-1].fields[name] = given.get("value", "on" if choice else "") or ""

    def handle_endtag(self, tag: str) -> None:
        self._text = None if tag == "textarea" else self._text
        self._select = None if tag == "select" else self._select

    def handle_data(self, data: str) -> None:
        if self._text:
            self.forms[-1].fields[self._text] += (
                data.removeprefix("\n") if not self.forms[-1].fields[self._text] else data
            )


def forms_of(page: httpx2.Response) -> list[Form]:
    """Each form with what a browser would send if nobody touched it."""
    return _Forms(page.text).forms


def form_of(page: httpx2.Response) -> Form:
    return forms_of(page)[-1]


def text_of(page: httpx2.Response) -> str:
    """What the page says, without markup and with single spaces."""
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(sub(r"<[^>]*>", " ", f"<{main}")).split())


def code_of(page: httpx2.Response, label: str) -> str:
    """The text of the code block with this label."""
    block = page.text.partition(f"<figcaption>{label}")[2]
    return unescape(block.partition("<code>")[2].partition("</code>")[0])


def run(folder: Path, story: Callable[[House], Awaitable[None]], *, sandbox: bool = True) -> None:
    """Play a story on a platform of its own."""

    async def play() -> None:
        storage = Storage.open(folder / "platform.db")
        try:
            await story(House(storage, folder, Site("Grantflow", URL, sandbox=sandbox)))
        finally:
            await storage.engine.close()

    asyncio.run(play())


@cache
def gif(width: int = 64, height: int = 64, *, pictures: int = 1, picture_side: int = 1) -> bytes:
    """A GIF whose screen is that large, with pictures of another size on it."""
    one = b"\x2c" + struct.pack("<HHHHB", 0, 0, picture_side, picture_side, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0" * 6 + one * pictures + b"\x3b"
