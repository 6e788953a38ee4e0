"""What ends with a sign-out or another password: the session always, what was granted where the operator wants it."""

from pathlib import Path

import pytest

from grantflow import Integration, ReauthorizationRequired
from tests.walkthrough.both_halves import ADA, GRACE, REDIRECT_URI, both_halves
from tests.whole.running import grantflow

pytestmark = pytest.mark.slow


def acts_for(integration: Integration, person_id: str) -> bool:
    try:
        return integration.client_for(person_id).get("people/me").status_code == 200
    except ReauthorizationRequired:
        return False


@pytest.mark.parametrize("ends", [False, True])
def test_s64_signing_out_ends_what_was_granted_only_where_that_is_set(tmp_path: Path, ends: bool) -> None:
    with both_halves(tmp_path, revoke_on_sign_out=ends) as halves:
        integration = halves.integration(halves.register("Lockbot"))
        graces = halves.grant(integration, GRACE)
        begun = integration.authorization_request()
        with halves.browser(ADA, REDIRECT_URI) as ada:
            address = ada.grant(begun.url)
            adas = integration.complete_authorization(address, {begun.cookie.name: begun.cookie.value})
            ada.open(f"{halves.url}/connected-apps")
            assert acts_for(integration, adas.person_id)
            assert "You are signed out" in ada.press("Sign out").words
        assert acts_for(integration, adas.person_id) is not ends
        assert acts_for(integration, graces.person_id)


@pytest.mark.parametrize("setting", ["", "true"])
def test_s64_another_password_ends_what_was_granted_only_where_that_is_set(tmp_path: Path, setting: str) -> None:
    with both_halves(tmp_path) as halves:
        integration = halves.integration(halves.register("Lockbot"))
        adas, graces = halves.grant(integration, ADA), halves.grant(integration, GRACE)
        said = grantflow(
            *("platform", "person", "password", ADA["email"], "--password-stdin", "--data", str(tmp_path)),
            stdin="quite another sentence\n",
            GRANTFLOW_PLATFORM_REVOKE_ON_PASSWORD_CHANGE=setting,
        ).stderr
        assert ("What they granted has ended." in said) == bool(setting)
        assert acts_for(integration, adas.person_id) is not bool(setting)
        assert acts_for(integration, graces.person_id)
