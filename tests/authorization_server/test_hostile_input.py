"""Whatever is sent to the endpoints, nobody is led astray and nothing breaks (S31)."""

import asyncio
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grantflow.protocol.authorization import PARAMETERS
from tests.authorization_server.given import REDIRECT_URI, Browser, Server, serving

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
