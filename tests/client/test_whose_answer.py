"""Whose answer it is that comes to the redirect URI. One that is not this browser's, not this server's, not the first
or not this person's is refused: nothing is sent, and nothing in the vault is replaced, to the byte. What is somebody's
own succeeds, in twenty tabs, in any order, and on another node."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import pytest

from grantflow import (
    AccessDenied,
    AuthorizationResponseError,
    BegunAuthorization,
    CompletedGrant,
    ExpiredState,
    Grant,
    MismatchingIssuer,
    MismatchingState,
    MissingCode,
    ReusedState,
    WrongAccount,
)
from grantflow.protocol.metadata import ServerMetadata
from grantflow.protocol.redirect_uri import with_parameters
from tests.client.conftest import World
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, foreign_platform
from tests.client.shells import Either, Kinds, granted, jar
from tests.engines import BOTH, OnServer
from tests.parts import ROOT
from tests.whole.running import environment

pytestmark = pytest.mark.slow

Cookies: TypeAlias = Mapping[str, str]


def rows(world: World) -> dict[str, list[tuple[object, ...]]]:
    """All that the vault holds: grants with their sealed tokens, spent states, whatever else it has."""
    of_postgres = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    of_sqlite = "SELECT name FROM sqlite_master WHERE type = 'table'"
    tables = world.home.ask(of_postgres if isinstance(world.home, OnServer) else of_sqlite)
    return {name: sorted(world.home.ask(f"SELECT * FROM {name}"), key=repr) for (name,) in tables}


def bytes_of(world: World) -> list[bytes]:
    """The vault's file and the log beside it, where it is one."""
    return [path.read_bytes() for path in (world.path, world.path.with_name(f"{world.path.name}-wal")) if path.exists()]


@contextmanager
def nothing_happens(world: World) -> Iterator[None]:
    """The platform is asked for nothing, and not a byte of the vault changes."""
    counts, kept, written = dict(world.platform.counts), rows(world), bytes_of(world)
    yield
    assert dict(world.platform.counts) == counts
    assert rows(world) == kept
    assert bytes_of(world) == written


def changed(answer: str, **parameters: str) -> str:
    return with_parameters(answer, parameters.items())


def without(answer: str, name: str) -> str:
    kept = [(key, value) for key, value in parse_qsl(urlsplit(answer).query) if key != name]
    return with_parameters(answer.partition("?")[0], kept)


def planted(mine: BegunAuthorization, theirs: BegunAuthorization) -> Cookies:
    return {mine.cookie.name: theirs.cookie.value}


#: From an authorization of this browser, its answer, and one that a stranger has begun elsewhere, to what comes.
Forging: TypeAlias = Callable[[BegunAuthorization, str, BegunAuthorization], tuple[str, Cookies]]

REFUSED: dict[str, tuple[Forging, type[AuthorizationResponseError]]] = {
    "another browser": (lambda own, answer, other: (answer, {}), MismatchingState),
    "another browser that has begun too": (lambda own, answer, other: (answer, jar(other)), MismatchingState),
    "a cookie under its name": (lambda own, answer, other: (answer, planted(own, other)), MismatchingState),
    "a cookie under another": (lambda own, answer, other: (answer, planted(other, own)), MismatchingState),
    "a cookie cut short": (
        lambda own, answer, other: (answer, {own.cookie.name: own.cookie.value[:-9]}),
        MismatchingState,
    ),
    "no state": (lambda own, answer, other: (without(answer, "state"), jar(own)), MismatchingState),
    "a state of nobody": (lambda own, answer, other: (changed(answer, state="x" * 43), jar(own)), MismatchingState),
    "another tab's state": (
        lambda own, answer, other: (changed(answer, state=dict(parse_qsl(other.url))["state"]), jar(own)),
        MismatchingState,
    ),
    "two states": (lambda own, answer, other: (f"{answer}&state=x", jar(own)), AuthorizationResponseError),
    "another issuer": (
        lambda own, answer, other: (changed(answer, iss="https://evil.example"), jar(own)),
        MismatchingIssuer,
    ),
    "the issuer with a slash": (
        lambda own, answer, other: (changed(answer, iss=dict(parse_qsl(answer))["iss"] + "/"), jar(own)),
        MismatchingIssuer,
    ),
    "no issuer where one is announced": (
        lambda own, answer, other: (without(answer, "iss"), jar(own)),
        MismatchingIssuer,
    ),
    "an error in the name of another": (
        lambda own, answer, other: (
            changed(without(answer, "code"), error="access_denied", iss="https://evil.example"),
            jar(own),
        ),
        MismatchingIssuer,
    ),
    "two codes": (lambda own, answer, other: (f"{answer}&code=x", jar(own)), AuthorizationResponseError),
    "no code": (lambda own, answer, other: (without(answer, "code"), jar(own)), MissingCode),
    "a refusal": (
        lambda own, answer, other: (changed(without(answer, "code"), error="access_denied"), jar(own)),
        AccessDenied,
    ),
}


