"""``/authorizations``: an administrator sees and ends what people of the organization have granted, and no more."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow.protocol.bearer import INSUFFICIENT_SCOPE_MESSAGE
from grantflow.resource_server.ids import Kind, write_id
from grantflow.storage import authorizations
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.times import milliseconds
from tests.resource_server.given import NOW, ORG, SCOPES, Account, Platform, refused, run, uuid

ADMIN_SCOPES = f"{SCOPES} identity:tokens_read identity:tokens_write"
OTHER_CLIENT = "C" + "1" * 64


async def admin(platform: Platform, name: str = "Grace", **changed: str) -> Account:
    return await platform.person(name, scopes=ADMIN_SCOPES, is_admin=True, **changed)


async def another_app(platform: Platform) -> None:
    await platform.save(
        "integrations",
        client_id=OTHER_CLIENT,
        name="Standup",
        profile="webex",
        client_type="confidential",
        scopes=SCOPES,
        created_at=milliseconds(NOW),
    )


async def also_grants(platform: Platform, person: Account) -> Account:
    """The same person's grant to another integration."""
    grant_id = uuid()
    await platform.save(
        "grants",
        id=grant_id,
        person_id=person.uuid,
        client_id=OTHER_CLIENT,
        scopes=SCOPES,
        remembered=1,
        created_at=milliseconds(NOW),
        last_used_at=milliseconds(NOW),
    )
    token = await platform.token(person.uuid, grant_id=grant_id, client_id=OTHER_CLIENT)
    return Account(person.uuid, person.email, person.name, token, grant_id)


async def who_still_works(platform: Platform, *accounts: Account) -> list[bool]:
    return [(await platform.caller(each).get("people/me")).status_code == 200 for each in accounts]


def authorization_id(uuid: str) -> str:
    return write_id(Kind.AUTHORIZATION, uuid)


