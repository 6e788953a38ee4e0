"""What happens between load and save: nothing is lost that somebody did meanwhile, and trouble is a clean 503."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from grantflow.storage.authorization_requests import AuthorizationRequestStore
from grantflow.storage.engine import IntegrityError
from grantflow.storage.tokens import TokenStore
from tests.authorization_server.given import PKCE, VERIFIER, Server, parameters_of, request_of, run

Meanwhile = Callable[[], Awaitable[None]]


def interrupt(monkeypatch: pytest.MonkeyPatch, store: type, method: str, meanwhile: Meanwhile) -> None:
    """Let ``meanwhile`` happen once, right after the store has loaded."""
    load = getattr(store, method)
    pending = [meanwhile]

    async def loaded(self: object, *args: object, **named: object) -> object:
        found = await load(self, *args, **named)
        if pending:
            await pending.pop()()
        return found

    monkeypatch.setattr(store, method, loaded)


def test_w02_a_grant_taken_away_while_its_code_is_exchanged_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        code = await server.code(app, person)
        interrupt(monkeypatch, TokenStore, "code", lambda: server.disconnect(person))
        answer = await server.exchange(app, code)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert not await server.rows("SELECT 1 FROM access_tokens")

    run(tmp_path, story)


@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_w02_a_grant_taken_away_while_it_is_refreshed_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        person = await server.person()
        tokens = await server.tokens(app, person)
        interrupt(monkeypatch, TokenStore, "refresh_token", lambda: server.disconnect(person))
        answer = await server.refresh(app, tokens["refresh_token"])
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert len(await server.rows("SELECT 1 FROM access_tokens")) == 1

    run(tmp_path, story)


def test_w02_a_consent_taken_away_while_it_is_relied_on_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        browser = await server.signed_in(person)
        interrupt(monkeypatch, AuthorizationRequestStore, "situation", lambda: server.disconnect(person))
        request_of(await browser.authorize(app), "/consent")

    run(tmp_path, story)


def test_two_consents_that_widen_one_grant_at_once_lose_nothing_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        await browser.accept(await browser.authorize(app, scope="spark:kms"))
        one = await browser.authorize(app, scope="spark:people_read")
        other = await browser.authorize(app, scope="spark:messages_write")

        async def accept_the_other() -> None:
            assert "code" in parameters_of(await browser.accept(other))

        interrupt(monkeypatch, AuthorizationRequestStore, "pending", accept_the_other)
        assert "code" in parameters_of(await browser.accept(one))
        (grant,) = await server.rows("SELECT scopes FROM grants")
        assert set(grant["scopes"].split()) == {"spark:kms", "spark:people_read", "spark:messages_write"}

    run(tmp_path, story)


def test_an_integration_deleted_meanwhile_is_unknown_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        await server.tokens(app, person)
        browser = await server.signed_in(person)
        asked = await browser.authorize(app, prompt="consent")

        async def delete() -> None:
            await server.run("DELETE FROM integrations")

        interrupt(monkeypatch, AuthorizationRequestStore, "pending", delete)
        page = await browser.accept(asked)
        assert page.status_code == 400
        assert "expired" in page.text

    run(tmp_path, story)


def test_a_store_in_trouble_is_a_503_with_retry_after_for_people_and_programs(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        asked = await browser.authorize(app)
        code = parameters_of(await browser.accept(asked))["code"]
        await server.engine.close()
        for answer in (
            await server.exchange(app, code),
            await server.refresh(app, code),
            await server.revoke(app, code),
        ):
            assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
            assert answer.headers["retry-after"] == "1"
            assert "database" not in answer.text, "what went wrong inside is for the log"
        for page in (await browser.authorize(app), await browser.come_back(asked)):
            assert page.status_code == 503
            assert page.headers["retry-after"] == "1"
            assert page.headers["content-type"].startswith("text/html")
            assert "reload this page" in page.text

    run(tmp_path, story)


def test_a_code_and_its_tokens_are_saved_together_or_not_at_all(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        code = await server.code(app, await server.person(), **PKCE)
        await server.run("CREATE TRIGGER broken BEFORE INSERT ON access_tokens BEGIN SELECT RAISE(ABORT, 'x'); END")
        with pytest.raises(IntegrityError):
            await server.exchange(app, code, code_verifier=VERIFIER)
        assert not await server.rows("SELECT 1 FROM codes WHERE spent_at IS NOT NULL")
        assert not await server.rows("SELECT 1 FROM refresh_tokens")
        await server.run("DROP TRIGGER broken")
        assert (await server.exchange(app, code, code_verifier=VERIFIER)).status_code == 200

    run(tmp_path, story)
