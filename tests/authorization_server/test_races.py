"""The races, over real sockets: two servers with an engine each over one database file, as two workers have it."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn

from grantflow.authorization_server import Settings
from grantflow.resource_owner.records import Person
from grantflow.storage.sqlite import SqliteEngine
from tests.authorization_server.given import ISSUER, PKCE, VERIFIER, App, Server, serving

CALLERS = 50
ROUNDS = 3


@contextmanager
def workers(path: Path, *, count: int = 2) -> Iterator[list[str]]:
    """The addresses of as many servers over the database in ``path``."""
    running: list[tuple[uvicorn.Server, threading.Thread, SqliteEngine]] = []
    addresses = []
    for _ in range(count):
        listening = socket.create_server(("127.0.0.1", 0))
        engine = SqliteEngine.open(path / "platform.db")
        app = Server(engine, Settings(ISSUER)).app
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        running.append((server, thread, engine))
        addresses.append(f"http://127.0.0.1:{listening.getsockname()[1]}")
    try:
        while not all(server.started for server, _, _ in running):
            time.sleep(0.01)
        yield addresses
    finally:
        for server, thread, engine in running:
            server.should_exit = True
            thread.join()
            asyncio.run(engine.close())


async def at_once(addresses: Sequence[str], fields: dict[str, str]) -> list[httpx2.Response]:
    """The same token request from fifty callers, half at each address."""
    limits = httpx2.Limits(max_connections=CALLERS)
    async with httpx2.AsyncClient(limits=limits, timeout=30) as client:
        urls = [f"{addresses[caller % len(addresses)]}/v1/access_token" for caller in range(CALLERS)]
        return await asyncio.gather(*(client.post(url, data=fields) for url in urls))


def exchange_of(app: App, code: str) -> dict[str, str]:
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri}
    return {**app.credentials, **fields, "code_verifier": VERIFIER}


def refresh_of(app: App, token: str) -> dict[str, str]:
    return {**app.credentials, "grant_type": "refresh_token", "refresh_token": token}


async def redeem_at_once(server: Server, addresses: Sequence[str], *, app: App, person: Person) -> None:
    """Fifty redemptions of one new code: one succeeds, and its tokens work."""
    answers = await at_once(addresses, exchange_of(app, await server.code(app, person, **PKCE)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: CALLERS - 1}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert await server.lives(won["access_token"])
    assert (await server.refresh(app, won["refresh_token"])).status_code == 200


async def refresh_at_once(
    server: Server, addresses: Sequence[str], *, app: App, refresh_token: str, rotates: bool
) -> dict[str, str]:
    """Fifty refreshes with one token: all succeed with the same new one; the last answer."""
    answers = await at_once(addresses, refresh_of(app, refresh_token))
    assert Counter(answer.status_code for answer in answers) == {200: CALLERS}
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    assert (successor != refresh_token) is rotates
    assert await living_refresh_tokens(server, app) == 1
    tokens: dict[str, str] = answers[-1].json()
    assert await server.lives(tokens["access_token"])
    return tokens


async def living_refresh_tokens(server: Server, app: App) -> int:
    living = "SELECT 1 FROM refresh_tokens WHERE client_id = :app AND replaced_at IS NULL AND revoked_at IS NULL"
    return len(await server.rows(living, app=app.client_id))


def test_w28_s33_of_fifty_redemptions_at_two_workers_one_succeeds_and_its_tokens_work(tmp_path: Path) -> None:
    async def story(server: Server, addresses: Sequence[str]) -> None:
        app, person = await server.integration(), await server.person()
        for _ in range(ROUNDS):
            await redeem_at_once(server, addresses, app=app, person=person)

    play(tmp_path, story)


@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_s67_of_fifty_refreshes_at_two_workers_all_succeed_and_one_generation_lives(
    tmp_path: Path, profile: str
) -> None:
    async def story(server: Server, addresses: Sequence[str]) -> None:
        app = await server.integration_in(profile)
        tokens = await server.tokens(app, await server.person())
        for _ in range(ROUNDS):
            refresh_token, rotates = tokens["refresh_token"], profile == "strict"
            tokens = await refresh_at_once(server, addresses, app=app, refresh_token=refresh_token, rotates=rotates)

    play(tmp_path, story)


def play(path: Path, story: Callable[[Server, Sequence[str]], Awaitable[None]]) -> None:
    async def whole(addresses: Sequence[str]) -> None:
        async with serving(path) as server:
            await story(server, addresses)

    with workers(path) as addresses:
        asyncio.run(whole(addresses))
