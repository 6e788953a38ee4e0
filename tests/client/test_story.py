"""The way of a grant from the click to the disconnect."""

from tests.client.conftest import World


def test_w29_w31_w32_w33_a_grant_is_given_used_renewed_and_taken_back(world: World) -> None:
    integration = world.integration(revocation_url=f"{world.api_url}/revoke")
    grant = world.grant(integration)
    assert (grant.person_id, grant.display_name, grant.email) == ("id-ada", "Ada", "ada@example.org")

    client = integration.client_for(grant.person_id)
    assert client.get("people/me").json()["id"] == "id-ada"
    world.platform.expire_access_tokens()
    assert client.get("people/me").json()["id"] == "id-ada"
    assert world.platform.counts["refresh"] == 1
    assert integration.revoke(grant.person_id).at_platform
