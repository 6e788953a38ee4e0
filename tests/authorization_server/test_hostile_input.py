"""Whatever is sent to the endpoints, nobody is led astray and nothing breaks (S31)."""

import asyncio
import itertools
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grantflow.protocol.authorization import PARAMETERS
from tests.authorization_server.given import REDIRECT_URI, Browser, Server, run, serving

EXAMPLES = settings(max_examples=150, deadline=None)
WORDS = st.sampled_from(
    [
        "",
        "code",
        "none",
        "login",
        "S256",
        "spark:people_read",
        REDIRECT_URI,
        "authorization_code",
        "refresh_token",
        "' OR '1'='1",
        '"><script>alert(1)</script>',
        "\r\nLocation: https://evil.example/",
        "https://evil.example/",
        "javascript:alert(1)",
        "{{7*7}}",
        "%s%n",
        "\0",
        "\ufeff",
    ]
)
VALUES = WORDS | st.text(st.characters(codec="utf-8"), max_size=50)
NAMES = st.sampled_from([*PARAMETERS, "unknown"])
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=14)
TOKEN_NAMES = st.sampled_from(
    ["grant_type", "client_id", "client_secret", "code", "redirect_uri", "refresh_token", "scope", "token", "é"]
)


@pytest.mark.slow
def test_s31_whatever_is_asked_nobody_is_sent_to_an_unregistered_address_and_nothing_breaks(tmp_path: Path) -> None:
    async def prepare(server: Server) -> tuple[Browser, Browser, str]:
        app = await server.integration()
        return server.browser(), await server.signed_in(await server.person()), app.client_id

    with asyncio.Runner() as runner:
        serving_it = serving(tmp_path)
        server = runner.run(serving_it.__aenter__())
        stranger, person, client_id = runner.run(prepare(server))

        @EXAMPLES
        @given(FIELDS, st.booleans(), st.booleans(), st.binary(max_size=30))
        def ask(fields: list[tuple[str, str]], known: bool, signed_in: bool, noise: bytes) -> None:
            browser = person if signed_in else stranger
            query = urlencode([*fields, *([("client_id", client_id)] if known else [])])
            answer = runner.run(browser.open(f"/v1/authorize?{query}{quote(noise, safe='%&=+;')}"))
            assert answer.status_code in (303, 400, 413)
            target = answer.headers.get("location", "/signin?")
            assert target.startswith((f"{REDIRECT_URI}?", "/signin?", "/consent?"))
            assert "\n" not in target
            assert "<script>alert" not in answer.text

        ask()
        runner.run(serving_it.__aexit__(None, None, None))


def test_s31_whatever_is_posted_the_answer_is_a_refusal_in_one_shape(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        serving_it = serving(tmp_path, token_endpoint_accepts_json=True)
        server = runner.run(serving_it.__aenter__())
        app = runner.run(server.integration())

        @EXAMPLES
        @given(
            st.dictionaries(TOKEN_NAMES, VALUES),
            st.booleans(),
            st.sampled_from(["/v1/access_token", "/v1/revoke"]),
            st.binary(max_size=30),
        )
        def post(fields: dict[str, str], known: bool, path: str, noise: bytes) -> None:
            body = urlencode({**fields, **(app.credentials if known else {})}).encode() + noise
            headers = {"content-type": "application/x-www-form-urlencoded"}
            answer = runner.run(server.post(path, content=body, headers=headers))
            if answer.status_code == 200:
                assert path == "/v1/revoke"
                assert answer.content == b""
                return
            assert answer.status_code in (400, 401, 413, 429)
            assert {"message", "errors", "trackingId", "error", "error_description"} == set(answer.json())

        post()
        runner.run(serving_it.__aexit__(None, None, None))


INJECTED = [
    "x'; DROP TABLE people; --",
    "' OR '1'='1",
    '" UNION SELECT token_hash FROM access_tokens --',
    "\r\nSet-Cookie: stolen=1\r\n\r\n<script>alert(1)</script>",
    "\nLocation: https://evil.example/",
    '"><script>alert(1)</script>',
    "{{ request }}<img src=x onerror=alert(1)>",
    "\0\ufeff\u202e",
]


AUTHORIZE_FIELDS = ["state", "scope", "login_hint", "nonce", "redirect_uri", "client_id", "request"]
TOKEN_FIELDS = ["client_id", "client_secret", "code", "refresh_token", "redirect_uri", "token"]


@pytest.mark.parametrize("injected", INJECTED, ids=ascii)
def test_s31_what_is_injected_into_an_authorization_request_changes_no_header_page_or_row(
    tmp_path: Path, injected: str
) -> None:
    async def story(server: Server) -> None:
        app, person = await server.integration(), await server.person()
        for name in AUTHORIZE_FIELDS:
            kept = await everything(server)
            browser = server.browser()
            answer = await browser.authorize(app, **{name: injected})
            if answer.status_code == 303:
                await browser.sign_in(person)
                answer = await browser.come_back(answer)
            assert await everything(server) == kept
            if answer.headers.get("location", "").startswith("/consent?"):
                answer = await browser.accept(answer, remember=False)
            assert "set-cookie" not in answer.headers
            target = answer.headers.get("location", REDIRECT_URI)
            assert target.startswith(REDIRECT_URI)
            assert target.isprintable()
            assert not re.search("<script>alert|<img src=x|[\0\u202e]", answer.text)
            if name == "state":
                assert parse_qs(urlsplit(target).query)["state"] == [injected]
        assert len(await server.rows("SELECT 1 FROM people")) == 1

    run(tmp_path, story)


@pytest.mark.parametrize("injected", INJECTED, ids=ascii)
def test_s31_what_is_injected_into_a_token_request_finds_nothing_and_changes_no_header_or_row(
    tmp_path: Path, injected: str
) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        await server.tokens(app, await server.person())
        kept = await everything(server)
        for name, grant_type in itertools.product(TOKEN_FIELDS, ("authorization_code", "refresh_token", "none")):
            path = "/v1/revoke" if grant_type == "none" else "/v1/access_token"
            fields = {**app.credentials, "grant_type": grant_type, "code": "x", "refresh_token": "x", "token": "x"}
            answer = await server.post(path, data={**fields, name: injected})
            found_nothing = 200 if path == "/v1/revoke" else 400
            assert answer.status_code == (401 if name in app.credentials else found_nothing)
            assert "set-cookie" not in answer.headers
            assert answer.text.isascii()
            assert "alert(1)" not in answer.text
        assert await everything(server) == kept

    run(tmp_path, story)


async def everything(server: Server) -> dict[str, int]:
    """How many rows each table has but that of waiting requests."""
    tables = [row["name"] for row in await server.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    counted = {name: await server.rows(f"SELECT count(*) AS n FROM {name}") for name in tables}
    return {name: rows[0]["n"] for name, rows in counted.items() if name not in ("authorization_requests", "sessions")}


def test_s31_the_name_of_an_integration_is_text_wherever_it_leads(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        person = await server.person()
        for name in ("x'; DROP TABLE people; --", '"><script>alert(1)</script>', "{{ 7 * 7 }}"):
            app = await server.integration(name)
            tokens = await server.tokens(app, person)
            assert await server.lives(tokens["access_token"])
        assert len(await server.rows("SELECT 1 FROM people")) == 1
        names = await server.rows("SELECT name FROM integrations ORDER BY created_at, name")
        assert {row["name"] for row in names} >= {"x'; DROP TABLE people; --", "{{ 7 * 7 }}"}

    run(tmp_path, story)
