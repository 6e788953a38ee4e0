"""What the tests of the API are given: the real routes over a real SQLite file, with people, tokens and rooms in it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from starlette.applications import Starlette

from grantflow.developer_portal.bots import BotApplication, register_bot
from grantflow.protocol.secret import Secret
from grantflow.resource_server import Ports, Settings, routes
from grantflow.resource_server.ids import Kind, write_id
from grantflow.storage.access import AccessTokenStore
from grantflow.storage.authorizations import AuthorizationStore
from grantflow.storage.bots import BotStore
from grantflow.storage.directory import DirectoryStore
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.memberships import MembershipStore
from grantflow.storage.messages import MessageStore
from grantflow.storage.rooms import RoomStore
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.times import milliseconds

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ORG = "8b1d7f52-52c5-4f0a-9a3c-0f6f4b1f8c11"
#: Another host than any request names: what is built from the request would show.
API_URL = "https://platform.example/v1"
SCOPES = (
    "spark:people_read spark:rooms_read spark:rooms_write spark:memberships_read spark:memberships_write "
    "spark:messages_read spark:messages_write"
)


def uuid() -> str:
    return str(UUID(bytes=secrets.token_bytes(16), version=4))


@dataclass(frozen=True, slots=True)
class Account:
    """A person with an access token; ``id`` is that of the API, ``uuid`` that of the store."""

    uuid: str
    email: str
    name: str
    token: str
    grant: str

    @property
    def id(self) -> str:
        return write_id(Kind.PEOPLE, self.uuid)


@dataclass(slots=True)
class Platform:
    """The API for one test. ``now`` may be moved."""

    engine: Engine
    api_url: str = API_URL
    now: datetime = NOW
    client_id: str = "C" + "0" * 64
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        ports = Ports(
            tokens=AccessTokenStore(self.engine),
            directory=DirectoryStore(self.engine),
            rooms=RoomStore(self.engine),
            memberships=MembershipStore(self.engine),
            messages=MessageStore(self.engine),
            authorizations=AuthorizationStore(self.engine),
        )
        settings = Settings(api_url=self.api_url)
        self.app = Starlette(routes=routes(ports, settings, clock=lambda: self.now, mint=secrets.token_bytes))

    async def person(
        self,
        name: str,
        *,
        scopes: str = SCOPES,
        email: str | None = None,
        org_id: str = ORG,
        is_admin: bool = False,
        **grant: object,
    ) -> Account:
        """A person with a grant and a living access token."""
        person_id = uuid()
        email = email or f"{name.split(maxsplit=1)[0].lower()}@example.com"
        first_name, _, last_name = name.partition(" ")
        await self.save(
            "people",
            id=person_id,
            email=email,
            display_name=name,
            first_name=first_name,
            last_name=last_name or None,
            org_id=org_id,
            is_admin=int(is_admin),
            created_at=milliseconds(NOW - timedelta(days=30)),
        )
        await self._integration()
        grant_id = uuid()
        await self.save(
            "grants",
            **{
                "id": grant_id,
                "person_id": person_id,
                "client_id": self.client_id,
                "scopes": scopes,
                "remembered": 0,
                "created_at": milliseconds(NOW),
                "last_used_at": milliseconds(NOW),
                **grant,
            },
        )
        token = await self.token(person_id, grant_id=grant_id, scopes=scopes)
        return Account(person_id, email, name, token, grant_id)

    async def bot(self, name: str = "LockBot") -> Account:
        """A bot as its developer knows it: with the token that was shown once."""
        made = register_bot(BotApplication(name, name), org_id=ORG, now=NOW, mint=secrets.token_bytes)
        assert await BotStore(self.engine).add(made.bot, made.kept_token)
        return Account(made.bot.id, made.bot.email, made.bot.name, made.token.reveal(), grant="")

    async def token(self, person_id: str, *, grant_id: str | None, scopes: str = SCOPES, **changed: object) -> str:
        text = f"{secrets.token_urlsafe(36)}_LG01_{ORG}"
        await self.save(
            "access_tokens",
            **{
                "token_hash": Secret(text).digest(),
                "family": uuid(),
                "grant_id": grant_id,
                "client_id": self.client_id,
                "person_id": person_id,
                "scopes": scopes,
                "issued_at": milliseconds(NOW),
                "expires_at": milliseconds(NOW + timedelta(days=14)),
                **changed,
            },
        )
        return text

    async def _integration(self) -> None:
        if await self.rows("SELECT 1 FROM integrations WHERE client_id = :id", id=self.client_id):
            return
        await self.save(
            "integrations",
            client_id=self.client_id,
            name="LockBot",
            profile="webex",
            client_type="confidential",
            scopes=SCOPES,
            created_at=milliseconds(NOW),
        )

    async def rooms_of(self, person: Account, *, count: int) -> None:
        """Rooms that the person is in, some of them made in the same millisecond."""
        rooms = [
            {
                "id": uuid(),
                "title": f"Room {position}",
                "type": "group",
                "creator_id": person.uuid,
                "owner_id": ORG,
                "created_at": milliseconds(NOW) + position // 3,
                "last_activity": milliseconds(NOW) + position // 3,
            }
            for position in range(count)
        ]
        await self.save_all("rooms", rooms)
        members = [{"person_id": person.uuid, "room_id": room["id"], "created_at": 0} for room in rooms]
        await self.save_all("memberships", members)

    def caller(self, person: Account | None, **headers: str) -> "Caller":
        """Somebody who calls the API: with the person's token, or without any."""
        if person is not None:
            headers["authorization"] = f"Bearer {person.token}"
        transport = httpx2.ASGITransport(app=self.app)
        return Caller(httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1/v1/", headers=headers))

    async def save(self, table: str, **values: object) -> None:
        await self.save_all(table, [values])

    async def save_all(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        def work() -> Work[None]:
            for values in rows:
                names = ", ".join(values)
                marks = ", ".join(f":{name}" for name in values)
                yield Statement(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)

        await self.engine.write(work())

    async def change(self, sql: str, **values: object) -> None:
        def work() -> Work[None]:
            yield Statement(sql, values)

        await self.engine.write(work())

    async def rows(self, sql: str, **values: object) -> list[Row]:
        return list(await self.engine.read(Statement(sql, values)))


@dataclass(frozen=True, slots=True)
class Caller:
    client: httpx2.AsyncClient

    async def get(self, path: str, **query: str) -> httpx2.Response:
        return await self.client.get(path, params=query or None)

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self.client.post(path, json=body)

    async def put(self, path: str, **body: Any) -> httpx2.Response:
        return await self.client.put(path, json=body)

    async def delete(self, path: str) -> httpx2.Response:
        return await self.client.delete(path)

    async def send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return await self.client.request(method, path, **request)

    async def open_room(self, title: str = "Engines", **body: Any) -> str:
        """The id of a new room."""
        answer = await self.post("rooms", title=title, **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def add(self, room_id: str, person: Account, **body: Any) -> str:
        """The id of a new membership."""
        answer = await self.post("memberships", roomId=room_id, personId=person.id, **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def say(self, room_id: str, text: str, **body: Any) -> str:
        """The id of a new message."""
        answer = await self.post("messages", roomId=room_id, text=text, **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])


def refused(answer: httpx2.Response) -> tuple[int, str]:
    """Status and message of a refusal in Webex's shape."""
    body = answer.json()
    assert set(body) == {"message", "errors", "trackingId"}, body
    assert body["errors"][0]["description"]
    assert body["trackingId"] == answer.headers["trackingid"]
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, body["message"]


def run(path: Path, story: Callable[[Platform], Awaitable[None]]) -> None:
    """Play a story on a platform of its own."""

    async def play() -> None:
        engine = SqliteEngine.open(path / "platform.db")
        try:
            await story(Platform(engine))
        finally:
            await engine.close()

    asyncio.run(play())
