"""Taking a grant back: forgotten here in every case, ended at the platform where it can be asked."""

from urllib.parse import parse_qs

import pytest

from grantflow import ReauthorizationRequired, Revocation, Status
from tests.client.conftest import World


def test_w02_a_revoked_grant_is_ended_at_the_platform_and_touches_no_other(world: World) -> None:
    integration = world.integration(revocation_url=f"{world.api_url}/revoke")
    ada, _ = world.grant(integration), world.grant(integration, person="grace")
    _, refresh_token = world.stored_tokens(integration)
    revocation = integration.revoke("id-ada")
    assert (revocation.at_platform, revocation.reason) == (True, None)
    (body,) = world.platform.bodies
    sent = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    assert sent.pop("client_secret")
    assert sent == {"token": refresh_token, "token_type_hint": "refresh_token", "client_id": integration.client_id}
    assert world.stored(integration) == (None, None)
    with pytest.raises(ReauthorizationRequired, match="disconnected") as caught:
        integration.client_for("id-ada").get("people/me")
    assert caught.value.grant_url.endswith(f"/connect?grant={ada.id}")
    assert integration.client_for("id-grace").get("people/me").status_code == 200


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({}, 200, "No revocation endpoint is configured"),
        ({"revocation_url": "/revoke"}, 503, "answered 503"),
        ({"revocation_url": "/revoke"}, 404, "answered 404"),
        ({"revocation_url": "http://127.0.0.1:1/revoke"}, 200, "did not answer"),
    ],
)
def test_where_the_platform_cannot_or_will_not_the_grant_is_forgotten_here_all_the_same(
    world: World, options: dict[str, str], status: int, says: str
) -> None:
    if options.get("revocation_url", "").startswith("/"):
        options = {"revocation_url": world.api_url + options["revocation_url"]}
    world.platform.revocation_status = status
    integration = world.integration(**options)
    world.grant(integration)
    revocation = integration.revoke("id-ada")
    assert not revocation.at_platform
    assert revocation.reason is not None
    assert says in revocation.reason
    assert world.stored(integration) == (None, None)
    assert integration.grants()[0].status is Status.REVOKED


def test_revoking_twice_or_what_was_never_granted_asks_nobody(world: World) -> None:
    integration = world.integration(revocation_url=f"{world.api_url}/revoke")
    assert integration.revoke("nobody") == Revocation(at_platform=False, reason="There was no grant to revoke.")
    world.grant(integration)
    integration.revoke("id-ada")
    again = integration.revoke("id-ada")
    assert (again.reason, again.had_ended) == ("There was no grant to revoke.", True)
    assert world.platform.counts["revoke"] == 1


def test_a_refused_grant_can_be_revoked_and_a_revoked_one_be_granted_again(world: World) -> None:
    integration = world.integration(revocation_url=f"{world.api_url}/revoke")
    first = world.grant(integration)
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        integration.refresh("id-ada")
    assert integration.revoke("id-ada").at_platform
    again = world.grant(integration)
    assert (again.id == first.id, again.status) == (False, Status.ACTIVE)
    assert integration.client_for("id-ada").get("people/me").status_code == 200


def test_a_grant_whose_tokens_cannot_be_opened_can_still_be_forgotten(world: World) -> None:
    integration = world.integration(revocation_url=f"{world.api_url}/revoke")
    world.grant(integration)
    integration._parts.vault._here().writer.execute("UPDATE grants SET tokens = zeroblob(80)")  # type: ignore[attr-defined]
    revocation = integration.revoke("id-ada")
    assert revocation.reason == "There was no token left to revoke at the platform."
    assert integration.grants()[0].status is Status.REVOKED


@pytest.mark.parametrize("rotates", [False, True])
def test_tokens_that_come_after_the_grant_was_revoked_are_ended_at_the_platform_too(
    world: World, rotates: bool
) -> None:
    integration = world.integration(revocation_url=f"{world.api_url}/revoke")
    world.grant(integration)
    world.platform.rotates = rotates
    _, old = world.stored_tokens(integration)
    world.platform.on_refresh = lambda: revoke_meanwhile(world)
    with pytest.raises(ReauthorizationRequired, match="disconnected"):
        integration.refresh("id-ada")
    line = world.platform.line()
    sent = [parse_qs(body.decode())["token"][0] for body in world.platform.bodies]
    assert sent == [old, line.refresh if rotates else max(line.access)]
    assert integration.grants()[0].status is Status.REVOKED


def revoke_meanwhile(world: World) -> None:
    world.platform.expire_access_tokens()
    assert world.integration(revocation_url=f"{world.api_url}/revoke").revoke("id-ada").at_platform


def test_tokens_that_come_after_a_revocation_and_cannot_be_ended_are_told_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    integration = world.integration()
    world.grant(integration)

    def revoke() -> None:
        world.integration().revoke("id-ada")

    world.platform.on_refresh = revoke
    with pytest.raises(ReauthorizationRequired, match="disconnected"):
        integration.refresh("id-ada")
    assert "the new tokens may live on at the platform: No revocation endpoint is configured" in caplog.text


def test_tokens_that_come_after_the_person_has_granted_again_are_left_alone(world: World) -> None:
    """Some platforms end everything of the person's with any token of theirs."""
    integration = world.integration(revocation_url=f"{world.api_url}/revoke")
    world.grant(integration)

    def grant_again() -> None:
        world.platform.on_refresh = lambda: None
        world.grant(world.integration())

    world.platform.on_refresh = grant_again
    assert integration.refresh("id-ada").status is Status.ACTIVE
    assert world.platform.counts["revoke"] == 0
