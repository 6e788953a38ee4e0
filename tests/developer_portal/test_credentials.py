"""W19, W20: the secret is shown one time, can only be regenerated, and the authorization URL is ready to be copied."""

import json
import logging
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
import pytest

from grantflow import KeyRing
from grantflow.protocol.registration import CLIENT_ID, CLIENT_SECRET
from grantflow.settings import IntegrationSettings, read_settings
from tests.developer_portal.given import NOW, URL, Browser, House, code_of, run, text_of


async def authenticates(browser: Browser, client_id: str, secret: str) -> bool:
    """Whether the token endpoint knows the client; the code that is sent is nobody's."""
    grant = {"grant_type": "authorization_code", "code": "x", "redirect_uri": "https://lockbot.example/oauth"}
    answer = await browser.client.post(
        "/v1/access_token", data={**grant, "client_id": client_id, "client_secret": secret}
    )
    assert answer.json()["error"] in ("invalid_grant", "invalid_client")
    return bool(answer.json()["error"] == "invalid_grant")


def test_w19_w05_w06_the_answer_to_the_form_shows_client_id_secret_and_authorization_url(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create()
        assert answer.headers["cache-control"] == "no-store"
        client_id, secret = code_of(answer, "Client ID"), code_of(answer, "Client secret")
        assert CLIENT_ID.fullmatch(client_id)
        assert CLIENT_SECRET.fullmatch(secret)
        assert await authenticates(browser, client_id, secret)
        assert not await authenticates(browser, client_id, "0" * 64)
        assert code_of(answer, "OAuth Authorization URL").startswith(f"{URL}/v1/authorize?client_id={client_id}&")
        assert "shown this one time" in text_of(answer)
        download = answer.text.partition('download="lockbot.env" href="data:text/plain;charset=utf-8,')[2].partition(
            '"'
        )[0]
        assert unquote(download) == code_of(answer, ".env")
        assert f"GRANTFLOW_CLIENT_SECRET={secret}\n" in code_of(answer, ".env")

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("LockBot", "https://lockbot.example/oauth"),
        ('Ada\'s "Lock" \\ Bot\\', "https://lockbot.example/it's?x='y'&z=(1)"),
        ('"; touch $(owned) `owned` #', "https://lockbot.example/$(x);y?z=!"),
        ("Zoë = #1", "https://lockbot.example/%27$x"),
    ],
)
def test_w19_shells_dotenv_libraries_and_grantflow_read_the_same_in_the_downloaded_file(
    tmp_path: Path, name: str, uri: str
) -> None:
    async def story(house: House) -> None:
        answer = await (await house.signed_in()).create(name=name, redirect_uris=uri)
        (tmp_path / "x.env").write_text(code_of(answer, ".env"), encoding="utf-8")

    run(tmp_path, story)
    names = ("GRANTFLOW_NAME", "GRANTFLOW_REDIRECT_URI")
    shell = 'set -a; . ./x.env; exec "$0" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    library = "import dotenv, json; print(json.dumps(dotenv.dotenv_values('x.env')))"
    for command in (["sh", "-c", shell, sys.executable], [sys.executable, "-c", library]):
        told = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
        assert [told[each] for each in names] == [name, uri], command[0]
    settings = read_settings(IntegrationSettings, tmp_path / "x.env", key=KeyRing.new_key())
    assert [settings.name, settings.redirect_uri] == [name, uri]


