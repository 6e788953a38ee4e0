"""The parts put together: every role answers, what is nobody's is refused in the right shape, and nothing lingers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from os import urandom
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest
from starlette.applications import Starlette

from grantflow.app import Storage, integration, platform
from grantflow.authorization_server import Settings
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages import About
from grantflow.client.vault.sqlite import SqliteVault
from grantflow.sealing import KeyRing
from grantflow.storage import probe
from grantflow.storage.engine import Statement, StorageUnavailable, Work
from grantflow.storage.sqlite import SqliteEngine
from grantflow.storage.times import milliseconds
from grantflow.web.site import Site
from tests.troubles import TROUBLES

URL = "http://127.0.0.1:9000"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
T = TypeVar("T")


def with_platform(folder: Path, story: Callable[[httpx2.AsyncClient, Storage], Awaitable[T]]) -> T:
    async def run() -> T:
        storage = Storage.open(folder / "platform.db")
        app = platform(
            storage,
            Settings(issuer=f"{URL}/v1"),
            site=Site("Grantflow", URL, sandbox=True),
            form_key=urandom(32),
            clock=lambda: NOW,
        )
        return await with_app(app, lambda browser: story(browser, storage))

    return asyncio.run(run())


async def with_app(app: Starlette, story: Callable[[httpx2.AsyncClient], Awaitable[T]], url: str = URL) -> T:
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=url) as browser,
    ):
        return await story(browser)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/signin", 200),
        ("GET", "/connected-apps", 303),
        ("GET", "/my-apps", 303),
        ("GET", "/app-hub", 200),
        ("GET", "/scopes", 200),
        ("GET", "/.well-known/oauth-authorization-server/v1", 200),
        ("GET", "/v1/authorize", 400),
        ("GET", "/v1/access_token", 405),
        ("POST", "/v1/access_token", 415),
        ("POST", "/v1/revoke", 415),
        ("GET", "/idb/oauth2/v1/authorize", 400),
        ("GET", "/v1/people/me", 401),
        ("GET", "/v1/rooms", 401),
        ("GET", "/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/signin", 405),
        ("POST", "/healthz", 405),
    ],
)
def test_w03_every_role_answers_at_its_addresses(tmp_path: Path, method: str, path: str, status: int) -> None:
    async def ask(browser: httpx2.AsyncClient, _: Storage) -> httpx2.Response:
        return await browser.request(method, path, headers={"accept": "text/html"})

    assert with_platform(tmp_path, ask).status_code == status


def test_what_is_not_there_is_told_to_programs_in_webexs_shape_and_to_people_on_a_page(tmp_path: Path) -> None:
    async def ask(browser: httpx2.AsyncClient, _: Storage) -> tuple[httpx2.Response, httpx2.Response]:
        return await browser.get("/v1/nothing"), await browser.get("/nothing", headers={"accept": "text/html"})

    api, page = with_platform(tmp_path, ask)
    assert api.json().keys() == {"message", "errors", "trackingId"}
    assert page.headers["content-type"].startswith("text/html")


class _Gone:
    """A database whose disk is gone."""

    async def read(self, statement: Statement) -> list[dict[str, object]]:
        raise StorageUnavailable("the disk is gone")

    async def write(self, work: Work[T], *, is_long: bool = False) -> T:
        work.close()
        raise StorageUnavailable("the disk is gone")

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/healthz", {}),
        ("GET", f"/v1/authorize?client_id=C{'0' * 64}&response_type=code", {}),
        ("POST", "/v1/access_token", {"data": {"grant_type": "refresh_token", "refresh_token": "x"}}),
        ("GET", "/v1/people/me", {"headers": {"authorization": "Bearer x"}}),
        ("GET", "/connected-apps", {"cookies": {"grantflow_platform_9000_session": "x" * 43}}),
    ],
)
def test_without_its_database_every_role_says_503_and_when_to_come_again(
    method: str, path: str, sent: dict[str, dict[str, str]]
) -> None:
    if "data" in sent:
        sent = {"data": sent["data"] | {"client_id": "C" + "0" * 64}}
    app = platform(Storage(_Gone()), Settings(issuer=f"{URL}/v1"), site=Site("Grantflow", URL), form_key=urandom(32))

    async def ask(browser: httpx2.AsyncClient) -> httpx2.Response:
        for name, value in sent.get("cookies", {}).items():
            browser.cookies.set(name, value)
        return await browser.request(method, path, data=sent.get("data"), headers=sent.get("headers"))

    answer = asyncio.run(with_app(app, ask))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/access_token/"),
        ("POST", "/v1/revoke/"),
        ("GET", "/v1/authorize/"),
        ("GET", "/v1/people/me/"),
        ("POST", "/idb/oauth2/v1/access_token/"),
        ("POST", "/signin/"),
        ("GET", "/healthz/"),
    ],
)
def test_a_slash_too_many_is_another_address_and_nothing_is_sent_on_to_it(
    tmp_path: Path, method: str, path: str
) -> None:
    async def ask(browser: httpx2.AsyncClient, _: Storage) -> httpx2.Response:
        return await browser.request(method, path)

    answer = with_platform(tmp_path, ask)
    assert answer.status_code == 404
    if path.startswith("/v1/"):
        assert answer.json().keys() == {"message", "errors", "trackingId"}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_healthz_is_503_while_writes_fail_and_200_again_once_they_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Storage], Callable[[], object]]
) -> None:
    monkeypatch.setattr(probe, "BELIEVED", 0.0)
    monkeypatch.setattr(probe, "DOUBTED", 0.0)
    monkeypatch.setattr(probe, "PATIENCE", 30.0)

    async def look(browser: httpx2.AsyncClient, storage: Storage) -> None:
        assert (await browser.get("/healthz")).status_code == 200
        end = trouble(storage)
        try:
            with monkeypatch.context() as impatient:
                impatient.setattr(probe, "PATIENCE", 0.3)
                for _ in range(2):
                    answer = await browser.get("/healthz")
                    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        finally:
            end()
        assert (await browser.get("/healthz")).status_code == 200

    with_platform(tmp_path, look)


@pytest.mark.slow
@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_that_is_taken_away_is_noticed_within_a_second_told_once_and_written_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, replaced: bool
) -> None:
    async def story(browser: httpx2.AsyncClient, storage: Storage) -> None:
        lying, kept = tmp_path / "platform.db", tmp_path / "kept.db"
        lying.rename(kept)
        if replaced:
            lying.write_bytes(kept.read_bytes())
        await asyncio.sleep(1.1)
        for _ in range(3):
            answer = await browser.get("/healthz")
            assert (answer.status_code, answer.json()["status"]) == (503, "storage replaced")
            assert "restore a backup" in answer.json()["fix"]
            assert str(tmp_path) not in answer.text
        with pytest.raises(StorageUnavailable, match="removed or replaced"):
            await storage.housekeeping.sweep(now=NOW)
        assert (await browser.get("/app-hub")).status_code == 503
        told = [record for record in caplog.records if "removed or replaced" in record.getMessage()]
        assert [record.name for record in told if record.levelname == "ERROR"].count("grantflow.storage") == 1
        kept.rename(lying)
        await asyncio.sleep(1.1)
        assert (await browser.get("/healthz")).status_code == 200

    with_platform(tmp_path, story)


def test_healthz_that_is_asked_often_writes_seldom_and_leaves_nothing(tmp_path: Path) -> None:
    async def look(browser: httpx2.AsyncClient, storage: Storage) -> tuple[int, int]:
        assert isinstance(storage.engine, SqliteEngine)
        before = storage.engine._writer.total_changes
        answers = await asyncio.gather(*(browser.get("/healthz") for _ in range(100)))
        assert {answer.status_code for answer in answers} == {200}
        rows = await storage.engine.read(Statement("SELECT count(*) AS n FROM probes"))
        return storage.engine._writer.total_changes - before, rows[0]["n"]

    assert with_platform(tmp_path, look) == (2, 0)


def test_the_database_is_closed_at_the_end(tmp_path: Path) -> None:
    async def look(browser: httpx2.AsyncClient, _: Storage) -> bool:
        await browser.get("/healthz")
        return is_open(tmp_path / "platform.db")

    assert with_platform(tmp_path, look)
    assert not is_open(tmp_path / "platform.db")


def is_open(database: Path) -> bool:
    """The last connection that is closed takes SQLite's write-ahead log away."""
    return database.with_name(f"{database.name}-wal").exists()


