"""Authorization codes: bound, short-lived, and good for one request."""

import asyncio
import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow.authorization_server import Settings
from tests.authorization_server.given import (
    CHALLENGE,
    ISSUER,
    PKCE,
    VERIFIER,
    App,
    Server,
    challenge_of,
    run,
)


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def test_w28_s33_a_code_serves_exactly_one_request_however_many_arrive(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person())
        answers = await asyncio.gather(*(server.exchange(app, code) for _ in range(50)))
        won = [answer.json() for answer in answers if answer.status_code == 200]
        lost = [error_of(answer) for answer in answers if answer.status_code != 200]
        assert len(won) == 1
        assert lost == [(400, "invalid_grant")] * 49
        assert await server.lives(won[0]["access_token"])
        assert (await server.refresh(app, won[0]["refresh_token"])).status_code == 200

    run(tmp_path, story)


@pytest.mark.parametrize(("seconds", "lives"), [(299, True), (300, False), (86_400, False)])
def test_s32_a_code_lives_five_minutes(tmp_path: Path, seconds: int, lives: bool) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person())
        server.wait(seconds=seconds)
        answer = await server.exchange(app, code)
        assert answer.status_code == (200 if lives else 400)
        if not lives:
            assert answer.json()["error"] == "invalid_grant"
            assert "expired" in answer.json()["message"]

    run(tmp_path, story)


def test_s32_no_lifetime_can_be_set_to_nonsense_nor_a_codes_over_ten_minutes() -> None:
    with pytest.raises(ValueError, match="access_token_lifetime must be positive"):
        Settings(ISSUER, access_token_lifetime=timedelta(0))
    with pytest.raises(ValueError, match="refresh_token_lifetime must be positive"):
        Settings(ISSUER, refresh_token_lifetime=timedelta(days=-1))
    with pytest.raises(ValueError, match="ten minutes"):
        Settings(ISSUER, code_lifetime=timedelta(minutes=10, seconds=1))
    Settings(ISSUER, code_lifetime=timedelta(minutes=10))


# --- repeats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("later", "revoked"), [(0, False), (10, False), (11, True), (3_600, True), (86_000, True)])
def test_s34_a_valid_repeat_within_ten_seconds_harms_nothing_and_a_later_one_revokes_what_the_code_led_to(
    tmp_path: Path, later: int, revoked: bool
) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        other = await server.tokens(app, person)
        code = await server.code(app, person, **PKCE)
        tokens = (await server.exchange(app, code, code_verifier=VERIFIER)).json()
        renewed = (await server.refresh(app, tokens["refresh_token"])).json()
        server.wait(seconds=later)
        assert error_of(await server.exchange(app, code, code_verifier=VERIFIER)) == (400, "invalid_grant")
        assert await server.lives(tokens["access_token"]) is not revoked
        assert await server.lives(renewed["access_token"]) is not revoked
        assert (await server.refresh(app, tokens["refresh_token"])).status_code == (400 if revoked else 200)
        assert await server.lives(other["access_token"]), "another code's tokens have nothing to do with it"

    run(tmp_path, story)


def test_s34_how_soon_a_repeat_is_a_retry_is_a_setting(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person())
        tokens = (await server.exchange(app, code)).json()
        for seconds, lives in ((3, True), (1, False)):
            server.wait(seconds=seconds)
            assert error_of(await server.exchange(app, code)) == (400, "invalid_grant")
            assert await server.lives(tokens["access_token"]) is lives

    run(tmp_path, story, repeat_grace=timedelta(seconds=3))


@pytest.mark.parametrize(("verifier", "revoked"), [(VERIFIER, True), (VERIFIER[:-1] + "x", False), (None, False)])
def test_s34_s35_repeats_that_differ_in_the_verifier_alone_revoke_with_the_right_one_alone(
    tmp_path: Path, verifier: str | None, revoked: bool
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person(), **PKCE)
        tokens = (await server.exchange(app, code, code_verifier=VERIFIER)).json()
        server.wait(minutes=1)
        assert error_of(await server.exchange(app, code, code_verifier=verifier)) == (400, "invalid_grant")
        assert await server.lives(tokens["access_token"]) is not revoked
        assert (await server.refresh(app, tokens["refresh_token"])).status_code == (400 if revoked else 200)

    run(tmp_path, story)


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "wrong" * 10},
        {"code_verifier": None},
        {"client_secret": "0" * 64},
        {"client_secret": None},
        {"redirect_uri": "https://evil.example/"},
    ],
)
def test_s35_a_repeat_with_the_wrong_verifier_or_client_revokes_nothing(
    tmp_path: Path, changed: dict[str, str | None]
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person(), **PKCE)
        tokens = (await server.exchange(app, code, code_verifier=VERIFIER)).json()
        server.wait(minutes=1)
        answer = await server.exchange(app, code, **{"code_verifier": VERIFIER, **changed})
        assert answer.status_code in (400, 401)
        assert await server.lives(tokens["access_token"])

    run(tmp_path, story)


