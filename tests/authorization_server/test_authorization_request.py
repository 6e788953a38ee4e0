"""The ladder of an authorization request: what is shown to the person, and what is sent to the redirect URI."""

import re
from html import unescape
from pathlib import Path

import httpx2
import pytest

from grantflow.authorization_server.challenges import SeenChallenges
from grantflow.protocol.registration import ClientType, Profile
from tests.authorization_server.given import (
    CHALLENGE,
    ISSUER,
    PKCE,
    REDIRECT_URI,
    SCOPES,
    App,
    Server,
    parameters_of,
    request_of,
    run,
)

LOOPBACK = "http://127.0.0.1/oauth"
STRANGERS_CLIENT = "C" + "0" * 64


def shown(page: httpx2.Response) -> str:
    """What an error page says; it is a page and no redirect, and holds no markup but its own."""
    assert page.status_code == 400, page.headers
    assert "location" not in page.headers
    assert page.headers["content-type"].startswith("text/html")
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", f"<{main}")).split())


# --- what cannot be trusted: shown, never redirected ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("client_id", "reason"),
    [
        (None, "It is missing"),
        ("", "It is missing"),
        (STRANGERS_CLIENT, "No integration with this client ID"),
        ("nonsense", "No integration with this client ID"),
        ("C" + "\0" * 64, "No integration with this client ID"),
        ("<script>alert(1)</script>", "No integration with this client ID"),
        ("' OR 1=1 --", "No integration with this client ID"),
    ],
)
def test_w23_s09_an_unknown_client_is_shown_with_reason_and_fix_and_never_redirected(
    tmp_path: Path, client_id: str | None, reason: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        for browser in (server.browser(), await server.signed_in(await server.person())):
            page = await browser.authorize(app, client_id=client_id)
            text = shown(page)
            assert "client_id" in text
            assert reason in text
            assert "Copy the authorization URL" in text
            assert "<script>alert" not in page.text

    run(tmp_path, story)


@pytest.mark.parametrize(
    "presented",
    [
        "https://app.example/oauth/",
        "https://app.example/OAuth",
        "https://APP.example/oauth",
        "HTTPS://app.example/oauth",
        "https://app.example/oauth/more",
        "https://app.example/x/../oauth",
        "https://app.example/oauth?a=1",
        "https://app.example/oauth#here",
        "https://app.example/%6Fauth",
        "https://user@app.example/oauth",
        "https://app.example@evil.example/oauth",
        "https://app.example:8443/oauth",
        "https://app.example:443/oauth",
        "https://evil.app.example/oauth",
        "https://app.example.evil.example/oauth",
        "https://app.example",
        "http://app.example/oauth",
        " https://app.example/oauth",
        "javascript:alert(1)",
        "//app.example/oauth",
        "<b>markup</b>",
    ],
)
def test_w23_s01_s03_s04_s09_any_redirect_uri_but_the_registered_one_is_shown_and_never_redirected_to(
    tmp_path: Path, presented: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", "https://app.example/oauth")
        page = await (await server.signed_in(await server.person())).authorize(app, redirect_uri=presented)
        text = shown(page)
        assert "redirect_uri" in text
        assert "not registered" in text
        assert "Send exactly one of the registered" in text
        assert "The integration is called App." in text
        sent = presented.replace(" ", "%20").replace("<", "%3C").replace(">", "%3E")
        assert f"<code>{sent}</code>" in page.text
        assert "app.example" not in text.replace(sent, ""), "what is registered is not shown to strangers"
        assert f'="{sent}' not in page.text, "nothing leads there"
        assert "<b>markup" not in page.text

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("registered", "presented", "trusted"),
    [
        ("http://127.0.0.1/oauth", "http://127.0.0.1:51004/oauth", True),
        ("http://127.0.0.1:1234/oauth", "http://127.0.0.1:51004/oauth", True),
        ("http://[::1]/oauth", "http://[::1]:51004/oauth", True),
        ("http://127.0.0.1/oauth", "http://127.0.0.1:51004/other", False),
        ("http://127.0.0.1/oauth", "http://127.0.0.2:51004/oauth", False),
        ("http://127.0.0.1/oauth", "http://user@127.0.0.1:51004/oauth", False),
        ("http://127.0.0.1/oauth", "http://[::1]:51004/oauth", False),
        ("http://127.0.0.1/oauth", "https://127.0.0.1:51004/oauth", False),
        ("http://localhost:8000/oauth", "http://localhost:51004/oauth", False),
    ],
)
def test_s02_a_loopback_address_may_have_any_port_and_nothing_else_may_differ(
    tmp_path: Path, registered: str, presented: str, trusted: bool
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", registered)
        browser = await server.signed_in(await server.person())
        answer = await browser.authorize(app, redirect_uri=presented)
        if not trusted:
            assert "not registered" in shown(answer)
            return
        answer = await browser.accept(answer)
        assert answer.headers["location"].startswith(f"{presented}?code="), "at the very port that was asked for"

    run(tmp_path, story)


def test_s08_the_redirect_uri_may_be_left_out_only_where_one_is_registered(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        one = await server.integration("One")
        two = await server.integration("Two", "https://a.example/oauth", "https://b.example/oauth")
        browser = await server.signed_in(await server.person())
        answer = await browser.accept(await browser.authorize(one, redirect_uri=None))
        assert answer.headers["location"].startswith(REDIRECT_URI + "?")
        text = shown(await browser.authorize(two, redirect_uri=None))
        assert "redirect_uri" in text
        assert "It is missing, and this integration has registered more than one" in text

    run(tmp_path, story)


@pytest.mark.parametrize("repeated", ["client_id", "redirect_uri"])
def test_s15_a_repeated_client_or_redirect_uri_is_shown(tmp_path: Path, repeated: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        query = httpx2.QueryParams(app.request())
        page = await browser.open(f"/v1/authorize?{query}&{repeated}=again")
        text = shown(page)
        assert repeated in text
        assert "more than once" in text

    run(tmp_path, story)


def test_s09_what_is_registered_is_shown_to_the_integrations_owner_alone(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        owner, other = await server.person(), await server.person("grace@sandbox.example")
        app = await server.integration("App", "https://app.example/oauth", owner=owner)
        wrong = {"redirect_uri": "https://app.example/oauth/"}
        assert "Registered are: https://app.example/oauth." in shown(
            await (await server.signed_in(owner)).authorize(app, **wrong)
        )
        for browser in (await server.signed_in(other), server.browser()):
            text = shown(await browser.authorize(app, **wrong))
            assert "app.example" not in text.replace(wrong["redirect_uri"], ""), "but what was sent"

    run(tmp_path, story)


def test_w23_s31_of_a_long_redirect_uri_the_beginning_is_shown_and_nobodys_sentences(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", "https://app.example/oauth")
        browser = server.browser()
        text = shown(await browser.authorize(app, redirect_uri=f"https://evil.example/{'x' * 1_000}"))
        assert f"https://evil.example/{'x' * 179}… " in text
        text = shown(await browser.authorize(app, redirect_uri="Call us: 'é' \u202e"))
        assert "Call%20us:%20%27%C3%A9%27%20%E2%80%AE " in text

    run(tmp_path, story)


def test_a_query_that_cannot_be_read_gets_a_page(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        browser = server.browser()
        assert "not valid UTF-8" in shown(await browser.open("/v1/authorize?client_id=%ff"))
        assert (await browser.open("/v1/authorize?" + "&".join(f"a{n}=1" for n in range(200)))).status_code == 413

    run(tmp_path, story)


# --- everything else: to the redirect URI, after sign-in -----------------------------------------------------------

REFUSED: list[tuple[dict[str, str | None], str, str]] = [
    ({"response_type": None}, "invalid_request", "'response_type' is missing"),
    ({"response_type": ""}, "invalid_request", "'response_type' is missing"),
    ({"response_type": "token"}, "unsupported_response_type", "implicit grant is not offered"),
    ({"response_type": "id_token"}, "unsupported_response_type", "implicit grant is not offered"),
    ({"response_type": "id_token token"}, "unsupported_response_type", "implicit grant is not offered"),
    ({"response_type": "code token"}, "unsupported_response_type", "implicit grant is not offered"),
    ({"response_type": "Code"}, "unsupported_response_type", "must be code"),
    ({"scope": None}, "invalid_scope", "'scope' is missing"),
    ({"scope": ""}, "invalid_scope", "'scope' is missing"),
    ({"scope": "  "}, "invalid_scope", "names no scope"),
    ({"scope": "spark:rooms_read"}, "invalid_scope", "beyond what is registered"),
    ({"scope": f"{SCOPES} spark:rooms_read"}, "invalid_scope", "beyond what is registered"),
    ({"scope": "SPARK:people_read"}, "invalid_scope", "beyond what is registered"),
    ({"scope": "spark:room_read a <b> c d"}, "invalid_scope", "integration: spark:room_read, a, c, 2 more. Ask"),
    ({"scope": 'spark:people_read "'}, "invalid_scope", "character"),
    ({"scope": "spark:péople_read"}, "invalid_scope", "character"),
    ({"scope": "openid"}, "invalid_scope", "OpenID Connect"),
    ({"scope": f"{SCOPES} email profile"}, "invalid_scope", "OpenID Connect"),
    ({"code_challenge_method": "S256"}, "invalid_request", "without code_challenge"),
    ({"code_challenge": CHALLENGE}, "invalid_request", "must be S256"),
    ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request", "must be S256"),
    ({"code_challenge": CHALLENGE, "code_challenge_method": "s256"}, "invalid_request", "must be S256"),
    ({"code_challenge": CHALLENGE[1:], "code_challenge_method": "S256"}, "invalid_request", "43 base64url"),
    ({"code_challenge": CHALLENGE + "=", "code_challenge_method": "S256"}, "invalid_request", "43 base64url"),
    ({"prompt": "maybe"}, "invalid_request", "prompt must be"),
    ({"prompt": "login create"}, "invalid_request", "prompt must be"),
    ({"prompt": "none login"}, "invalid_request", "cannot be combined"),
    ({"max_age": "-1"}, "invalid_request", "max_age"),
    ({"max_age": "soon"}, "invalid_request", "max_age"),
    ({"max_age": "1e3"}, "invalid_request", "max_age"),
    ({"max_age": "9" * 30}, "invalid_request", "max_age"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported", "send the parameters themselves"),
    ({"request_uri": "https://app.example/r"}, "request_uri_not_supported", "send the parameters themselves"),
]


@pytest.mark.parametrize(("changed", "error", "words"), REFUSED)
def test_w23_s12_s25_s26_s45_s46_s47_all_else_goes_to_the_redirect_uri_with_error_words_state_and_iss(
    tmp_path: Path, changed: dict[str, str | None], error: str, words: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        answer = await browser.authorize(app, **changed)
        assert answer.headers["location"].startswith(REDIRECT_URI + "?")
        fields = parameters_of(answer)
        assert fields.pop("error_description").find(words) >= 0
        assert fields == {"error": error, "state": "xyz", "iss": ISSUER}

    run(tmp_path, story)


@pytest.mark.parametrize("repeated", ["state", "scope", "response_type", "code_challenge", "unknown"])
def test_s15_any_other_repeated_parameter_goes_to_the_redirect_uri(tmp_path: Path, repeated: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        query = httpx2.QueryParams(app.request())
        fields = parameters_of(await browser.open(f"/v1/authorize?{query}&{repeated}=a&{repeated}=b"))
        assert fields["error"] == "invalid_request"
        assert repeated in fields["error_description"]
        assert "state" not in fields if repeated == "state" else fields["state"] == "xyz"

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ({}, False),
        ({"profile": Profile.STRICT}, True),
        ({"client_type": ClientType.PUBLIC}, True),
        ({"client_type": ClientType.PUBLIC, "profile": Profile.WEBEX}, True),
    ],
)
def test_s39_s41_s42_pkce_is_required_of_public_and_strict_clients_and_taken_from_all(
    tmp_path: Path, kind: dict[str, object], needed: bool
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", LOOPBACK, **kind)  # type: ignore[arg-type]
        browser = await server.signed_in(await server.person())
        without = await browser.authorize(app)
        if needed:
            assert parameters_of(without)["error_description"].startswith("code_challenge is missing")
        else:
            request_of(without, "/consent")
        request_of(await browser.authorize(app, **PKCE), "/consent")

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("again", "noticed"),
    [
        ({}, False),
        ({"state": "another"}, True),
        ({"state": None}, True),
        ({"state": "another", "code_challenge": "x" * 43}, False),
        ({"state": "another", "code_challenge": None, "code_challenge_method": None}, False),
    ],
)
def test_s47_a_challenge_that_serves_another_request_is_noticed_in_the_log_and_a_page_that_is_loaded_again_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, again: dict[str, str | None], noticed: bool
) -> None:
    async def story(server: Server) -> None:
        app, other, person = await server.integration(), await server.integration("Other"), await server.person()
        for each in (app, other):
            await server.code(each, person, **PKCE)
        await server.code(app, person, **{**PKCE, **again})
        said = f"client {app.client_id} sends one code_challenge for several requests; each needs its own"
        assert [record.getMessage() for record in caplog.records if "challenge" in record.msg] == [said] * noticed

    run(tmp_path, story)


def test_s47_a_challenge_for_two_people_is_noticed_and_only_the_latest_are_remembered() -> None:
    seen = SeenChallenges(capacity=2)
    assert not seen.serves_again("C1", "x", request=("ada", None))
    assert seen.serves_again("C1", "x", request=("grace", None))
    for challenge in ("y", "z"):
        assert not seen.serves_again("C1", challenge, request=("ada", None))
    assert not seen.serves_again("C1", "x", request=("ada", None)), "two others came since"


def test_s18_nobody_is_sent_elsewhere_before_signing_in_not_even_with_an_error(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        for changed in ({}, *(changed for changed, _, _ in REFUSED)):
            asked = await browser.authorize(app, **changed)
            request_of(asked, "/signin")
        await browser.sign_in(await server.person())
        assert parameters_of(await browser.come_back(asked))["error"] == "request_uri_not_supported"

    run(tmp_path, story)


# --- what is honoured ----------------------------------------------------------------------------------------------


async def granted(server: Server, app: App, query: str) -> dict[str, str]:
    browser = await server.signed_in(await server.person())
    return parameters_of(await browser.accept(await browser.open(f"/v1/authorize?{query}")))


@pytest.mark.parametrize(
    ("state", "sent_as"),
    [
        (None, ""),
        ("simple", "&state=simple"),
        ("a b+c", "&state=a%20b%2Bc"),
        ("a b", "&state=a+b"),
        ("&=?#/%:;'\"<>", "&state=%26%3D%3F%23%2F%25%3A%3B%27%22%3C%3E"),
        ("ünïcödé ☃", "&state=%C3%BCn%C3%AFc%C3%B6d%C3%A9%20%E2%98%83"),
        ("x" * 2_000, "&state=" + "x" * 2_000),
        ("\r\nSet-Cookie: a=b", "&state=%0d%0aSet-Cookie:%20a=b"),
    ],
)
def test_w10_w23_s28_state_is_optional_and_comes_back_exactly(tmp_path: Path, state: str | None, sent_as: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        query = httpx2.QueryParams(app.request(state=None))
        assert (await granted(server, app, f"{query}{sent_as}")).get("state") == state
        browser = await server.signed_in(await server.person("grace@sandbox.example"))
        declined = await browser.decline(await browser.open(f"/v1/authorize?{query}{sent_as}"))
        wrong = await browser.open(f"/v1/authorize?{query}{sent_as}&prompt=maybe")
        assert [parameters_of(answer).get("state") for answer in (declined, wrong)] == [state, state]

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("registered", "asked", "given"),
    [
        ("spark:people_read spark:messages_write", "spark:people_read", "spark:people_read spark:kms"),
        ("spark:people_read spark:messages_write", SCOPES, f"{SCOPES} spark:kms"),
        ("spark:people_read", "spark:kms spark:people_read", "spark:kms spark:people_read"),
        ("spark:people_read", "spark:people_read spark:people_read", "spark:people_read spark:kms"),
        ("meeting:schedules_read", "meeting:schedules_read", "meeting:schedules_read"),
    ],
)
def test_w23_s12_a_subset_of_the_scopes_is_honoured_and_kms_comes_by_itself_where_it_is_registered(
    tmp_path: Path, registered: str, asked: str, given: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration(scopes=registered)
        code = await server.code(app, await server.person(), scope=asked)
        assert (await server.exchange(app, code)).json()["scope"] == given

    run(tmp_path, story)


def test_s14_s16_unknown_parameters_are_ignored_and_empty_ones_absent(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        query = f"{httpx2.QueryParams(app.request())}&cisService=common&realm=&code_challenge=&prompt=&max_age=&nonce=n"
        assert "code" in await granted(server, app, query)

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("registered", "answered"),
    [
        ("https://app.example/oauth?tenant=7", "https://app.example/oauth?tenant=7&code="),
        ("https://app.example/oauth?a=1&state=mine", "https://app.example/oauth?a=1&code="),
        ("mydemoapp://oauth", "mydemoapp://oauth?code="),
        ("com.example.app:/oauth", "com.example.app:/oauth?code="),
    ],
)
def test_w11_s06_the_answer_keeps_the_uri_as_registered_and_no_parameter_appears_twice(
    tmp_path: Path, registered: str, answered: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", registered)
        browser = await server.signed_in(await server.person())
        declined = await browser.decline(await browser.authorize(app))
        assert declined.headers["location"].startswith(answered.replace("code=", "error=access_denied"))
        answer = await browser.accept(await browser.authorize(app))
        assert answer.headers["location"].startswith(answered)
        assert parameters_of(answer)["state"] == parameters_of(declined)["state"] == "xyz"

    run(tmp_path, story)


# --- how it answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_s13_any_method_but_get_is_refused_with_allow(tmp_path: Path, method: str) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        answer = await browser.client.request(method, "/v1/authorize", params=app.request())
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET"
        assert not await server.rows("SELECT 1 FROM authorization_requests")
        request_of(await browser.authorize(app), "/signin")

    run(tmp_path, story)


def test_s17_no_other_site_may_read_the_authorization_endpoint(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        headers = {"origin": "https://evil.example", "access-control-request-method": "GET"}
        for method in ("OPTIONS", "GET"):
            answer = await browser.client.request(method, "/v1/authorize", params=app.request(), headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control-")]

    run(tmp_path, story)


def test_s20_s21_error_pages_cannot_be_framed_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        page = await server.browser().open("/v1/authorize")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] in ("same-origin", "no-referrer")
        assert not re.search(r"(src|href)=\"(https?:)?//", page.text)

    run(tmp_path, story)


def test_s29_an_error_keeps_to_the_allowed_characters_whatever_was_sent(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        hostile = 'ü"\\\r\n<script>'
        query = httpx2.QueryParams(app.request())
        for answer in (
            await browser.authorize(app, scope=hostile),
            await browser.authorize(app, prompt=hostile),
            await browser.authorize(app, response_type=hostile),
            await browser.open(f"/v1/authorize?{query}&" + str(httpx2.QueryParams([(hostile, "1"), (hostile, "2")]))),
        ):
            fields = parameters_of(answer)
            for words in (fields["error"], fields["error_description"]):
                assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", words)

    run(tmp_path, story)


def test_webexs_own_address_of_the_endpoint_answers_too(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        request_of(await browser.open("/idb/oauth2/v1/authorize", **app.request()), "/signin")

    run(tmp_path, story)
