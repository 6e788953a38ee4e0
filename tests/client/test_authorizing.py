"""Through the person's browser: what is sent, what is remembered, and which answers are believed."""

import asyncio
import base64
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from grantflow import (
    AccessDenied,
    AuthorizationResponseError,
    BegunAuthorization,
    ExpiredState,
    GrantflowError,
    Integration,
    IntegrationRefused,
    MismatchingIssuer,
    MismatchingState,
    MissingCode,
    Person,
    ReusedState,
    Status,
    TokenEndpointError,
    TransientTokenError,
    UnknownPerson,
    WrongAccount,
)
from grantflow.client.shells.clients import AsyncGrantClient, GrantClient
from tests.client.conftest import REDIRECT_URI, SCOPES, World
from tests.client.foreign import Answer


def jar(*begun: BegunAuthorization) -> Mapping[str, str]:
    return {each.cookie.name: each.cookie.value for each in begun}


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def test_w23_the_authorization_url_carries_what_the_platform_asks_for_in_its_order(world: World) -> None:
    begun = world.integration().authorization_request()
    names = [name for name, _ in parse_qsl(urlsplit(begun.url).query)]
    assert names[:5] == ["client_id", "response_type", "redirect_uri", "scope", "state"]
    asked = query(begun.url)
    assert begun.url.startswith(f"{world.api_url}/authorize?")
    assert (asked["redirect_uri"], asked["scope"]) == (REDIRECT_URI, SCOPES)
    assert "spark%3Apeople_read%20spark%3Arooms_read" in begun.url


def test_s95_s96_s97_state_and_verifier_are_fresh_each_time_and_the_verifier_stays_home(world: World) -> None:
    integration = world.integration()
    begun = [integration.authorization_request() for _ in range(50)]
    asked = [query(each.url) for each in begun]
    assert len({each["state"] for each in asked}) == 50
    assert len({each["code_challenge"] for each in asked}) == 50
    assert {each["code_challenge_method"] for each in asked} == {"S256"}
    assert all(len(base64.urlsafe_b64decode(each["state"] + "=")) == 32 for each in asked)
    assert len({each.cookie.name for each in begun}) == 50


def test_s109_the_pending_cookie_can_neither_be_read_nor_changed(world: World) -> None:
    integration = world.integration()
    begun = integration.authorization_request(owner="user-17", return_to="/settings")
    state = query(begun.url)["state"]
    raw = base64.urlsafe_b64decode(begun.cookie.value + "==")
    for secret in (state.encode(), b"user-17", b"/settings", b"verifier"):
        assert secret not in raw
    assert state not in begun.cookie.name
    assert begun.cookie.value not in repr(begun)
    changed = begun.cookie.value[:40] + ("A" if begun.cookie.value[40] != "A" else "B") + begun.cookie.value[41:]
    with pytest.raises(MismatchingState):
        integration.complete_authorization(world.platform.accept(begun.url), {begun.cookie.name: changed})
    assert world.platform.counts["token"] == 0


@pytest.mark.parametrize(
    ("redirect_uri", "prefix", "ending"),
    [
        ("http://localhost:8000/oauth", "grantflow-", "HttpOnly; SameSite=Lax"),
        ("https://app.example.org/oauth", "__Host-grantflow-", "HttpOnly; SameSite=Lax; Secure"),
    ],
)
def test_s90_the_cookie_is_for_ten_minutes_and_for_this_host_alone(
    world: World, redirect_uri: str, prefix: str, ending: str
) -> None:
    cookie = world.integration(redirect_uri=redirect_uri).authorization_request().cookie
    assert cookie.name.startswith(prefix)
    assert (cookie.max_age, cookie.path) == (600, "/")
    assert cookie.header == f"{cookie.name}={cookie.value}; Max-Age=600; Path=/; {ending}"
    assert len(cookie.header) < 4096


def test_w26_w27_w29_the_code_becomes_a_grant_under_the_person_who_gave_it(world: World) -> None:
    integration = world.integration()
    grant = world.grant(integration, return_to="/rooms?sort=name")
    assert (grant.person_id, grant.owner) == ("id-ada", "id-ada")
    assert (grant.display_name, grant.email, grant.status) == ("Ada", "ada@example.org", Status.ACTIVE)
    assert str(grant.scopes) == SCOPES
    assert grant.access_expires_at is not None
    assert grant.refresh_expires_at is not None
    assert grant.return_to == "/rooms?sort=name"
    assert integration.grant("id-ada") == integration.grants()[0]
    assert world.stored_tokens(integration) == (
        *world.platform.line().access,
        world.platform.line().refresh,
    )


