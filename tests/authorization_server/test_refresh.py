"""Refresh in both profiles: nobody's grant is lost by a retry, a race or an answer that never arrived."""

import asyncio
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow.authorization_server import Settings
from grantflow.authorization_server.records import Client, RefreshToken, Successor, TokenPair
from grantflow.authorization_server.refresh import refresh
from grantflow.protocol.errors import InvalidGrant
from grantflow.protocol.registration import ClientType, Profile
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials, Refresh
from grantflow.storage.engine import Work
from grantflow.storage.tokens import first_use
from tests.authorization_server.given import ISSUER, NOW, Server, run

ACCESS, REFRESH = "access_token", "refresh_token"


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


async def use_at_the_api(server: Server, access_token: str) -> None:
    """What the resource server notes when an access token is used."""
    (row,) = await server.rows(
        "SELECT refresh_hash FROM access_tokens WHERE token_hash = :hash", hash=Secret(access_token).digest()
    )
    if row["refresh_hash"] is None:
        return

    def work() -> Work[None]:
        yield from first_use(row["refresh_hash"], now=server.now)

    await server.engine.write(work())


# --- both profiles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_w33_the_answer_to_a_refresh_has_the_same_four_fields(tmp_path: Path, profile: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        first = await server.tokens(app, await server.person())
        server.wait(days=3)
        second = (await server.refresh(app, first[REFRESH])).json()
        assert set(second) == set(first)
        assert second[ACCESS] != first[ACCESS]
        for field in ("expires_in", "refresh_token_expires_in", "token_type", "scope"):
            assert second[field] == first[field]

    run(tmp_path, story)


