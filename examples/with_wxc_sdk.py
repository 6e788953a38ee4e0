"""Spaces by wxc_sdk, unmodified, for as long as the grant lives; blocking, and on asyncio."""

import asyncio

from own import settings, whoever_granted_last

from grantflow import AsyncIntegration, Integration
from grantflow.client.adapters.wxc_sdk import as_webex_simple_api, webex_simple_api

with Integration(**settings()) as integration:
    person_id = whoever_granted_last(integration.grants())
    with webex_simple_api(integration, person_id) as webex:
        for room in webex.rooms.list():
            print(room.title)


async def main() -> None:
    async with AsyncIntegration(**settings()) as integration, as_webex_simple_api(integration, person_id) as webex:
        print((await webex.people.me()).display_name)


asyncio.run(main())