def test_s35_a_repeat_by_another_client_revokes_nothing(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, other = await server.integration(), await server.integration("Other")
        code = await server.code(app, await server.person())
        tokens = (await server.exchange(app, code)).json()
        server.wait(minutes=1)
        assert error_of(await server.exchange(other, code)) == (400, "invalid_grant")
        assert await server.lives(tokens["access_token"])

    run(tmp_path, story)


# --- what a code is bound to ---------------------------------------------------------------------------------------


def test_s36_a_code_is_bound_to_its_client(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, other = await server.integration(), await server.integration("Other")
        code = await server.code(app, await server.person())
        answer = await server.exchange(other, code)
        assert error_of(answer) == (400, "invalid_grant")
        assert "another integration" in answer.json()["message"]
        assert (await server.exchange(app, code)).status_code == 200

    run(tmp_path, story)


FIRST, SECOND = "https://a.example/oauth", "https://b.example/oauth"


@pytest.mark.parametrize(
    ("authorized_with", "exchanged_with", "status"),
    [
        (FIRST, FIRST, 200),
        (SECOND, SECOND, 200),
        (FIRST, SECOND, 400),
        (FIRST, FIRST + "/", 400),
        (FIRST, None, 400),
    ],
)
def test_s36_s37_a_grant_begun_at_one_redirect_uri_is_completed_at_the_same_one(
    tmp_path: Path, authorized_with: str, exchanged_with: str | None, status: int
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", FIRST, SECOND)
        code = await server.code(app, await server.person(), redirect_uri=authorized_with)
        assert (await server.exchange(app, code, redirect_uri=exchanged_with)).status_code == status

    run(tmp_path, story)


@pytest.mark.parametrize(("exchanged_with", "status"), [(None, 200), (FIRST, 200), (SECOND, 400)])
def test_s37_where_the_request_had_no_redirect_uri_the_exchange_needs_none(
    tmp_path: Path, exchanged_with: str | None, status: int
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration("App", FIRST)
        code = await server.code(app, await server.person(), redirect_uri=None)
        assert (await server.exchange(app, code, redirect_uri=exchanged_with)).status_code == status

    run(tmp_path, story)


LONG = "a" * 128


@pytest.mark.parametrize(
    ("challenge", "verifier", "status"),
    [
        (CHALLENGE, VERIFIER, 200),
        (challenge_of(LONG), LONG, 200),
        (CHALLENGE, None, 400),
        (CHALLENGE, VERIFIER[:-1] + "x", 400),
        (CHALLENGE, CHALLENGE, 400),
        (challenge_of("a" * 42), "a" * 42, 400),
        (challenge_of("a" * 129), "a" * 129, 400),
        (None, VERIFIER, 400),
        (None, None, 200),
    ],
)
def test_s36_s43_s44_s47_the_verifier_must_answer_the_challenge_and_only_a_challenge(
    tmp_path: Path, challenge: str | None, verifier: str | None, status: int
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        method = "S256" if challenge else None
        code = await server.code(app, await server.person(), code_challenge=challenge, code_challenge_method=method)
        answer = await server.exchange(app, code, code_verifier=verifier)
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["error"] == "invalid_grant"
            right = VERIFIER if challenge == CHALLENGE else None
            again = await server.exchange(app, code, code_verifier=right)
            assert again.status_code == (200 if challenge in (CHALLENGE, None) else 400), "a wrong try spends nothing"

    run(tmp_path, story)


def test_s38_the_code_says_nothing_about_the_challenge(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        code = await server.code(await server.integration(), await server.person(), **PKCE)
        for text in (code, base64.b64decode(code[:64]).decode()):
            assert CHALLENGE[:8] not in text

    run(tmp_path, story)


def test_a_code_of_a_grant_that_was_taken_away_meanwhile_leads_to_no_tokens(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        code = await server.code(app, person)
        await server.disconnect(person)
        answer = await server.exchange(app, code)
        assert error_of(answer) == (400, "invalid_grant")
        assert "The grant was revoked" in answer.json()["message"]

    run(tmp_path, story)


def test_w28_a_used_code_is_called_a_used_code_where_the_grant_has_ended_since(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        code = await server.code(app, person)
        assert (await server.exchange(app, code)).status_code == 200
        await server.disconnect(person)
        answer = await server.exchange(app, code)
        assert error_of(answer) == (400, "invalid_grant")
        assert "was used a moment ago" in answer.json()["message"]

    run(tmp_path, story)


def test_a_code_carries_the_scopes_that_were_consented_to_for_it_alone(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        code = await server.code(app, person, scope="spark:people_read")
        assert (await server.exchange(app, code)).json()["scope"] == "spark:people_read spark:kms"

    run(tmp_path, story)


def test_a_public_client_needs_its_verifier_alone(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.public_integration()
        person = await server.person()
        code = await server.code(app, person, redirect_uri="http://127.0.0.1:51004/oauth", **PKCE)
        moved = App(app.client_id, None, "http://127.0.0.1:51004/oauth")
        assert (await server.exchange(moved, code)).status_code == 400
        assert (await server.exchange(app, code, code_verifier=VERIFIER)).status_code == 400, "the port counts here"
        assert (await server.exchange(moved, code, code_verifier=VERIFIER)).status_code == 200

    run(tmp_path, story)
