"""Revocation (RFC 7009): what goes, what stays, and who may ask."""

import threading
from pathlib import Path

import pytest

from grantflow.resource_owner.records import Person
from grantflow.storage.connected_apps import ConnectedAppStore
from tests.authorization_server.given import PKCE, VERIFIER, Server, parameters_of, request_of, run

ACCESS, REFRESH = "access_token", "refresh_token"


@pytest.mark.parametrize("profile", ["webex", "strict", "public"])
@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token", "nonsense"])
def test_s68_s69_s71_a_refresh_token_goes_with_all_that_stems_from_its_code(
    tmp_path: Path, profile: str, hint: str | None
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        person = await server.person()
        other = await server.tokens(app, person)
        first = await server.tokens(app, person)
        second = (await server.refresh(app, first[REFRESH])).json()
        assert (await server.revoke(app, second[REFRESH], token_type_hint=hint)).status_code == 200
        for tokens in (first, second):
            assert not await server.lives(tokens[ACCESS])
            assert (await server.refresh(app, tokens[REFRESH])).json()["error"] == "invalid_grant"
        assert await server.lives(other[ACCESS]), "another authorization of the same person lives on"

    run(tmp_path, story)


@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token", "nonsense"])
def test_s68_s71_an_access_token_goes_alone(tmp_path: Path, hint: str | None) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        first = await server.tokens(app, await server.person())
        second = (await server.refresh(app, first[REFRESH])).json()
        assert (await server.revoke(app, first[ACCESS], token_type_hint=hint)).status_code == 200
        assert not await server.lives(first[ACCESS])
        assert await server.lives(second[ACCESS])
        assert (await server.refresh(app, first[REFRESH])).status_code == 200

    run(tmp_path, story)


@pytest.mark.parametrize("token", ["no such token", "ü", "\0", "x" * 60_000])
def test_s70_an_unknown_token_is_answered_200_and_so_is_one_that_is_gone(tmp_path: Path, token: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        tokens = await server.tokens(app, await server.person())
        for gone in (token, tokens[REFRESH], tokens[REFRESH]):
            answer = await server.revoke(app, gone)
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["cache-control"] == "no-store"

    run(tmp_path, story)


@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token"])
@pytest.mark.parametrize("profile", ["webex", "strict", "public"])
def test_s72_another_clients_token_is_not_revoked(tmp_path: Path, profile: str, hint: str | None) -> None:
    async def story(server: Server) -> None:
        app, other = await server.integration_in(profile), await server.integration("Other")
        tokens = await server.tokens(app, await server.person())
        for token in (tokens[ACCESS], tokens[REFRESH]):
            assert (await server.revoke(other, token, token_type_hint=hint)).status_code == 200
        assert await server.lives(tokens[ACCESS])
        assert (await server.refresh(app, tokens[REFRESH])).status_code == 200

    run(tmp_path, story)


def test_a_token_must_be_named(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        answer = await server.revoke(app, "")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert "'token' is missing" in answer.json()["message"]

    run(tmp_path, story)


# --- the grant, when nothing that could act is left ----------------------------------------------------------------


async def connected(server: Server, person: Person) -> int:
    """How many apps the person's page of connected apps lists."""
    return (await ConnectedAppStore(server.engine).connected(person.id, page=1, size=9)).total


@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_an_integration_that_revoked_its_last_token_is_connected_no_more_and_must_ask_for_all_anew(
    tmp_path: Path, profile: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        person = await server.person()
        tokens = await server.tokens(app, person)
        renewed = (await server.refresh(app, tokens[REFRESH])).json()
        assert await connected(server, person) == 1
        await server.revoke(app, renewed[REFRESH])
        assert await connected(server, person) == 0
        request_of(await (await server.signed_in(person)).authorize(app, **PKCE), "/consent")
        assert await server.lives((await server.tokens(app, person))[ACCESS])
        assert await connected(server, person) == 1

    run(tmp_path, story)


def test_another_installation_keeps_the_grant_and_what_is_remembered(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        first, second = await server.tokens(app, person), await server.tokens(app, person)
        await server.run("UPDATE access_tokens SET expires_at = 1")
        await server.revoke(app, first[REFRESH])
        assert await connected(server, person) == 1
        assert (await server.refresh(app, second[REFRESH])).status_code == 200
        assert "code" in parameters_of(await (await server.signed_in(person)).authorize(app, **PKCE))

    run(tmp_path, story)


def test_a_code_on_its_way_keeps_the_grant_until_it_has_expired(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        tokens = await server.tokens(app, person)
        code = await server.code(app, person, **PKCE)
        await server.revoke(app, tokens[REFRESH])
        second = (await server.exchange(app, code, code_verifier=VERIFIER)).json()
        assert await server.lives(second[ACCESS])
        await server.code(app, person, **PKCE)
        server.wait(minutes=6)
        await server.revoke(app, second[REFRESH])
        assert await connected(server, person) == 0

    run(tmp_path, story)


def test_an_access_token_that_outlived_its_refresh_token_keeps_the_grant_until_it_is_revoked_too(
    tmp_path: Path,
) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        tokens = await server.tokens(app, person)
        other = await server.tokens(app, person)
        await server.run("UPDATE refresh_tokens SET expires_at = 1")
        await server.revoke(app, other[REFRESH])
        assert await connected(server, person) == 1
        await server.revoke(app, tokens[ACCESS])
        assert await connected(server, person) == 0

    run(tmp_path, story)


def test_a_stolen_code_or_token_that_comes_back_too_late_leaves_no_empty_grant(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        code = await server.code(app, person)
        assert (await server.exchange(app, code)).status_code == 200
        server.wait(seconds=11)
        assert (await server.exchange(app, code)).status_code == 400
        assert await connected(server, person) == 0

    run(tmp_path, story)


def test_an_access_token_is_revoked_off_the_event_loop_and_when_repeated_no_grant_is_looked_at(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        tokens = await server.tokens(app, await server.person())
        seen: list[tuple[str, bool]] = []

        def note(statement: str) -> None:
            seen.append((statement.lstrip(), threading.current_thread() is threading.main_thread()))

        looked: list[int] = []
        server.engine._writer.set_trace_callback(note)
        for _ in range(3):
            await server.revoke(app, tokens[ACCESS])
            looked.append(sum(statement.startswith("UPDATE grants") for statement, _ in seen))
        server.engine._writer.set_trace_callback(None)
        assert looked == [1, 1, 1]
        assert not [on_loop for statement, on_loop in seen if on_loop and "revoked_at" in statement]

    run(tmp_path, story)
