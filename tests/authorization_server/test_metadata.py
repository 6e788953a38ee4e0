"""The metadata document (RFC 8414): found where it must lie, and saying only what works."""

from pathlib import Path

import pytest

from grantflow.authorization_server import Settings
from grantflow.protocol.metadata import metadata_url, read_metadata
from grantflow.protocol.scope import KMS
from grantflow.web.pages import Pages
from grantflow.web.site import Site
from tests.authorization_server.given import BASE_URL, ISSUER, PKCE, Server, parameters_of, request_of, run
from tests.authorization_server.test_access_token import basic

PATH = "/.well-known/oauth-authorization-server/v1"


def test_s30_s75_the_document_lies_where_rfc_8414_puts_it_and_names_the_issuer_it_was_fetched_for(
    tmp_path: Path,
) -> None:
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


@pytest.mark.parametrize("host", ["https://platform.example", "https://platform.example:8443"])
def test_s75_the_metadata_of_a_public_issuer_is_https_throughout_and_lies_at_no_second_place(
    tmp_path: Path, host: str
) -> None:
    async def story(server: Server) -> None:
        issuer = f"{host}/v1"
        browser = Server(server.engine, Settings(issuer)).browser()
        answer = await browser.open(metadata_url(issuer).removeprefix(host))
        read_metadata(answer.json(), issuer=issuer)
        addresses = [value for value in answer.json().values() if "://" in str(value)]
        assert len(addresses) == 4
        assert all(address.startswith(issuer) for address in addresses)
        for elsewhere in (f"/v1{PATH.removesuffix('/v1')}", PATH.removesuffix("/v1"), f"{PATH}/x"):
            assert (await browser.open(elsewhere)).status_code == 404

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


@pytest.mark.parametrize("sandbox", [True, False])
def test_s04_the_metadata_and_a_banner_tell_a_sandbox_which_may_relax_the_rules(tmp_path: Path, sandbox: bool) -> None:
    async def story(server: Server) -> None:
        browser = server.browser()
        assert (await browser.open(PATH)).json().get("sandbox", False) is sandbox
        page = await browser.open("/v1/authorize")
        assert ('aria-label="Sandbox"' in page.text) is sandbox

    run(tmp_path, story, pages=Pages(Site("Grantflow", BASE_URL, sandbox=sandbox)))


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


def test_s76_each_member_is_one_of_those_that_these_tests_hold_to_what_works(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        members = (await server.browser().open(PATH)).json()
        assert set(members) == {
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "revocation_endpoint",
            "response_types_supported",
            "response_modes_supported",
            "grant_types_supported",
            "code_challenge_methods_supported",
            "scopes_supported",
            "token_endpoint_auth_methods_supported",
            "revocation_endpoint_auth_methods_supported",
            "authorization_response_iss_parameter_supported",
            "sandbox",
        }

    run(tmp_path, story)


def test_s76_each_scope_that_is_named_can_be_registered_and_asked_for_and_each_response_mode(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        members = (await server.browser().open(PATH)).json()
        browser = await server.signed_in(await server.person())
        assert members["scopes_supported"]
        for scope in members["scopes_supported"]:
            app = await server.integration(scope, scopes=f"{scope} spark:people_read")
            asked = scope if scope != KMS else f"{scope} spark:people_read"
            request_of(await browser.authorize(app, scope=asked), "/consent")
        for mode in members["response_modes_supported"]:
            request_of(await browser.authorize(app, scope=asked, response_mode=mode), "/consent")

    run(tmp_path, story)


def test_s76_each_way_of_authenticating_that_is_named_works_at_its_endpoint(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        members = (await server.browser().open(PATH)).json()
        confidential, public = await server.integration(), await server.public_integration()
        assert confidential.client_secret
        header = basic(confidential.client_id, confidential.client_secret)
        ways = {
            "client_secret_basic": (confidential, header, {}),
            "client_secret_post": (confidential, {}, confidential.credentials),
            "none": (public, {}, public.credentials),
        }
        assert members["token_endpoint_auth_methods_supported"] == list(ways)
        assert members["revocation_endpoint_auth_methods_supported"] == list(ways)
        for app, headers, credentials in ways.values():
            token = (await server.tokens(app, await server.person(f"{len(server.issued)}@example.com")))[
                "refresh_token"
            ]
            fields = {**credentials, "grant_type": "refresh_token", "refresh_token": token}
            renewed = await server.post("/v1/access_token", data=fields, headers=headers)
            assert renewed.status_code == 200
            gone = {**credentials, "token": renewed.json()["refresh_token"]}
            assert (await server.post("/v1/revoke", data=gone, headers=headers)).status_code == 200
            assert not await server.lives(renewed.json()["access_token"])

    run(tmp_path, story)