def test_what_expired_long_ago_is_swept_and_nothing_else(tmp_path: Path) -> None:
    ages = {"long ago": timedelta(days=-2), "an hour ago": timedelta(hours=-1), "not yet": timedelta(hours=1)}

    async def sweep(_: httpx2.AsyncClient, storage: Storage) -> tuple[int, list[str]]:
        await storage.engine.write(_sessions_that_expire({name: NOW + age for name, age in ages.items()}))
        gone = await storage.housekeeping.sweep(now=NOW)
        rows = await storage.engine.read(Statement("SELECT token_hash FROM sessions ORDER BY 1"))
        return gone, [row["token_hash"].decode() for row in rows]

    assert with_platform(tmp_path, sweep) == (1, ["an hour ago", "not yet"])


def test_a_thousand_rows_are_swept_a_portion_at_a_time(tmp_path: Path) -> None:
    async def sweep(_: httpx2.AsyncClient, storage: Storage) -> int:
        long_ago = NOW - timedelta(days=3)
        await storage.engine.write(_sessions_that_expire({f"{number:04}": long_ago for number in range(1_200)}))
        return await storage.housekeeping.sweep(now=NOW)

    assert with_platform(tmp_path, sweep) == 1_200


def _sessions_that_expire(when: dict[str, datetime]) -> Work[None]:
    yield Statement(
        "INSERT INTO people (id, email, display_name, org_id, created_at) VALUES ('a', 'a@example.com', 'A', 'o', 0)"
    )
    for name, moment in when.items():
        values = {"token_hash": name.encode(), "expires_at": milliseconds(moment)}
        yield Statement("INSERT INTO sessions VALUES (:token_hash, 'a', 0, :expires_at)", values)


