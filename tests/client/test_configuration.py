"""How an integration is made, and what it refuses to be made with."""

from pathlib import Path
from typing import Any

import pytest

from grantflow import Integration, KeyRing, SqliteVault
from grantflow.client.configuration import name_of
from grantflow.protocol.errors import InvalidScope

KEYS = KeyRing(KeyRing.new_key())


def made(folder: Path, **options: Any) -> Integration:
    given = {
        **{"client_id": "C1", "client_secret": "s", "redirect_uri": "https://app.example.org/oauth", "scopes": "a"},
        **options,
    }
    vault = SqliteVault(folder / "grants.db", keys=KEYS)
    vault.close()  # it opens again where it is used
    return Integration(vault=vault, **given)


def test_the_defaults_are_webex(tmp_path: Path) -> None:
    configuration = made(tmp_path).configuration
    assert configuration.authorization_endpoint == "https://webexapis.com/v1/authorize"
    assert configuration.token_endpoint == "https://webexapis.com/v1/access_token"
    assert configuration.revocation_url is None
    assert configuration.api_origins == ("https://webexapis.com",)
    assert configuration.grant_url(None) == "https://app.example.org/connect"
    assert configuration.lease_seconds == 45


def test_the_platforms_address_is_one_setting_and_each_endpoint_can_be_named(tmp_path: Path) -> None:
    configuration = made(tmp_path, api_url="http://127.0.0.1:9000/v1/").configuration
    assert configuration.api_url == "http://127.0.0.1:9000/v1"
    assert configuration.token_endpoint == "http://127.0.0.1:9000/v1/access_token"
    named = made(
        tmp_path,
        authorization_endpoint="https://as.example/authorize",
        token_endpoint="https://as.example/token",
        revocation_url="https://as.example/revoke",
        grant_url="https://app.example.org/start?x=1",
    ).configuration
    assert named.authorization_endpoint == "https://as.example/authorize"
    assert named.token_endpoint == "https://as.example/token"
    assert named.grant_url(None) == "https://app.example.org/start?x=1"


@pytest.mark.parametrize(
    ("redirect_uri", "connect"),
    [
        ("https://app.example.org/oauth", "https://app.example.org/connect"),
        ("https://app.example.org", "https://app.example.org/connect"),
        ("https://app.example.org/deep/oauth?x=1", "https://app.example.org/deep/connect"),
        ("https://app.example.org/a/b/", "https://app.example.org/a/b/connect"),
        ("http://localhost:8000/oauth", "http://localhost:8000/connect"),
        ("mydemoapp://oauth", "mydemoapp://connect"),
    ],
)
def test_w11_the_page_that_begins_lies_beside_the_redirect_uri(tmp_path: Path, redirect_uri: str, connect: str) -> None:
    assert made(tmp_path, redirect_uri=redirect_uri).configuration.connect_url == connect


LOOPBACK = ["http://localhost:9000/v1", "http://127.0.0.1/v1", "http://127.8.8.8/v1", "http://[::1]:9/v1"]
NOT_SAFE = ["http://webexapis.com/v1", "http://10.0.0.1/v1", "http://localhost.evil.example/v1", "ftp://x/v1", "x", ""]


@pytest.mark.parametrize("option", ["api_url", "authorization_endpoint", "token_endpoint", "revocation_url"])
@pytest.mark.parametrize("url", NOT_SAFE)
def test_s88_s103_nothing_secret_travels_in_the_clear_but_on_this_machine(
    tmp_path: Path, option: str, url: str
) -> None:
    if not url and option != "api_url":
        url = "http://"
    with pytest.raises(ValueError, match=rf"^{option} must be an https:// address"):
        made(tmp_path, **{option: url})


@pytest.mark.parametrize("url", LOOPBACK)
def test_w13_plain_http_serves_this_machine(tmp_path: Path, url: str) -> None:
    assert made(tmp_path, api_url=url, redirect_uri=url).configuration.api_url == url


def test_w13_plain_http_elsewhere_is_refused_for_the_redirect_uri_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^redirect_uri must be"):
        made(tmp_path, redirect_uri="http://app.example.org/oauth")
    with pytest.raises(ValueError, match=r"^api_origins\[1\] must be"):
        made(tmp_path, api_origins=["http://files.example.org"])
    inside = made(tmp_path, api_url="http://platform:9000/v1", allow_plain_http=True)
    assert inside.configuration.api_url == "http://platform:9000/v1"


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"client_id": ""}, ValueError, "client_id is empty"),
        ({"client_id": " "}, ValueError, "client_id is empty"),
        ({"client_secret": ""}, ValueError, "client_secret is empty .* give None"),
        ({"client_secret": "\n"}, ValueError, "client_secret is empty .* give None"),
        ({"redirect_uri": ""}, ValueError, "redirect_uri is empty; give"),
        ({"scopes": " "}, ValueError, "scopes is empty"),
        ({"scopes": []}, ValueError, "scopes is empty"),
        ({"scopes": 'a "b"'}, InvalidScope, "RFC 6749"),
        ({"deadline": 0}, ValueError, "deadline must be"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, options: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        made(tmp_path, **options)


def test_scopes_come_in_one_string_or_several(tmp_path: Path) -> None:
    assert made(tmp_path, scopes="a b").scopes == made(tmp_path, scopes=["a", "b"]).scopes


def test_a_public_client_has_no_secret_and_a_standing_of_its_own(tmp_path: Path) -> None:
    public = made(tmp_path, client_secret=None).configuration
    secret = made(tmp_path).configuration
    assert public.credentials.client_secret is None
    assert name_of(public.credentials) == "public"
    assert name_of(secret.credentials) not in {"public", "s"}
