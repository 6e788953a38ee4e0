"""The way of a person through sign-in and consent, back to the authorization endpoint each time."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from grantflow.protocol.secret import Secret
from grantflow.resource_owner.records import Decision
from grantflow.storage.consents import ConsentStore
from tests.authorization_server.given import (
    ISSUER,
    PKCE,
    REDIRECT_URI,
    Server,
    parameters_of,
    request_of,
    run,
)


def test_w24_w25_sign_in_then_consent_then_the_code_at_the_redirect_uri(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person, browser = await server.integration(), await server.person(), server.browser()
        asked = await browser.authorize(app)
        request_of(asked, "/signin")
        await browser.sign_in(person)
        consent = await browser.come_back(asked)
        assert request_of(consent, "/consent") == request_of(asked), "one request, one id"
        answer = await browser.accept(consent)
        assert answer.headers["location"].startswith(REDIRECT_URI + "?")
        fields = parameters_of(answer)
        assert set(fields) == {"code", "state", "iss"}
        assert (fields["state"], fields["iss"]) == ("xyz", ISSUER)

    run(tmp_path, story)


def test_w25_s30_a_decline_goes_back_as_access_denied_with_state_and_iss(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        fields = parameters_of(await browser.decline(await browser.authorize(app)))
        assert fields == {
            "error": "access_denied",
            "error_description": "The person declined.",
            "state": "xyz",
            "iss": ISSUER,
        }
        assert not await server.rows("SELECT 1 FROM grants")

    run(tmp_path, story)


def test_s19_every_step_is_a_303_that_nobody_keeps_and_no_referrer_follows(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        asked = await browser.authorize(app)
        await browser.sign_in(await server.person())
        consent = await browser.come_back(asked)
        answer = await browser.accept(consent)
        for response in (asked, consent, answer):
            assert response.status_code == 303
            assert response.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"

    run(tmp_path, story)


def test_the_id_of_a_waiting_request_is_random_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        first = request_of(await browser.authorize(app))
        second = request_of(await browser.authorize(app))
        assert first != second
        assert len(first) == 43
        (row, _) = await server.rows("SELECT id_hash, query FROM authorization_requests ORDER BY created_at")
        assert row["id_hash"] in (Secret(first).digest(), Secret(second).digest())
        assert "state" not in urlsplit((await browser.authorize(app)).headers["location"]).query

    run(tmp_path, story)


# --- a request is answered once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", list(Decision))
def test_a_request_that_was_answered_cannot_be_answered_again_and_the_page_says_so(
    tmp_path: Path, decision: Decision
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        asked = await browser.authorize(app)
        await browser.decide(asked, decision)
        parameters_of(await browser.come_back(asked))
        again = await browser.come_back(asked)
        assert again.status_code == 400
        assert "This request was answered already" in again.text
        assert "go back to the integration" in again.text

    run(tmp_path, story)


def test_two_tabs_that_come_back_at_once_get_one_code(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        asked = await browser.authorize(app)
        await browser.decide(asked, Decision.ACCEPTED)
        answers = await asyncio.gather(*(browser.come_back(asked) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [303, *[400] * 19]
        assert len(await server.rows("SELECT 1 FROM codes")) == 1

    run(tmp_path, story)


def test_a_request_that_waited_for_sign_in_alone_is_answered_once_too(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        browser = server.browser()
        asked = await browser.authorize(app)
        request_of(asked, "/signin")
        await browser.sign_in(person)
        assert "code" in parameters_of(await browser.come_back(asked)), "the consent is remembered"
        assert "This request was answered already" in (await browser.come_back(asked)).text

    run(tmp_path, story)


@pytest.mark.parametrize("moment", ["before sign-in", "before consent", "after consent"])
def test_a_request_that_waited_too_long_gets_a_page_and_no_code(tmp_path: Path, moment: str) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        asked = await browser.authorize(app)
        if moment != "before sign-in":
            await browser.sign_in(await server.person())
            asked = await browser.come_back(asked)
        if moment == "after consent":
            await browser.decide(asked, Decision.ACCEPTED)
        server.wait(minutes=10)
        late = await browser.come_back(asked)
        assert late.status_code == 400
        assert "This request has expired" in late.text
        assert not await server.rows("SELECT 1 FROM codes")

    run(tmp_path, story)


@pytest.mark.parametrize("request_id", ["nonsense", "x" * 3_000, "%00", "%C3%BC", "", "a&request=b"])
def test_an_id_that_nobody_was_given_gets_a_page(tmp_path: Path, request_id: str) -> None:
    async def story(server: Server) -> None:
        page = await server.browser().open(f"/v1/authorize?request={request_id}")
        assert page.status_code == 400
        assert "location" not in page.headers

    run(tmp_path, story)


# --- whose consent -------------------------------------------------------------------------------------------------


def test_s22_what_one_person_decided_counts_for_nobody_else(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        ada, grace = await server.person(), await server.person("grace@sandbox.example")
        attacker, victim = await server.signed_in(ada), await server.signed_in(grace)
        asked = await attacker.authorize(app)
        await attacker.decide(asked, Decision.ACCEPTED)
        request_of(await victim.come_back(asked), "/consent")
        assert not await server.rows("SELECT 1 FROM codes")

    run(tmp_path, story)


def test_a_remembered_consent_is_not_asked_for_again_and_saves_no_request(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        waiting = await server.rows("SELECT 1 FROM authorization_requests")
        browser = await server.signed_in(person)
        assert "code" in parameters_of(await browser.authorize(app))
        assert "code" in parameters_of(await browser.authorize(app, scope="spark:people_read"))
        assert await server.rows("SELECT 1 FROM authorization_requests") == waiting

    run(tmp_path, story)


def test_a_consent_not_to_be_remembered_is_asked_for_again(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        await browser.accept(await browser.authorize(app), remember=False)
        request_of(await browser.authorize(app), "/consent")

    run(tmp_path, story)


def test_a_new_scope_is_asked_for_and_then_belongs_to_the_grant_with_the_earlier_ones(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        await browser.accept(await browser.authorize(app, scope="spark:people_read"))
        await browser.accept(await browser.authorize(app, scope="spark:messages_write"))
        assert "code" in parameters_of(await browser.authorize(app))
        (grant,) = await server.rows("SELECT scopes FROM grants")
        assert set(grant["scopes"].split()) == {"spark:people_read", "spark:messages_write", "spark:kms"}

    run(tmp_path, story)


def test_s23_a_public_client_is_never_approved_silently(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.public_integration()
        browser = await server.signed_in(await server.person())
        await browser.accept(await browser.authorize(app, **PKCE))
        request_of(await browser.authorize(app, **PKCE), "/consent")
        silent = parameters_of(await browser.authorize(app, **PKCE, prompt="none"))
        assert silent["error"] == "consent_required"

    run(tmp_path, story)


def test_w02_w34_after_a_revocation_consent_is_asked_for_anew(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        await server.disconnect(person)
        browser = await server.signed_in(person)
        asked = await browser.authorize(app)
        request_of(asked, "/consent")
        assert "code" in parameters_of(await browser.accept(asked))
        grants = await server.rows("SELECT revoked_at FROM grants")
        assert sorted(grant["revoked_at"] is None for grant in grants) == [False, True]

    run(tmp_path, story)


def test_two_first_consents_at_once_make_one_grant_and_both_get_their_code(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        requests = [
            await browser.authorize(app, scope=scope)
            for scope in ("spark:people_read", "spark:messages_write", "spark:kms")
        ]
        for asked in requests:
            await browser.decide(asked, Decision.ACCEPTED)
        answers = await asyncio.gather(*(browser.come_back(asked) for asked in requests))
        assert all("code" in parameters_of(answer) for answer in answers)
        (grant,) = await server.rows("SELECT scopes FROM grants")
        assert len(grant["scopes"].split()) == 3, "no consent was lost to another"

    run(tmp_path, story)


# --- prompt, max_age, login_hint -----------------------------------------------------------------------------------


def test_prompt_none_asks_nobody_and_says_what_is_missing(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person, browser = await server.integration(), await server.person(), server.browser()
        assert parameters_of(await browser.authorize(app, prompt="none"))["error"] == "login_required"
        await browser.sign_in(person)
        assert parameters_of(await browser.authorize(app, prompt="none"))["error"] == "consent_required"
        await browser.accept(await browser.authorize(app))
        assert "code" in parameters_of(await browser.authorize(app, prompt="none"))
        server.wait(seconds=61)
        stale = parameters_of(await browser.authorize(app, prompt="none", max_age="60"))
        assert stale["error"] == "login_required"

    run(tmp_path, story)


@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
def test_prompt_login_asks_for_a_fresh_sign_in_once(tmp_path: Path, prompt: str) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        browser = await server.signed_in(person)
        server.wait(seconds=5)
        asked = await browser.authorize(app, prompt=prompt)
        request_of(asked, "/signin")
        request_of(await browser.come_back(asked), "/signin")  # coming back with the old session is not enough
        await browser.sign_in(person)
        after = await browser.come_back(asked)
        if "consent" in prompt:
            after = await browser.accept(after)
        assert "code" in parameters_of(after)

    run(tmp_path, story)


def test_prompt_consent_asks_although_it_is_remembered(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        browser = await server.signed_in(person)
        assert "code" in parameters_of(await browser.accept(await browser.authorize(app, prompt="consent")))

    run(tmp_path, story)


@pytest.mark.parametrize(("max_age", "age", "fresh"), [("60", 59, True), ("60", 60, False), ("0", 0, False)])
def test_max_age_is_how_many_seconds_ago_a_sign_in_may_be(tmp_path: Path, max_age: str, age: int, fresh: bool) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        browser = await server.signed_in(person)
        server.wait(seconds=age)
        asked = await browser.authorize(app, max_age=max_age)
        request_of(asked, "/consent" if fresh else "/signin")
        await browser.sign_in(person)
        server.wait(minutes=3)
        request_of(await browser.come_back(asked), "/consent")  # who signed in for this request has done enough

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("hint", "kept"),
    [("ada@sandbox.example", "ada@sandbox.example"), (None, None), ("a\0b", None), ("x" * 300, None)],
)
def test_login_hint_is_kept_for_the_sign_in_page(tmp_path: Path, hint: str | None, kept: str | None) -> None:
    async def story(server: Server) -> None:
        app, browser = await server.integration(), server.browser()
        asked = await browser.authorize(app, login_hint=hint)
        question = await ConsentStore(server.engine).find(Secret(request_of(asked)).digest(), person_id=None)
        assert question is not None
        assert question.login_hint == kept
        assert question.redirect_uri == REDIRECT_URI
        assert str(question.scopes) == "spark:people_read spark:messages_write spark:kms"

    run(tmp_path, story)


def test_an_expired_session_is_no_session(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        browser = await server.signed_in(person)
        server.wait(hours=12)
        request_of(await browser.authorize(app), "/signin")
        assert parameters_of(await browser.authorize(app, prompt="none"))["error"] == "login_required"

    run(tmp_path, story)