def test_an_integrations_pages_answer_and_its_vault_is_closed_at_the_end(tmp_path: Path) -> None:
    url = "http://localhost:8000"
    client = AsyncIntegration(
        "C1",
        "s",
        redirect_uri=f"{url}/oauth",
        scopes="spark:people_read",
        vault=SqliteVault(tmp_path / "vault.db", keys=KeyRing(KeyRing.new_key())),
    )
    app = integration(client, About("Lockbot", does="Lock spaces"), base_url=url)

    async def visit(browser: httpx2.AsyncClient) -> list[int]:
        paths = ("/", "/healthz", "/connect", "/nothing")
        return [(await browser.get(path, headers={"accept": "text/html"})).status_code for path in paths]

    assert asyncio.run(with_app(app, visit, url)) == [200, 200, 303, 404]
    assert not is_open(tmp_path / "vault.db")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/healthz", 405)])
def test_s20_beside_an_integrations_pages_too_an_error_is_a_page_that_leads_to_them(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    url = "http://localhost:8000/webex"
    client = AsyncIntegration(
        "C1",
        "s",
        redirect_uri=f"{url}/oauth",
        scopes="spark:people_read",
        vault=SqliteVault(tmp_path / "vault.db", keys=KeyRing(KeyRing.new_key())),
    )
    app = integration(client, About("Lockbot", does="Lock spaces"), base_url=url, behind_proxy=False)

    async def visit(browser: httpx2.AsyncClient) -> httpx2.Response:
        return await browser.request(method, path, headers={"accept": "text/html"})

    page = asyncio.run(with_app(app, visit, "http://localhost:8000"))
    assert page.status_code == status
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert 'href="/webex/">Go to the start page' in page.text
