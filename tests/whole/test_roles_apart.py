"""The roles in processes of their own, which meet by redirect and by the store alone; each can be away."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlencode, urlsplit

import httpx2
import pytest

from grantflow import ReauthorizationRequired, TransientTokenError
from tests.parts import free_port
from tests.whole.apart import ADA, PLATFORM_ROLES, Apart, Process, apart
from tests.whole.person import Person

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    with apart(tmp_path_factory.mktemp("apart") / "state") as running:
        yield running


@pytest.fixture
def ada(house: Apart) -> Iterator[Person]:
    with Person(ADA) as person:
        yield person


def grant(house: Apart, ada: Person) -> str:
    """Through all four roles, and back; the person's id as the integration knows it."""
    assert ada.grant(f"{house.urls['integration']}/connect") == f"{house.urls['integration']}/granted"
    with house.integration() as integration:
        return integration.grants()[0].person_id


def status_of_a_call(house: Apart, person_id: str) -> int:
    with house.integration() as integration, integration.client_for(person_id) as client:
        return client.get("people/me").status_code


def revoke(house: Apart, ada: Person) -> None:
    ada.open(f"{house.urls['resource-owner']}/connected-apps")
    if any("password" in form.fields for form in ada.page.forms):
        ada.sign_in()
    ada.press("Revoke")
    ada.press("Revoke")


def test_w03_the_story_is_told_across_processes(house: Apart, ada: Person) -> None:
    page = ada.open(house.urls["integration"])
    page = ada.press("Grant")
    assert page.url.startswith(f"{house.urls['resource-owner']}/signin?request=")
    page = ada.sign_in()
    assert page.url.startswith(f"{house.urls['resource-owner']}/consent?request=")
    page = ada.press("Accept")
    assert page.url == f"{house.urls['integration']}/granted"
    assert "Ada Lovelace" in page.words
    with house.integration() as integration:
        person_id = integration.grants()[0].person_id

    assert status_of_a_call(house, person_id) == 200
    house.expire_access_tokens()
    assert status_of_a_call(house, person_id) == 200, "the access token died and was renewed at the other process"

    revoke(house, ada)
    with pytest.raises(ReauthorizationRequired) as lost:
        status_of_a_call(house, person_id)
    assert ada.grant(lost.value.grant_url) == f"{house.urls['integration']}/granted"
    assert status_of_a_call(house, person_id) == 200


def test_w03_the_api_names_its_own_address_and_the_metadata_that_of_the_issuer(house: Apart, ada: Person) -> None:
    person_id = grant(house, ada)
    with house.integration() as integration, integration.client_for(person_id) as client:
        for number in range(2):
            client.post("rooms", json={"title": f"Room {number}"})
        link = client.get("rooms", params={"max": 1}).headers["link"]
        assert link.startswith(f"<{house.api_url}/rooms?")
        assert len(client.get(link.partition(">")[0][1:]).json()["items"]) == 1
    metadata = httpx2.get(
        f"{house.urls['authorization-server']}/.well-known/oauth-authorization-server/v1", trust_env=False, timeout=30
    ).json()
    assert metadata["issuer"] == house.issuer
    assert metadata["token_endpoint"] == f"{house.issuer}/access_token"


def test_w03_who_signs_in_or_out_at_one_address_has_done_so_at_all(house: Apart, ada: Person) -> None:
    integration, owner = house.urls["integration"], house.urls["resource-owner"]
    ada.open(f"{owner}/signin")
    ada.sign_in()
    assert ada.open(f"{integration}/connect").url.startswith((f"{owner}/consent?", f"{integration}/granted"))
    ada.open(f"{owner}/connected-apps")
    assert "signed out" in ada.press("Sign out").words
    assert ada.open(f"{integration}/connect").url.startswith(f"{owner}/signin?request=")


@pytest.mark.parametrize("role", PLATFORM_ROLES)
def test_w03_each_role_tells_that_it_is_well_and_leads_people_to_the_front_page(house: Apart, role: str) -> None:
    assert httpx2.get(f"{house.urls[role]}/healthz", trust_env=False, timeout=30).json() == {"status": "ok"}
    with Person() as visitor:
        assert visitor.open(house.urls[role]).url.rstrip("/") == house.urls["resource-owner"]
        assert house.api_url in visitor.page.words


def test_w03_without_the_api_people_still_sign_in_and_tokens_are_still_renewed(house: Apart, ada: Person) -> None:
    person_id = grant(house, ada)
    house.processes["resource-server"].kill()
    try:
        with house.integration() as integration:
            before = integration.grants()[0].refreshed_at
            assert integration.refresh(person_id).refreshed_at != before
        assert "Apart" in ada.open(f"{house.urls['resource-owner']}/connected-apps").words
    finally:
        house.begin_role("resource-server")
    assert status_of_a_call(house, person_id) == 200