@pytest.mark.parametrize("form", ["url", "query", "parameters"])
def test_the_answer_is_taken_as_url_as_query_or_as_parameters(world: World, form: str) -> None:
    integration = world.integration()
    begun = integration.authorization_request()
    url = world.platform.accept(begun.url)
    answers: dict[str, str | Mapping[str, str]] = {"url": url, "query": urlsplit(url).query, "parameters": query(url)}
    answer = answers[form]
    assert integration.complete_authorization(answer, jar(begun)).person_id == "id-ada"


def test_w10_an_answer_without_state_gets_no_tokens(world: World) -> None:
    integration = world.integration()
    begun = integration.authorization_request()
    url = world.platform.accept(begun.url)
    for answer in (url.partition("&state=")[0], url.partition("state=")[0] + "state="):
        with pytest.raises(MismatchingState, match="carries no state"):
            integration.complete_authorization(answer, jar(begun))
    assert world.platform.counts["token"] == 0


def test_w10_an_answer_from_another_browser_gets_no_tokens(world: World) -> None:
    """Login CSRF: the attacker's own answer is put before somebody else."""
    integration = world.integration()
    attackers, victims = integration.authorization_request(), integration.authorization_request()
    url = world.platform.accept(attackers.url, person="mallory")
    stolen = {victims.cookie.name: attackers.cookie.value}
    renamed = {attackers.cookie.name: victims.cookie.value}
    for cookies in ({}, jar(victims), stolen, renamed):
        with pytest.raises(MismatchingState, match="begun in another browser"):
            integration.complete_authorization(url, cookies)
    assert world.platform.counts["token"] == 0
    assert integration.grants() == []


def test_w10_a_state_serves_once(world: World) -> None:
    integration = world.integration()
    begun = integration.authorization_request(return_to="/home")
    url = world.platform.accept(begun.url)
    integration.complete_authorization(url, jar(begun))
    fresh_code = url.replace(query(url)["code"], query(world.platform.accept(begun.url))["code"])
    for answer in (url, fresh_code):
        with pytest.raises(ReusedState, match="used already") as caught:
            integration.complete_authorization(answer, jar(begun))
        assert caught.value.return_to == "/home"
        assert caught.value.cookie_name == begun.cookie.name
    assert world.platform.counts["exchange"] == 1


def test_w28_of_many_loads_of_one_answer_one_is_exchanged(world: World) -> None:
    integration = world.integration()
    begun = integration.authorization_request()
    url = world.platform.accept(begun.url)

    def finish(_: int) -> str:
        try:
            return integration.complete_authorization(url, jar(begun)).person_id
        except ReusedState as error:
            return error.code

    with ThreadPoolExecutor(16) as threads:
        ends = list(threads.map(finish, range(16)))
    assert sorted(ends) == ["id-ada"] + ["reused_state"] * 15
    assert world.platform.counts["exchange"] == 1


def test_w10_a_state_is_stale_after_ten_minutes(world: World) -> None:
    integration = world.integration()
    on_time, late = integration.authorization_request(), integration.authorization_request(return_to="/x")
    world.clock.advance(seconds=595)
    integration.complete_authorization(world.platform.accept(on_time.url), jar(on_time))
    world.clock.advance(seconds=6)
    with pytest.raises(ExpiredState, match="ten minutes") as caught:
        integration.complete_authorization(world.platform.accept(late.url), jar(late))
    assert caught.value.return_to == "/x"
    assert world.platform.counts["exchange"] == 1


def test_w16_a_grant_is_completed_at_the_redirect_uri_where_it_was_begun(world: World) -> None:
    here = world.integration(redirect_uri="http://localhost:8000/oauth")
    there = world.integration(redirect_uri="http://localhost:8001/oauth")
    begun = here.authorization_request()
    url = world.platform.accept(begun.url)
    with pytest.raises(MismatchingState):
        there.complete_authorization(url, jar(begun))
    assert here.complete_authorization(url, jar(begun)).person_id == "id-ada"
    assert world.grant(there, person="grace").person_id == "id-grace"
    assert {grant.person_id for grant in here.grants()} == {"id-ada", "id-grace"}


