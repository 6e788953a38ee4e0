"""A platform that is away, slow, out of order, or not the platform at all: what each costs, and that no grant is lost.

Each promise is shown for blocking and for awaiting callers, over a socket that misbehaves.
"""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2
import pytest

from grantflow import (
    ForeignOrigin,
    GrantflowError,
    IntegrationRefused,
    ReauthorizationRequired,
    Status,
    TokenEndpointError,
    TransientTokenError,
    UnknownPerson,
)
from tests.client.conftest import World
from tests.client.foreign import CLIENT_SECRET, Answer, Platform, foreign_platform
from tests.client.misbehaving import HUGE, PIECE, pours, says
from tests.client.shells import Kinds, granted, jar

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
HTML = "<!DOCTYPE html><h1>Welcome to the hotel</h1>"
INVALID_GRANT = '{"error": "invalid_grant"}'


#: No answer, or none that is the platform's: nothing is harmed, and it is worth another try.
PASSING = {
    "hangs up": Answer(0),
    "half a status line": says(b"HTTP/1."),
    "another protocol": says(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "half a head": says(b"HTTP/1.1 200 OK\r\nContent-Type: applica"),
    "half a body": says(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"access_token": "a2"'),
    "half a chunk": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{}"),
    "an endless header": says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000),
    "a hundred megabytes": pours(),
    "a hundred megabytes as told": pours(told=True),
    "a hundred megabytes of an error": pours(500),
    "HTML 200": Answer(200, HTML),
    "HTML 200 that says JSON": Answer(200, HTML, JSON),
    "HTML 400": Answer(400, HTML),
    "HTML 401": Answer(401, HTML),
    "HTML 403": Answer(403, HTML),
    "HTML 404": Answer(404, HTML),
    "HTML 500": Answer(500, HTML),
    "HTML 502": Answer(502, HTML),
    "empty 200": Answer(200, ""),
    "empty 204": Answer(204, ""),
    "empty 500": Answer(500, ""),
    "empty 503": Answer(503, ""),
    "JSON 500": Answer(500, '{"message": "x", "errors": [], "trackingId": "T"}', JSON),
    "invalid_grant 500": Answer(500, INVALID_GRANT, JSON),
    "invalid_grant 429": Answer(429, INVALID_GRANT, JSON),
    "a list": Answer(200, "[1]", JSON),
    "deep JSON": Answer(200, "[" * 100_000, JSON),
    "429": Answer(429, ""),
    "408": Answer(408, ""),
}
#: It stands still, until it is given up at the deadline.
STALLS = {
    "before the head": says(b"", then_waits=True),
    "in the head": says(b"HTTP/1.1 200 OK\r\nContent-Ty", then_waits=True),
    "in the body": says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", then_waits=True),
}


def table(faults: dict[str, Answer]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", faults.values(), ids=faults)


def status_of(call: Callable[[], httpx2.Response]) -> int | None:
    """What the API answered; None where there was no answer that can be read."""
    try:
        return call().status_code
    except httpx2.RequestError:
        return None


def heals(world: World, either: Kinds) -> None:
    """The cause is gone: the grant still stands, and the next call succeeds."""
    (grant,) = either().grants()
    assert grant.status in {Status.ACTIVE, Status.REFRESH_DELAYED}
    world.clock.advance(seconds=60)
    world.platform.expire_access_tokens()
    assert either().get("people/me").json()["id"] == "id-ada"
    assert either().grants()[0].status is Status.ACTIVE


def check_refresh(world: World, either: Kinds, fault: Answer, **options: Any) -> TransientTokenError:
    granted(either(), world)
    before = world.stored_tokens(world.integration())
    world.platform.answers.append(fault)
    with pytest.raises(TransientTokenError, match="Nothing is harmed; the next try is in") as caught:
        either(**options).refresh()
    assert world.stored_tokens(world.integration()) == before
    assert not any(token in str(caught.value) for token in before)
    heals(world, either)
    return caught.value


def check_exchange(world: World, either: Kinds, answers: list[Answer], fault: Answer, **options: Any) -> None:
    integration = either(**options)
    begun = integration.begin(return_to="/home")
    answers.append(fault)
    with pytest.raises(TransientTokenError, match=r"[Bb]egin again on the landing page") as caught:
        integration.complete(world.platform.accept(begun.url), jar(begun))
    assert caught.value.return_to == "/home"
    assert integration.grants() == []
    assert granted(either(), world).status is Status.ACTIVE


@table(PASSING)
def test_a_fault_of_the_token_endpoint_costs_no_grant_and_the_next_refresh_succeeds(
    world: World, either: Kinds, fault: Answer
) -> None:
    check_refresh(world, either, fault)


@pytest.mark.slow
@table(STALLS)
def test_a_token_endpoint_that_stands_still_costs_no_grant(world: World, either: Kinds, fault: Answer) -> None:
    assert "no answer" in str(check_refresh(world, either, fault, deadline=2.0))


@pytest.mark.slow
@table(PASSING)
def test_a_fault_while_the_code_is_exchanged_stores_nothing_and_the_person_can_grant_again(
    world: World, either: Kinds, fault: Answer
) -> None:
    check_exchange(world, either, world.platform.answers, fault)


@pytest.mark.slow
@table(PASSING)
def test_a_fault_while_the_person_is_asked_for_stores_nothing_and_the_person_can_grant_again(
    world: World, either: Kinds, fault: Answer
) -> None:
    """It is the platform's trouble, so nobody is sent to the operator for a scope."""
    check_exchange(world, either, world.platform.api_answers, fault)


@pytest.mark.slow
@table(STALLS)
def test_a_platform_that_stands_still_during_the_grant_is_given_up(world: World, either: Kinds, fault: Answer) -> None:
    check_exchange(world, either, world.platform.answers, fault, deadline=1.0)
    check_exchange_of_a_second_person(world, either, fault)


def check_exchange_of_a_second_person(world: World, either: Kinds, fault: Answer) -> None:
    integration = either(deadline=1.0)
    begun = integration.begin()
    world.platform.api_answers.append(fault)
    with pytest.raises(TransientTokenError):
        integration.complete(world.platform.accept(begun.url, person="grace"), jar(begun))
    assert [grant.person_id for grant in integration.grants()] == ["id-ada"]


@pytest.mark.slow
@table(PASSING | {"404": Answer(404, ""), "302": Answer(302, "", {"Location": "/"}), "HTML 201": Answer(201, HTML)})
def test_a_fault_while_a_grant_is_revoked_is_told_and_here_it_is_forgotten_all_the_same(
    world: World, either: Kinds, fault: Answer
) -> None:
    integration = either(revocation_url=f"{world.api_url}/revoke")
    granted(integration, world)
    world.platform.revocation_answers.append(fault)
    revocation = integration.revoke()
    if fault.status in {200, 204} and not fault.body.startswith("<"):
        assert revocation.at_platform  # RFC 7009 section 2.2: what the body holds is ignored
    else:
        assert not revocation.at_platform
        assert revocation.reason
    assert world.stored(world.integration()) == (None, None)


@pytest.mark.slow
@table(PASSING)
def test_a_fault_of_the_api_is_the_callers_to_see_and_costs_no_grant(
    world: World, either: Kinds, fault: Answer
) -> None:
    integration = either()
    granted(integration, world)
    times = 2 if fault.status == 0 and fault.speak is None else 1  # what closes is asked once more
    world.platform.api_answers += [fault] * times
    answered = status_of(lambda: integration.get("rooms"))
    assert answered in ({None} if fault.speak is None and fault.status == 0 else {None, fault.status, 200, 500})
    assert world.platform.counts["refresh"] == (1 if fault.status == 401 else 0)
    heals(world, either)


def test_a_platform_that_refuses_connections_costs_no_grant(world: World, either: Kinds) -> None:
    down = "http://127.0.0.1:1/v1"
    granted(either(), world)
    with pytest.raises(TransientTokenError, match="no answer"):
        either(token_endpoint=f"{down}/access_token").refresh()
    with pytest.raises(httpx2.ConnectError):
        either(api_url=down).get("people/me")
    heals(world, either)
    for options in ({"token_endpoint": f"{down}/access_token"}, {"api_url": down}):
        nowhere = either(**options)
        begun = nowhere.begin()
        with pytest.raises(TransientTokenError, match="did not answer"):
            nowhere.complete(world.platform.accept(begun.url.replace(down, world.api_url), person="grace"), jar(begun))
    assert not either(revocation_url=f"{down}/revoke").revoke().at_platform


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("where", ["refresh", "exchange", "whoami", "revoke", "refused call"])
def test_of_a_hundred_megabytes_a_fraction_is_read_and_less_is_kept(
    world: World, either: Kinds, where: str, told: bool
) -> None:
    sent: list[int] = []
    integration = either(revocation_url=f"{world.api_url}/revoke")
    granted(integration, world, person="grace")
    platform, flood = world.platform, pours(401 if where == "refused call" else 200, told=told, sent=sent)
    queues = {"whoami": platform.api_answers, "refused call": platform.api_answers}
    queues["revoke"] = platform.revocation_answers
    queues.get(where, platform.answers).append(flood)
    acts: dict[str, Callable[[], object]] = {
        "refresh": lambda: integration.refresh("id-grace"),
        "exchange": lambda: granted(integration, world),
        "whoami": lambda: granted(integration, world),
        "revoke": lambda: integration.revoke("id-grace"),
        "refused call": lambda: integration.get("rooms", person="id-grace"),
    }
    with measured() as peak:
        try:
            acts[where]()
        except (TransientTokenError, httpx2.ReadError):
            assert where != "revoke"
    assert peak[0] < 12_000_000
    assert sent == [] or sent[0] < HUGE / 2
    if where != "revoke":
        world.clock.advance(seconds=60)
        assert integration.get("rooms", person="id-grace").status_code == 200


@contextmanager
def measured() -> Iterator[list[int]]:
    """The most bytes that Python has held beyond what it held before."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
    finally:
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


@pytest.mark.slow
def test_a_large_answer_of_the_api_can_be_read_piece_by_piece(world: World, either: Kinds) -> None:
    integration = either()
    granted(integration, world)
    world.platform.api_answers.append(pours(told=True))
    with measured() as peak:
        assert integration.read("contents/1") > HUGE - len(PIECE)
    assert peak[0] < 12_000_000


# --- tokens that are none ------------------------------------------------------------------------------------------

GOOD = {"access_token": "a2", "refresh_token": "r2", "expires_in": 60, "refresh_token_expires_in": 120}


def each(name: str, *values: object, **others: object) -> list[dict[str, object]]:
    return [{**others, name: value} for value in values]


NO_TOKENS = [
    {},
    *each("access_token", None, "", 5, 0, 1.5, True, [], ["a"], {}, {"a": "b"}, " a", "a\n", "x" * 20_000),
    *each("refresh_token", 5, True, ["r"], {"a": 1}, "\u00e9", "x" * 20_000, access_token="a2"),
    *each("token_type", 5, [], {}, "", "mac", False, access_token="a2"),
]
ODD_TOKENS = [
    *each("expires_in", "soon", -1, 0, [], {}, True, None, 10**30, "1e3", [60]),
    *each("refresh_token_expires_in", "soon", -1, [], {}, False, 10**30),
    *each("scope", 5, [], ["a"], {}, True, None, "", "x" * 20_000, "a\u0000b"),
    *each("refresh_token", None, "", 0, False, [], {}),
    *each("token_type", None),
]


def test_s105_an_answer_without_tokens_that_can_be_used_is_none(world: World, either: Kinds) -> None:
    granted(either(), world)
    before = world.stored_tokens(world.integration())
    integration = either()
    for members in NO_TOKENS:
        answer = Answer(200, json.dumps(members), JSON)
        world.platform.answers.append(answer)
        with pytest.raises(TransientTokenError):
            granted(integration, world, person="grace")
        world.platform.answers.append(answer)
        with pytest.raises(TransientTokenError):
            integration.refresh()
        world.clock.advance(seconds=60)
        assert world.stored_tokens(world.integration()) == before, members
    assert [grant.person_id for grant in integration.grants()] == ["id-ada"]
    heals(world, either)


def test_s104_s105_a_member_of_another_kind_says_nothing_and_the_tokens_are_kept(world: World, either: Kinds) -> None:
    integration = either()
    granted(integration, world)
    for members in ODD_TOKENS:
        _, refresh_token = world.stored_tokens(world.integration())
        world.platform.answers.append(Answer(200, json.dumps({**GOOD, **members}), JSON))
        assert integration.refresh().status is Status.ACTIVE, members
        kept = "r2" if "refresh_token" not in members else refresh_token
        assert world.stored_tokens(world.integration()) == ("a2", kept), members


# --- slow down -----------------------------------------------------------------------------------------------------

RETRY_AFTER = [
    *[(None, 1), ("", 1), ("0", 1), ("30", 30), ("3600", 3_600), ("86400", 3_600), ("9999999999", 3_600)],
    *[("-5", 1), ("1000000000000", 1), ("9" * 5_000, 1), ("1.5", 1), ("soon", 1), ("+30", 1), ("30, 60", 1)],
    *[
        ("Wed, 21 Oct 2037 07:28:00 GMT", 3_600),
        ("Wed, 99 Oct 2037 07:28:00 GMT", 1),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1),
        ("0x1e", 1),
        ("\u00b2", 1),
    ],
]


@pytest.mark.parametrize("status", [429, 503])
def test_a_platform_that_says_slow_down_is_obeyed_within_reason(world: World, either: Kinds, status: int) -> None:
    integration = either()
    granted(integration, world)
    for told, seconds in RETRY_AFTER:
        world.platform.answers.append(Answer(status, "{}", JSON if told is None else {**JSON, "Retry-After": told}))
        with pytest.raises(TransientTokenError) as caught:
            integration.refresh()
        assert (caught.value.retry_after, caught.value.status) == (seconds, status), told
        sent = world.platform.counts["token"]
        world.clock.advance(seconds=seconds - 0.5)
        with pytest.raises(TransientTokenError):
            integration.refresh()
        assert world.platform.counts["token"] == sent, "it is not asked again before that"
        world.clock.advance(seconds=0.5)
        assert integration.refresh().status is Status.ACTIVE


@pytest.mark.parametrize("where", ["token", "people/me"])
def test_a_grant_flow_tells_when_to_come_back(world: World, either: Kinds, where: str) -> None:
    integration, platform = either(), world.platform
    for told, seconds in RETRY_AFTER:
        fault = Answer(429, "{}", JSON if told is None else {**JSON, "Retry-After": told})
        (platform.answers if where == "token" else platform.api_answers).append(fault)
        with pytest.raises(TransientTokenError) as caught:
            granted(integration, world)
        assert (caught.value.retry_after, caught.value.status) == (seconds, 429), told
    assert granted(integration, world).status is Status.ACTIVE


# --- what ends a grant, and what does not ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        *(Answer(status, "", JSON) for status in (401, 403, 404, 405, 410, 418)),
        *(Answer(status, '{"message": "no", "trackingId": "T"}', JSON) for status in (401, 403, 404, 405)),
        *(Answer(400, f'{{"error": "{code}"}}', JSON) for code in ("invalid_client", "invalid_scope", "strange")),
        *(Answer(status, "", {"Location": "/elsewhere"}) for status in (301, 302, 303, 307, 308)),
        *(Answer(status, INVALID_GRANT, {"Location": "/elsewhere"}) for status in (301, 302, 307)),
    ],
    ids=lambda fault: f"{fault.status} {fault.body}",
)
def test_what_speaks_of_the_integration_ends_no_grant(world: World, either: Kinds, fault: Answer) -> None:
    granted(either(), world)
    world.platform.answers.append(fault)
    with pytest.raises(IntegrationRefused, match="No grant is harmed"):
        either().refresh()
    heals(world, either)
    integration = either()
    begun = integration.begin()
    world.platform.answers.append(fault)
    with pytest.raises(IntegrationRefused, match="token endpoint"):
        integration.complete(world.platform.accept(begun.url, person="grace"), jar(begun))
    assert [grant.person_id for grant in integration.grants()] == ["id-ada"]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_invalid_grant_ends_the_grant(world: World, either: Kinds, status: int) -> None:
    granted(either(), world)
    world.platform.answers.append(Answer(status, INVALID_GRANT, JSON))
    with pytest.raises(ReauthorizationRequired, match="Send the person to"):
        either().refresh()
    assert either().grants()[0].status is Status.REAUTHORIZATION_REQUIRED


@pytest.mark.parametrize("status", [200, 401, 403, 404])
def test_w29_a_platform_that_will_not_say_who_granted_is_told_apart_from_one_that_is_away(
    world: World, either: Kinds, status: int
) -> None:
    world.platform.api_answers.append(Answer(status, "{}", JSON))
    with pytest.raises(UnknownPerson, match="ask for the scope"):
        granted(either(), world)


@pytest.mark.parametrize("status", [200, 400, 401, 503])
def test_s94_what_was_secret_in_a_request_is_told_nowhere_where_the_answer_quotes_it(
    world: World, either: Kinds, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    integration = either()
    granted(integration, world)
    _, refresh_token = world.stored_tokens(world.integration())
    for form in ('{"error": "x%s", "error_description": "x%s"}', '{"message": "x%s", "trackingId": "x%s"}'):
        begun = integration.begin()
        answer = world.platform.accept(begun.url, person="grace")
        code = answer.split("code=")[1].split("&")[0]
        for quoted in (f"{CLIENT_SECRET} {refresh_token}", f"{code} {CLIENT_SECRET}"):
            world.platform.answers.append(Answer(status, form % (quoted, quoted), JSON))
        with pytest.raises(GrantflowError, match=r"x\*\*\* \*\*\*") as refreshing:
            integration.refresh()
        with pytest.raises(GrantflowError, match=r"x\*\*\* \*\*\*") as finishing:
            integration.complete(answer, jar(begun))
        kept = f"{integration.grants()} {world.integration().history('id-ada')}"
        told = f"{refreshing.value} {finishing.value} {kept} {caplog.text}"
        assert [each for each in (CLIENT_SECRET, refresh_token, code) if each in told] == []
        world.clock.advance(hours=2)


# --- elsewhere -------------------------------------------------------------------------------------------------------


@contextmanager
def stranger_at_the_door() -> Iterator[tuple[Platform, str]]:
    """Somebody else's server; whatever happens, nothing may have come there."""
    with foreign_platform() as (stranger, url):
        yield stranger, url
        assert stranger.counts["connection"] == 0, stranger.seen


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_secret_no_code_and_no_token_follows_a_redirect_to_a_foreign_host(
    world: World, either: Kinds, status: int
) -> None:
    with stranger_at_the_door() as (_, elsewhere):
        integration = either(revocation_url=f"{world.api_url}/revoke")
        granted(integration, world)

        def away(path: str) -> Answer:
            return Answer(status, "", {"Location": elsewhere + path})

        world.platform.answers.append(away("/access_token"))
        with pytest.raises(TokenEndpointError):
            integration.refresh()
        heals(world, either)
        for queue, path in ((world.platform.answers, "/access_token"), (world.platform.api_answers, "/people/me")):
            queue.append(away(path))
            with pytest.raises(GrantflowError):
                granted(integration, world, person="grace")
        world.platform.api_answers += [away("/people/me"), away("/people/me")]
        assert integration.get("people/me").status_code == status
        with pytest.raises(ForeignOrigin, match="nothing was sent there"):
            integration.get("people/me", follow_redirects=True)
        world.platform.revocation_answers.append(away("/revoke"))
        assert f"answered {status}" in str(integration.revoke().reason)


#: {home} is the API's host and port, {evil} a stranger's, {port} the API's port.
AT_HOME = [
    *["http://{home}/v1/x", "HTTP://LOCALHOST:{port}/v1/x", "/v1/x", "x?next=http://{evil}", "//{evil}/x"],
    *["\\\\{evil}\\x", "/\\{evil}/x", "../../{evil}", "http://{evil}\\@{home}/"],
]
ABROAD = [
    *["http://{evil}/v1/x", "http://localhost@{evil}/", "http://{home}@{evil}/", "http://localhost:{port}:x@{evil}/"],
    *["http://{evil}#@{home}/", "http://{evil}?@{home}/", "http://{evil}/@{home}/"],
    *["http://localhost/v1/x", "http://localhost.:{port}/v1/x", "http://127.0.0.1:{port}/x", "http://[::1]:{port}/"],
    *["http://l\u043ecalhost:{port}/", "http://xn--lcalhost-60g:{port}/", "http://localhost.{evil}/"],
    *["https://{home}/v1/x", "ftp://{home}/", "ws://{home}/"],
]
ADDRESSES = [*((address, True) for address in AT_HOME), *((address, False) for address in ABROAD)]


def lands(either: Any, address: str) -> bool:
    """Whether a call went to the API; False where it was refused before anything was sent."""
    try:
        either.get(address, follow_redirects=True)
    except (ForeignOrigin, httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        return False
    return True


def test_s102_the_token_stays_home_however_an_address_is_written(world: World, either: Kinds) -> None:
    port = world.api_url.split(":")[2].removesuffix("/v1")
    with stranger_at_the_door() as (_, elsewhere):
        integration = either(api_url=f"http://localhost:{port}/v1")
        granted(integration, world)
        evil = elsewhere.removeprefix("http://").removesuffix("/v1")
        for address, at_home in ADDRESSES:
            full = address.format(home=f"localhost:{port}", evil=evil, port=port)
            calls = world.platform.counts["call"]
            assert lands(integration, full) is at_home, full
            assert world.platform.counts["call"] == calls + at_home, full


def test_neither_a_next_page_nor_a_redirect_of_the_api_takes_the_token_abroad(world: World, either: Kinds) -> None:
    port = world.api_url.split(":")[2].removesuffix("/v1")
    with stranger_at_the_door() as (_, elsewhere):
        integration = either(api_url=f"http://localhost:{port}/v1")
        granted(integration, world)
        evil = elsewhere.removeprefix("http://").removesuffix("/v1")
        for address, _at_home in ADDRESSES:
            full = address.format(home=f"localhost:{port}", evil=evil, port=port).encode("utf-8").decode("latin-1")
            world.platform.api_answers.append(Answer(200, "{}", {"Link": f'<{full}>; rel="next"'}))
            lands(integration, integration.get("rooms").links["next"]["url"])
            world.platform.api_answers.append(Answer(307, "", {"Location": full}))
            with suppress(httpx2.RequestError):  # some are no address at all
                lands(integration, "rooms")
            assert integration.get("people/me").status_code == 200
