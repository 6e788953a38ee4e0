"""Spaces by aiohttp (from 3.12 on), whose client session takes a middleware."""

import asyncio

import aiohttp
from own import settings, whoever_granted_last

from grantflow import AsyncIntegration
from grantflow.client.adapters.aiohttp import grant_middleware


async def main() -> None:
    async with AsyncIntegration(**settings()) as integration:
        person_id = whoever_granted_last(await integration.grants())
        middleware = grant_middleware(integration, person_id)
        async with aiohttp.ClientSession(middlewares=[middleware]) as session:
            answer = await session.get(f"{integration.configuration.api_url}/rooms")
            for room in (await answer.json())["items"]:
                print(room["title"])


asyncio.run(main())
