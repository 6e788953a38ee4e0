"""What a call through `client_for` costs its caller in CPU time, over the bare HTTP client, against a constant answer.

Blocks of calls take turns (bare, ours, bare, ours, ...), blocking and awaiting. The server is the limit's, in a process
of its own, so its time does not count; it answers the token request and people/me, which is all that a grant needs.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from benchmarks.rows import REDIRECT_URI, Place, limit
from grantflow import AsyncIntegration, Integration, KeyRing, SqliteVault

CALLS, BLOCKS = 200, 5

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
    def block(client: httpx2.Client) -> Block:
        async def run() -> None:
            for _ in range(calls):
                client.get(f"{url}/v1/people/me").raise_for_status()

        return run

    with Integration(**settings) as integration, httpx2.Client(trust_env=False) as bare:
        begun = integration.authorization_request()
        cookies = {begun.cookie.name: begun.cookie.value}
        person = integration.complete_authorization(_answer_to(begun.url), cookies).person_id
        with integration.client_for(person) as ours:
            return await _in_turns({"httpx2.Client": block(bare), "Integration": block(ours)}, calls)


async def _awaiting(url: str, settings: Mapping[str, Any], calls: int) -> dict[str, float]:
    def block(client: httpx2.AsyncClient) -> Block:
        async def run() -> None:
            for _ in range(calls):
                (await client.get(f"{url}/v1/people/me")).raise_for_status()

        return run

    async with AsyncIntegration(**settings) as integration, httpx2.AsyncClient(trust_env=False) as bare:
        begun = await integration.authorization_request()
        cookies = {begun.cookie.name: begun.cookie.value}
        granted = await integration.complete_authorization(_answer_to(begun.url), cookies)
        async with integration.client_for(granted.person_id) as ours:
            return await _in_turns({"httpx2.AsyncClient": block(bare), "AsyncIntegration": block(ours)}, calls)


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