def test_w03_without_the_authorization_server_calls_go_on_and_a_revoked_token_still_stops(
    house: Apart, ada: Person
) -> None:
    person_id = grant(house, ada)
    house.processes["authorization-server"].kill()
    try:
        assert status_of_a_call(house, person_id) == 200
        revoke(house, ada)
        # Refused by the API; nobody is there to say that the grant is gone.
        with pytest.raises(TransientTokenError) as delayed:
            status_of_a_call(house, person_id)
    finally:
        house.begin_role("authorization-server")
    time.sleep(delayed.value.retry_after)
    with pytest.raises(ReauthorizationRequired):
        status_of_a_call(house, person_id)


def test_w03_without_the_persons_pages_every_grant_is_kept_alive(house: Apart, ada: Person) -> None:
    person_id = grant(house, ada)
    house.processes["resource-owner"].kill()
    try:
        house.expire_access_tokens()
        assert status_of_a_call(house, person_id) == 200
    finally:
        house.begin_role("resource-owner")
    assert "Apart" in ada.open(f"{house.urls['resource-owner']}/connected-apps").words


def test_w03_the_portal_sends_people_to_sign_in_and_gets_them_back(house: Apart, ada: Person) -> None:
    portal, owner = house.urls["developer-portal"], house.urls["resource-owner"]
    ada.open(f"{portal}/my-apps")
    assert ada.page.url.startswith(f"{owner}/signin?next=")
    assert ada.sign_in().url == f"{portal}/my-apps"
    assert ada.press("Connected apps").url == f"{owner}/connected-apps"
    assert ada.press("My Webex Apps").url == f"{portal}/my-apps"
    assert ada.press("Sign out").url.startswith(f"{owner}/")
    assert "signed out" in ada.page.words
    assert ada.open(f"{portal}/my-apps").url.startswith(f"{owner}/signin?next=")


def test_s99_after_signing_in_people_are_led_to_pages_of_the_portal_and_to_nobody_elses(
    house: Apart, ada: Person
) -> None:
    portal, owner = house.urls["developer-portal"], house.urls["resource-owner"]
    ada.open(f"{owner}/signin")
    ada.sign_in()
    assert ada.open(f"{owner}/signin?next={portal}/my-apps/new").url == f"{portal}/my-apps/new"
    for elsewhere in ("@evil.example/", ".evil.example/", "/../signout", "//evil.example", "#x"):
        asked = urlencode({"next": f"{portal}/my-apps{elsewhere}"})
        assert ada.open(f"{owner}/signin?{asked}").url == f"{owner}/connected-apps"
    asked = urlencode({"next": f"{portal}@evil.example/my-apps"})
    assert ada.open(f"{owner}/signin?{asked}").url == f"{owner}/connected-apps"


def test_w03_the_portal_names_the_authorization_servers_address(house: Apart, ada: Person) -> None:
    ada.open(f"{house.urls['developer-portal']}/my-apps/new/integration")
    ada.sign_in()
    form = {"redirect_uris": "https://lockbot.example/oauth", "scope.spark:people_read": "on"}
    page = ada.press(
        "Create Integration", name="Lockbot", contact_email="ada@example.com", description="It locks.", **form
    )
    assert f"{house.issuer}/authorize?client_id=" in page.words


def test_w03_w36_the_portals_env_is_all_that_an_integration_needs_where_the_roles_are_apart(
    house: Apart, ada: Person, tmp_path: Path
) -> None:
    ada.open(f"{house.urls['developer-portal']}/my-apps/new/integration")
    ada.sign_in()
    redirect_uri = f"http://127.0.0.1:{free_port()}/oauth"
    form = {"redirect_uris": redirect_uri, "scope.spark:people_read": "on"}
    page = ada.press(
        "Create Integration", name="From its env", contact_email="ada@example.com", description="It reads.", **form
    )
    env_file = tmp_path / "its.env"
    env_file.write_text(unquote(page.text.partition("data:text/plain;charset=utf-8,")[2].partition('"')[0]))
    env = {"GRANTFLOW_KEY": house.key, "GRANTFLOW_VAULT": str(tmp_path / "vault.db")}
    command = ("serve", "--env-file", str(env_file), "--data", str(tmp_path / "data"))
    pages = Process(command, env, tmp_path / "stderr")
    pages.begin()
    try:
        home = redirect_uri.removesuffix("/oauth")
        assert "Connect From its env with Grantflow" in ada.open(home).words
        connected = dict(ada.page.links)["Connected apps"]
        assert connected.startswith(house.urls["resource-owner"]), "where people see it, and not where the API is"
        assert urlsplit(house.api_url).netloc not in ada.page.text
        assert ada.grant(f"{home}/connect") == f"{home}/granted"
    finally:
        pages.kill()


def test_w03_without_the_portal_people_sign_in_and_grants_are_kept(house: Apart, ada: Person) -> None:
    house.processes["developer-portal"].kill()
    try:
        person_id = grant(house, ada)
        house.expire_access_tokens()
        assert status_of_a_call(house, person_id) == 200
    finally:
        house.begin_role("developer-portal")


def test_w03_without_the_integration_the_person_can_still_take_the_grant_back(house: Apart, ada: Person) -> None:
    person_id = grant(house, ada)
    house.processes["integration"].kill()
    try:
        revoke(house, ada)
        with pytest.raises(ReauthorizationRequired):
            status_of_a_call(house, person_id)
    finally:
        house.begin_integration()