def test_another_node_with_the_same_keys_and_vault_finishes_what_one_began(world: World) -> None:
    begun = world.integration().authorization_request(owner="u")
    grant = world.integration().complete_authorization(world.platform.accept(begun.url), jar(begun))
    assert grant.owner == "u"


def test_twenty_tabs_all_succeed_in_any_order(world: World) -> None:
    integration = world.integration()
    tabs = [integration.authorization_request(return_to=f"/tab/{number}") for number in range(20)]
    answers = [(tab, world.platform.accept(tab.url)) for tab in tabs]
    with ThreadPoolExecutor(20) as threads:
        grants = threads.map(lambda each: integration.complete_authorization(each[1], jar(*tabs)), reversed(answers))
    assert [grant.return_to for grant in grants] == [f"/tab/{number}" for number in reversed(range(20))]
    assert len(integration.grants()) == 1


def test_floods_of_begun_authorizations_write_nothing(world: World) -> None:
    integration = world.integration()
    integration.grants()
    before = {file.name: file.stat().st_size for file in world.folder.iterdir()}
    for _ in range(500):
        integration.authorization_request(return_to="/x", owner="y")
    assert {file.name: file.stat().st_size for file in world.folder.iterdir()} == before


@pytest.mark.parametrize(
    ("iss", "configured", "accepted"),
    [
        ("https://as.example", "https://as.example", True),
        ("https://as.example/", "https://as.example", False),
        ("https://evil.example", "https://as.example", False),
        (None, "https://as.example", False),
        (None, None, True),
        ("https://as.example", None, True),
    ],
)
def test_s98_the_issuer_is_compared_where_one_is_configured(
    world: World, iss: str | None, configured: str | None, accepted: bool
) -> None:
    integration = world.integration(issuer=configured)
    begun = integration.authorization_request()
    url = world.platform.accept(begun.url) + (f"&iss={iss}" if iss else "")
    if accepted:
        assert integration.complete_authorization(url, jar(begun)).person_id == "id-ada"
    else:
        with pytest.raises(MismatchingIssuer, match="RFC 9207"):
            integration.complete_authorization(url, jar(begun))
        assert world.platform.counts["token"] == 0


def test_w25_a_declined_grant_is_told_as_such_and_stores_nothing(world: World) -> None:
    integration = world.integration()
    begun = integration.authorization_request(return_to="/home", owner="u")
    state = query(begun.url)["state"]
    answer = f"{REDIRECT_URI}?error=access_denied&error_description=declined&state={state}"
    for _ in range(2):
        with pytest.raises(AccessDenied) as caught:
            integration.complete_authorization(answer, jar(begun))
        assert (caught.value.return_to, caught.value.owner) == ("/home", "u")
    with pytest.raises(AccessDenied):
        integration.complete_authorization("error=access_denied", {})
    assert integration.grants() == []


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ("error=invalid_scope&error_description=No+such+scope", AuthorizationResponseError, "invalid_scope: No such"),
        ("error=server_error", AuthorizationResponseError, "refused with server_error"),
        ("error=x&error_description=Ask+for+less.", AuthorizationResponseError, r"with x: Ask for less\. Begin again"),
        ("code=", MissingCode, "neither a code nor an error"),
        ("code=1&code=2", AuthorizationResponseError, "occurs more than once"),
        ("code=1&error=access_denied", AccessDenied, "declined"),
    ],
)
def test_w30_every_answer_without_a_usable_code_has_its_error(
    world: World, answer: str, kind: type[GrantflowError], says: str
) -> None:
    integration = world.integration()
    begun = integration.authorization_request()
    with pytest.raises(kind, match=says):
        integration.complete_authorization(f"{answer}&state={query(begun.url)['state']}", jar(begun))
    assert world.platform.counts["token"] == 0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(400, '{"error": "invalid_grant"}'), TokenEndpointError),
        (Answer(400, '{"message": "bad code", "trackingId": "R1"}'), TokenEndpointError),
        (Answer(401, '{"error": "invalid_client"}'), IntegrationRefused),
        (Answer(404, ""), IntegrationRefused),
        (Answer(404, "<html>"), TransientTokenError),
        (Answer(503, "<html>"), TransientTokenError),
        (Answer(429, "", {"Retry-After": "7"}), TransientTokenError),
        (Answer(200, "<html>hotel wifi</html>"), TransientTokenError),
        (Answer(200, '{"token_type": "Bearer"}'), TransientTokenError),
        (Answer(0), TransientTokenError),
    ],
)
def test_a_code_that_cannot_be_exchanged_stores_nothing_and_the_person_can_begin_again(
    world: World, answer: Answer, kind: type[TokenEndpointError]
) -> None:
    integration = world.integration()
    world.platform.answers.append(answer)
    begun = integration.authorization_request(return_to="/home")
    with pytest.raises(TokenEndpointError) as caught:
        integration.complete_authorization(world.platform.accept(begun.url), jar(begun))
    assert type(caught.value) is kind
    assert caught.value.return_to == "/home"
    if isinstance(caught.value, TransientTokenError) and answer.headers:
        assert caught.value.retry_after == 7
    assert integration.grants() == []
    assert world.grant(integration).person_id == "id-ada"


