"""Webex's SDKs as they are, with a grant of ours: against a running `grantflow up`, and what they upload."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from webexpythonsdk import ApiError
from wxc_sdk.rest import RestError, RestSession

from grantflow import AsyncIntegration, ForeignOrigin, Integration, KeyRing, ReauthorizationRequired, SqliteVault
from grantflow.client.adapters.webexpythonsdk import webex_api
from grantflow.client.adapters.wxc_sdk import as_webex_simple_api, webex_simple_api
from tests.client.adapters.senders import BODY
from tests.client.conftest import World
from tests.whole.person import Person
from tests.whole.running import Up, up

REDIRECT_URI = "http://localhost:6001/redirect"
#: aiohttp discourages what the SDK does.
discouraged = pytest.mark.filterwarnings("ignore:Inheritance class AsRestSession:DeprecationWarning")


# --- against the sandbox ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("sdks") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> SqliteVault:
    return SqliteVault(tmp_path_factory.mktemp("vault") / "grants.db", keys=KeyRing(KeyRing.new_key()))


@pytest.fixture(scope="module")
def integration(platform: Up, vault: SqliteVault) -> Iterator[Integration]:
    app = platform.register("SDKs", REDIRECT_URI)
    with Integration(
        app["client_id"],
        app["client_secret"],
        redirect_uri=REDIRECT_URI,
        scopes=platform.app["scopes"],
        vault=vault,
        api_url=platform.api_url,
    ) as made:
        yield made


@pytest.fixture
def ada(platform: Up, integration: Integration) -> str:
    begun = integration.authorization_request()
    with Person(platform.ada, stops=(REDIRECT_URI,)) as person:
        answer = person.grant(begun.url)
    return integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value}).person_id


@pytest.mark.slow
def test_w32_webexpythonsdk_calls_on_through_the_end_of_tokens_in_the_middle_of_a_list(
    platform: Up, integration: Integration, ada: str
) -> None:
    api = webex_api(integration, ada)
    assert api.people.me().displayName == platform.ada["name"]
    titles = []
    for room in api.rooms.list(max=1):
        titles.append(room.title)
        platform.expire_access_tokens()
    assert len(titles) > 2
    assert set(titles) == {room.title for room in api.rooms.list()}
    platform.expire_access_tokens()
    room = api.rooms.create("Made by webexpythonsdk")
    platform.expire_access_tokens()
    api.messages.create(room.id, text="Hello from Ada")
    assert [message.text for message in api.messages.list(room.id)] == ["Hello from Ada"]
    api.rooms.delete(room.id)


@pytest.mark.slow
def test_w32_wxc_sdk_calls_on_through_the_end_of_tokens_in_the_middle_of_a_list(
    platform: Up, integration: Integration, ada: str
) -> None:
    with webex_simple_api(integration, ada) as api:
        assert api.people.me().display_name == platform.ada["name"]
        titles = []
        for room in api.rooms.list(max=1):
            titles.append(room.title)
            platform.expire_access_tokens()
        assert len(titles) > 2
        assert set(titles) == {room.title for room in api.rooms.list()}
    assert RestSession.BASE == "https://webexapis.com/v1", "the SDK itself is as it was"


@pytest.mark.slow
@discouraged
def test_w32_awaiting_wxc_sdk_calls_on_through_the_end_of_tokens_in_the_middle_of_a_list(
    platform: Up, integration: Integration, ada: str, vault: SqliteVault
) -> None:
    of = integration.configuration

    async def call() -> None:
        made = AsyncIntegration(
            of.client_id,
            of.credentials.client_secret,
            redirect_uri=REDIRECT_URI,
            scopes=platform.app["scopes"],
            vault=vault,
            api_url=platform.api_url,
        )
        async with as_webex_simple_api(made, ada) as api:
            assert (await api.people.me()).display_name == platform.ada["name"]
            titles = []
            async for room in api.rooms.list_gen(max=1):
                titles.append(room.title)
                platform.expire_access_tokens()
            assert len(titles) > 2
            assert set(titles) == {room.title for room in await api.rooms.list()}

    asyncio.run(call())


@pytest.mark.slow
def test_what_an_sdk_tells_of_a_refusal_that_is_none_of_the_tokens_stays_its_own(
    integration: Integration, ada: str
) -> None:
    with pytest.raises(ApiError) as told:
        webex_api(integration, ada).rooms.get("missing")
    assert told.value.status_code == 400
    with webex_simple_api(integration, ada) as api, pytest.raises(RestError):
        api.rooms.details("missing")


# --- what they upload ------------------------------------------------------------------------------------------------


def file_of(received: bytes) -> bytes:
    """The content of the one file in a multipart body."""
    (content,) = re.findall(rb'filename="body.bin"\r\n(?:.+\r\n)*\r\n(.*?)\r\n--[0-9a-f]+', received, re.DOTALL)
    assert isinstance(content, bytes)
    return content


@pytest.fixture
def upload(tmp_path: Path) -> str:
    path = tmp_path / "body.bin"
    path.write_bytes(BODY)
    return str(path)


def test_a_file_that_webexpythonsdk_uploads_arrives_whole_after_a_401(world: World, upload: str) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    webex_api(integration, "id-ada").messages.create("room", text="Look", files=[upload])
    assert [file_of(body) for body in world.platform.bodies] == [BODY]
    assert world.platform.counts["refresh"] == 1


def test_a_file_that_wxc_sdk_uploads_arrives_whole_after_a_401(world: World, upload: str) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    with webex_simple_api(integration, "id-ada") as api:
        api.messages.create("room", text="Look", files=[upload])
    assert [file_of(body) for body in world.platform.bodies] == [BODY]
    assert world.platform.counts["refresh"] == 1


@discouraged
def test_a_file_that_awaiting_wxc_sdk_uploads_arrives_whole_after_a_401(world: World, upload: str) -> None:
    world.grant(world.integration())

    async def call() -> None:
        async with world.async_integration() as integration, as_webex_simple_api(integration, "id-ada") as api:
            world.platform.expire_access_tokens()
            await api.messages.create("room", text="Look", files=[upload])

    asyncio.run(call())
    assert [file_of(body) for body in world.platform.bodies] == [BODY]
    assert world.platform.counts["refresh"] == 1


def test_a_call_of_an_sdk_to_another_host_is_refused_and_says_how_to_allow_it(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    refused = pytest.raises(ForeignOrigin, match=r"https://analytics-calling\.webexapis\.com is not the API")
    with webex_simple_api(integration, "id-ada") as api, refused:
        list(api.cdr.get_cdr_history())


def test_a_grant_that_is_gone_is_told_by_the_sdks_as_everywhere(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        webex_api(integration, "id-ada").people.me()
    with webex_simple_api(integration, "id-ada") as api, pytest.raises(ReauthorizationRequired):
        api.people.me()