def test_w02_what_a_person_granted_is_listed_by_id_or_email(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        grace, ada = await admin(platform), await platform.person("Ada")
        await platform.person("Bob")
        caller = platform.caller(grace)
        by_id = (await caller.get("authorizations", personId=ada.id)).json()["items"]
        assert by_id == (await caller.get("authorizations", personEmail="ADA@example.com")).json()["items"]
        assert by_id[0] == {
            "id": authorization_id(ada.grant),
            "applicationId": write_id(Kind.APPLICATION, platform.client_id),
            "applicationName": "LockBot",
            "personId": ada.id,
            "clientId": platform.client_id,
            "created": "2026-11-23T12:00:00.000Z",
            "type": "refresh",
        }
        assert [each["type"] for each in by_id] == ["refresh", "access"]
        assert ada.token not in str(by_id)

    run(tmp_path, story)


def test_w02_ending_one_person_s_grant_touches_nobody_else_and_no_other_integration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(platform: Platform) -> None:
        await another_app(platform)
        grace, ada, bob = await admin(platform), await platform.person("Ada"), await platform.person("Bob")
        ada_there, bob_there = await also_grants(platform, ada), await also_grants(platform, bob)
        answer = await platform.caller(grace).delete(f"authorizations/{authorization_id(ada.grant)}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert await who_still_works(platform, ada, ada_there, bob, bob_there) == [False, True, True, True]
        again = await platform.caller(grace).delete(f"authorizations/{authorization_id(ada.grant)}")
        assert refused(again) == (404, "No living authorization has this id.")
        assert 'what ada@example.com had granted to "LockBot"' in caplog.text
        assert "grace@example.com revoked grant " in caplog.text
        assert not any(account.token in caplog.text for account in (grace, ada, bob))

    with caplog.at_level(logging.INFO):
        run(tmp_path, story)


def test_w02_ending_one_integration_s_grants_touches_no_other_integration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(platform: Platform) -> None:
        await another_app(platform)
        grace, ada, bob = await admin(platform), await platform.person("Ada"), await platform.person("Bob")
        eve = await platform.person("Eve", org_id=uuid())
        ada_there, bob_there = await also_grants(platform, ada), await also_grants(platform, bob)
        caller = platform.caller(grace)
        own = write_id(Kind.ORGANIZATION, ORG)
        answer = await caller.delete(f"authorizations?clientId={OTHER_CLIENT}&orgId={own}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert await who_still_works(platform, ada, ada_there, bob, bob_there) == [True, False, True, False]
        assert (await caller.delete(f"authorizations?clientId={OTHER_CLIENT}")).status_code == 204
        client = "C1111111111111111111111111111111111111111111111111111111111111111"
        assert f"revoked all 2 grants to client {client}, called " in caplog.text
        assert (await caller.delete(f"authorizations?clientId={platform.client_id}")).status_code == 204
        assert await who_still_works(platform, grace, ada, eve) == [False, False, True]  # another organization's

    with caplog.at_level(logging.INFO):
        run(tmp_path, story)


def test_w02_ending_one_access_token_leaves_the_grant_and_its_other_tokens(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        grace, ada = await admin(platform), await platform.person("Ada")
        caller = platform.caller(grace)
        (token,) = [
            each
            for each in (await caller.get("authorizations", personId=ada.id)).json()["items"]
            if each["type"] == "access"
        ]
        second = await platform.token(ada.uuid, grant_id=ada.grant, issued_at=milliseconds(NOW) + 1)
        assert (await caller.delete(f"authorizations/{token['id']}")).status_code == 204
        other = Account(ada.uuid, ada.email, ada.name, second, ada.grant)
        assert await who_still_works(platform, ada, other) == [False, True]
        left = (await caller.get("authorizations", personId=ada.id)).json()["items"]
        assert [each["type"] for each in left] == ["refresh", "access"]
        assert token["id"] not in str(left)
        assert (await caller.delete(f"authorizations/{token['id']}")).status_code == 404

    run(tmp_path, story)


def test_what_has_ended_or_expired_is_no_authorization(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        grace, ada = await admin(platform), await platform.person("Ada")
        await platform.token(ada.uuid, grant_id=ada.grant, expires_at=milliseconds(NOW))
        await platform.token(ada.uuid, grant_id=ada.grant, revoked_at=1)
        caller = platform.caller(grace)
        assert len((await caller.get("authorizations", personId=ada.id)).json()["items"]) == 2
        await platform.change("UPDATE grants SET revoked_at = 1 WHERE id = :id", id=ada.grant)
        assert (await caller.get("authorizations", personId=ada.id)).json() == {"items": []}

    run(tmp_path, story)


def test_w02_nobody_but_an_administrator_of_the_organization_sees_or_ends_anything(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada", scopes=ADMIN_SCOPES)
        stranger = await admin(platform, "Mallory", org_id=uuid())
        bot = await platform.bot()
        one = f"authorizations/{authorization_id(ada.grant)}"
        calls = [
            ("GET", f"authorizations?personId={ada.id}"),
            ("GET", "authorizations/tokenExpiry"),
            ("DELETE", one),
            ("DELETE", f"authorizations?clientId={platform.client_id}"),
        ]
        for method, path in calls:
            for account in (ada, bot):
                answer = await platform.caller(account).send(method, path)
                assert refused(answer) == (403, INSUFFICIENT_SCOPE_MESSAGE), (method, path)
        caller = platform.caller(stranger)
        assert refused(await caller.get("authorizations", personId=ada.id)) == (404, "Person not found")
        assert refused(await caller.delete(one))[0] == 404
        foreign = f"authorizations?clientId={platform.client_id}&orgId={ORG}"
        assert refused(await caller.delete(foreign)) == (403, INSUFFICIENT_SCOPE_MESSAGE)
        assert await who_still_works(platform, ada) == [True]
        room_id = await caller.open_room()
        await caller.add(room_id, ada)  # to share a room makes no administrator of the other organization
        assert refused(await caller.get("authorizations", personEmail=ada.email))[0] == 404

    run(tmp_path, story)


def test_of_their_own_administrators_end_those_of_the_integration_they_call_with(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        await another_app(platform)
        grace = await admin(platform)
        there = await also_grants(platform, grace)
        caller = platform.caller(grace)
        assert refused(await caller.delete(f"authorizations/{authorization_id(there.grant)}"))[0] == 403
        assert (await caller.delete(f"authorizations/{authorization_id(grace.grant)}")).status_code == 204
        assert await who_still_works(platform, grace, there) == [False, True]

    run(tmp_path, story)


def test_a_bad_call_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        grace = await admin(platform)
        caller, either = platform.caller(grace), "Must specify either personId or personEmail."
        for path, status, message in [
            ("authorizations", 400, either),
            (f"authorizations?personId={grace.id}&personEmail={grace.email}", 400, either),
            ("authorizations?personId=x", 400, "Expect base64 ID or UUID."),
            (f"authorizations?personId={uuid()}", 404, "Person not found"),
            ("authorizations?personEmail=nobody@example.com", 404, "Person not found"),
        ]:
            assert refused(await caller.get(path)) == (status, message), path
        for path, status, message in [
            ("authorizations", 400, "Required String parameter 'clientId' is not present"),
            ("authorizations?clientId=C0", 404, "No integration has this clientId."),
            ("authorizations/x", 400, "Expect base64 ID or UUID."),
            (f"authorizations/{uuid()}", 404, "No living authorization has this id."),
        ]:
            assert refused(await caller.delete(path)) == (status, message), path

    run(tmp_path, story)


def test_the_token_that_asks_is_told_when_it_expires_in_milliseconds(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        grace = await admin(platform)
        answer = await platform.caller(grace).get("authorizations/tokenExpiry")
        assert answer.json() == {"exp": milliseconds(NOW + timedelta(days=14))}

    run(tmp_path, story)


def test_a_grant_that_twenty_end_at_once_is_ended_once(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        grace, ada = await admin(platform), await platform.person("Ada")
        ending = [platform.caller(grace).delete(f"authorizations/{ada.grant}") for _ in range(20)]
        assert sorted(answer.status_code for answer in await asyncio.gather(*ending)) == [204, *[404] * 19]

    run(tmp_path, story)


def test_every_statement_is_a_probe_of_an_index_and_the_list_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(platform: Platform) -> None:
        grace, ada = await admin(platform), await platform.person("Ada")
        for number in range(5):
            await platform.token(ada.uuid, grant_id=ada.grant, issued_at=milliseconds(NOW) + number)
        monkeypatch.setattr(authorizations, "LISTED_TOKENS", 3)
        statements: set[str] = set()
        assert isinstance(platform.engine, SqliteEngine)
        connections = (platform.engine._reader, platform.engine._writer)
        for connection in connections:
            connection.set_trace_callback(statements.add)
        caller = platform.caller(grace)
        listed = (await caller.get("authorizations", personId=ada.id)).json()["items"]
        assert [each["type"] for each in listed] == ["refresh", *["access"] * 3]
        await caller.delete(f"authorizations/{listed[1]['id']}")
        await caller.delete(f"authorizations/{listed[0]['id']}")
        await caller.delete(f"authorizations?clientId={platform.client_id}")
        for connection in connections:
            connection.set_trace_callback(None)
        planned = [each for each in statements if each.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))]
        assert len(planned) > 6
        for statement in planned:
            steps = [step["detail"] for step in await platform.rows(f"EXPLAIN QUERY PLAN {statement}")]
            assert not any(step.startswith("SCAN ") for step in steps), (statement, steps)

    run(tmp_path, story)