def test_w29_where_nobody_says_who_granted_nothing_is_stored(world: World) -> None:
    integration = world.integration()
    world.platform.people_me_status = 403
    with pytest.raises(UnknownPerson, match=r"people/me answered 403.*spark:people_read"):
        world.grant(integration)
    assert integration.grants() == []


def test_w29_another_kind_of_server_can_tell_who_granted_in_its_own_way(world: World) -> None:
    def identify(client: httpx2.Client) -> Person:
        return Person(client.get("whoami").json()["person"] + "@elsewhere", "Somebody")

    integration = world.integration(identify=identify)
    assert world.grant(integration).person_id == "ada@elsewhere"
    assert ("/v1/people/me", "") not in [(path, "") for path, _ in world.platform.seen]


def test_w34_a_person_who_grants_again_keeps_the_grant_and_gets_new_tokens(world: World) -> None:
    integration = world.integration()
    first = world.grant(integration, owner="u1")
    old = world.stored_tokens(integration, owner="u1")
    second = world.grant(integration, grant=first.id)
    assert (second.id, second.generation, second.owner) == (first.id, 2, "u1")
    assert set(old).isdisjoint(world.stored_tokens(integration, owner="u1"))


def test_the_renewal_of_a_grant_asks_for_its_own_person(world: World) -> None:
    integration = world.integration()
    first = world.grant(integration)
    assert query(integration.authorization_request(grant=first.id).url)["login_hint"] == "ada@example.org"


def test_if_somebody_else_comes_back_nothing_is_replaced(world: World) -> None:
    integration = world.integration()
    first = world.grant(integration)
    others = world.grant(integration, person="grace")
    before = world.stored_tokens(integration), world.stored_tokens(integration, "id-grace")
    with pytest.raises(WrongAccount, match="Ada was to be renewed, but Grace signed in") as caught:
        world.grant(integration, person="grace", grant=first.id)
    assert caught.value.expected == integration.grant("id-ada")
    assert caught.value.came == "Grace"
    assert (world.stored_tokens(integration), world.stored_tokens(integration, "id-grace")) == before
    assert others.generation == 1


@pytest.mark.parametrize(("grant", "owner"), [("no-such-grant", None), ("own", "somebody-else")])
def test_a_renewal_of_a_grant_that_is_not_there_or_not_yours_is_a_fresh_grant(
    world: World, grant: str, owner: str | None
) -> None:
    integration = world.integration()
    own = world.grant(integration, owner="u1")
    fresh = world.grant(integration, person="grace", owner=owner, grant=own.id if grant == "own" else grant)
    assert (fresh.person_id, fresh.owner, fresh.id != own.id) == ("id-grace", owner or "id-grace", True)


def test_a_grant_of_another_integration_over_the_same_vault_is_none_to_renew(world: World) -> None:
    own = world.grant(world.integration())
    other = world.integration(client_id="Canother")
    assert "login_hint" not in query(other.authorization_request(grant=own.id).url)
    assert (other.grant("id-ada"), other.grants()) == (None, [])