@pytest.mark.parametrize(("forge", "kind"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("renews", [True, False])
def test_w10_s95_s98_an_answer_that_is_not_ones_own_changes_nothing_and_ones_own_still_serves(
    world: World, either: Kinds, forge: Forging, kind: type[AuthorizationResponseError], *, renews: bool
) -> None:
    """Also where a living grant would be replaced: Ada's own is to be renewed, by a stranger's link or browser."""
    integration = either(issuer=world.api_url)
    grant = told_by(world, integration, integration.begin())
    own, other = integration.begin(grant=grant.id if renews else None), either(issuer=world.api_url).begin()
    answer = answer_to(world, own)
    with nothing_happens(world):
        with pytest.raises(kind) as caught:
            integration.complete(*forge(own, answer, other))
        assert type(caught.value) is kind
    done = integration.complete(answer, jar(own))
    assert (done.id, done.generation) == (grant.id, 2)


def answer_to(world: World, begun: BegunAuthorization, *, person: str = "ada") -> str:
    """With the name of who answers (RFC 9207)."""
    return changed(world.platform.accept(begun.url, person=person), iss=world.api_url)


def told_by(world: World, integration: Either, begun: BegunAuthorization) -> CompletedGrant:
    return integration.complete(answer_to(world, begun), jar(begun))


@BOTH
def test_w10_w28_an_answer_that_comes_again_changes_nothing_not_even_with_a_fresh_code(
    world: World, either: Kinds
) -> None:
    integration = either()
    begun = integration.begin()
    answer, later = world.platform.accept(begun.url), world.platform.accept(begun.url, person="mallory")
    integration.complete(answer, jar(begun))
    fresh = changed(answer, code=dict(parse_qsl(urlsplit(later).query))["code"])
    for again in (answer, fresh):
        with nothing_happens(world), pytest.raises(ReusedState):
            integration.complete(again, jar(begun))
    with nothing_happens(world):
        ends = integration.complete_at_once(fresh, jar(begun), times=20)
    assert {type(end) for end in ends} == {ReusedState}


@BOTH
def test_w10_an_answer_after_ten_minutes_changes_nothing(world: World, either: Kinds) -> None:
    integration = either()
    grant = granted(integration, world)
    begun = integration.begin(grant=grant.id)
    answer = world.platform.accept(begun.url)
    world.clock.advance(minutes=10, seconds=1)
    with nothing_happens(world), pytest.raises(ExpiredState):
        integration.complete(answer, jar(begun))


@BOTH
def test_if_another_account_comes_back_nothing_is_replaced_and_what_came_is_ended(world: World, either: Kinds) -> None:
    """Who granted is known only after the exchange, so one request is made; its tokens are kept nowhere."""
    integration = either(revocation_url=f"{world.api_url}/revoke")
    grant = granted(integration, world)
    kept, counts = rows(world)["grants"], world.platform.counts.copy()
    begun = integration.begin(grant=grant.id)
    with pytest.raises(WrongAccount) as caught:
        integration.complete(world.platform.accept(begun.url, person="grace"), jar(begun))
    assert caught.value.expected == grant_without_extras(grant)
    assert rows(world)["grants"] == kept
    made = world.platform.counts - counts
    assert (made["exchange"], made["refresh"], made["revoke"]) == (1, 0, 1)
    assert world.platform.line("grace").refresh.encode() in world.platform.bodies[-1]
    assert integration.get("people/me").json()["id"] == "id-ada"
    assert [each.person_id for each in integration.grants()] == ["id-ada"]


def grant_without_extras(grant: CompletedGrant) -> object:
    return Grant(**{field.name: getattr(grant, field.name) for field in fields(Grant)})


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_twenty_parallel_tabs_all_succeed_whatever_the_order_of_their_answers(
    world: World, either: Kinds, seed: int
) -> None:
    """One browser: every answer comes with the cookies of all tabs. Ada and Grace sign in alternately."""
    integration = either()
    tabs = [integration.begin(return_to=f"/tab/{number}") for number in range(20)]
    cookies = {name: value for tab in tabs for name, value in jar(tab).items()}
    shuffled = random.Random(seed).sample(list(enumerate(tabs)), k=20)
    answers = [world.platform.accept(tab.url, person=("ada", "grace")[number % 2]) for number, tab in shuffled]
    ends = integration.complete_all([(answer, cookies) for answer in answers])
    for (number, _), end in zip(shuffled, ends, strict=True):
        assert isinstance(end, CompletedGrant), end
        assert (end.return_to, end.person_id) == (f"/tab/{number}", ("id-ada", "id-grace")[number % 2])
    assert world.platform.counts["exchange"] == 20
    assert sorted((grant.person_id, grant.generation) for grant in integration.grants()) == [
        ("id-ada", 10),
        ("id-grace", 10),
    ]
    for person in ("id-ada", "id-grace"):
        assert integration.get("people/me", person=person).json()["id"] == person


# --- mix-up: two servers, and one of them is evil (RFC 9700 section 4.4) --------------------------------------------


def test_s98_a_code_of_the_honest_server_never_reaches_the_evil_one_that_led_the_person_there(
    world: World, either: Kinds
) -> None:
    """The person chose the evil server, which sent them on to the honest one with the state that it was given; the
    same client id, redirect URI and vault serve both. The honest server says who it is, wherever it does (RFC 9207)."""
    with foreign_platform() as (evil, evil_url):
        server = ServerMetadata(evil_url, f"{evil_url}/authorize", f"{evil_url}/access_token")
        for metadata in (server, replace(server, iss_announced=True)):
            with_evil = either(server=metadata, api_url=evil_url)
            begun = with_evil.begin()
            led_on = begun.url.replace(evil_url, world.api_url)
            answer = changed(world.platform.accept(led_on), iss=world.api_url)
            with nothing_happens(world), pytest.raises(MismatchingIssuer):
                with_evil.complete(answer, jar(begun))
        assert evil.counts["token"] == 0


def test_s98_an_answer_of_a_second_server_to_what_was_begun_with_the_first_is_refused_at_both(
    world: World, either: Kinds
) -> None:
    with foreign_platform() as (other, other_url):
        first, second = either(issuer=world.api_url), either(issuer=other_url, api_url=other_url)
        begun = first.begin()
        theirs = changed(other.accept(begun.url.replace(world.api_url, other_url)), iss=other_url)
        for integration, kind in ((first, MismatchingIssuer), (second, MismatchingState)):
            with nothing_happens(world), pytest.raises(kind):
                integration.complete(theirs, jar(begun))
        assert other.counts["token"] == 0


# --- another node: a process of its own, with the same keys and the same vault -------------------------------------


class Node:
    """`python -m tests.client.elsewhere`: an integration in a process of its own."""

    def __init__(self, world: World) -> None:
        options = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "api_url": world.api_url,
            "vault": world.where,
            "key": world.key,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.client.elsewhere", json.dumps(options)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **asked: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()

    @property
    def said(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def nodes(world: World) -> Iterator[tuple[Node, Node]]:
    world.integration()  # makes the vault
    both = Node(world), Node(world)
    yield both
    for node in both:
        node.kill()


@BOTH
@pytest.mark.slow
def test_w16_what_one_node_began_another_completes_and_both_call(world: World, nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    here.ask(begin={"owner": "user-17", "return_to": "/home"})
    begun = here.said
    here.kill()
    there.ask(complete=world.platform.accept(begun["url"]), cookies=begun["cookies"])
    assert there.said == {"person_id": "id-ada", "owner": "user-17", "return_to": "/home", "generation": 1}
    there.ask(get="people/me", owner="user-17")
    assert there.said == {"status": 200, "id": "id-ada"}


@BOTH
@pytest.mark.slow
def test_w28_of_two_nodes_with_one_answer_one_completes_it_and_the_other_sends_nothing(
    world: World, nodes: tuple[Node, Node]
) -> None:
    for round_ in range(5):
        nodes[0].ask(begin={})
        begun = nodes[0].said
        answer = world.platform.accept(begun["url"])
        for node in nodes:
            node.ask(complete=answer, cookies=begun["cookies"])
        ends = [node.said for node in nodes]
        assert sorted("error" in end for end in ends) == [False, True]
        assert {"error": "reused_state"} in ends
        assert world.platform.counts["exchange"] == round_ + 1


@BOTH
@pytest.mark.slow
def test_w10_without_its_cookie_another_node_refuses_as_the_first_one_does(
    world: World, nodes: tuple[Node, Node]
) -> None:
    nodes[0].ask(begin={})
    begun = nodes[0].said
    answer = world.platform.accept(begun["url"])
    with nothing_happens(world):
        for node in nodes:
            node.ask(complete=answer, cookies={})
            assert node.said == {"error": "mismatching_state"}
