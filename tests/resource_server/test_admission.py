"""Who may make a call: the access token, its life, its scopes, and what is remembered of its use."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.routing import Route

from grantflow.protocol.bearer import INSUFFICIENT_SCOPE_MESSAGE, INVALID_TOKEN_MESSAGE
from grantflow.protocol.secret import Secret
from grantflow.storage.access import AccessTokenStore
from grantflow.storage.engine import Row, Statement, StorageUnavailable, T, Work
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.times import milliseconds
from tests.resource_server.given import NOW, ORG, SCOPES, Platform, refused, run, uuid

ID = uuid()
#: Every call that is served, and the scope without which it is refused.
CALLS = [
    ("GET", "people/me", "spark:people_read"),
    ("GET", "people", "spark:people_read"),
    ("GET", f"people/{ID}", "spark:people_read"),
    ("GET", "rooms", "spark:rooms_read"),
    ("POST", "rooms", "spark:rooms_write"),
    ("GET", f"rooms/{ID}", "spark:rooms_read"),
    ("PUT", f"rooms/{ID}", "spark:rooms_write"),
    ("DELETE", f"rooms/{ID}", "spark:rooms_write"),
    ("GET", "memberships", "spark:memberships_read"),
    ("POST", "memberships", "spark:memberships_write"),
    ("GET", f"memberships/{ID}:{ID}", "spark:memberships_read"),
    ("PUT", f"memberships/{ID}:{ID}", "spark:memberships_write"),
    ("DELETE", f"memberships/{ID}:{ID}", "spark:memberships_write"),
    ("GET", "messages", "spark:messages_read"),
    ("POST", "messages", "spark:messages_write"),
    ("GET", "messages/direct", "spark:messages_read"),
    ("GET", f"messages/{ID}", "spark:messages_read"),
    ("PUT", f"messages/{ID}", "spark:messages_write"),
    ("DELETE", f"messages/{ID}", "spark:messages_write"),
    ("GET", "authorizations", "identity:tokens_read"),
    ("DELETE", "authorizations", "identity:tokens_write"),
    ("GET", "authorizations/tokenExpiry", "identity:tokens_read"),
    ("DELETE", f"authorizations/{ID}", "identity:tokens_write"),
]


def test_w09_s91_a_call_outside_the_token_s_scopes_is_refused_and_with_its_scope_it_is_not(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        everything = set(SCOPES.split())
        for method, path, needed in CALLS:
            name = f"{method} {path}"
            without = await platform.person(name, email=f"without {name}", scopes=" ".join(everything - {needed}))
            answer = await platform.caller(without).send(method, path)
            assert refused(answer) == (403, INSUFFICIENT_SCOPE_MESSAGE), name
            assert needed in answer.json()["errors"][0]["description"]
            for scopes in (needed, "spark:all"):
                holder = await platform.person(name, email=f"{scopes} {name}", scopes=scopes, is_admin=True)
                answer = await platform.caller(holder).send(method, path)
                reaches = scopes == needed or needed.startswith("spark:")  # spark:all is no administrator's scope
                assert (answer.status_code not in (401, 403, 405)) == reaches, (name, scopes, answer.text)

    run(tmp_path, story)


def test_the_table_of_scopes_above_names_every_call_that_is_served(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        resources = [route.app for route in platform.app.routes if isinstance(route, Route)]
        assert sum(len(getattr(resource, "methods", ())) for resource in resources) == len(CALLS)

    run(tmp_path, story)


def test_s93_the_scope_that_is_missing_stands_in_the_challenge(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada", scopes="spark:rooms_read")
        challenge = (await platform.caller(ada).get("people/me")).headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="grantflow", error="insufficient_scope"')
        assert "spark:people_read" in challenge

    run(tmp_path, story)


def test_s93_without_a_token_the_challenge_names_no_error(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        for headers in [{}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer "}, {"authorization": ""}]:
            answer = await platform.caller(None, **headers).get("people/me")
            assert refused(answer) == (401, INVALID_TOKEN_MESSAGE), headers
            assert answer.headers["www-authenticate"] == 'Bearer realm="grantflow"'

    run(tmp_path, story)


def test_s92_a_token_in_the_query_or_the_body_is_not_looked_at(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        nobody = platform.caller(None)
        assert (await nobody.get("people/me", access_token=ada.token)).status_code == 401
        assert (await nobody.post("rooms", title="x", access_token=ada.token)).status_code == 401
        form = {"headers": {"content-type": "application/x-www-form-urlencoded"}}
        answer = await nobody.send("POST", "rooms", content=f"title=x&access_token={ada.token}".encode(), **form)
        assert answer.status_code == 401
        assert (await platform.caller(ada).get("people/me", access_token="nonsense")).status_code == 200

    run(tmp_path, story)


@pytest.mark.parametrize("token", ["None", "x", "é", "a b", "A" * 8_000])
def test_w31_s93_a_token_that_nobody_issued_is_refused_with_the_invalid_token_error(tmp_path: Path, token: str) -> None:
    async def story(platform: Platform) -> None:
        header = f"Bearer {token}".encode()
        answer = await platform.caller(None).send("GET", "people/me", headers=[(b"authorization", header)])
        assert refused(answer) == (401, INVALID_TOKEN_MESSAGE)
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    run(tmp_path, story)


def test_w07_w31_s91_a_token_is_refused_by_itself_from_the_second_of_its_end_on(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        platform.now = NOW + timedelta(seconds=1_209_599)
        assert (await ada.get("people/me")).status_code == 200
        platform.now = NOW + timedelta(seconds=1_209_600)
        answer = await ada.get("people/me")
        assert refused(answer) == (401, INVALID_TOKEN_MESSAGE)
        assert answer.json()["errors"][0]["description"] == "The access token has expired: refresh it."

    run(tmp_path, story)


REVOCATIONS = [
    "UPDATE access_tokens SET revoked_at = 1",
    "UPDATE grants SET revoked_at = 1",
    "DELETE FROM access_tokens",
    "DELETE FROM grants",
]


@pytest.mark.parametrize("revocation", REVOCATIONS)
def test_s91_w31_a_token_is_refused_on_the_call_after_it_or_its_grant_was_revoked(
    tmp_path: Path, revocation: str
) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        assert (await ada.get("people/me")).status_code == 200
        await platform.change(revocation)
        assert refused(await ada.get("people/me")) == (401, INVALID_TOKEN_MESSAGE)

    run(tmp_path, story)


def test_s91_s93_every_call_refuses_a_token_that_has_expired_or_was_revoked(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada", scopes="spark:all identity:tokens_read identity:tokens_write", is_admin=True)
        has_expired = await platform.token(ada.uuid, grant_id=ada.grant, expires_at=milliseconds(NOW))
        was_revoked = await platform.token(ada.uuid, grant_id=ada.grant, revoked_at=1)
        for token in (has_expired, was_revoked):
            for method, path, _ in CALLS:
                answer = await platform.caller(None, authorization=f"Bearer {token}").send(method, path)
                assert refused(answer) == (401, INVALID_TOKEN_MESSAGE), (method, path)
                challenge = answer.headers["www-authenticate"]
                assert challenge.startswith('Bearer realm="grantflow", error="invalid_token"')

    run(tmp_path, story)


def test_s91_a_token_is_for_the_platform_that_issued_it_and_for_no_other(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        (tmp_path / "elsewhere").mkdir()
        engine = SqliteEngine.open(tmp_path / "elsewhere" / "platform.db")
        other = Platform(engine)
        await other.person("Ada")
        assert refused(await other.caller(ada).get("people/me")) == (401, INVALID_TOKEN_MESSAGE)
        assert (await platform.caller(ada).get("people/me")).status_code == 200
        await engine.close()

    run(tmp_path, story)


def test_w04_a_token_without_a_grant_is_a_bot_s_own_and_works(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        token = await platform.token(ada.uuid, grant_id=None, client_id=None, family=None)
        answer = await platform.caller(None, authorization=f"bearer {token}").get("people/me")
        assert answer.json()["displayName"] == "Ada"

    run(tmp_path, story)


def test_two_authorization_headers_are_a_bad_request(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        headers = [("authorization", f"Bearer {ada.token}"), ("authorization", "Bearer x")]
        status, message = refused(await platform.caller(None).send("GET", "people/me", headers=headers))
        assert status == 400
        assert "more than once" in message

    run(tmp_path, story)


def test_a_client_s_tracking_id_comes_back_unless_it_is_no_plain_text(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        for sent, comes_back in [("SIMPLE_1-2", True), ("x\tb", False), ("<b>", False), ("a" * 129, False)]:
            for path in ("people/me", "nothing", "rooms/x"):
                answer = await platform.caller(ada, trackingid=sent).get(path)
                assert (answer.headers["trackingid"] == sent) == comes_back, (sent, path)

    run(tmp_path, story)


# --- the last use ----------------------------------------------------------------------------------------------------


async def last_use(platform: Platform) -> object:
    (row,) = await platform.rows("SELECT last_used_at FROM grants")
    return row["last_used_at"]


def test_the_last_use_of_a_grant_is_noted_once_a_minute(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        for seconds, noted in [(59, 0), (60, 60), (61, 60), (119, 60), (120, 120)]:
            platform.now = NOW + timedelta(seconds=seconds)
            await ada.get("people/me")
            assert await last_use(platform) == milliseconds(NOW) + noted * 1000, seconds

    run(tmp_path, story)


def test_a_call_that_is_not_admitted_is_no_use_and_one_that_is_refused_later_is(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada", scopes="spark:rooms_read"))
        platform.now = NOW + timedelta(hours=1)
        await ada.get("people/me")
        assert await last_use(platform) == milliseconds(NOW)
        assert (await ada.get("rooms/nonsense")).status_code == 400
        assert await last_use(platform) == milliseconds(platform.now)

    run(tmp_path, story)


def test_a_process_that_is_late_does_not_move_the_last_use_back(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        tokens = AccessTokenStore(platform.engine)
        access = await tokens.find(Secret(ada.token).digest())
        assert access is not None
        for minutes in (5, 3):
            now = NOW + timedelta(minutes=minutes)
            await tokens.note_use(access, now=now, unless_since=now - timedelta(minutes=1))
        assert await last_use(platform) == milliseconds(NOW + timedelta(minutes=5))

    run(tmp_path, story)


class Counting(SqliteEngine):
    """The real engine; counts the units of work, and refuses them where told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads: list[str] = []
        self.writes = 0
        self.full = False

    async def read(self, statement: Statement) -> "list[Row]":
        self.reads.append(statement.sql)
        return list(await super().read(statement))

    async def write(self, work: Work[T], *, is_long: bool = False) -> T:
        if self.full:
            raise StorageUnavailable("the disk is full", retry_after=7)
        self.writes += 1
        return await super().write(work, is_long=is_long)


