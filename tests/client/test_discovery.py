"""A server is asked what it is (RFC 8414, OpenID Connect Discovery), over a socket, by both kinds of integration."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from grantflow import (
    AsyncIntegration,
    DiscoveryFailed,
    Integration,
    MismatchingIssuer,
    MismatchingState,
    Person,
    ServerMetadata,
    TransientTokenError,
    UnknownPerson,
)
from grantflow.client.discovery import why_unusable
from grantflow.client.integration.making import Made
from grantflow.protocol.metadata import metadata_requests
from tests.client.conftest import REDIRECT_URI, World
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Answer, foreign_platform
from tests.client.misbehaving import pours, says
from tests.client.shells import Kinds, granted, jar

RFC_8414, OPENID = "/.well-known/oauth-authorization-server/v1", "/v1/.well-known/openid-configuration"
JSON = {"Content-Type": "application/json"}


def document(world: World, **changed: object) -> dict[str, Any]:
    """What the foreign platform says of itself; None takes a member away."""
    url = world.api_url
    members = {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/access_token",
        "revocation_endpoint": f"{url}/revoke",
        "userinfo_endpoint": f"{url}/userinfo",
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        **changed,
    }
    return {name: value for name, value in members.items() if value is not None}


def publish(world: World, members: object, *, at: str = RFC_8414) -> None:
    world.platform.documents[at] = Answer(200, json.dumps(members), JSON)


Discover = Callable[..., Made]


@pytest.fixture(params=["blocking", "awaiting"])
def discover(world: World, request: pytest.FixtureRequest) -> Discover:
    """An integration with the foreign platform, found out by its issuer alone."""

    def find_out(issuer: str | None = None, **changed: Any) -> Made:
        options = world.options()
        del options["api_url"]
        options |= changed
        client_id, secret = options.pop("client_id"), options.pop("client_secret")
        if request.param == "blocking":
            return Integration.discover(issuer or world.api_url, client_id, secret, **options)
        return asyncio.run(AsyncIntegration.discover(issuer or world.api_url, client_id, secret, **options))

    return find_out


def blocking(world: World, **options: Any) -> Integration:
    """The same with what it found, to walk through the flow."""
    given = world.options()
    del given["api_url"]
    given |= options
    integration = Integration.discover(world.api_url, given.pop("client_id"), given.pop("client_secret"), **given)
    world.made.append(integration)
    return integration


@pytest.mark.parametrize("place", [RFC_8414, OPENID])
def test_s75_a_server_is_found_by_its_issuer_at_the_place_of_either_standard(
    world: World, discover: Discover, place: str
) -> None:
    publish(world, document(world), at=place)
    configuration = discover().configuration
    assert configuration.authorization_endpoint == f"{world.api_url}/authorize"
    assert configuration.token_endpoint == f"{world.api_url}/access_token"
    assert configuration.revocation_url == f"{world.api_url}/revoke"
    assert configuration.userinfo_endpoint == f"{world.api_url}/userinfo"
    assert (configuration.issuer, configuration.api_url) == (world.api_url, world.api_url)
    assert not configuration.credentials.basic
    asked = [path for path, _ in world.platform.seen]
    assert asked == ([RFC_8414] if place == RFC_8414 else [RFC_8414, OPENID])


def test_an_integration_is_made_without_a_word_to_the_network(world: World) -> None:
    server = ServerMetadata(world.api_url, f"{world.api_url}/authorize", f"{world.api_url}/access_token")
    made = world.integration(server=replace(server, userinfo_endpoint=f"{world.api_url}/userinfo"))
    assert made.configuration.token_endpoint == f"{world.api_url}/access_token"
    assert world.platform.seen == []


def test_the_whole_story_with_a_server_that_was_found_out(world: World) -> None:
    publish(world, document(world))
    integration = blocking(world)
    grant = world.grant(integration)
    assert (grant.person_id, grant.display_name, grant.email) == ("sub-ada", "Ada", "ada@example.org")
    world.platform.expire_access_tokens()
    with integration.client_for("sub-ada") as client:
        assert client.get("rooms").json()["person"] == "ada"
    assert integration.revoke("sub-ada").at_platform
    assert (world.platform.counts["refresh"], world.platform.counts["revoke"]) == (1, 1)


def test_what_is_named_counts_more_than_what_was_found(world: World, discover: Discover) -> None:
    publish(world, document(world))
    named = discover(
        api_url="https://api.example.org/v2",
        token_endpoint="https://other.example.org/token",
        revocation_url="https://other.example.org/revoke",
        client_authentication="basic",
    ).configuration
    assert (named.api_url, named.token_endpoint) == ("https://api.example.org/v2", "https://other.example.org/token")
    assert named.revocation_url == "https://other.example.org/revoke"
    assert named.credentials.basic
    with pytest.raises(ValueError, match="the server's own metadata says"):
        world.integration(
            server=ServerMetadata(world.api_url, "https://as.example/a", "https://as.example/t"),
            issuer="https://evil.example",
        )


#: What lies at either place, and what is said of it.
UNUSABLE: dict[str, tuple[Answer, str]] = {
    "nothing": (Answer(404, "not here"), "answered 404"),
    "a JSON error": (Answer(404, '{"error": "x"}', JSON), "answered 404"),
    "a page": (Answer(200, "<!DOCTYPE html><h1>Welcome</h1>"), "answered 200 with a web page"),
    "a page that says JSON": (Answer(200, "<html>", JSON), "with a web page"),
    "a redirect": (Answer(302, "", {"Location": "https://evil.example/"}), "answered 302, and redirects are not"),
    "a redirect to itself": (Answer(307, "", {"Location": RFC_8414}), "answered 307, and redirects are not"),
    "half of it": (Answer(200, '{"issuer": "htt', JSON), "something else than a JSON object"),
    "a list": (Answer(200, "[]", JSON), "something else than a JSON object"),
    "deep JSON": (Answer(200, "[" * 100_000, JSON), "something else than a JSON object"),
    "an empty object": (Answer(200, "{}", JSON), "names no issuer and not"),
    "out of order": (Answer(503, ""), "answered 503"),
}


@pytest.mark.parametrize(("answer", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_s75_what_is_no_metadata_is_told_with_the_address_and_what_to_do(
    world: World, discover: Discover, answer: Answer, says: str
) -> None:
    world.platform.documents |= {RFC_8414: answer, OPENID: answer}
    with pytest.raises(DiscoveryFailed, match=says) as caught:
        discover()
    for words in (RFC_8414, OPENID, "authorization_endpoint= and token_endpoint="):
        assert words in str(caught.value)
    assert world.platform.counts["document"] == 2


#: Members that make a document one not to be used, and what is said of it.
SPOILED: dict[str, tuple[dict[str, object], str]] = {
    "another issuer": ({"issuer": "https://evil.example"}, "cannot be believed: it names the issuer 'https://evil"),
    "a slash more": ({"issuer": "{url}/"}, "to the letter"),
    "an issuer that is none": ({"issuer": 5}, "names no issuer"),
    "no token endpoint": ({"token_endpoint": None}, "it lacks token_endpoint"),
    "an endpoint that is none": ({"authorization_endpoint": ["x"]}, "it lacks authorization_endpoint"),
    "a relative endpoint": ({"token_endpoint": "/token"}, "token_endpoint '/token' is not an address"),
    "a script": ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint 'javascript"),
    "a fragment": ({"authorization_endpoint": "https://as.example/a#b"}, "without fragment"),
    "a user": ({"token_endpoint": "https://as.example@evil.example/t"}, "without fragment and user"),
    "a line break": ({"userinfo_endpoint": "https://as.example/\r\nX: y"}, "userinfo_endpoint"),
    "an address that is none": ({"token_endpoint": "https://1.2.3.999/t"}, "token_endpoint"),
    "a host that is none": ({"token_endpoint": "https://host\\evil/t"}, "token_endpoint"),
    "an endless path": ({"token_endpoint": f"https://as.example/{2_000 * 'x'}"}, "token_endpoint"),
    "a broken port": ({"revocation_endpoint": "https://as.example:port/"}, "revocation_endpoint"),
    "no code": ({"response_types_supported": ["token"]}, "does not offer the authorization code"),
    "no code grant": ({"grant_types_supported": ["password"]}, "does not offer the authorization code"),
    "plain PKCE alone": ({"code_challenge_methods_supported": ["plain"]}, "does not offer PKCE with S256"),
}


@pytest.mark.parametrize(("changed", "says"), SPOILED.values(), ids=SPOILED)
def test_s75_a_document_of_another_issuer_or_with_a_bad_address_is_not_used(
    world: World, discover: Discover, changed: dict[str, object], says: str
) -> None:
    changed = {name: v.format(url=world.api_url) if isinstance(v, str) else v for name, v in changed.items()}
    publish(world, document(world, **changed))
    with pytest.raises(DiscoveryFailed, match=says):
        discover()


@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "userinfo_endpoint"]
)
def test_s88_an_issuer_with_tls_sends_nobody_to_an_address_without(name: str) -> None:
    metadata = ServerMetadata("https://as.example", "https://as.example/a", "https://as.example/t")
    assert why_unusable(metadata) is None
    for plain in ("http://as.example/x", "http://127.0.0.1:5/x", "http://localhost/x"):
        changed: dict[str, Any] = {name: plain}
        assert f"its {name} '{plain}' is not an https://" in str(why_unusable(replace(metadata, **changed)))


@pytest.mark.parametrize(
    ("issuer", "kind", "says"),
    [
        ("http://id.example.org", ValueError, "issuer must be an https:// address"),
        ("id.example.org", ValueError, "issuer must be an https:// address"),
        ("", ValueError, "issuer must be an https:// address"),
        ("https://id.example.org?x=1", DiscoveryFailed, "no query and no fragment"),
        ("https://id.example.org#x", DiscoveryFailed, "no query and no fragment"),
        ("https://a@id.example.org", DiscoveryFailed, "no user name"),
        ("https://id.example.org/.well-known/openid-configuration", DiscoveryFailed, "before /.well-known/"),
        ("https://id.example.org:port", DiscoveryFailed, "must be an address"),
        ("https://id.example.org/\n", DiscoveryFailed, "must be an address"),
        ("https://id.exämple.org", DiscoveryFailed, "in plain ASCII"),
    ],
)
def test_s88_an_issuer_that_is_none_is_refused_before_anything_is_sent(
    world: World, issuer: str, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        Integration.discover(issuer, CLIENT_ID, CLIENT_SECRET, redirect_uri=REDIRECT_URI)
    assert world.platform.seen == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(0), "no answer"),
        (says(b"SSH-2.0-OpenSSH_9.9\r\n"), "no answer"),
        (says(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"issuer'), "no answer"),
        (pours(), "an answer of more than 1048576 bytes"),
        (pours(told=True), "an answer of more than 1048576 bytes"),
    ],
)
def test_a_server_that_does_not_answer_or_without_end_is_given_up_at_once(
    world: World, discover: Discover, answer: Answer, says: str
) -> None:
    world.platform.documents[RFC_8414] = answer
    with pytest.raises(DiscoveryFailed, match=says):
        discover()
    assert world.platform.counts["document"] == 1


def test_a_server_that_drips_is_waited_for_so_long_and_no_longer(
    world: World, discover: Discover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grantflow.client.flows.discovering._LONGEST", 1.0)
    world.platform.documents[RFC_8414] = says(b"HTTP/1.1 200 OK\r\nContent-Ty", then_waits=True)
    with pytest.raises(DiscoveryFailed, match="no answer within 1 s"):
        discover()


@pytest.mark.parametrize(
    ("listed", "basic"),
    [
        (None, True),
        (["client_secret_basic"], True),
        (["client_secret_post"], False),
        (["client_secret_post", "client_secret_basic", "none"], True),
        (["private_key_jwt", "client_secret_post"], False),
    ],
)
def test_s107_the_secret_goes_the_way_that_the_server_takes_it(
    world: World, discover: Discover, listed: list[str] | None, basic: bool
) -> None:
    publish(world, document(world, token_endpoint_auth_methods_supported=listed))
    assert discover().configuration.credentials.basic is basic


def test_s107_a_server_that_takes_no_secret_is_told_before_anybody_grants(world: World, discover: Discover) -> None:
    publish(world, document(world, token_endpoint_auth_methods_supported=["private_key_jwt", "tls_client_auth"]))
    with pytest.raises(ValueError, match=r"private_key_jwt, tls_client_auth.*client_authentication="):
        discover()
    assert not discover(client_authentication="body").configuration.credentials.basic
    assert discover(client_secret=None).configuration.credentials.client_secret is None


@pytest.mark.parametrize(
    ("announced", "iss", "accepted"),
    [
        (True, "{url}", True),
        (True, None, False),
        (True, "{url}/", False),
        (True, "https://evil.example", False),
        (None, "{url}", True),
        (None, None, True),
        (None, "https://evil.example", False),
        (False, "https://evil.example", False),
        ("true", None, True),
    ],
)
def test_s98_iss_must_come_where_it_is_announced_and_match_wherever_it_comes(
    world: World, announced: object, iss: str | None, accepted: bool
) -> None:
    publish(world, document(world, authorization_response_iss_parameter_supported=announced))
    integration = blocking(world)
    begun = integration.authorization_request()
    answer = world.platform.accept(begun.url) + (f"&iss={iss.format(url=world.api_url)}" if iss else "")
    cookies = {begun.cookie.name: begun.cookie.value}
    if accepted:
        assert integration.complete_authorization(answer, cookies).person_id == "sub-ada"
        return
    with pytest.raises(MismatchingIssuer, match="RFC 9207"):
        integration.complete_authorization(answer, cookies)
    assert world.platform.counts["token"] == 0
    assert integration.grants() == []


def test_without_userinfo_who_grants_is_found_out_by_a_function_and_that_is_told_at_once(
    world: World, discover: Discover
) -> None:
    publish(world, document(world, userinfo_endpoint=None))
    with pytest.raises(ValueError, match=r"names no userinfo_endpoint.*identify="):
        discover(scopes="profile")
    integration = blocking(world, scopes="profile", identify=lambda client: Person(client.get("me").json()["person"]))
    assert world.grant(integration).person_id == "ada"


@pytest.mark.parametrize(
    ("status", "members", "kind", "says"),
    [
        (403, {}, UnknownPerson, r"userinfo answered 403 and told no person.*scope openid"),
        (200, {"sub": None}, UnknownPerson, "told no person"),
        (200, {"sub": ["x"]}, UnknownPerson, "told no person"),
        (200, {"sub": "a\nb"}, UnknownPerson, "told no person"),
        (503, {}, TransientTokenError, "userinfo answered with 503"),
        (429, {}, TransientTokenError, "userinfo answered with 429"),
    ],
)
def test_w29_where_userinfo_names_nobody_nothing_is_stored(
    world: World, status: int, members: dict[str, object], kind: type[Exception], says: str
) -> None:
    publish(world, document(world))
    integration = blocking(world)
    world.platform.people_me_status, world.platform.person_members = status, members
    with pytest.raises(kind, match=says):
        world.grant(integration)
    assert integration.grants() == []


def test_w29_of_userinfo_only_sub_is_needed(world: World) -> None:
    publish(world, document(world))
    world.platform.person_members = {"name": None, "preferred_username": "ada99", "email": 5}
    grant = world.grant(blocking(world))
    assert (grant.person_id, grant.display_name, grant.email) == ("sub-ada", "ada99", None)


def test_s98_what_was_begun_with_one_server_is_not_finished_with_another(world: World, either: Kinds) -> None:
    """Mix-up (RFC 9700 section 4.4): both know the integration by one client id, one redirect URI, and the same vault
    lies beneath; a code of the one would be sent to the other."""
    with foreign_platform() as (other, other_url):
        honest, evil = either(), either(api_url=other_url)
        begun = honest.begin()
        answer = world.platform.accept(begun.url)
        with pytest.raises(MismatchingState):
            evil.complete(answer, jar(begun))
        assert other.counts["token"] == world.platform.counts["token"] == 0
        assert honest.complete(answer, jar(begun)).person_id == "id-ada"


def test_the_standard_places_are_those_of_the_issuers_path() -> None:
    places = {
        issuer: [urlsplit(request.url).path for request in metadata_requests(issuer)]
        for issuer in ("https://as.example", "https://as.example/", "https://as.example/t/1", "https://as.example/t/")
    }
    rfc, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
    assert places == {
        "https://as.example": [rfc, openid],
        "https://as.example/": [rfc, openid],
        "https://as.example/t/1": [f"{rfc}/t/1", f"/t/1{openid}"],
        "https://as.example/t/": [f"{rfc}/t", f"/t{openid}"],
    }


def test_what_a_server_wants_to_be_told_beside_the_standard_comes_with_each_request(
    world: World, either: Kinds
) -> None:
    integration = either(authorization_parameters={"prompt": "consent", "access_type": "offline & more"})
    asked = [dict(parse_qsl(urlsplit(begun.url).query)) for begun in (integration.begin(), integration.begin())]
    assert [each["access_type"] for each in asked] == ["offline & more"] * 2
    assert [each["prompt"] for each in asked] == ["consent"] * 2
    assert asked[0]["state"] != asked[1]["state"]
    assert "prompt=login" in (chosen := integration.begin(prompt="login").url)
    assert "prompt=consent" not in chosen, "what one request asks for counts more"
    assert granted(integration, world).person_id == "id-ada"
    with pytest.raises(ValueError, match=r"may not set redirect_uri, state: each request has its own"):
        either(authorization_parameters={"state": "x", "redirect_uri": "https://evil.example", "prompt": "none"})
