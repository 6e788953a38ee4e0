"""What a call through Grantflow costs its caller in CPU time, over the bare HTTP client, against a constant answer.

Each library by itself, and with a grant of ours: the clients of `client_for`, and those of the adapters. Blocks of
calls take turns (bare, ours, bare, ours, ...). The server is the limit's, in a process of its own, so its time does not
count; it answers the token request and people/me, which is all that a grant needs.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import httpx
import httpx2
import requests

from benchmarks.rows import REDIRECT_URI, Place, limit
from grantflow import AsyncIntegration, Integration, KeyRing, SqliteVault
from grantflow.client.adapters.aiohttp import grant_middleware
from grantflow.client.adapters.httpx import grant_auth
from grantflow.client.adapters.requests import GrantSession

CALLS, BLOCKS = 200, 5
#: What carries a grant, and the bare client that it is compared with.
OVER: Final = {
    "Integration": "httpx2.Client",
    "requests adapter": "requests.Session",
    "httpx adapter": "httpx.Client",
    "AsyncIntegration": "httpx2.AsyncClient",
    "aiohttp adapter": "aiohttp.ClientSession",
}

Block = Callable[[], Awaitable[None]]


def measure(room: Place, *, calls: int = CALLS) -> dict[str, float]:
    """CPU microseconds of one call, by client: each the median of its blocks."""
    url = limit(1, durable=False)(room).target.url
    vault = Path(tempfile.mkdtemp(dir=room.of("client"))) / "vault.db"  # each round has a key of its own
    settings = _settings(url, vault)
    took = asyncio.run(_blocking(url, settings, calls)) | asyncio.run(_awaiting(url, settings, calls))
    return {name: round(each, 1) for name, each in took.items()}


def _settings(url: str, vault: Path) -> dict[str, Any]:
    return {
        "client_id": "C0ffee",
        "client_secret": "a secret",
        "redirect_uri": REDIRECT_URI,
        "scopes": "spark:people_read",
        "vault": SqliteVault(vault, keys=KeyRing(KeyRing.new_key())),
        "api_url": f"{url}/v1",
    }


def _answer_to(authorization_url: str) -> str:
    (state,) = parse_qs(urlsplit(authorization_url).query)["state"]
    return f"{REDIRECT_URI}?code=c&state={state}"


async def _blocking(url: str, settings: Mapping[str, Any], calls: int) -> dict[str, float]:
    def block(client: Any) -> Block:
        async def run() -> None:
            for _ in range(calls):
                client.get(f"{url}/v1/people/me").raise_for_status()

        return run

    with ExitStack() as stack:
        integration = stack.enter_context(Integration(**settings))
        begun = integration.authorization_request()
        cookies = {begun.cookie.name: begun.cookie.value}
        person = integration.complete_authorization(_answer_to(begun.url), cookies).person_id
        auth, session = grant_auth(integration, person), requests.Session()
        carrying = GrantSession(integration, person)
        session.trust_env = carrying.trust_env = False
        clients: dict[str, Any] = {
            "httpx2.Client": httpx2.Client(trust_env=False),
            "Integration": integration.client_for(person),
            "requests.Session": session,
            "requests adapter": carrying,
            "httpx.Client": httpx.Client(trust_env=False),
            "httpx adapter": httpx.Client(trust_env=False, auth=auth),
        }
        return await _in_turns({name: block(stack.enter_context(each)) for name, each in clients.items()}, calls)


async def _awaiting(url: str, settings: Mapping[str, Any], calls: int) -> dict[str, float]:
    def block(client: httpx2.AsyncClient) -> Block:
        async def run() -> None:
            for _ in range(calls):
                (await client.get(f"{url}/v1/people/me")).raise_for_status()

        return run

    def block_of_aiohttp(client: aiohttp.ClientSession) -> Block:
        async def run() -> None:
            for _ in range(calls):
                async with client.get(f"{url}/v1/people/me") as response:
                    response.raise_for_status()
                    await response.read()  # as the others do by themselves

        return run

    async with AsyncExitStack() as stack:
        integration = await stack.enter_async_context(AsyncIntegration(**settings))
        begun = await integration.authorization_request()
        cookies = {begun.cookie.name: begun.cookie.value}
        person = (await integration.complete_authorization(_answer_to(begun.url), cookies)).person_id
        bare = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
        ours = await stack.enter_async_context(integration.client_for(person))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        middleware = grant_middleware(integration, person)
        carrying = await stack.enter_async_context(aiohttp.ClientSession(middlewares=[middleware]))
        blocks = {
            "httpx2.AsyncClient": block(bare),
            "AsyncIntegration": block(ours),
            "aiohttp.ClientSession": block_of_aiohttp(session),
            "aiohttp adapter": block_of_aiohttp(carrying),
        }
        return await _in_turns(blocks, calls)


async def _in_turns(blocks: Mapping[str, Block], calls: int) -> dict[str, float]:
    """The first block of each makes connections and fills caches, and is not counted."""
    took: dict[str, list[float]] = {name: [] for name in blocks}
    for number in range(BLOCKS + 1):
        for name, run in blocks.items():
            began = time.process_time()
            await run()
            if number:
                took[name].append((time.process_time() - began) / calls * 1e6)
    return {name: median(each) for name, each in took.items()}