def counted(path: Path) -> Counting:
    engine = Counting.open(path / "platform.db")
    assert isinstance(engine, Counting)
    return engine


def test_two_hundred_calls_at_once_note_their_use_in_one_write_and_read_one_row_each(tmp_path: Path) -> None:
    async def story() -> None:
        engine = counted(tmp_path)
        platform = Platform(engine)
        ada = platform.caller(await platform.person("Ada"))
        platform.now = NOW + timedelta(hours=1)
        engine.reads.clear()
        engine.writes = 0
        answers = await asyncio.gather(*(ada.get("people/me") for _ in range(200)))
        assert {answer.status_code for answer in answers} == {200}
        assert engine.writes == 1
        assert len(engine.reads) == 200
        await engine.close()

    asyncio.run(story())


def test_a_store_that_cannot_be_written_costs_a_read_nothing_and_a_change_a_clean_503(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        engine = counted(tmp_path)
        platform = Platform(engine)
        ada = platform.caller(await platform.person("Ada"))
        engine.full = True
        platform.now = NOW + timedelta(hours=1)
        with caplog.at_level(logging.WARNING):
            assert (await ada.get("people/me")).status_code == 200
            answer = await ada.post("rooms", title="x")
        assert refused(answer)[0] == 503
        assert answer.headers["retry-after"] == "7"
        assert "the disk is full" in caplog.text
        assert "disk" not in answer.text
        await engine.close()

    asyncio.run(story())


def test_the_first_use_of_a_rotation_s_access_token_is_noted_at_once_and_forgets_the_answer(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        family, shared = uuid(), {"client_id": platform.client_id, "person_id": ada.uuid, "scopes": SCOPES}
        for name, columns in [
            ("old", {"successor_hash": b"new", "sealed_answer": b"sealed", "replaced_at": 1}),
            ("new", {}),
        ]:
            await platform.save(
                "refresh_tokens",
                token_hash=name.encode(),
                family=family,
                grant_id=ada.grant,
                issued_at=1,
                expires_at=milliseconds(NOW + timedelta(days=90)),
                **shared,
                **columns,
            )
        token = await platform.token(ada.uuid, grant_id=ada.grant, family=family, refresh_hash=b"new")
        for seconds in (5, 9):
            platform.now = NOW + timedelta(seconds=seconds)
            answer = await platform.caller(None, authorization=f"Bearer {token}").get("people/me")
            assert answer.status_code == 200
            rows = await platform.rows("SELECT first_used_at, sealed_answer FROM refresh_tokens ORDER BY token_hash")
            assert [row["first_used_at"] for row in rows] == [milliseconds(NOW) + 5000, None]
            assert [row["sealed_answer"] for row in rows] == [None, None]

    run(tmp_path, story)


# --- what is written down --------------------------------------------------------------------------------------------


def test_s94_no_token_is_logged_whatever_happens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        calls = platform.caller(ada)
        for method, path, _ in CALLS:
            await calls.send(method, path)
        await calls.get("people/me", access_token=ada.token)
        await platform.change("UPDATE people SET created_at = 'nonsense'")
        assert (await calls.get("people/me")).status_code == 500
        ours = [record for record in caplog.records if record.name.startswith("grantflow")]
        assert "failed" in caplog.text
        assert not any(ada.token in logging.Formatter().format(record) for record in ours)

    with caplog.at_level(logging.DEBUG):
        run(tmp_path, story)


def test_a_fault_of_ours_is_answered_in_the_same_shape_and_logged_under_the_tracking_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"), trackingid="FIND_ME")
        await platform.change("UPDATE people SET created_at = 'nonsense'")
        answer = await ada.get("people/me", q="secret")
        assert refused(answer)[0] == 500
        assert "GET /v1/people/me failed (FIND_ME)" in caplog.text
        ours = [record for record in caplog.records if record.name.startswith("grantflow")]
        assert not any("secret" in logging.Formatter().format(record) for record in ours)
        assert ORG not in answer.text

    run(tmp_path, story)