def test_two_users_of_the_host_application_have_a_grant_each_with_one_person(world: World) -> None:
    integration = world.integration()
    first, second = world.grant(integration, owner="u1"), world.grant(integration, owner="u2")
    assert first.id != second.id
    assert [grant.id for grant in integration.grants(owner="u2")] == [second.id]
    assert integration.grant("id-ada") is None
    assert integration.client_for("id-ada", owner="u1").get("people/me").status_code == 200


def test_s108_fewer_scopes_can_be_asked_for_and_are_what_is_granted_where_the_platform_does_not_say(
    world: World,
) -> None:
    integration = world.integration()
    world.platform.sends_scope = False
    assert str(world.grant(integration, scopes="spark:people_read").scopes) == "spark:people_read"
    assert str(world.grant(integration).scopes) == SCOPES


@pytest.mark.parametrize(
    ("return_to", "safe"),
    [
        ("/", "/"),
        ("/rooms?sort=name#top", "/rooms?sort=name#top"),
        ("http://localhost:8000/rooms", "/rooms"),
        *[(bad, None) for bad in ("//evil.example", "https://evil.example/", "http://localhost:8000.evil.example/x")],
        *[(bad, None) for bad in ("rooms", "/\\evil.example", "/a\r\nSet-Cookie: b", "javascript:alert(1)", "/é")],
        *[(bad, None) for bad in ("http://localhost:8000", "http://localhost:8000//evil.example", "/" + "x" * 1500)],
    ],
)
def test_s99_a_person_is_never_sent_to_another_site(world: World, return_to: str, safe: str | None) -> None:
    integration = world.integration()
    if safe is None:
        with pytest.raises(ValueError, match="path of this site"):
            integration.authorization_request(return_to=return_to)
    else:
        assert world.grant(integration, return_to=return_to).return_to == safe


def test_s96_the_verifier_of_the_same_authorization_answers_its_challenge(world: World) -> None:
    """The foreign platform checks it; here what a mixed-up pair would get."""
    integration = world.integration()
    one, two = integration.authorization_request(), integration.authorization_request()
    code = query(world.platform.accept(one.url))["code"]
    mixed = f"{REDIRECT_URI}?code={code}&state={query(two.url)['state']}"
    with pytest.raises(TokenEndpointError, match="did not accept the code"):
        integration.complete_authorization(mixed, jar(two))