def test_w19_the_downloaded_file_and_the_lines_beside_it_are_all_that_ones_own_pages_need(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create(name="Ada's $Helper", redirect_uris="http://127.0.0.1:8471/oauth")
        (tmp_path / "ada-s-helper.env").write_text(code_of(answer, ".env"))
        lines = code_of(answer, "In a shell")
        assert lines.splitlines()[-1] == "grantflow serve"
        settings = taken_over(lines, at=tmp_path)
        assert settings["client_id"] == code_of(answer, "Client ID")
        assert (settings["name"], settings["port"]) == ("Ada's $Helper", 8471)
        assert settings["redirect_uri"] == "http://127.0.0.1:8471/oauth"
        assert settings["api_url"] == f"{URL}/v1"
        assert (settings["platform"], settings["connected_apps_url"]) == ("Grantflow", f"{URL}/connected-apps")
        assert "GRANTFLOW_KEY=" in (tmp_path / "ada-s-helper.env").read_text()

    run(tmp_path, story)


def test_w19_what_is_to_be_typed_names_the_program_as_it_is_called_here_and_appends_nothing_where_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRANTFLOW_PROGRAM", "./dev grantflow")
    shown: list[str] = []

    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create()
        lines = code_of(answer, "In a shell").splitlines()
        assert "$(./dev grantflow keys new)" in lines[0]
        assert lines[-1] == "./dev grantflow serve"
        shown.append(lines[0])
        page = await browser.open(f"/my-apps/{code_of(answer, 'Client ID')}")
        assert "./dev grantflow keys new makes one" in text_of(page)
        assert "./dev grantflow up" in text_of(await house.visitor().open("/signin"))

    run(tmp_path, story)
    env_file = tmp_path / "lockbot.env"
    env_file.write_text("A=1\n")
    ended = subprocess.run(["sh", "-c", shown[0]], cwd=tmp_path, capture_output=True, check=False)
    assert ended.returncode != 0, "there is no ./dev here"
    assert env_file.read_text() == "A=1\n"


def taken_over(lines: str, *, at: Path) -> Any:
    """What `grantflow serve`, the last of these lines, reads of its settings."""
    show = "from grantflow.settings import IntegrationSettings as S; print(S().model_dump_json())"
    program = lines.replace("grantflow serve", f"{sys.executable} -c '{show}'")
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    command = ["sh", "-euc", program]
    return json.loads(subprocess.run(command, cwd=at, env=environment, capture_output=True, check=True).stdout)


def test_w19_s57_the_secret_is_nowhere_else_on_no_page_no_disk_no_log_no_cookie_no_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create()
        client_id, secret = code_of(answer, "Client ID"), code_of(answer, "Client secret")
        later: list[httpx2.Response] = [
            await browser.open(path)
            for path in ("/my-apps", f"/my-apps/{client_id}", f"/my-apps/{client_id}/secret", "/app-hub")
        ]
        assert all(secret not in page.text for page in later)
        assert f"••••••••{secret[-4:]}" in text_of(later[1])
        assert "location" not in answer.headers
        assert secret not in str(answer.headers)
        assert all(secret not in str(cookie.value) for cookie in browser.client.cookies.jar)
        assert secret.encode() not in house.stored()
        assert secret not in caplog.text

    run(tmp_path, story)


def test_w20_the_authorization_url_has_its_parameters_in_order_and_each_is_explained(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        both = "https://lockbot.example/oauth, https://b.example/oauth?x=1,2"
        answer = await browser.create(redirect_uris=both)
        client_id = code_of(answer, "Client ID")
        url = code_of(answer, "OAuth Authorization URL")
        assert parse_qsl(urlsplit(url).query) == [
            ("client_id", client_id),
            ("response_type", "code"),
            ("redirect_uri", "https://lockbot.example/oauth"),
            ("scope", "spark:rooms_read spark:messages_write spark:kms"),
            ("state", "set_state_here"),
        ]
        assert "scope=spark%3Arooms_read%20spark%3Amessages_write" in url
        for page in (answer, await browser.open(f"/my-apps/{client_id}")):
            said = text_of(page)
            assert "The state must be fresh for each request" in said
            for name in ("client_id", "response_type", "redirect_uri", "scope", "state"):
                assert f"<dt>{name}</dt>" in page.text
            other = code_of(page, "https://b.example/oauth?x=1,2")
            assert ("redirect_uri", "https://b.example/oauth?x=1,2") in parse_qsl(urlsplit(other).query)
            assert "PKCE is needed" not in said

    run(tmp_path, story)


def test_w20_w24_the_url_that_the_portal_shows_leads_to_the_question_for_consent(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        url = code_of(await browser.create(), "OAuth Authorization URL")
        asked = await browser.open(url.removeprefix(URL))
        page = await browser.open(asked.headers["location"].removeprefix(URL))
        assert "LockBot asks for access" in text_of(page)
        assert "Published by Ada Lovelace" in text_of(page)

    run(tmp_path, story)


def test_w23_a_redirect_uri_that_is_not_registered_leads_developers_to_their_apps(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        client_id = await (await house.signed_in()).created()
        page = await house.visitor().open(f"/v1/authorize?client_id={client_id}&redirect_uri=https://evil.example/")
        assert page.status_code == 400
        assert "The integration is called LockBot." in text_of(page)
        main = page.text.partition("<main")[2].partition("</main>")[0]
        assert re.findall('href="([^"]*)"', main) == ["/my-apps"]

    run(tmp_path, story)


def test_w20_s39_a_strict_integrations_page_says_that_pkce_is_needed_too(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        answer = await (await house.signed_in()).create(kind="strict")
        assert "code_challenge_method=S256" in text_of(answer)

    run(tmp_path, story)


def test_s10_a_public_integration_is_shown_no_secret_and_can_regenerate_none(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create(kind="public")
        assert answer.status_code == 201
        assert "has no client secret" in text_of(answer)
        assert "CLIENT_SECRET" not in code_of(answer, ".env")
        page = await browser.open(f"/my-apps/{code_of(answer, 'Client ID')}/secret")
        assert page.status_code == 404
        assert await house.rows("SELECT 1 FROM client_secrets") == []

    run(tmp_path, story)


def test_w19_a_lost_secret_is_regenerated_and_the_old_one_stops_at_once(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create()
        client_id, old = code_of(answer, "Client ID"), code_of(answer, "Client secret")
        asked = await browser.open(f"/my-apps/{client_id}/secret")
        assert "People's grants stay" in text_of(asked)
        told = await browser.send(asked)
        assert (told.status_code, told.headers["cache-control"]) == (201, "no-store")
        new = code_of(told, "Client secret")
        assert new != old
        assert await authenticates(browser, client_id, new)
        assert not await authenticates(browser, client_id, old)
        assert new.encode() not in house.stored()

        again = await browser.send(asked)  # the same form, reloaded
        assert again.status_code == 409
        assert "Nothing was regenerated" in text_of(again)
        assert await authenticates(browser, client_id, new)

    run(tmp_path, story)


def test_w19_the_old_secret_may_go_on_for_a_while_and_then_stops(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create()
        client_id, old = code_of(answer, "Client ID"), code_of(answer, "Client secret")
        new = code_of(
            await browser.send(await browser.open(f"/my-apps/{client_id}/secret"), overlap="day"), "Client secret"
        )
        for secret in (old, new):
            assert await authenticates(browser, client_id, secret)
        said = text_of(await browser.open(f"/my-apps/{client_id}"))
        assert f"••••••••{old[-4:]}" in said
        assert "stops working 24 Nov 2026, 12:00 UTC" in said
        house.now = NOW + timedelta(days=1)
        assert not await authenticates(browser, client_id, old)
        assert await authenticates(browser, client_id, new)

    run(tmp_path, story)


def test_w19_the_details_tell_when_a_secret_was_made_and_last_used(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        answer = await browser.create()
        client_id, secret = code_of(answer, "Client ID"), code_of(answer, "Client secret")
        assert "made 23 Nov 2026, 12:00 UTC , never used" in text_of(await browser.open(f"/my-apps/{client_id}"))
        house.now = NOW + timedelta(hours=2)
        await authenticates(browser, client_id, secret)
        assert "last used 23 Nov 2026, 14:00 UTC" in text_of(await browser.open(f"/my-apps/{client_id}"))

    run(tmp_path, story)
