"""Whatever HTTP library sends a call: its token, its second try, its body, and where it does not go."""

import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, ClassVar
from urllib.parse import quote

import aiohttp
import httpx2
import pytest
import requests
from aiohttp.payload import AsyncIterablePayload
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from grantflow import (
    AsyncIntegration,
    BodyNotReplayable,
    ForeignOrigin,
    Grant,
    KeyRing,
    ReauthorizationRequired,
    SqliteVault,
    VaultUnavailable,
)
from grantflow.client.adapters.httpx2 import grant_auth
from grantflow.client.adapters.requests import GrantSession, carry_grant
from grantflow.client.grant import GrantKey, StoredGrant
from tests.client.adapters.senders import (
    BODY,
    LIBRARIES,
    MIDDLE,
    OWN,
    AnAsyncIterator,
    BeginsAnew,
    BeginsAnewAwaiting,
    Library,
    Send,
    a_generator,
    an_async_generator,
    file_at,
)
from tests.client.conftest import World
from tests.client.foreign import Answer, foreign_platform

pytestmark = pytest.mark.slow

each_library = pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def file(tmp_path: Path, stack: ExitStack) -> Callable[[int], IO[bytes]]:
    return file_at(tmp_path, stack)


def opened(library: Library, world: World, stack: ExitStack, **options: Any) -> Send:
    """The library at work for Ada, who has granted."""
    granting = world.integration()
    world.grant(granting)
    if library.integration is AsyncIntegration:
        return library.open(world, stack, world.async_integration(**options))
    return library.open(world, stack, world.integration(**options) if options else granting)


@each_library
def test_w31_w32_a_token_that_the_api_refuses_is_renewed_and_the_call_tried_again(
    library: Library, world: World, stack: ExitStack
) -> None:
    send = opened(library, world, stack)
    for _ in range(3):
        assert send("GET", f"{world.api_url}/people/me").status == 200
        world.platform.expire_access_tokens()
    assert send("GET", f"{world.api_url}/people/me").status == 200
    assert world.platform.counts["refresh"] == 3


@each_library
def test_a_second_401_is_the_callers_answer_with_its_body(library: Library, world: World, stack: ExitStack) -> None:
    send = opened(library, world, stack)
    world.platform.person_of = lambda authorization: None  # type: ignore[method-assign]
    for _ in range(3):  # renewed once, then not again for a second
        answer = send("GET", f"{world.api_url}/people/me")
        assert (answer.status, b"valid access token" in answer.body) == (401, True)
    assert world.platform.counts["refresh"] == 1


@each_library
def test_a_body_that_can_be_sent_again_arrives_whole_after_a_401(
    library: Library, world: World, stack: ExitStack, file: Callable[[int], IO[bytes]]
) -> None:
    send = opened(library, world, stack)
    for kind, given in library.bodies(file).items():
        world.platform.expire_access_tokens()
        before = world.platform.counts["unauthorized"]
        assert send("POST", f"{world.api_url}/messages", **given).status == 200, kind
        assert world.platform.counts["unauthorized"] == before + 1, kind
        check_arrived_whole(world, kind)


def check_arrived_whole(world: World, kind: str) -> None:
    """And one time."""
    received = world.platform.bodies.pop()
    assert world.platform.bodies == [], kind
    if kind.startswith("multipart"):
        assert received.count(BODY) == 1, kind
        assert received.count(b'name="x"') == 1, kind
        assert len(received) < len(BODY) + 1000, kind
    else:
        expected = {"nothing": b"", "file from the middle": BODY[MIDDLE:]}.get(kind, BODY)
        assert received == expected, kind


@each_library
def test_a_body_for_one_time_is_sent_once_and_never_silently_empty(
    library: Library, world: World, stack: ExitStack
) -> None:
    send = opened(library, world, stack)
    world.platform.expire_access_tokens()
    with pytest.raises(BodyNotReplayable, match=r"had no effect.*Call again"):
        send("POST", f"{world.api_url}/messages", **library.one_time())
    assert world.platform.bodies == []
    assert send("POST", f"{world.api_url}/messages", **library.one_time()).status == 200
    assert world.platform.bodies == [BODY]
    assert world.platform.counts["refresh"] == 1


