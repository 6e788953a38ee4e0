"""The metadata document (RFC 8414): found where it must lie, and saying only what works."""

from pathlib import Path

import pytest

from grantflow.protocol.metadata import metadata_url, read_metadata
from tests.authorization_server.given import BASE_URL, ISSUER, PKCE, Server, parameters_of, run

PATH = "/.well-known/oauth-authorization-server/v1"


def test_s75_the_document_lies_where_rfc_8414_puts_it_and_names_the_issuer_it_was_fetched_for(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        assert metadata_url(ISSUER) == BASE_URL + PATH
        answer = await server.browser().open(PATH)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["access-control-allow-origin"] == "*"
        metadata = read_metadata(answer.json(), issuer=ISSUER)
        assert metadata.authorization_endpoint == f"{ISSUER}/authorize"
        assert metadata.token_endpoint == f"{ISSUER}/access_token"
        assert metadata.revocation_endpoint == f"{ISSUER}/revoke"
        assert metadata.iss_announced

    run(tmp_path, story)


def test_s30_the_iss_of_an_answer_is_the_issuer_byte_for_byte(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        app = await server.integration()
        browser = await server.signed_in(await server.person())
        issuer = (await browser.open(PATH)).json()["issuer"]
        granted = parameters_of(await browser.accept(await browser.authorize(app)))
        refused = parameters_of(await browser.authorize(app, scope="nonsense"))
        assert granted["iss"] == refused["iss"] == issuer

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("member", "offered"),
    [
        ("response_types_supported", ["code"]),
        ("grant_types_supported", ["authorization_code", "refresh_token"]),
        ("code_challenge_methods_supported", ["S256"]),
    ],
)
def test_w12_s26_s27_s40_s46_s76_only_what_works_is_offered(tmp_path: Path, member: str, offered: list[str]) -> None:
    async def story(server: Server) -> None:
        assert (await server.browser().open(PATH)).json()[member] == offered

    run(tmp_path, story)


def test_s59_s76_every_endpoint_named_answers_and_has_no_fragment(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        browser = server.browser()
        members = (await browser.open(PATH)).json()
        endpoints = {name: url for name, url in members.items() if name.endswith("_endpoint")}
        assert len(endpoints) == 3
        for url in endpoints.values():
            assert "#" not in url
            assert (await browser.open(url.removeprefix(BASE_URL), **PKCE)).status_code in (400, 405)

    run(tmp_path, story)
