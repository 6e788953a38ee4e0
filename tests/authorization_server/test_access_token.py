"""The token endpoint: who asks, how, and what the answers look like."""

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from tests.authorization_server.given import (
    ORG,
    PKCE,
    SCOPES,
    VERIFIER,
    App,
    Server,
    request_of,
    run,
)

TOKEN_TEXT = re.compile(rf"[A-Za-z0-9]{{64}}_LG01_{ORG}")
FORM = {"content-type": "application/x-www-form-urlencoded"}


def refused(response: httpx2.Response, status: int, error: str) -> str:
    """Check a refusal's shape; answers its words."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    words: str = body["message"]
    assert body == {
        "message": words,
        "errors": [{"description": words}],
        "trackingId": response.headers["trackingid"],
        "error": error,
        "error_description": words,
    }
    return words


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()}


# --- what comes back -----------------------------------------------------------------------------------------------


def test_w07_w08_w27_s54_s55_the_answer_has_the_four_fields_and_webexs_lifetimes(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        answer = await server.exchange(app, await server.code(app, await server.person()))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        tokens = answer.json()
        assert TOKEN_TEXT.fullmatch(tokens.pop("access_token"))
        assert TOKEN_TEXT.fullmatch(tokens.pop("refresh_token"))
        assert tokens == {
            "expires_in": 1_209_600,
            "refresh_token_expires_in": 7_776_000,
            "token_type": "Bearer",
            "scope": f"{SCOPES} spark:kms",
        }

    run(tmp_path, story)


def test_s54_the_answer_names_the_scope_that_was_given_where_another_was_asked_for(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person(), scope="spark:people_read")
        tokens = (await server.exchange(app, code)).json()
        assert tokens["scope"] == "spark:people_read spark:kms", "kms came by itself"
        narrowed = await server.refresh(app, tokens["refresh_token"], scope="spark:kms")
        assert narrowed.json()["scope"] == "spark:kms"

    run(tmp_path, story)


def test_s53_no_answer_is_cached_and_each_has_a_tracking_id(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person())
        for answer in (await server.exchange(app, code), await server.exchange(app, "no such code")):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["pragma"] == "no-cache"
            assert answer.headers["trackingid"].startswith("ROUTERGW_")
        echoed = await server.token({}, headers={"TrackingID": "SIMPLE_1234"})
        assert echoed.headers["trackingid"] == echoed.json()["trackingId"] == "SIMPLE_1234"

    run(tmp_path, story)


def test_s56_codes_and_tokens_have_288_random_bits_in_letters_and_digits_and_end_in_the_organization(
    tmp_path: Path,
) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        codes = [await server.code(app, person) for _ in range(5)]
        for code in codes:
            await server.exchange(app, code)
        assert len({*codes, *server.issued}) == 15
        for text in (*codes, *server.issued):
            assert TOKEN_TEXT.fullmatch(text), "Webex's shape, and nothing that needs percent-encoding"
            assert text.split("_")[2] == ORG, "where Webex's JavaScript SDK looks for the organization"
            inner = base64.b64decode(text[:64]).decode("ascii")
            assert re.fullmatch(r"[A-Za-z0-9_-]{48}", inner)
            assert len(base64.urlsafe_b64decode(inner)) * 8 == 288

    run(tmp_path, story)


def test_lifetimes_are_settings_and_reported_in_seconds(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        tokens = await server.tokens(app, await server.person())
        assert (tokens["expires_in"], tokens["refresh_token_expires_in"]) == (90, 3_600)
        server.wait(seconds=89)
        assert await server.lives(tokens["access_token"])
        server.wait(seconds=1)
        assert not await server.lives(tokens["access_token"])

    run(tmp_path, story, access_token_lifetime=timedelta(seconds=90), refresh_token_lifetime=timedelta(hours=1))


def test_with_the_webex_error_body_there_is_no_member_of_rfc_6749(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        answer = await server.refresh(app, "no such token")
        assert answer.status_code == 400
        assert set(answer.json()) == {"message", "errors", "trackingId"}

    run(tmp_path, story, webex_error_body=True)


# --- who asks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "status", "error", "words"),
    [
        ({"client_id": None}, 400, "invalid_request", "'client_id' is missing"),
        ({"client_id": "C" + "0" * 64}, 401, "invalid_client", "client_id is unknown"),
        ({"client_id": "nonsense"}, 401, "invalid_client", "client_id is not one of ours"),
        ({"client_secret": None}, 401, "invalid_client", "client_secret is missing"),
        ({"client_secret": ""}, 401, "invalid_client", "client_secret is missing"),
        ({"client_secret": "0" * 64}, 401, "invalid_client", "client_secret is wrong"),
        ({"client_secret": "ü\ud7ff"}, 401, "invalid_client", "client_secret is wrong"),
        ({"grant_type": None}, 400, "invalid_request", "'grant_type' is missing"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type", "client_credentials is not offered"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", "password grant is not offered"),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type", "implicit grant is not offered"),
        ({"grant_type": "Authorization_Code"}, 400, "unsupported_grant_type", "must be authorization_code"),
        ({"code": None}, 400, "invalid_request", "'code' is missing"),
        ({"code": "no such code"}, 400, "invalid_grant", "authorization code is unknown"),
        ({"redirect_uri": None}, 400, "invalid_request", "'redirect_uri' is missing"),
        ({"redirect_uri": "http://localhost:8000/oauth/"}, 400, "invalid_grant", "redirect_uri is not the one"),
    ],
)
def test_w05_w06_w12_w26_s27_each_wrong_or_missing_parameter_gets_its_own_error_and_spends_nothing(
    tmp_path: Path, changed: dict[str, str | None], status: int, error: str, words: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person())
        right: dict[str, str | None] = {
            **app.credentials,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": app.redirect_uri,
        }
        wrong = {name: value for name, value in {**right, **changed}.items() if value is not None}
        assert words in refused(await server.token(wrong), status, error)
        assert (await server.exchange(app, code)).status_code == 200

    run(tmp_path, story)


def test_s27_the_password_grant_is_refused_however_the_client_authenticates(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, public = await server.integration(), await server.public_integration()
        assert app.client_secret
        asked = {"grant_type": "password", "username": "ada@sandbox.example", "password": "right or wrong"}
        for answer in (
            await server.token({**app.credentials, **asked}),
            await server.token(asked, headers=basic(app.client_id, app.client_secret)),
            await server.token({**public.credentials, **asked}),
        ):
            assert "password grant is not offered" in refused(answer, 400, "unsupported_grant_type")

    run(tmp_path, story)


def test_w06_s66_a_confidential_client_must_authenticate_for_each_grant_type(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        tokens = await server.tokens(app, await server.person())
        for wrong in (None, "0" * 64):
            refused(await server.refresh(app, tokens["refresh_token"], client_secret=wrong), 401, "invalid_client")
            refused(await server.revoke(app, tokens["refresh_token"], client_secret=wrong), 401, "invalid_client")
        assert (await server.refresh(app, tokens["refresh_token"])).status_code == 200

    run(tmp_path, story)


def test_s49_the_secret_may_come_in_the_header_or_the_body(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        assert app.client_secret
        token = (await server.tokens(app, await server.person()))["refresh_token"]
        fields = {"grant_type": "refresh_token", "refresh_token": token}
        header = basic(app.client_id, app.client_secret)
        assert (await server.token({**fields, **app.credentials})).status_code == 200
        assert (await server.token(fields, headers=header)).status_code == 200
        assert (await server.token({**fields, "client_id": app.client_id}, headers=header)).status_code == 200

    run(tmp_path, story)


@pytest.mark.parametrize(
    "name", ["client_secret", "client%5Fsecret", "refresh_token", "code", "token", "code_verifier"]
)
def test_s49_a_secret_in_the_address_is_refused_and_never_read(tmp_path: Path, name: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        for path in ("/v1/access_token", "/v1/revoke"):
            answer = await server.post(f"{path}?{name}=x", data={**app.credentials, "grant_type": "refresh_token"})
            assert "in the address" in refused(answer, 400, "invalid_request")

    run(tmp_path, story)


def test_s49_what_stands_in_the_address_is_never_read(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        answer = await server.post(f"/v1/access_token?client_id={app.client_id}&grant_type=refresh_token", headers=FORM)
        assert "'client_id' is missing" in refused(answer, 400, "invalid_request")

    run(tmp_path, story)


def test_s50_one_method_of_authentication_a_request(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        assert app.client_secret
        fields = {"grant_type": "refresh_token", "refresh_token": "x"}
        header = basic(app.client_id, app.client_secret)
        twice = await server.token({**fields, **app.credentials}, headers=header)
        assert "authenticated twice" in refused(twice, 400, "invalid_request")
        other = await server.token({**fields, "client_id": "C" + "1" * 64}, headers=header)
        assert "differs" in refused(other, 400, "invalid_request")
        headers = [*header.items(), *header.items(), *FORM.items()]
        headers_twice = await server.post("/v1/access_token", content=b"grant_type=refresh_token", headers=headers)
        assert "more than once" in refused(headers_twice, 400, "invalid_request")

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("header", "challenged"),
    [
        ("Basic " + base64.b64encode(b"C" + b"0" * 64 + b":x").decode(), True),
        ("Basic nonsense!", True),
        (b"Basic \xff\xfe", True),
        ("Basic", True),
        ("Bearer None", True),
        (None, False),
    ],
)
def test_s52_invalid_client_is_401_and_challenges_whoever_used_the_header(
    tmp_path: Path, header: str | bytes | None, challenged: bool
) -> None:
    async def story(server: Server) -> None:
        fields = {"grant_type": "refresh_token", "refresh_token": "x"}
        options: dict[str, Any] = {"headers": {"authorization": header}} if header else {}
        answer = await server.token(fields if header else {**fields, "client_id": "C" + "0" * 64}, **options)
        refused(answer, 401, "invalid_client")
        assert ("www-authenticate" in answer.headers) is challenged

    run(tmp_path, story)


def test_s10_a_public_client_stays_public_whatever_secret_it_sends(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.public_integration(), await server.person()
        assert app.client_secret is None
        for secret in (None, "anything"):
            code = await server.code(app, person, **PKCE)
            answer = await server.exchange(app, code, code_verifier=VERIFIER, client_secret=secret)
            assert answer.status_code == 200
            refresh_token = answer.json()["refresh_token"]
            rotated = (await server.refresh(app, refresh_token, client_secret=secret)).json()["refresh_token"]
            assert rotated != refresh_token, "a secret does not make it confidential: it rotates"
            fields = {"grant_type": "refresh_token", "refresh_token": rotated}
            by_header = await server.token(fields, headers=basic(app.client_id, secret or ""))
            assert by_header.json()["refresh_token"] not in (refresh_token, rotated)

    run(tmp_path, story)


def test_several_secrets_live_side_by_side_and_end_when_they_are_told_to(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        token = (await server.tokens(app, await server.person()))["refresh_token"]
        second = await server.another_secret(app)
        third = await server.another_secret(app, others_expire_at=server.now + timedelta(hours=1))
        assert [(await server.refresh(each, token)).status_code for each in (app, second, third)] == [200, 200, 200]
        server.wait(hours=1)
        assert [(await server.refresh(each, token)).status_code for each in (app, second, third)] == [401, 401, 200]
        await server.another_secret(third, others_expire_at=server.now)
        assert (await server.refresh(third, token)).status_code == 401, "regenerated: the old one ends at once"

    run(tmp_path, story)


def test_the_last_use_of_a_secret_is_remembered_to_the_minute(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        token = (await server.tokens(app, await server.person()))["refresh_token"]
        seen = []
        for _ in range(4):
            await server.refresh(app, token)
            (row,) = await server.rows("SELECT last_used_at FROM client_secrets")
            seen.append(row["last_used_at"])
            server.wait(seconds=40)
        assert [moment - seen[0] for moment in seen] == [0, 0, 80_000, 80_000]

    run(tmp_path, story)


# --- guessing ------------------------------------------------------------------------------------------------------


def test_s51_a_thousand_wrong_secrets_are_slowed_and_the_right_client_elsewhere_is_not(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        token = (await server.tokens(app, await server.person()))["refresh_token"]
        statuses = [
            (await server.refresh(App(app.client_id, f"{guess:064}", ""), token)).status_code for guess in range(1_000)
        ]
        assert statuses == [401] * 10 + [429] * 990
        slowed = await server.refresh(app, token)
        assert "too often" in refused(slowed, 429, "temporarily_unavailable")
        assert int(slowed.headers["retry-after"]) == 1
        fields = {**app.credentials, "grant_type": "refresh_token", "refresh_token": token}
        assert (await server.token(fields, address="203.0.113.9")).status_code == 200
        server.wait(seconds=1)
        assert (await server.token(fields)).status_code == 200, "and here again after the wait"

    run(tmp_path, story)


WITH_SECRET = {
    "a code": ("/v1/access_token", {"grant_type": "authorization_code", "code": "x", "redirect_uri": "http://x/"}),
    "a refresh": ("/v1/access_token", {"grant_type": "refresh_token", "refresh_token": "x"}),
    "a revocation": ("/v1/revoke", {"token": "x"}),
}


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("kind", WITH_SECRET)
def test_s51_wherever_a_secret_is_taken_guesses_are_slowed_also_those_sent_all_at_once_and_count_together(
    tmp_path: Path, kind: str, at_once: bool
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        path, fields = WITH_SECRET[kind]
        guesses = [
            server.post(path, data={**app.credentials, **fields, "client_secret": f"{n:064}"}) for n in range(50)
        ]
        answers = await asyncio.gather(*guesses) if at_once else [await guess for guess in guesses]
        assert Counter(answer.status_code for answer in answers) == {401: 10, 429: 40}
        for other_path, others in WITH_SECRET.values():
            lucky = await server.post(other_path, data={**app.credentials, **others})
            assert lucky.status_code == 429, "a guess that is right is not looked at either"
            elsewhere = await server.post(other_path, data={**app.credentials, **others}, address="203.0.113.9")
            assert elsewhere.status_code == (200 if other_path == "/v1/revoke" else 400)

    run(tmp_path, story)


def test_s51_guessing_at_one_client_slows_no_other_from_the_same_address(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, other = await server.integration(), await server.integration("Other")
        for guess in range(50):
            await server.refresh(App(app.client_id, f"{guess:064}", ""), "x")
        refused(await server.refresh(app, "x"), 429, "temporarily_unavailable")
        refused(await server.refresh(other, "x"), 400, "invalid_grant")

    run(tmp_path, story)


def test_s51_dead_grants_are_no_guesses_and_slow_nobody(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        for _ in range(50):
            refused(await server.refresh(app, "no such token"), 400, "invalid_grant")
            refused(await server.exchange(app, "no such code"), 400, "invalid_grant")
            refused(await server.token({**app.credentials, "grant_type": "password"}), 400, "unsupported_grant_type")
            refused(await server.token({**app.credentials}), 400, "invalid_request")

    run(tmp_path, story)


def test_s51_a_success_forgets_the_failures_before_it(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        token = (await server.tokens(app, await server.person()))["refresh_token"]
        for _ in range(5):
            for guess in range(9):
                assert (await server.refresh(App(app.client_id, f"{guess:064}", ""), token)).status_code == 401
            assert (await server.refresh(app, token)).status_code == 200

    run(tmp_path, story)


def test_s51_each_further_failure_doubles_the_wait_up_to_a_minute(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, waits = await server.integration(), []
        wrong = App(app.client_id, "0" * 64, "")
        for _ in range(10):
            await server.refresh(wrong, "x")
        for _ in range(8):
            waits.append(int((await server.refresh(wrong, "x")).headers["retry-after"]))
            server.wait(seconds=waits[-1])
            assert (await server.refresh(wrong, "x")).status_code == 401
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]

    run(tmp_path, story)


# --- in which form -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body", "status", "words"),
    [
        ("application/json", b"{}", 415, "application/x-www-form-urlencoded"),
        ("text/plain", b"grant_type=refresh_token", 415, "application/x-www-form-urlencoded"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "application/x-www-form-urlencoded"),
        (None, b"grant_type=refresh_token", 415, "application/x-www-form-urlencoded"),
        (FORM["content-type"], b"grant_type=refresh_token&grant_type=refresh_token", 400, "'grant_type' occurs more"),
        (FORM["content-type"], b"client_id=%ff", 400, "not valid UTF-8"),
        (FORM["content-type"], b"\xff\xfe", 400, "not valid UTF-8"),
        (FORM["content-type"], b"", 400, "'client_id' is missing"),
        (FORM["content-type"], b"client_id=" + b"x" * 1_000_000, 413, "larger than 65536 bytes"),
        (FORM["content-type"], b"&".join(b"a%d=1" % n for n in range(200)), 413, "More than 100"),
    ],
)
def test_w26_s59_a_body_that_is_no_honest_form_is_refused_and_told_what_to_send(
    tmp_path: Path, content_type: str | None, body: bytes, status: int, words: str
) -> None:
    async def story(server: Server) -> None:
        headers = {"content-type": content_type} if content_type else {}
        for path in ("/v1/access_token", "/v1/revoke"):
            answer = await server.post(path, content=body, headers=headers)
            assert words in refused(answer, status, "invalid_request")

    run(tmp_path, story)


FIELDS = [
    ("/v1/access_token", ["grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier"]),
    ("/v1/access_token", ["grant_type", "client_id", "client_secret", "refresh_token", "scope"]),
    ("/v1/revoke", ["client_id", "client_secret", "token", "token_type_hint"]),
]
OPTIONAL = {"scope", "token_type_hint"}


async def filled_in(server: Server, app: App, names: list[str]) -> dict[str, str]:
    """A request with these fields that would succeed."""
    person = await server.person()
    right = {**app.credentials, "redirect_uri": app.redirect_uri, "scope": SCOPES, "token_type_hint": "refresh_token"}
    if "code" in names:
        code = await server.code(app, person, **PKCE)
        right |= {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    else:
        token = (await server.tokens(app, person))["refresh_token"]
        right |= {"grant_type": "refresh_token", "refresh_token": token, "token": token}
    return {name: right[name] for name in names}


@pytest.mark.parametrize(("path", "names"), FIELDS)
def test_w26_s59_each_field_that_is_repeated_is_refused_by_its_name_and_spends_nothing(
    tmp_path: Path, path: str, names: list[str]
) -> None:
    async def story(server: Server) -> None:
        fields = await filled_in(server, await server.integration(), names)
        for name, value in {**fields, "unknown": "x"}.items():
            for again in (value, "another"):
                twice = urlencode([*{**fields, name: value}.items(), (name, again)])
                answer = await server.post(path, content=twice.encode(), headers=FORM)
                assert f"The parameter '{name}' occurs more than once" in refused(answer, 400, "invalid_request")
        assert (await server.post(path, data=fields)).status_code == 200

    run(tmp_path, story)


@pytest.mark.parametrize(("path", "names"), FIELDS)
def test_w26_s59_each_field_that_is_empty_counts_as_missing_and_spends_nothing(
    tmp_path: Path, path: str, names: list[str]
) -> None:
    async def story(server: Server) -> None:
        fields = await filled_in(server, await server.integration(), names)
        for name in set(names) - OPTIONAL:
            absent = {each: value for each, value in fields.items() if each != name}
            answers = [await server.post(path, data=each) for each in (absent, absent | {name: ""})]
            (words,) = {refused(answer, answer.status_code, answer.json()["error"]) for answer in answers}
            assert re.search(rf"'?{name}'? is missing", words)
        empty = dict.fromkeys([*OPTIONAL, "unknown"], "")
        assert (await server.post(path, data=fields | empty)).status_code == 200

    run(tmp_path, story)


@pytest.mark.parametrize("charset", ["", "; charset=UTF-8", ";charset=utf-8"])
def test_w26_s59_forms_of_real_clients_are_read_and_unknown_parameters_ignored(tmp_path: Path, charset: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person())
        raw = (
            f"grant_type=authorization_code&client_id={app.client_id}&client_secret={app.client_secret}"
            f"&code={code}&redirect_uri={app.redirect_uri}&state=kept&user_info=&device_id=7"
        )
        headers = {"content-type": FORM["content-type"] + charset}
        assert (await server.post("/v1/access_token", content=raw.encode(), headers=headers)).status_code == 200

    run(tmp_path, story)


def test_w26_s59_json_is_served_where_the_platform_is_set_so(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        fields = {**app.credentials, "grant_type": "refresh_token"}
        token = (await server.tokens(app, await server.person()))["refresh_token"]
        answer = await server.post("/v1/access_token", json={**fields, "refresh_token": token})
        assert answer.status_code == 200
        twice = json.dumps({**fields, "refresh_token": token})[:-1] + ', "refresh_token": "x"}'
        answer = await server.post("/v1/access_token", content=twice, headers={"content-type": "application/json"})
        assert "'refresh_token' occurs more than once" in refused(answer, 400, "invalid_request")
        hostile: list[Mapping[str, object]] = [
            {**fields, "refresh_token": 7},
            {**fields, "refresh_token": "\ud800"},
            {**fields, "client_id": "\ud800", "refresh_token": "x"},
            {},
        ]
        for members in hostile:
            body = json.dumps(members).encode()
            answer = await server.post("/v1/access_token", content=body, headers={"content-type": "application/json"})
            assert answer.status_code in (400, 401), answer.text

    run(tmp_path, story, token_endpoint_accepts_json=True)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize("path", ["/v1/access_token", "/v1/revoke"])
def test_s48_any_method_but_post_is_refused_with_allow(tmp_path: Path, path: str, method: str) -> None:
    async def story(server: Server) -> None:
        answer = await server.browser().client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST, OPTIONS"
        if method != "HEAD":
            refused(answer, 405, "invalid_request")

    run(tmp_path, story)


def test_scripts_of_other_origins_may_ask_for_tokens_and_read_every_answer(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        client = server.browser().client
        origin = {"origin": "https://app.example"}
        for path in ("/v1/access_token", "/v1/revoke"):
            asked = {
                **origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization",
            }
            preflight = await client.options(path, headers=asked)
            assert preflight.status_code == 204
            assert preflight.headers["access-control-allow-origin"] == "*"
            assert "POST" in preflight.headers["access-control-allow-methods"]
            assert "authorization" in preflight.headers["access-control-allow-headers"]
            for answer in (
                await client.post(path, headers=origin),
                await client.get(path, headers=origin),
                await client.post(path, headers=origin, data={**app.credentials, "token": "x"}),
            ):
                assert answer.headers["access-control-allow-origin"] == "*"
                assert "access-control-allow-credentials" not in answer.headers

    run(tmp_path, story)


def test_webexs_own_addresses_of_the_endpoints_answer_too(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        assert app.client_secret
        tokens = await server.tokens(app, await server.person())
        header = basic(app.client_id, app.client_secret)
        fields = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        answer = await server.post("/idb/oauth2/v1/access_token", data=fields, headers=header)
        assert answer.status_code == 200
        gone = await server.post("/idb/oauth2/v1/revoke", data={"token": tokens["access_token"]}, headers=header)
        assert gone.status_code == 200
        assert not await server.lives(tokens["access_token"])

    run(tmp_path, story)


# --- what is kept --------------------------------------------------------------------------------------------------


def test_s57_no_file_of_the_database_holds_a_secret_code_or_token_readable(tmp_path: Path) -> None:
    secrets: list[str] = []

    async def story(server: Server) -> None:
        person = await server.person()
        for app in (await server.integration(), await server.strict_integration()):
            code = await server.code(app, person, **PKCE)
            tokens = (await server.exchange(app, code, code_verifier=VERIFIER)).json()
            await server.refresh(app, tokens["refresh_token"])
            assert app.client_secret
            secrets.extend([app.client_secret, code, VERIFIER])
            browser = await server.signed_in(person)
            secrets.append(request_of(await browser.authorize(app, **PKCE, prompt="consent")))
            secrets.extend(browser.client.cookies.values())
        secrets.extend(server.issued)

    run(tmp_path, story)
    files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert len(secrets) == 18
    for secret in secrets:
        for form in (secret.encode(), secret[:64].encode(), base64.b64encode(secret.encode())[:60]):
            assert not any(form in content for content in files)


def test_s57_no_secret_code_or_token_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="grantflow")
    secrets: list[str] = []

    async def story(server: Server) -> None:
        app, person = await server.strict_integration(), await server.person()
        code = await server.code(app, person, **PKCE)
        tokens = (await server.exchange(app, code, code_verifier=VERIFIER)).json()
        await server.exchange(app, code, code_verifier=VERIFIER)
        await server.refresh(app, tokens["refresh_token"])
        await server.refresh(App(app.client_id, "0" * 64, ""), tokens["refresh_token"])
        assert app.client_secret
        secrets.extend([app.client_secret, "0" * 64, code, VERIFIER, *server.issued])

    run(tmp_path, story)
    assert "refused with invalid_client" in caplog.text
    assert not any(secret in caplog.text for secret in secrets)