@each_library
def test_a_body_for_one_time_is_not_risked_on_a_token_whose_time_is_over(
    library: Library, world: World, stack: ExitStack
) -> None:
    send = opened(library, world, stack)
    world.platform.expire_access_tokens()
    world.clock.advance(days=15)
    assert send("POST", f"{world.api_url}/messages", **library.one_time()).status == 200
    assert world.platform.bodies == [BODY]
    assert world.platform.counts["unauthorized"] == 0


each_library_and_our_own = pytest.mark.parametrize("library", [*LIBRARIES, *OWN], ids=lambda library: library.name)


def redirecting(world: World, status: int) -> str:
    return f"{world.api_url}/away?status={status}&to={quote(world.api_url + '/messages')}"


@each_library_and_our_own
def test_a_body_arrives_whole_where_the_api_redirects_the_call_with_it(
    library: Library, world: World, stack: ExitStack, file: Callable[[int], IO[bytes]]
) -> None:
    send = opened(library, world, stack)
    for status in (307, 308):
        for kind, given in library.bodies(file).items():
            assert send("POST", redirecting(world, status), **given).status == 200, kind
            check_arrived_whole(world, kind)
        for kind, given in library.bodies(file).items():
            world.platform.expire_access_tokens()
            assert send("POST", redirecting(world, status), **given).status == 200, kind
            check_arrived_whole(world, kind)


@each_library_and_our_own
def test_a_body_for_one_time_is_never_sent_empty_where_the_api_redirects_the_call_with_it(
    library: Library, world: World, stack: ExitStack
) -> None:
    send = opened(library, world, stack)
    told_by_aiohttp = (aiohttp.ClientPayloadError,) if library.name == "aiohttp" else ()
    for given in (library.one_time, library.unknown):
        with pytest.raises((BodyNotReplayable, *told_by_aiohttp), match=r"can be read only once|consumed request body"):
            send("POST", redirecting(world, 307), **given())
        assert world.platform.bodies == []
        assert send("POST", redirecting(world, 303), **given()).status == 200  # a GET then
        assert world.platform.bodies.pop() == b""
        assert send("POST", f"{world.api_url}/messages", **given()).status == 200
        assert world.platform.bodies.pop() == BODY


@pytest.mark.parametrize("library", [*LIBRARIES[:-1], *OWN], ids=lambda library: library.name)
def test_a_body_that_begins_anew_at_each_reading_is_sent_along_where_the_api_redirects_the_call_with_it(
    library: Library, world: World, stack: ExitStack
) -> None:
    send = opened(library, world, stack)
    (given_as,) = library.one_time()
    body = BeginsAnewAwaiting() if library.integration is AsyncIntegration else BeginsAnew()
    for address in (redirecting(world, 307), redirecting(world, 308), f"{world.api_url}/messages"):
        assert send("POST", address, **{given_as: body}).status == 200
        assert world.platform.bodies.pop() == BODY


class OneTime:
    """Gives a new iterator each time, which after the first finds nothing."""

    def __init__(self) -> None:
        self._left = [BODY[:1000], BODY[1000:]]

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            yield self._left.pop(0)


class OneTimeAwaiting:
    """The same for awaiting callers."""

    def __init__(self) -> None:
        self._body = OneTime()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._body:
            yield chunk


@pytest.mark.parametrize("library", [*LIBRARIES[:-1], *OWN], ids=lambda library: library.name)
def test_a_body_that_seemed_to_begin_anew_is_not_sent_empty_either(
    library: Library, world: World, stack: ExitStack
) -> None:
    send = opened(library, world, stack)
    (given_as,) = library.one_time()
    kind = OneTimeAwaiting if library.integration is AsyncIntegration else OneTime
    with pytest.raises(BodyNotReplayable, match="can be read only once"):
        send("POST", redirecting(world, 307), **{given_as: kind()})
    assert world.platform.bodies == []
    assert send("POST", f"{world.api_url}/messages", **{given_as: kind()}).status == 200
    assert world.platform.bodies == [BODY]