def test_s107_the_client_authenticates_in_one_way_on_each_request(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    assert [authorization for path, authorization in world.platform.seen if path == "/v1/access_token"] == [""]
    basic = world.integration(client_authentication="basic")
    with pytest.raises(IntegrationRefused):
        world.grant(basic)
    header = world.platform.seen[-1][1]
    assert header.startswith("Basic ")
    assert basic.configuration.credentials.basic


def test_w01_the_integration_never_meets_a_password(world: World) -> None:
    """What it sends through the browser and to the token endpoint is this and nothing else."""
    integration = world.integration()
    begun = integration.authorization_request(prompt="select_account")
    names = {"client_id", "response_type", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"}
    assert set(parse_qs(urlsplit(begun.url).query)) == {*names, "prompt"}
    integration.complete_authorization(world.platform.accept(begun.url), jar(begun))
    fields = {"grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret"}
    assert set(world.platform.forms[-1]) == fields


def test_errors_of_completing_know_nothing_of_a_foreign_browser(world: World) -> None:
    integration: Integration = world.integration()
    begun = integration.authorization_request(return_to="/private", owner="u")
    with pytest.raises(MismatchingState) as caught:
        integration.complete_authorization(world.platform.accept(begun.url), {})
    assert (caught.value.return_to, caught.value.owner, caught.value.cookie_name) == (None, None, None)


SPOILED_PEOPLE: list[tuple[dict[str, object], str | None, str | None]] = [
    ({"displayName": "Ada\ud800"}, None, "ada@example.org"),
    ({"displayName": "Ada\nERROR forged"}, None, "ada@example.org"),
    ({"displayName": "Ada\u202egpj"}, None, "ada@example.org"),
    ({"displayName": "A" * 769}, None, "ada@example.org"),
    ({"displayName": " \u00a0"}, None, "ada@example.org"),
    ({"displayName": "A" * 768, "emails": ["a\x00@example.org"]}, "A" * 768, None),
    (
        {"displayName": "\u0646\u200c\u0645 \u00a0 \U0001f469\u200d\U0001f52c"},
        "\u0646\u200c\u0645 \u00a0 \U0001f469\u200d\U0001f52c",
        "ada@example.org",
    ),
]


@pytest.mark.parametrize(("members", "name", "email"), SPOILED_PEOPLE)
def test_w29_what_cannot_be_shown_of_a_person_is_left_out(
    world: World, members: dict[str, object], name: str | None, email: str | None
) -> None:
    world.platform.person_members = members
    grant = world.grant(world.integration())
    assert (grant.person_id, grant.display_name, grant.email) == ("id-ada", name, email)


@pytest.mark.parametrize("person_id", ["", "\ud800", "a\nb", "x" * 769, "\u202ea", 5, None])
def test_w29_without_an_id_that_can_be_kept_there_is_nobody_to_keep_the_grant_for(
    world: World, person_id: object
) -> None:
    world.platform.person_members = {"id": person_id}
    integration = world.integration()
    with pytest.raises(UnknownPerson, match="told no person"):
        world.grant(integration)
    by_host = world.integration(identify=lambda _: Person(person_id))  # type: ignore[arg-type]
    with pytest.raises(UnknownPerson, match="identify told no person"):
        world.grant(by_host)
    assert not integration.grants()


@pytest.mark.parametrize("answer", [Answer(0), Answer(200, "torn", {"Content-Encoding": "gzip"})])
@pytest.mark.parametrize("where", ["token", "person", "host"])
def test_no_error_of_the_http_library_comes_out_of_a_grant_flow(world: World, answer: Answer, where: str) -> None:
    options: dict[str, Any] = {"identify": ask_who} if where == "host" else {}
    integration = world.integration(**options)
    coming = world.platform.answers if where == "token" else world.platform.api_answers
    answers = [answer] * (2 if where == "host" and answer.status == 0 else 1)  # a call of the host's is sent once more
    coming.extend(answers)
    with pytest.raises(TransientTokenError, match=r"Nothing was stored"):
        world.grant(integration)

    async def awaiting() -> None:
        async with world.async_integration(**({"identify": ask_who_later} if options else {})) as own:
            begun = await own.authorization_request()
            coming.extend(answers)
            with pytest.raises(TransientTokenError, match=r"Nothing was stored"):
                await own.complete_authorization(
                    world.platform.accept(begun.url), {begun.cookie.name: begun.cookie.value}
                )

    asyncio.run(awaiting())
    assert not integration.grants()


def ask_who(client: GrantClient) -> Person:
    return Person(client.get("people/me").json()["id"])


async def ask_who_later(client: AsyncGrantClient) -> Person:
    return Person((await client.get("people/me")).json()["id"])


PASSING = (TransientTokenError, "({status}). Nothing was stored")
#: No waiting mends it: the host asks at another address, or without the scope that it takes.
AMISS = (UnknownPerson, "identify failed: GET {api_url}/people/me was answered {status}, ")


@pytest.mark.parametrize(("status", "kind", "says"), [(403, *AMISS), (404, *AMISS), (429, *PASSING), (500, *PASSING)])
def test_a_refusal_that_identify_raises_as_the_http_librarys_own_error_is_told_as_ours(
    world: World, status: int, kind: type[GrantflowError], says: str
) -> None:
    told = re.escape(says.format(status=status, api_url=world.api_url))

    def ask(client: GrantClient) -> Person:
        return Person(client.get("people/me").raise_for_status().json()["id"])

    async def ask_later(client: AsyncGrantClient) -> Person:
        return Person((await client.get("people/me")).raise_for_status().json()["id"])

    async def awaiting() -> None:
        async with world.async_integration(identify=ask_later) as own:
            begun = await own.authorization_request()
            with pytest.raises(kind, match=told):
                await own.complete_authorization(world.platform.accept(begun.url), jar(begun))

    world.platform.people_me_status = status
    integration = world.integration(identify=ask)
    with pytest.raises(kind, match=told):
        world.grant(integration)
    asyncio.run(awaiting())
    assert not integration.grants()
