"""Our own platform as any other server: found out by its issuer, or named by its addresses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grantflow import Integration, KeyRing, SqliteVault
from tests.whole.person import Person
from tests.whole.running import Up, up

REDIRECT_URI = "http://127.0.0.1:6001/oauth"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("discovery") / "state") as running:
        yield running


@pytest.mark.parametrize("discovers", [True, False])
@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_s30_s98_our_own_platform_is_found_out_by_its_issuer_or_named_by_its_addresses(
    platform: Up, tmp_path: Path, *, discovers: bool, profile: str
) -> None:
    app = platform.register(f"Found out {discovers} {profile}", REDIRECT_URI, "--profile", profile)
    given: dict[str, Any] = {
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "redirect_uri": REDIRECT_URI,
        "scopes": platform.app["scopes"],
        "vault": SqliteVault(tmp_path / "grants.db", keys=KeyRing(KeyRing.new_key())),
    }
    if discovers:
        integration = Integration.discover(platform.api_url, **given)
    else:
        revocation_url = f"{platform.api_url}/revoke"
        integration = Integration(
            **given, api_url=platform.api_url, issuer=platform.api_url, revocation_url=revocation_url
        )
    with integration:
        assert integration.configuration.iss_required
        assert integration.configuration.api_url == platform.api_url
        begun = integration.authorization_request()
        with Person(platform.ada, stops=(REDIRECT_URI,)) as ada:
            answer = ada.grant(begun.url)
        grant = integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
        assert grant.display_name == platform.ada["name"]
        platform.expire_access_tokens()
        with integration.client_for(grant.person_id) as client:
            assert client.get("people/me").json()["displayName"] == platform.ada["name"]
        renewed = integration.grant(grant.person_id)
        assert renewed is not None
        assert renewed.generation == 2
        assert integration.revoke(grant.person_id).at_platform
