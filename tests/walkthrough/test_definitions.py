"""W01 to W12: why OAuth, and what its words mean, shown through both halves at once."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from grantflow import AccessDenied, KeyRing, ReauthorizationRequired, SqliteVault, Status
from grantflow.protocol.registration import ClientType, Profile
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.site import Site
from tests.walkthrough.both_halves import ADA, GRACE, REDIRECT_URI, SCOPES, BothHalves
from tests.whole.person import Person

pytestmark = pytest.mark.slow


def everything_written(folder: Path, name: str) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{name}*")))


def code_for(halves: BothHalves, client_id: str, *, redirect_uri: str = REDIRECT_URI, scope: str = SCOPES) -> str:
    asked = {"client_id": client_id, "response_type": "code", "redirect_uri": redirect_uri, "scope": scope}
    with halves.browser(ADA, redirect_uri) as ada:
        address = ada.grant(f"{halves.api_url}/authorize?{urlencode(asked)}")
    return parse_qs(urlsplit(address).query)["code"][0]


def test_w01_the_password_is_typed_at_the_platform_alone_and_nothing_of_the_integration_holds_it(
    halves: BothHalves, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    app = halves.register("Keeps no password")
    integration = halves.integration(app, vault="w01.db")
    begun = integration.authorization_request()
    with halves.browser(ADA) as ada:
        sign_in = ada.open(begun.url)
        address = ada.grant(begun.url)
    grant = integration.complete_authorization(address, {begun.cookie.name: begun.cookie.value})
    assert sign_in.url.startswith(halves.url)
    held = repr(grant) + repr(begun) + begun.cookie.value + address + caplog.text
    assert ADA["password"] not in held
    assert ADA["password"].encode() not in everything_written(halves.folder, "w01.db")
    assert ADA["password"].encode() not in everything_written(halves.folder, "platform.db"), "only its Argon2id hash"


def test_w02_one_persons_access_ends_without_touching_anothers_or_the_persons_other_integrations(
    halves: BothHalves,
) -> None:
    first = halves.integration(halves.register("Ends"), vault="w02a.db")
    second = halves.integration(halves.register("Stays"), vault="w02b.db")
    adas, graces = halves.grant(first, ADA), halves.grant(first, GRACE)
    adas_other = halves.grant(second, ADA)
    with halves.browser(ADA) as ada:
        ada.open(f"{halves.url}/connected-apps")
        ada.sign_in()
        revoke_on_page(ada, "Ends")
    with pytest.raises(ReauthorizationRequired):
        first.client_for(adas.person_id).get("people/me")
    assert first.client_for(graces.person_id).get("people/me").status_code == 200
    assert second.client_for(adas_other.person_id).get("people/me").status_code == 200


@pytest.mark.parametrize("way", ["page", "api"])
def test_w02_w34_an_administrator_ends_one_persons_grant_the_other_three_work_and_the_person_grants_again(
    halves: BothHalves, way: str
) -> None:
    root = {"name": "Root", "email": f"root-{way}@example.com", "password": "the longest of all sentences"}
    halves.add_person(root, is_admin=True)
    apps = [halves.register(f"{name}, by {way}") for name in ("First", "Second")]
    first, second = (halves.integration(app, vault=f"w02-{way}-{app.client_id[:9]}.db") for app in apps)
    adas, graces = halves.grant(first, ADA), halves.grant(first, GRACE)
    adas_other, graces_other = halves.grant(second, ADA), halves.grant(second, GRACE)
    if way == "page":
        with halves.browser(root) as admin:
            admin.open(f"{halves.url}/administration/people?q=ada")
            admin.sign_in()
            admin.open(f"{halves.url}/administration/people?q=ada")
            admin.press("What they granted: Ada Lovelace")
            revoke_on_page(admin, "First, by page")
            assert "First, by page can no longer act for Ada Lovelace" in admin.page.words
    else:
        scopes = "spark:people_read identity:tokens_read identity:tokens_write"
        console = halves.integration(halves.register("Console", scopes=scopes), vault="w02-console.db")
        client = console.client_for(halves.grant(console, root).person_id)
        listed = client.get("authorizations", params={"personEmail": ADA["email"]}).json()["items"]
        (found,) = [each["id"] for each in listed if (each["type"], each["clientId"]) == ("refresh", apps[0].client_id)]
        assert client.delete(f"authorizations/{found}").status_code == 204
    for integration, grant in ((first, graces), (second, adas_other), (second, graces_other)):
        assert integration.client_for(grant.person_id).get("people/me").status_code == 200
    with pytest.raises(ReauthorizationRequired):
        first.client_for(adas.person_id).get("people/me")
    again = halves.grant(first, ADA)
    assert first.client_for(again.person_id).get("people/me").json()["displayName"] == ADA["name"]


def revoke_on_page(person: Person, name: str) -> None:
    page = person.page
    position = page.text.index(name)
    links = [(words, href) for words, href in page.links if words.startswith("Revoke") and href in page.text[position:]]
    person.open(links[0][1])
    person.press("Revoke")


def test_w04_a_bot_goes_through_no_grant_and_signs_in_nowhere(halves: BothHalves) -> None:
    bot = halves.add_bot("w04bot", "Robot")
    assert halves.get("people/me", bot.token.reveal()).json()["type"] == "bot"
    assert halves.get("rooms", bot.token.reveal()).json() == {"items": []}
    app = halves.register("Asks a bot")
    asked = {"client_id": app.client_id, "response_type": "code", "redirect_uri": REDIRECT_URI, "scope": SCOPES}
    for password in ("", bot.token.reveal()):
        with halves.browser({"email": bot.bot.email, "password": password}) as browser:
            address = browser.grant(f"{halves.api_url}/authorize?{urlencode(asked)}")
        assert urlsplit(address).path == "/signin"
    cookie = {"cookie": f"{Cookies(Site('Grantflow', halves.url)).name(SESSION)}={bot.token.reveal()}"}
    answer = httpx2.get(f"{halves.api_url}/authorize?{urlencode(asked)}", headers=cookie, trust_env=False, timeout=30)
    assert urlsplit(answer.headers["location"]).path == "/signin"


def test_w05_w06_the_client_id_alone_authenticates_no_confidential_client(halves: BothHalves) -> None:
    app = halves.register("Has a secret")
    code = code_for(halves, app.client_id)
    form = {
        "grant_type": "authorization_code",
        "client_id": app.client_id,
        "code": code,
        "redirect_uri": REDIRECT_URI,
    }
    assert halves.post("access_token", **form).status_code == 401
    assert halves.post("access_token", **form, client_secret="0" * 64).json()["error"] == "invalid_client"
    assert halves.post("access_token", **form, client_secret=str(app.client_secret)).status_code == 200


def test_w07_an_access_token_lives_14_days_and_is_then_refused_by_itself(halves: BothHalves) -> None:
    app = halves.register("Fourteen days")
    form = {
        "grant_type": "authorization_code",
        "client_id": app.client_id,
        "client_secret": str(app.client_secret),
        "code": code_for(halves, app.client_id),
        "redirect_uri": REDIRECT_URI,
    }
    tokens = halves.post("access_token", **form).json()
    assert tokens["expires_in"] == 1_209_600
    assert halves.get("people/me", tokens["access_token"]).json()["displayName"] == ADA["name"]
    halves.clock.advance(days=14, minutes=-1)
    assert halves.get("people/me", tokens["access_token"]).status_code == 200
    halves.clock.advance(minutes=2)
    assert halves.get("people/me", tokens["access_token"]).status_code == 401


@pytest.mark.parametrize("profile", Profile)
def test_w08_each_use_of_a_refresh_token_starts_its_90_days_anew(halves: BothHalves, profile: Profile) -> None:
    integration = halves.integration(halves.register(f"Ninety days, {profile}", profile=profile), vault=f"w08{profile}")
    grant = halves.grant(integration)
    client = integration.client_for(grant.person_id)
    for _ in range(4):
        halves.clock.advance(days=89)
        assert client.get("people/me").status_code == 200
    halves.clock.advance(days=91)
    with pytest.raises(ReauthorizationRequired):
        client.get("people/me")


def test_w08_the_refresh_token_is_stored_sealed(halves: BothHalves) -> None:
    app = halves.register("Stores securely")
    vault = SqliteVault(halves.folder / "w08-sealed.db", keys=KeyRing(halves.key))
    grant = halves.grant(halves.integration(app, vault="w08-sealed.db"))
    stored = vault.find(grant.key)
    vault.close()
    assert stored is not None
    assert stored.refresh_token is not None
    assert stored.access_token is not None
    written = everything_written(halves.folder, "w08-sealed.db") + everything_written(halves.folder, "platform.db")
    for token in (stored.refresh_token, stored.access_token):
        assert token.reveal().encode() not in written


def test_w09_a_call_outside_the_scopes_is_refused_and_the_grant_lives_on(halves: BothHalves) -> None:
    integration = halves.integration(halves.register("Reads only", scopes="spark:people_read"), vault="w09.db")
    client = integration.client_for(halves.grant(integration).person_id)
    refused = client.post("rooms", json={"title": "No"})
    assert refused.status_code == 403
    assert "missing required scopes" in refused.json()["message"]
    assert client.get("people/me").status_code == 200


def test_w10_state_comes_back_unchanged_and_a_foreign_one_gets_no_tokens(halves: BothHalves) -> None:
    integration = halves.integration(halves.register("Checks state"), vault="w10.db")
    begun, other = integration.authorization_request(), integration.authorization_request()
    with halves.browser(ADA) as ada:
        address = ada.grant(begun.url)
    state = parse_qs(urlsplit(begun.url).query)["state"]
    assert parse_qs(urlsplit(address).query)["state"] == state
    with pytest.raises(Exception, match=r"(?i)state|browser|began"):
        integration.complete_authorization(address, {other.cookie.name: other.cookie.value})
    assert integration.grants() == []
    assert integration.complete_authorization(address, {begun.cookie.name: begun.cookie.value}).display_name


def test_w11_an_apps_own_scheme_serves_as_redirect_uri(halves: BothHalves) -> None:
    app = halves.register("An app", "mydemoapp://oauth", client_type=ClientType.CONFIDENTIAL)
    integration = halves.integration(app, vault="w11.db")
    grant = halves.grant(integration)
    assert grant.display_name == ADA["name"]


@pytest.mark.parametrize("grant_type", ["implicit", "password", "client_credentials", "nonsense"])
def test_w12_other_grant_types_get_the_standards_error(halves: BothHalves, grant_type: str) -> None:
    app = halves.register(f"Tries {grant_type}")
    form = {"grant_type": grant_type, "client_id": app.client_id, "client_secret": str(app.client_secret)}
    answer = halves.post("access_token", **form, username="ada@example.com", password="x")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize("response_type", ["token", "id_token", "code token", "nonsense"])
def test_w12_the_implicit_grant_is_refused_at_the_redirect_uri_after_sign_in(
    halves: BothHalves, response_type: str
) -> None:
    app = halves.register(f"Asks for {response_type}")
    asked = {"client_id": app.client_id, "response_type": response_type, "scope": SCOPES, "state": "s"}
    with halves.browser(ADA) as ada:
        ada.open(f"{halves.api_url}/authorize?{urlencode(asked)}")
        ada.sign_in()
        answer = parse_qs(urlsplit(ada.page.url).query)
    assert (answer["error"], answer["state"]) == (["unsupported_response_type"], ["s"])
    assert "error_description" in answer


def test_w25_decline_comes_back_as_access_denied(halves: BothHalves) -> None:
    integration = halves.integration(halves.register("Is declined"), vault="w25.db")
    begun = integration.authorization_request()
    with halves.browser(ADA) as ada:
        address = ada.decline(begun.url)
    with pytest.raises(AccessDenied):
        integration.complete_authorization(address, {begun.cookie.name: begun.cookie.value})
    assert [grant for grant in integration.grants() if grant.status is Status.ACTIVE] == []
