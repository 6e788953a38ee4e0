"""Clients that are not ours, unmodified, over sockets, against a running `grantflow up`."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from requests_oauthlib import OAuth2Session
from webexpythonsdk import ApiError, WebexAPI
from wxc_sdk import WebexSimpleApi
from wxc_sdk.integration import Integration as WxcIntegration
from wxc_sdk.rest import RestSession

from tests.parts import require
from tests.whole.person import Person
from tests.whole.running import Up, up

REDIRECT_URI = "http://localhost:6001/redirect"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("interop") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def app(platform: Up) -> dict[str, Any]:
    return platform.register("Foreign clients", REDIRECT_URI)


def authorize_url(platform: Up, app: dict[str, Any]) -> str:
    asked = {
        "client_id": app["client_id"],
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": platform.app["scopes"],
        "state": "1234abcd",
    }
    return f"{platform.api_url}/authorize?{urlencode(asked)}"


def granted(platform: Up, url: str) -> str:
    """Where Ada's browser is sent when she has accepted."""
    with Person(platform.ada, stops=(REDIRECT_URI,)) as ada:
        return ada.grant(url)


def code_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["code"][0]


def test_curl_walks_from_code_to_a_renewed_token(platform: Up, app: dict[str, Any]) -> None:
    curl = require("curl")

    def ask(*arguments: str) -> dict[str, Any]:
        command = [curl, "--silent", "--show-error", "--noproxy", "*", *arguments]
        answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
        return answer

    def token(**fields: str) -> dict[str, Any]:
        form = {"client_id": app["client_id"], "client_secret": app["client_secret"], **fields}
        return ask(
            *(part for name, value in form.items() for part in ("--data-urlencode", f"{name}={value}")),
            f"{platform.api_url}/access_token",
        )

    code = code_of(granted(platform, authorize_url(platform, app)))
    first = token(grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI)
    renewed = token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    again = token(grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI)
    person = ask("-H", f"Authorization: Bearer {renewed['access_token']}", f"{platform.api_url}/people/me")
    assert (first["expires_in"], first["refresh_token_expires_in"]) == (1_209_600, 7_776_000)
    assert renewed["access_token"] != first["access_token"]
    assert again["error"] == "invalid_grant"
    assert person["emails"] == [platform.ada["email"]]


def test_webexpythonsdk_exchanges_refreshes_and_calls(platform: Up, app: dict[str, Any]) -> None:
    code = code_of(granted(platform, authorize_url(platform, app)))
    api = WebexAPI(
        base_url=f"{platform.api_url}/",
        client_id=app["client_id"],
        client_secret=app["client_secret"],
        oauth_code=code,
        redirect_uri=REDIRECT_URI,
    )
    assert api.people.me().displayName == platform.ada["name"]
    room = api.rooms.create("Made by webexpythonsdk")
    api.messages.create(room.id, text="Hello from Ada")
    assert [message.text for message in api.messages.list(room.id)] == ["Hello from Ada"]
    api.rooms.delete(room.id)

    code = code_of(granted(platform, authorize_url(platform, app)))
    tokens = api.access_tokens.get(app["client_id"], app["client_secret"], code, REDIRECT_URI)
    renewed = api.access_tokens.refresh(app["client_id"], app["client_secret"], tokens.refresh_token)
    fresh = WebexAPI(access_token=renewed.access_token, base_url=f"{platform.api_url}/")
    assert fresh.people.me().emails == [platform.ada["email"]]
    with pytest.raises(ApiError) as refused:
        api.access_tokens.get(app["client_id"], app["client_secret"], code, REDIRECT_URI)
    assert refused.value.status_code == 400


def test_wxc_sdk_runs_its_own_flow_with_its_own_redirect_server(
    platform: Up, app: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RestSession, "BASE", platform.api_url)

    def open_browser(url: str) -> None:
        def visit() -> None:
            # The SDK's server drops the connection once it has the code.
            with Person(platform.ada) as ada, suppress(httpx2.TransportError):
                ada.grant(url)

        Thread(target=visit, daemon=True).start()

    integration = WxcIntegration(
        client_id=app["client_id"],
        client_secret=app["client_secret"],
        scopes=platform.app["scopes"],
        redirect_url=REDIRECT_URI,
        auth_service=f"{platform.api_url}/authorize",
        token_service=f"{platform.api_url}/access_token",
        initiate_flow_callback=open_browser,
    )
    tokens = integration.get_tokens_from_oauth_flow()
    assert tokens is not None
    before = tokens.access_token
    integration.refresh(tokens)
    assert tokens.access_token != before
    with WebexSimpleApi(tokens=tokens) as api:
        assert api.people.me().display_name == platform.ada["name"]
        assert [room.title for room in api.rooms.list()]


def fetch_with_authlib(platform: Up, app: dict[str, Any]) -> Any:
    session = AuthlibSession(
        app["client_id"],
        app["client_secret"],
        scope=platform.app["scopes"],
        redirect_uri=REDIRECT_URI,
        code_challenge_method="S256",
    )
    verifier = "a-verifier-of-forty-three-characters-at-least"
    url, _ = session.create_authorization_url(f"{platform.api_url}/authorize", code_verifier=verifier)
    endpoint = f"{platform.api_url}/access_token"
    session.fetch_token(endpoint, authorization_response=granted(platform, url), code_verifier=verifier)
    session.refresh_token(endpoint)
    return session


def fetch_with_requests_oauthlib(platform: Up, app: dict[str, Any]) -> Any:
    session = OAuth2Session(app["client_id"], scope=platform.app["scopes"].split(), redirect_uri=REDIRECT_URI)
    url, _ = session.authorization_url(f"{platform.api_url}/authorize")
    endpoint = f"{platform.api_url}/access_token"
    session.fetch_token(
        endpoint,
        authorization_response=granted(platform, url),
        client_secret=app["client_secret"],
        include_client_id=True,
    )
    session.refresh_token(endpoint, client_id=app["client_id"], client_secret=app["client_secret"])
    return session


@pytest.mark.parametrize("fetch", [fetch_with_authlib, fetch_with_requests_oauthlib])
def test_general_oauth_clients_grant_refresh_and_call(
    platform: Up, app: dict[str, Any], fetch: Callable[[Up, dict[str, Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("OAUTHLIB_RELAX_TOKEN_SCOPE", "1")
    session = fetch(platform, app)
    assert session.get(f"{platform.api_url}/people/me").json()["displayName"] == platform.ada["name"]


def test_bearer_none_of_a_client_that_lost_its_token_is_a_clean_401(platform: Up) -> None:
    answer = requests.get(f"{platform.api_url}/people/me", headers={"Authorization": "Bearer None"}, timeout=60)
    assert (answer.status_code, "trackingId" in answer.json()) == (401, True)


def test_the_state_folder_is_readable_by_its_owner_alone(platform: Up) -> None:
    loose = [p.name for p in Path(platform.folder).rglob("*") if p.is_file() and p.stat().st_mode & 0o077]
    assert loose == []