class AStream(httpx2.SyncByteStream):
    """A stream of somebody else."""

    def __iter__(self) -> Iterator[bytes]:
        return a_generator()


def test_a_request_whose_body_begins_anew_at_each_reading_can_be_sent_twice(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    client = integration.client_for("id-ada")
    for stream in (None, AStream()):
        request = httpx2.Request("POST", f"{world.api_url}/messages", content=BeginsAnew())
        request.stream = stream or request.stream
        for _ in range(2):
            assert client.send(request).status_code == 200
            assert world.platform.bodies.pop() == BODY
    with GrantSession(integration, "id-ada") as session:
        prepared = session.prepare_request(requests.Request("POST", f"{world.api_url}/messages", data=BeginsAnew()))
        for _ in range(2):
            assert session.send(prepared).status_code == 200
            assert world.platform.bodies.pop() == BODY


class Spoken:
    """A file of text that cannot tell where it stands."""

    def __init__(self) -> None:
        self._left = ["hel", "lo"]
        self._ended = 0

    def read(self, _size: int = -1) -> str:
        if not self._left:
            self._ended += 1
            assert self._ended < 100, "It is read without end."
        return self._left.pop(0) if self._left else ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._left)


def test_text_that_requests_reads_ends_where_it_ends(world: World, stack: ExitStack) -> None:
    send = opened(LIBRARIES[-2], world, stack)
    assert send("POST", f"{world.api_url}/messages", data=Spoken()).status == 200
    assert world.platform.bodies.pop() == b"hello"
    with pytest.raises(BodyNotReplayable, match="can be read only once"):
        send("POST", redirecting(world, 307), data=Spoken())
    assert world.platform.bodies == []


def test_requests_retries_no_body_for_one_time(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    retrying = Retry(total=2, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retrying))
        carry_grant(session, integration, "id-ada")
        for body, error in ((a_generator(), BodyNotReplayable), (BODY, None)):
            world.platform.api_answers.append(Answer(503))
            with pytest.raises(error) if error else nullcontext():
                assert session.post(f"{world.api_url}/messages", data=body).status_code == 200
    assert world.platform.bodies == [BODY]


def test_a_body_that_aiohttp_has_sent_is_not_sent_again_where_aiohttp_does_not_know(
    world: World, stack: ExitStack
) -> None:
    """As at a redirect before aiohttp 3.14."""
    send = opened(LIBRARIES[-1], world, stack)
    for body in (an_async_generator(), AnAsyncIterator()):
        assert send("POST", f"{world.api_url}/messages", data=body).status == 200
        with pytest.raises(BodyNotReplayable, match="can be read only once"):
            send("POST", f"{world.api_url}/messages", data=body)
    assert world.platform.bodies == [BODY, BODY]


@dataclass
class Upload(BeginsAnewAwaiting):
    """Has no hash."""

    name: str = "x"


@dataclass(frozen=True)
class Equal:
    """An iterator of which all are equal."""

    left: ClassVar[list[bytes]] = []

    def __aiter__(self) -> "Equal":
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


@dataclass
class Unhashed(AnAsyncIterator):
    def __init__(self) -> None:
        super().__init__()


def test_aiohttp_is_told_that_a_body_was_sent_of_that_very_body_alone(world: World, stack: ExitStack) -> None:
    send = opened(LIBRARIES[-1], world, stack)
    again, no_hash, equal, other = BeginsAnewAwaiting(), Upload(), Equal(), Equal()
    for body in (again, again, no_hash, no_hash, equal, other):
        Equal.left[:] = [BODY]
        assert send("POST", f"{world.api_url}/messages", data=body).status == 200
        assert world.platform.bodies.pop() == BODY
    unhashed = Unhashed()
    payload = AsyncIterablePayload(BeginsAnewAwaiting())  # it has begun to read its value when it is made
    for once in (unhashed, payload):
        assert send("POST", f"{world.api_url}/messages", data=once).status == 200
        assert world.platform.bodies.pop() == BODY
        with pytest.raises(BodyNotReplayable, match="can be read only once"):
            send("POST", f"{world.api_url}/messages", data=once)
    assert world.platform.bodies == []


