"""What these tests are given: the real endpoints over a real SQLite file, people, integrations and browsers."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from starlette.applications import Starlette

from grantflow.authorization_server import Settings, routes
from grantflow.developer_portal.registration import Application, new_secret, register
from grantflow.protocol.registration import ClientType, Profile
from grantflow.protocol.secret import Secret
from grantflow.resource_owner.people import new_person
from grantflow.resource_owner.records import Decision, Person
from grantflow.storage.authorization_requests import AuthorizationRequestStore
from grantflow.storage.connected_apps import ConnectedAppStore
from grantflow.storage.consents import ConsentStore
from grantflow.storage.engine import Row, Statement, Work
from grantflow.storage.people import PeopleStore
from grantflow.storage.registrations import RegistrationStore
from grantflow.storage.sessions import SessionStore
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.times import milliseconds
from grantflow.storage.tokens import TokenStore
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.errors import error_handlers
from grantflow.web.pages import Pages
from grantflow.web.site import Site
from grantflow.web.throttle import FailuresInMemory

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ORG = "8b1d7f52-52c5-4f0a-9a3c-0f6f4b1f8c11"
BASE_URL = "http://127.0.0.1:9000"
ISSUER = f"{BASE_URL}/v1"
REDIRECT_URI = "http://localhost:8000/oauth"
SCOPES = "spark:people_read spark:messages_write"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#: RFC 7636 appendix B: what VERIFIER answers.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
#: Made once: compiling the templates takes longer than most of these tests.
PAGES = Pages(Site("Grantflow platform", BASE_URL, sandbox=True))


@dataclass(frozen=True, slots=True)
class App:
    """A registered integration as its developer knows it."""

    client_id: str
    client_secret: str | None
    redirect_uri: str

    @property
    def credentials(self) -> dict[str, str]:
        return {"client_id": self.client_id} | ({"client_secret": self.client_secret} if self.client_secret else {})

    def request(self, **changed: str | None) -> dict[str, str]:
        """The parameters of an authorization request; None leaves one out."""
        parameters = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": SCOPES,
            "state": "xyz",
        }
        return {name: value for name, value in {**parameters, **changed}.items() if value is not None}


@dataclass(slots=True)
class Server:
    """The authorization server for one test. ``now`` may be moved."""

    engine: SqliteEngine
    settings: Settings
    pages: Pages = PAGES
    app: Starlette = field(init=False)
    now: datetime = NOW
    issued: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        own = routes(
            settings=self.settings,
            requests=AuthorizationRequestStore(self.engine),
            tokens=TokenStore(self.engine),
            failures=FailuresInMemory(),
            pages=self.pages,
            clock=lambda: self.now,
            mint=secrets.token_bytes,
        )
        self.app = Starlette(
            routes=own, exception_handlers=error_handlers(self.pages, new_reference=lambda: secrets.token_hex(8))
        )

    def wait(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    # --- who there is ----------------------------------------------------------------------------------------------

    async def person(self, email: str = "ada@sandbox.example") -> Person:
        person = new_person(email, "Ada Lovelace", org_id=ORG, now=self.now, mint=secrets.token_bytes)
        await PeopleStore(self.engine).add(person, password_hash=None)
        return person

    async def integration(
        self,
        name: str = "LockBot",
        *redirect_uris: str,
        scopes: str = SCOPES,
        profile: Profile = Profile.WEBEX,
        client_type: ClientType = ClientType.CONFIDENTIAL,
        owner: Person | None = None,
    ) -> App:
        application = Application(
            name, redirect_uris or (REDIRECT_URI,), scopes, profile, client_type, owner_id=owner.id if owner else None
        )
        registered = register(application, now=self.now, mint=secrets.token_bytes, sandbox=True)
        assert await RegistrationStore(self.engine).add(registered.integration, registered.kept_secret)
        registration = registered.integration.registration
        secret = registered.secret.reveal() if registered.secret else None
        return App(registration.client_id, secret, registration.redirect_uris[0])

    async def public_integration(self) -> App:
        return await self.integration("Native app", "http://127.0.0.1/oauth", client_type=ClientType.PUBLIC)

    async def strict_integration(self) -> App:
        return await self.integration("Strict app", "https://app.example/oauth", profile=Profile.STRICT)

    async def integration_in(self, profile: str) -> App:
        """Of a kind that is told apart at the token endpoint: `webex`, `strict`, or `public`, which is strict too."""
        made = {"webex": self.integration, "strict": self.strict_integration, "public": self.public_integration}
        return await made[profile]()

    async def another_secret(self, app: App, *, others_expire_at: datetime | None = None) -> App:
        secret, kept = new_secret(now=self.now, mint=secrets.token_bytes)
        store = RegistrationStore(self.engine)
        assert await store.add_secret(app.client_id, kept, others_expire_at=others_expire_at)
        return App(app.client_id, secret.reveal(), app.redirect_uri)

    # --- browsers --------------------------------------------------------------------------------------------------

    def browser(self, address: str = "192.0.2.1") -> "Browser":
        transport = httpx2.ASGITransport(app=self.app, client=(address, 40_000))
        return Browser(httpx2.AsyncClient(transport=transport, base_url=BASE_URL), self)

    async def signed_in(self, person: Person) -> "Browser":
        browser = self.browser()
        await browser.sign_in(person)
        return browser

    # --- the integration's own requests ----------------------------------------------------------------------------

    async def token(self, fields: Mapping[str, str], **options: Any) -> httpx2.Response:
        return await self.post("/v1/access_token", data=fields, **options)

    async def exchange(self, app: App, code: str, **changed: str | None) -> httpx2.Response:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri}
        return await self.token(_given({**app.credentials, **fields, **changed}))

    async def refresh(self, app: App, refresh_token: str, **changed: str | None) -> httpx2.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self.token(_given({**app.credentials, **fields, **changed}))

    async def revoke(self, app: App, token: str, **changed: str | None) -> httpx2.Response:
        return await self.post("/v1/revoke", data=_given({**app.credentials, "token": token, **changed}))

    async def post(self, path: str, *, address: str = "198.51.100.1", **options: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self.app, client=(address, 40_000))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            response = await client.post(path, **options)
        if response.status_code == 200 and response.content:
            tokens = response.json()
            self.issued += [tokens["access_token"], tokens["refresh_token"]]
        return response

    # --- the whole way ---------------------------------------------------------------------------------------------

    async def code(self, app: App, person: Person, **changed: str | None) -> str:
        """A code that the person consents to, if asked."""
        browser = await self.signed_in(person)
        answer = await browser.authorize(app, **changed)
        if answer.headers["location"].startswith("/consent?"):
            answer = await browser.accept(answer)
        return parameters_of(answer)["code"]

    async def tokens(self, app: App, person: Person) -> dict[str, Any]:
        answer = await self.exchange(app, await self.code(app, person, **PKCE), code_verifier=VERIFIER)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def disconnect(self, person: Person) -> None:
        """The person takes all access away, on the page of connected apps."""
        assert await ConnectedAppStore(self.engine).revoke_all(person.id, now=self.now)

    # --- what is stored --------------------------------------------------------------------------------------------

    async def rows(self, sql: str, **values: object) -> list[Row]:
        return list(await self.engine.read(Statement(sql, values)))

    async def run(self, sql: str) -> None:
        def work() -> Work[None]:
            yield Statement(sql)

        await self.engine.write(work())

    async def lives(self, access_token: str) -> bool:
        """Whether the API would take it."""
        found = await self.rows(
            "SELECT 1 FROM access_tokens t JOIN grants g ON g.id = t.grant_id WHERE t.token_hash = :hash "
            "AND t.revoked_at IS NULL AND g.revoked_at IS NULL AND t.expires_at > :now",
            hash=Secret(access_token).digest(),
            now=milliseconds(self.now),
        )
        return bool(found)


@dataclass(slots=True)
class Browser:
    """A person's browser; it follows no redirect by itself."""

    client: httpx2.AsyncClient
    server: Server
    person: Person | None = None

    async def open(self, path: str, **parameters: str) -> httpx2.Response:
        return await self.client.get(f"{path}?{urlencode(parameters)}" if parameters else path)

    async def authorize(self, app: App, **changed: str | None) -> httpx2.Response:
        return await self.open("/v1/authorize", **app.request(**changed))

    async def sign_in(self, person: Person) -> None:
        """What the sign-in page does: a session that begins now."""
        cookie, now = secrets.token_urlsafe(32), self.server.now
        await SessionStore(self.server.engine).begin(
            Secret(cookie).digest(),
            person_id=person.id,
            now=now,
            expires_at=now + timedelta(hours=12),
            instead_of=None,
        )
        self.client.cookies.set(Cookies(PAGES.site).name(SESSION), cookie)
        self.person = person

    async def decide(self, asked: httpx2.Response, decision: Decision, *, remember: bool = True) -> None:
        """What the consent page does with the request that it was asked about."""
        assert self.person is not None
        request = Secret(request_of(asked, "/consent"))
        assert await ConsentStore(self.server.engine).decide(
            request.digest(), person_id=self.person.id, decision=decision, remember=remember, now=self.server.now
        )

    async def accept(self, asked: httpx2.Response, *, remember: bool = True) -> httpx2.Response:
        await self.decide(asked, Decision.ACCEPTED, remember=remember)
        return await self.come_back(asked)

    async def decline(self, asked: httpx2.Response) -> httpx2.Response:
        await self.decide(asked, Decision.DECLINED)
        return await self.come_back(asked)

    async def come_back(self, asked: httpx2.Response) -> httpx2.Response:
        return await self.open("/v1/authorize", request=request_of(asked))


def _given(fields: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def request_of(asked: httpx2.Response, page: str | None = None) -> str:
    """The id with which a person was sent to sign in or to consent."""
    assert asked.status_code == 303, asked.text
    target = urlsplit(asked.headers["location"])
    assert target.path == page or (page is None and target.path in ("/signin", "/consent")), target
    return parse_qs(target.query)["request"][0]


def parameters_of(answer: httpx2.Response) -> dict[str, str]:
    """What the redirect URI receives, each parameter once."""
    assert answer.status_code == 303, answer.text
    fields = parse_qs(urlsplit(answer.headers["location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in fields.values()), fields
    return {name: values[0] for name, values in fields.items()}


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@asynccontextmanager
async def serving(path: Path, *, pages: Pages = PAGES, **settings: Any) -> AsyncIterator[Server]:
    engine = SqliteEngine.open(path / "platform.db")
    try:
        yield Server(engine, Settings(ISSUER, **settings), pages)
    finally:
        await engine.close()


def run(path: Path, story: Callable[[Server], Awaitable[None]], **settings: Any) -> None:
    """Play a story at a server of its own, with these settings, or ``pages``."""

    async def play() -> None:
        async with serving(path, **settings) as server:
            await story(server)

    asyncio.run(play())