@pytest.mark.parametrize("profile", ["webex", "strict", "public"])
def test_s67_fifty_refreshes_at_once_all_succeed_and_one_generation_lives(tmp_path: Path, profile: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        first = await server.tokens(app, await server.person())
        answers = await asyncio.gather(*(server.refresh(app, first[REFRESH]) for _ in range(50)))
        assert [answer.status_code for answer in answers] == [200] * 50
        assert len({answer.json()[REFRESH] for answer in answers}) == 1
        living = await server.rows(
            "SELECT 1 FROM refresh_tokens WHERE replaced_at IS NULL AND revoked_at IS NULL AND expires_at > 0"
        )
        assert len(living) == 1
        for answer in answers:
            assert await server.lives(answer.json()[ACCESS])
        assert (await server.refresh(app, answers[0].json()[REFRESH])).status_code == 200

    run(tmp_path, story)


@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_w08_w34_s63_ninety_days_unused_end_it_and_each_use_begins_them_anew(tmp_path: Path, profile: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        tokens = await server.tokens(app, await server.person())
        for _ in range(5):
            server.wait(days=89, hours=23)
            answer = await server.refresh(app, tokens[REFRESH])
            assert answer.status_code == 200
            tokens = answer.json()
        server.wait(days=90)
        late = await server.refresh(app, tokens[REFRESH])
        assert error_of(late) == (400, "invalid_grant")
        assert "through the grant again" in late.json()["message"]

    run(tmp_path, story)


@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_w02_w34_a_person_who_takes_access_away_ends_every_token_at_once(tmp_path: Path, profile: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        ada, grace = await server.person(), await server.person("grace@sandbox.example")
        hers, other = await server.tokens(app, ada), await server.tokens(app, grace)
        await server.disconnect(ada)
        refused = await server.refresh(app, hers[REFRESH])
        assert error_of(refused) == (400, "invalid_grant")
        assert "revoked" in refused.json()["message"]
        assert not await server.lives(hers[ACCESS])
        assert (await server.refresh(app, other[REFRESH])).status_code == 200
        again = await server.tokens(app, ada)
        assert again[REFRESH] != hers[REFRESH], "a new grant brings a new set of tokens"

    run(tmp_path, story)


@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_s60_a_refresh_token_is_bound_to_its_client_and_anothers_use_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, profile: str
) -> None:
    caplog.set_level("INFO", logger="grantflow")

    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        other = await server.integration("Other")
        tokens = await server.tokens(app, await server.person())
        answer = await server.refresh(other, tokens[REFRESH])
        assert error_of(answer) == (400, "invalid_grant")
        assert "another integration" in answer.json()["message"]
        assert f"a refresh token of client {app.client_id} was presented by client {other.client_id}" in caplog.text
        assert (await server.refresh(app, tokens[REFRESH])).status_code == 200

    run(tmp_path, story)


@pytest.mark.parametrize("profile", ["webex", "strict"])
@pytest.mark.parametrize(
    ("scope", "status", "given"),
    [
        (None, 200, "spark:people_read spark:messages_write spark:kms"),
        ("spark:people_read", 200, "spark:people_read"),
        ("spark:rooms_read", 400, ""),
        ("spark:people_read spark:rooms_read", 400, ""),
        (" ", 400, ""),
    ],
)
def test_s60_s65_a_refresh_may_ask_for_less_never_for_more_and_the_refresh_token_keeps_all(
    tmp_path: Path, profile: str, scope: str | None, status: int, given: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        tokens = await server.tokens(app, await server.person())
        answer = await server.refresh(app, tokens[REFRESH], scope=scope)
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["error"] == "invalid_scope"
            return
        assert answer.json()["scope"] == given
        following = await server.refresh(app, answer.json()[REFRESH])
        assert following.json()["scope"] == "spark:people_read spark:messages_write spark:kms"

    run(tmp_path, story)


@pytest.mark.parametrize("token", ["no such token", "ü", "x" * 60_000, "\0"])
def test_w34_a_token_that_was_never_issued_is_an_invalid_grant(tmp_path: Path, token: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        assert error_of(await server.refresh(app, token)) == (400, "invalid_grant")
        tokens = await server.tokens(app, await server.person())
        assert error_of(await server.refresh(app, tokens[ACCESS])) == (400, "invalid_grant")

    run(tmp_path, story)


# --- the webex profile ---------------------------------------------------------------------------------------------


def test_w08_s61_in_the_webex_profile_the_refresh_token_stays_and_old_access_tokens_live_on(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        first = await server.tokens(app, await server.person())
        server.wait(days=10)
        second = (await server.refresh(app, first[REFRESH])).json()
        assert second[REFRESH] == first[REFRESH]
        assert await server.lives(first[ACCESS])
        server.wait(days=4)
        assert not await server.lives(first[ACCESS])
        assert await server.lives(second[ACCESS])

    run(tmp_path, story)


def test_s67_in_the_webex_profile_a_lost_answer_costs_nothing_whenever_the_client_asks_again(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        tokens = await server.tokens(app, await server.person())
        lost = (await server.refresh(app, tokens[REFRESH])).json()
        await use_at_the_api(server, tokens[ACCESS])
        for days in (0, 1, 89):
            server.wait(days=days)
            found = await server.refresh(app, tokens[REFRESH])
            assert found.status_code == 200
            assert await server.lives(found.json()[ACCESS])
        assert found.json()[REFRESH] == lost[REFRESH] == tokens[REFRESH]

    run(tmp_path, story)


def test_the_countdown_is_reported_where_it_is_set_and_the_true_deadline_slides_all_the_same(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        tokens = await server.tokens(app, await server.person())
        assert tokens["refresh_token_expires_in"] == 7_776_000
        server.wait(seconds=25)
        assert (await server.refresh(app, tokens[REFRESH])).json()["refresh_token_expires_in"] == 7_775_975
        server.wait(days=80)
        await server.refresh(app, tokens[REFRESH])
        server.wait(days=80)
        late = (await server.refresh(app, tokens[REFRESH])).json()
        assert (late["expires_in"], late["refresh_token_expires_in"]) == (1_209_600, 0)

    run(tmp_path, story, report_countdown=True)


# --- the strict profile --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["strict", "public"])
def test_s61_the_refresh_tokens_of_public_and_strict_clients_rotate(tmp_path: Path, profile: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        tokens = await server.tokens(app, await server.person())
        seen = {tokens[REFRESH]}
        for _ in range(4):
            tokens = (await server.refresh(app, tokens[REFRESH])).json()
            seen.add(tokens[REFRESH])
        assert len(seen) == 5

    run(tmp_path, story)


@pytest.mark.parametrize("profile", ["strict", "public"])
def test_s62_whoever_replays_a_rotated_token_ends_all_its_successors(tmp_path: Path, profile: str) -> None:
    async def story(server: Server) -> None:
        app = await server.integration_in(profile)
        first = await server.tokens(app, await server.person())
        second = (await server.refresh(app, first[REFRESH])).json()
        third = (await server.refresh(app, second[REFRESH])).json()
        server.wait(minutes=2)
        assert error_of(await server.refresh(app, first[REFRESH])) == (400, "invalid_grant")
        for tokens in (second, third):
            assert error_of(await server.refresh(app, tokens[REFRESH])) == (400, "invalid_grant")
            assert not await server.lives(tokens[ACCESS])

    run(tmp_path, story)


@pytest.mark.parametrize("later", [timedelta(seconds=1), timedelta(minutes=2), timedelta(hours=24)])
def test_s67_an_answer_that_was_lost_is_given_again_until_its_successor_is_used(
    tmp_path: Path, later: timedelta
) -> None:
    async def story(server: Server) -> None:
        app = await server.strict_integration()
        first = await server.tokens(app, await server.person())
        lost = (await server.refresh(app, first[REFRESH])).json()
        server.now += later
        found = (await server.refresh(app, first[REFRESH])).json()
        assert (found[ACCESS], found[REFRESH], found["scope"]) == (lost[ACCESS], lost[REFRESH], lost["scope"])
        passed = later // timedelta(seconds=1)
        assert found["expires_in"] == lost["expires_in"] - passed
        assert found["refresh_token_expires_in"] == lost["refresh_token_expires_in"] - passed
        assert (await server.refresh(app, found[REFRESH])).status_code == 200

    run(tmp_path, story)


ALL = "spark:people_read spark:messages_write spark:kms"


@pytest.mark.parametrize(
    ("first", "again", "status"),
    [
        (None, ALL, 200),
        (ALL, "spark:kms spark:messages_write spark:people_read", 200),
        ("spark:people_read", "spark:people_read", 200),
        (None, "spark:people_read", 400),
        ("spark:people_read", None, 400),
        ("spark:people_read", "spark:messages_write", 400),
        ("spark:people_read", "spark:rooms_read", 400),
    ],
)
def test_s60_s67_a_lost_answer_is_given_again_for_its_own_scope_alone_and_asking_for_another_harms_nothing(
    tmp_path: Path, first: str | None, again: str | None, status: int
) -> None:
    async def story(server: Server) -> None:
        app = await server.strict_integration()
        tokens = await server.tokens(app, await server.person())
        lost = (await server.refresh(app, tokens[REFRESH], scope=first)).json()
        answer = await server.refresh(app, tokens[REFRESH], scope=again)
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["error"] == "invalid_scope"
        found = (await server.refresh(app, tokens[REFRESH], scope=first)).json()
        assert (found[ACCESS], found[REFRESH], found["scope"]) == (lost[ACCESS], lost[REFRESH], lost["scope"])
        assert (await server.refresh(app, found[REFRESH], scope=again)).status_code == (
            400 if again == "spark:rooms_read" else 200
        )

    run(tmp_path, story)


@pytest.mark.parametrize("used_at", ["token endpoint", "API"])
@pytest.mark.parametrize(("later", "revoked"), [(0, False), (60, False), (61, True), (86_400 * 30, True)])
def test_s62_s67_after_the_first_use_stragglers_are_refused_for_a_minute_and_reuse_ends_the_family_after_it(
    tmp_path: Path, used_at: str, later: int, revoked: bool
) -> None:
    async def story(server: Server) -> None:
        app, person = await server.strict_integration(), await server.person()
        other = await server.tokens(app, person)
        first = await server.tokens(app, person)
        living = (await server.refresh(app, first[REFRESH])).json()
        if used_at == "token endpoint":
            living = (await server.refresh(app, living[REFRESH])).json()
        else:
            await use_at_the_api(server, living[ACCESS])
        server.wait(seconds=later)
        assert error_of(await server.refresh(app, first[REFRESH])) == (400, "invalid_grant")
        assert (await server.refresh(app, living[REFRESH])).status_code == (400 if revoked else 200)
        assert (await server.refresh(app, other[REFRESH])).status_code == 200, "another family is another matter"
        if revoked:
            assert not await server.lives(living[ACCESS])

    run(tmp_path, story)


def test_s62_a_used_successor_closes_the_door_even_where_the_answer_could_still_be_opened() -> None:
    pair = TokenPair(Secret("a"), NOW, Secret("r"), NOW, Scopes())
    token = RefreshToken(
        digest=b"",
        family="f",
        grant_id="g",
        client_id="c",
        person_id="p",
        org_id="o",
        scopes=Scopes(),
        issued_at=NOW,
        expires_at=NOW + timedelta(days=90),
        lives=True,
        successor=Successor(replaced_at=NOW, first_used_at=NOW, pair=pair),
    )
    client = Client("c", ClientType.CONFIDENTIAL, Profile.STRICT)
    asked = Refresh(ClientCredentials("c"), Secret("x"))
    with pytest.raises(InvalidGrant, match="successor is in use"):
        refresh(asked, client, token, settings=Settings(ISSUER), now=NOW, mint=secrets.token_bytes)


def test_s67_using_the_old_access_token_does_not_close_the_door_on_a_lost_answer(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.strict_integration()
        first = await server.tokens(app, await server.person())
        lost = (await server.refresh(app, first[REFRESH])).json()
        await use_at_the_api(server, first[ACCESS])
        server.wait(minutes=5)
        assert (await server.refresh(app, first[REFRESH])).json()[REFRESH] == lost[REFRESH]

    run(tmp_path, story)


def test_s62_an_unused_successor_is_handed_out_for_a_day_at_most(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.strict_integration()
        first = await server.tokens(app, await server.person())
        successor = (await server.refresh(app, first[REFRESH])).json()
        server.wait(hours=24, seconds=1)
        assert error_of(await server.refresh(app, first[REFRESH])) == (400, "invalid_grant")
        assert await server.lives(successor[ACCESS]), "a straggler still"
        server.wait(seconds=60)
        assert error_of(await server.refresh(app, first[REFRESH])) == (400, "invalid_grant")
        assert not await server.lives(successor[ACCESS])

    run(tmp_path, story)


def test_s66_the_answer_is_given_again_to_the_same_authenticated_client_alone(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app, other = await server.strict_integration(), await server.integration("Other")
        first = await server.tokens(app, await server.person())
        lost = (await server.refresh(app, first[REFRESH])).json()
        assert error_of(await server.refresh(app, first[REFRESH], client_secret="0" * 64)) == (401, "invalid_client")
        assert error_of(await server.refresh(other, first[REFRESH])) == (400, "invalid_grant")
        assert (await server.refresh(app, first[REFRESH])).json()[REFRESH] == lost[REFRESH]

    run(tmp_path, story)


def test_s57_the_answer_is_sealed_and_forgotten_once_its_successor_is_used(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.strict_integration()
        tokens = await server.tokens(app, await server.person())
        for use in ("token endpoint", "API"):
            tokens = (await server.refresh(app, tokens[REFRESH])).json()
            (row,) = await server.rows("SELECT sealed_answer FROM refresh_tokens WHERE sealed_answer IS NOT NULL")
            assert tokens[REFRESH].encode() not in row["sealed_answer"]
            if use == "API":
                await use_at_the_api(server, tokens[ACCESS])
                assert not await server.rows("SELECT 1 FROM refresh_tokens WHERE sealed_answer IS NOT NULL")

    run(tmp_path, story)


def test_w08_no_generation_is_lost_when_fifty_callers_refresh_and_use_what_they_got(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.strict_integration()
        tokens = await server.tokens(app, await server.person())
        for _ in range(10):
            answers = await asyncio.gather(*(server.refresh(app, tokens[REFRESH]) for _ in range(50)))
            assert {answer.status_code for answer in answers} == {200}
            tokens = answers[0].json()
            await use_at_the_api(server, tokens[ACCESS])
        assert await server.lives(tokens[ACCESS])

    run(tmp_path, story)