@each_library
def test_a_foreign_address_is_refused_before_anything_is_sent(library: Library, world: World, stack: ExitStack) -> None:
    with foreign_platform() as (stranger, stranger_url):
        send = opened(library, world, stack)
        host = world.api_url.removeprefix("http://").partition("/")[0]
        for address in (
            f"{stranger_url}/people/me",
            f"https://{host}/v1/people/me",
            world.api_url.replace("127.0.0.1", "localhost") + "/people/me",
            "http://127.0.0.1/v1/people/me",
            "http://[::1]:1/v1",
        ):
            with pytest.raises(ForeignOrigin, match="api_origins"):
                send("GET", address)
        assert stranger.seen == []


@each_library
def test_no_way_of_writing_an_address_leads_a_token_to_a_foreign_host(
    library: Library, world: World, stack: ExitStack
) -> None:
    """The origin is that which the library itself will connect to, however it reads such an address."""
    with foreign_platform() as (stranger, stranger_url):
        send = opened(library, world, stack)
        own, foreign = (url.removeprefix("http://").partition("/")[0] for url in (world.api_url, stranger_url))
        for authority in (
            f"{own}@{foreign}",
            f"{own}:80@{foreign}",
            f"{own}\\@{foreign}",
            f"{foreign}\\@{own}",
            f"{foreign}#@{own}",
            f"{foreign}?@{own}",
            f"{own}%40{foreign}",
            f"{own}%2f@{foreign}",
            f"{own}\t@{foreign}",
            f"LOCALHOST:{foreign.rpartition(':')[2]}",
        ):
            with suppress(Exception):  # its own refusal is as good as ours
                send("GET", f"http://{authority}/v1/people/me")
        assert [token for _, token in stranger.seen if token.startswith("Bearer")] == []


@each_library
def test_a_redirect_to_a_foreign_host_carries_no_token_and_renews_nothing(
    library: Library, world: World, stack: ExitStack
) -> None:
    """Where the library shows each hop, it is refused; where it does not, the library takes the token off itself."""
    with foreign_platform() as (stranger, stranger_url):
        send = opened(library, world, stack)
        try:
            assert send("GET", f"{world.api_url}/away", params={"to": f"{stranger_url}/x"}).status == 401
        except ForeignOrigin:
            assert stranger.seen == []
        assert [token for _, token in stranger.seen if token] == []
        assert world.platform.counts["refresh"] == 0
        home = send("GET", f"{world.api_url}/away", params={"to": f"{world.api_url}/people/me"})
        assert b"id-ada" in home.body


@each_library
def test_a_named_further_origin_gets_the_token(library: Library, world: World, stack: ExitStack) -> None:
    with foreign_platform() as (files, files_url):
        send = opened(library, world, stack, api_origins=[files_url])
        files.lines = world.platform.lines
        assert send("GET", f"{files_url}/contents/1").status == 200


@each_library
def test_a_grant_that_is_gone_is_told_as_everywhere(library: Library, world: World, stack: ExitStack) -> None:
    send = opened(library, world, stack)
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired) as caught:
        send("GET", f"{world.api_url}/people/me")
    assert caught.value.grant is not None
    assert caught.value.grant_url.endswith(f"/connect?grant={caught.value.grant.id}")


@each_library
def test_a_vault_that_cannot_be_opened_is_told_as_everywhere(library: Library, world: World, stack: ExitStack) -> None:
    folder = world.folder / "away"
    folder.mkdir()
    vault = SqliteVault(folder / "grants.db", keys=KeyRing(world.key))
    send = opened(library, world, stack, vault=vault)
    vault.close()
    shutil.rmtree(folder)
    with pytest.raises(VaultUnavailable, match="away"):
        send("GET", f"{world.api_url}/people/me")


