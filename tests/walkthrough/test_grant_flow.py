"""W23 to W34: the grant flow and keeping the grant alive, through both halves at once."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from grantflow import ReauthorizationRequired, Status, WrongAccount
from tests.walkthrough.both_halves import ADA, GRACE, REDIRECT_URI, SCOPES, App, BothHalves


def authorize(halves: BothHalves, **asked: str) -> str:
    return f"{halves.api_url}/authorize?{urlencode(asked)}"


def asked_for(app: App, **changed: str | None) -> dict[str, str]:
    usual: dict[str, str | None] = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": app.scopes,
        "state": "s",
    }
    return {name: value for name, value in (usual | changed).items() if value is not None}


@pytest.fixture(scope="module")
def app(halves: BothHalves) -> App:
    return halves.register("Grant flow")


@pytest.mark.parametrize(
    ("changed", "parameter"),
    [
        ({"client_id": None}, "client_id"),
        ({"client_id": "C" + "0" * 64}, "client_id"),
        ({"redirect_uri": "https://elsewhere.example/oauth"}, "redirect_uri"),
        ({"redirect_uri": REDIRECT_URI + "/"}, "redirect_uri"),
    ],
)
def test_w23_where_client_or_redirect_uri_cannot_be_trusted_the_person_sees_why(
    halves: BothHalves, app: App, changed: dict[str, str | None], parameter: str
) -> None:
    with halves.browser(ADA) as ada:
        page = ada.open(authorize(halves, **asked_for(app, **changed)))
    assert page.status == 400
    assert page.url.startswith(halves.url)
    assert parameter in page.words


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "spark:all"}, "invalid_scope"),
        ({"scope": SCOPES + " spark:devices_read"}, "invalid_scope"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_w23_every_other_fault_goes_to_the_redirect_uri_after_sign_in(
    halves: BothHalves, app: App, changed: dict[str, str | None], error: str
) -> None:
    with halves.browser(ADA) as ada:
        page = ada.open(authorize(halves, **asked_for(app, **changed)))
        assert page.url.startswith(f"{halves.url}/signin")
        ada.sign_in()
        answer = parse_qs(urlsplit(ada.page.url).query)
    assert (answer["error"], answer["state"], answer["iss"]) == ([error], ["s"], [halves.api_url])


def test_w23_a_subset_of_the_scopes_is_honoured_and_state_is_optional(halves: BothHalves, app: App) -> None:
    with halves.browser(ADA) as ada:
        address = ada.grant(authorize(halves, **asked_for(app, scope="spark:people_read", state=None)))
    answer = parse_qs(urlsplit(address).query)
    assert "state" not in answer
    tokens = exchange(halves, app, answer["code"][0]).json()
    assert tokens["scope"] == "spark:people_read spark:kms"


def test_w24_the_platforms_own_login_page_then_a_prompt_that_names_integration_and_scopes(halves: BothHalves) -> None:
    app = halves.register("Prompted <b>for</b>")
    with halves.browser(GRACE) as grace:
        sign_in = grace.open(authorize(halves, **asked_for(app)))
        assert sign_in.url.startswith(f"{halves.url}/signin")
        consent = grace.sign_in()
    assert "Prompted <b>for</b>" in consent.words
    for meaning in ("See who you are", "See the titles of the spaces", "Post and delete messages in your name"):
        assert meaning in consent.words
    buttons = [label for form in consent.forms for label, _ in form.buttons]
    assert {"Accept", "Decline"} <= set(buttons)
    assert "127.0.0.1:8000" in consent.words


def exchange(halves: BothHalves, app: App, code: str, /, **changed: str | None) -> httpx2.Response:
    usual: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "code": code,
        "redirect_uri": REDIRECT_URI,
    }
    form = {name: value for name, value in (usual | changed).items() if value is not None}
    return halves.post("access_token", **form)


def fresh_code(halves: BothHalves, app: App, **changed: str | None) -> str:
    with halves.browser(ADA) as ada:
        address = ada.grant(authorize(halves, **asked_for(app, **changed)))
    return parse_qs(urlsplit(address).query)["code"][0]


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "code"}, 400, "unsupported_grant_type"),
        ({"client_id": None}, 400, "invalid_request"),
        ({"client_id": "C" + "0" * 64}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_secret": "0" * 64}, 401, "invalid_client"),
        ({"code": None}, 400, "invalid_request"),
        ({"code": "nonsense"}, 400, "invalid_grant"),
        ({"redirect_uri": None}, 400, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:8000/other"}, 400, "invalid_grant"),
    ],
)
def test_w26_each_wrong_or_missing_parameter_of_the_exchange_gets_its_own_error_and_the_code_survives(
    halves: BothHalves, app: App, changed: dict[str, str | None], status: int, error: str
) -> None:
    code = fresh_code(halves, app)
    answer = exchange(halves, app, code, **changed)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["message"]
    assert answer.json()["trackingId"]
    assert exchange(halves, app, code).status_code == 200


def test_w26_json_gets_415_that_names_the_right_type(halves: BothHalves, app: App) -> None:
    body = {"grant_type": "authorization_code", "client_id": app.client_id, "code": "x"}
    answer = httpx2.post(f"{halves.api_url}/access_token", json=body, trust_env=False, timeout=30)
    assert answer.status_code == 415
    assert "application/x-www-form-urlencoded" in answer.json()["message"]


def test_w27_the_answer_is_json_with_the_four_fields_in_seconds(halves: BothHalves, app: App) -> None:
    answer = exchange(halves, app, fresh_code(halves, app))
    tokens = answer.json()
    assert answer.headers["content-type"].startswith("application/json")
    assert tokens["access_token"]
    assert tokens["refresh_token"]
    assert (tokens["expires_in"], tokens["refresh_token_expires_in"]) == (1_209_600, 7_776_000)


def test_w28_a_code_serves_exactly_one_request_however_many_arrive(halves: BothHalves, app: App) -> None:
    code = fresh_code(halves, app)
    with ThreadPoolExecutor(50) as callers:
        answers = list(callers.map(lambda _: exchange(halves, app, code), range(50)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    lost = {(answer.status_code, answer.json()["error"]) for answer in answers if answer is not won[0]}
    assert lost == {(400, "invalid_grant")}
    assert halves.get("people/me", won[0].json()["access_token"]).status_code == 200


def test_w29_the_integration_asks_who_granted_and_keeps_the_tokens_under_that_person(halves: BothHalves) -> None:
    integration = halves.integration(halves.register("Asks who"), vault="w29.db")
    grant = halves.grant(integration)
    me = integration.client_for(grant.person_id).get("people/me").json()
    assert (grant.person_id, grant.email, grant.display_name) == (me["id"], ADA["email"], ADA["name"])
    assert integration.grant(me["id"]) is not None


def test_w31_an_expired_or_revoked_token_is_refused_with_the_invalid_token_error(halves: BothHalves, app: App) -> None:
    tokens = exchange(halves, app, fresh_code(halves, app)).json()["access_token"]
    halves.post("revoke", token=tokens, client_id=app.client_id, client_secret=str(app.client_secret))
    expired = exchange(halves, app, fresh_code(halves, app)).json()["access_token"]
    halves.clock.advance(days=15)
    for token in (tokens, expired, "nonsense", "None"):
        answer = halves.get("people/me", token)
        assert answer.status_code == 401
        assert answer.json()["message"] == (
            "The request requires a valid access token set in the Authorization request header."
        )
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_w32_the_integration_refreshes_when_the_api_refuses_the_token_and_tries_again(halves: BothHalves) -> None:
    app = halves.register("Refreshes on refusal")
    integration = halves.integration(app, vault="w32.db")
    grant = halves.grant(integration)
    client = integration.client_for(grant.person_id)
    halves.clock.advance(days=13)
    assert client.get("people/me").status_code == 200
    assert tokens_issued(halves, app) == 1, "no refresh before the token is refused"
    halves.clock.advance(days=2)
    assert client.get("people/me").json()["displayName"] == ADA["name"]
    assert tokens_issued(halves, app) == 2
    message = {"roomId": client.post("rooms", json={"title": "Ours"}).json()["id"], "text": "In my name"}
    assert client.post("messages", json=message).json()["personEmail"] == ADA["email"]


def tokens_issued(halves: BothHalves, app: App) -> int:
    count: int = halves.sql("SELECT count(*) FROM access_tokens WHERE client_id = ?", app.client_id)[0][0]
    return count


def test_w33_a_refresh_answers_the_same_four_fields_and_the_same_refresh_token(halves: BothHalves, app: App) -> None:
    first = exchange(halves, app, fresh_code(halves, app)).json()
    form = {"client_id": app.client_id, "client_secret": str(app.client_secret)}
    halves.clock.advance(days=1)
    second = halves.post(
        "access_token", grant_type="refresh_token", refresh_token=first["refresh_token"], **form
    ).json()
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] == first["refresh_token"]
    assert (second["expires_in"], second["refresh_token_expires_in"]) == (1_209_600, 7_776_000)


def test_w34_after_a_refused_refresh_the_person_grants_again_and_the_same_grant_has_new_tokens(
    halves: BothHalves,
) -> None:
    integration = halves.integration(halves.register("Grants again"), vault="w34.db")
    grant = halves.grant(integration)
    client = integration.client_for(grant.person_id)
    halves.clock.advance(days=91)
    with pytest.raises(ReauthorizationRequired) as required:
        client.get("people/me")
    assert required.value.grant_url == f"http://127.0.0.1:8000/connect?grant={grant.id}"
    dead = integration.grant(grant.person_id)
    assert dead is not None
    assert dead.status is Status.REAUTHORIZATION_REQUIRED

    begun = integration.authorization_request(grant=grant.id)
    with halves.browser(GRACE) as grace:
        wrong = grace.grant(begun.url)
    with pytest.raises(WrongAccount):
        integration.complete_authorization(wrong, {begun.cookie.name: begun.cookie.value})

    renewed = halves.grant(integration, grant=grant.id)
    assert renewed.id == grant.id
    assert client.get("people/me").json()["displayName"] == ADA["name"]