@pytest.mark.parametrize(
    ("library", "error"),
    [(LIBRARIES[-2], requests.ConnectionError), (LIBRARIES[-1], aiohttp.ClientPayloadError)],
    ids=["requests", "aiohttp"],
)
def test_a_refusal_is_not_read_without_end(
    library: Library, error: type[Exception], world: World, stack: ExitStack
) -> None:
    """The clients of httpx read the answers of an auth themselves, as far as their own transport lets them."""
    send = opened(library, world, stack)
    world.platform.api_answers.append(Answer(401, "x" * 200_000))
    with pytest.raises(error, match="65536 bytes"):
        send("GET", f"{world.api_url}/people/me")


# --- what it costs ---------------------------------------------------------------------------------------------------


class CountingVault(SqliteVault):
    """Notes each thing that is asked of it."""

    def __init__(self, *options: Any, **named: Any) -> None:
        self.asked: list[str] = []
        super().__init__(*options, **named)

    def find(self, key: GrantKey) -> StoredGrant | None:
        self.asked.append("find")
        return super().find(key)

    def generation(self, key: GrantKey) -> int | None:
        self.asked.append("generation")
        return super().generation(key)

    def grant(self, key: GrantKey) -> Grant | None:
        self.asked.append("grant")
        return super().grant(key)


@pytest.mark.slow
@each_library
def test_no_row_is_read_for_a_call_but_one_each_second(library: Library, world: World, stack: ExitStack) -> None:
    vault = CountingVault(world.path, keys=KeyRing(world.key))
    send = opened(library, world, stack, vault=vault)
    for second, calls in enumerate([1_000, 10, 10]):
        for _ in range(calls):
            assert send("GET", f"{world.api_url}/rooms").status == 200
        assert vault.asked == ["find"] + ["generation"] * second
        world.clock.advance(seconds=1)


@pytest.mark.slow
@each_library
def test_a_disconnect_on_another_node_takes_hold_within_two_seconds(
    library: Library, world: World, stack: ExitStack
) -> None:
    send = opened(library, world, stack, _now=lambda: datetime.now(UTC))
    assert send("GET", f"{world.api_url}/people/me").status == 200
    world.integration().revoke("id-ada")
    began = time.monotonic()

    def call_on() -> None:
        while True:
            after = time.monotonic() - began
            assert send("GET", f"{world.api_url}/people/me").status == 200
            assert after < 2

    with pytest.raises(ReauthorizationRequired, match="disconnected"):
        call_on()


# --- each kind by itself ---------------------------------------------------------------------------------------------


def test_an_auth_of_the_other_kind_says_so(world: World) -> None:
    refused = pytest.raises(TypeError, match="needs the auth of an Integration")
    with httpx2.Client(auth=grant_auth(world.async_integration(), "id-ada")) as client, refused:
        client.get(f"{world.api_url}/people/me")


def test_w32_fifty_threads_of_one_session_cost_one_refresh(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.wait = 0.2
    with GrantSession(integration, "id-ada") as session, ThreadPoolExecutor(50) as threads:
        world.platform.expire_access_tokens()
        answers = list(threads.map(lambda _: session.post("messages", data=BODY).status_code, range(50)))
    assert answers == [200] * 50
    assert world.platform.counts["refresh"] == 1
    assert world.platform.bodies == [BODY] * 50


def test_a_request_that_was_prepared_can_be_sent_again_and_keeps_no_token(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    with GrantSession(integration, "id-ada") as session:
        prepared = session.prepare_request(requests.Request("GET", f"{world.api_url}/people/me"))
        for _ in range(2):
            assert session.send(prepared).status_code == 200
            world.platform.expire_access_tokens()
        assert "Authorization" not in prepared.headers
        assert session.get("people/me").json()["id"] == session.get("/people/me").json()["id"] == "id-ada"


@pytest.mark.parametrize("query", ["?link=https://example.org/x", "#a://b"])
def test_an_address_within_a_query_makes_no_relative_address_whole(world: World, query: str) -> None:
    integration = world.integration()
    world.grant(integration)
    with GrantSession(integration, "id-ada") as session:
        assert session.get(f"people/me{query}").json()["id"] == "id-ada"
        assert session.get(f" {world.api_url}/people/me{query}").json()["id"] == "id-ada"
