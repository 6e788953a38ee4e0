"""The integration half against servers that are not ours, unmodified, over sockets: Authlib's Flask server and npm's
oidc-provider, both with rotation, and a strict one in the manner of RFC 9700. The last two end a whole grant where a
used refresh token comes once more."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from grantflow import (
    AccessDenied,
    BegunAuthorization,
    CompletedGrant,
    Integration,
    KeyRing,
    MismatchingIssuer,
    ReauthorizationRequired,
    RefreshOutcomeUnknown,
    ReusedState,
    Status,
    TransientTokenError,
    WrongAccount,
)
from grantflow.protocol.redirect_uri import with_parameters
from tests.client.conftest import Clock
from tests.interop.servers.running import Foreign, authlib, integration, oidc_provider, strict
from tests.parts import ROOT
from tests.whole.running import environment

pytestmark = pytest.mark.slow
PROCESSES, THREADS = 3, 8


@pytest.fixture(scope="module", params=[authlib, oidc_provider, strict], ids=lambda start: str(start.__name__))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    start: Callable[[Path], AbstractContextManager[Foreign]] = request.param
    with start(tmp_path_factory.mktemp(request.param.__name__)) as running:
        yield running


@dataclass
class World:
    server: Foreign
    folder: Path
    key: str
    clock: Clock
    own: Integration

    def begin(self, **asked: str | None) -> BegunAuthorization:
        return self.own.authorization_request(**{"prompt": self.server.prompt, **asked})

    def complete(self, answer: str, begun: BegunAuthorization) -> CompletedGrant:
        return self.own.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})

    def grant(self, person: str = "ada", **asked: str | None) -> CompletedGrant:
        begun = self.begin(**asked)
        return self.complete(self.server.accept(begun.url, person=person), begun)

    def call(self, person: str = "ada") -> str:
        """Whom the API takes us for."""
        with self.own.client_for(person) as client:
            told: str = client.get("me").raise_for_status().json()["person"]
            return told

    def refresh_token(self, person: str = "ada") -> str:
        stored = self.own._parts.vault.find(self.own._parts.key(person, None))
        assert stored is not None
        assert stored.refresh_token is not None
        return stored.refresh_token.reveal()

    def since(self, before: dict[str, int]) -> dict[str, int]:
        """What the token endpoint and the revocation endpoint have answered since, without what stayed 0."""
        return dict(Counter(self.server.counts) - Counter(before) - Counter(api=1_000_000))

    @property
    def stored(self) -> list[tuple[object, ...]]:
        """The vault's rows, to the byte."""
        with closing(sqlite3.connect(self.folder / "grants.db")) as database:
            return database.execute("SELECT * FROM grants ORDER BY id").fetchall()


@pytest.fixture
def world(server: Foreign, tmp_path: Path) -> Iterator[World]:
    key, clock = KeyRing.new_key(), Clock()
    with integration(server.options(tmp_path / "grants.db", key), _now=clock.now) as own:
        yield World(server, tmp_path, key, clock, own)


def test_the_whole_story_with_a_server_that_is_not_ours(world: World) -> None:
    before = world.server.counts
    grant = world.grant()
    assert (grant.person_id, grant.status, grant.generation) == ("ada", Status.ACTIVE, 1)
    assert grant.display_name == ("Ada" if world.server.knows_people else None)
    assert world.call() == "ada"
    first = world.refresh_token()
    world.server.expire()
    assert world.call() == "ada"
    assert world.refresh_token() != first, "the server rotates"
    assert world.since(before) == {"exchange": 1, "refresh": 1}

    assert world.own.revoke("ada").at_platform
    with pytest.raises(ReauthorizationRequired, match="was disconnected"):
        world.call()
    assert world.since(before) == {"exchange": 1, "refresh": 1, "revoke": 1}
    assert world.grant().status is Status.ACTIVE
    assert world.call() == "ada"


def test_w34_a_grant_that_was_taken_back_at_the_server_is_given_again_and_stays_the_same(world: World) -> None:
    grant = world.grant()
    before = world.server.counts
    world.server.end()
    for _ in range(3):
        with pytest.raises(ReauthorizationRequired, match="no longer accepted") as caught:
            world.call()
        assert not isinstance(caught.value, RefreshOutcomeUnknown)
        assert f"grant={grant.id}" in caught.value.grant_url
    assert world.since(before) == {"refused": 1}, "after the refusal nobody asks again"
    again = world.grant(grant=grant.id)
    assert (again.id, again.generation) == (grant.id, 2)
    assert world.call() == "ada"


def test_w32_many_processes_and_threads_renew_once_and_the_grant_lives(world: World) -> None:
    world.grant()
    world.server.expire()
    before = world.server.counts
    options = json.dumps({**world.server.options(world.folder / "grants.db", world.key), "threads": THREADS})
    command = [sys.executable, "-m", "tests.interop.servers.node", options]
    nodes = [
        subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        for node in nodes:
            assert node.stdout is not None
            assert node.stdout.readline() == "ready\n"
        ends = [end for told in [_let_go(node) for node in nodes] for end in told()]
    finally:
        for node in nodes:
            node.kill()
            node.communicate()
    assert ends == ["ada"] * PROCESSES * THREADS
    assert world.since(before) == {"refresh": 1}
    world.clock.advance(seconds=2)
    world.server.expire()
    assert world.call() == "ada"
    assert world.since(before) == {"refresh": 2}


def _let_go(node: "subprocess.Popen[str]") -> Callable[[], list[str]]:
    """Begin at once; what is returned waits for how each call ended."""
    assert node.stdin is not None
    node.stdin.write("\n")
    node.stdin.flush()
    return lambda: node.communicate(timeout=180)[0].split()  # noqa: PLW0108  not before it is asked for


def test_an_answer_that_is_lost_is_told_as_such_and_costs_one_more_request_and_no_other_grant(world: World) -> None:
    """The server has swapped the refresh token, and no client can know it. The same one is sent once more, since a
    server may repeat its answer; where it does not, that is said."""
    grant = world.grant()
    world.grant("grace")
    world.server.expire()
    before = world.server.counts
    world.server.lose()
    with pytest.raises(TransientTokenError, match="Nothing is harmed; the next try is in"):
        world.call()
    delayed = world.own.grant("ada")
    assert delayed is not None
    assert delayed.status is Status.REFRESH_DELAYED
    world.clock.advance(seconds=2)
    for _ in range(3):
        with pytest.raises(RefreshOutcomeUnknown, match="may have swapped the refresh token"):
            world.call()
    assert world.since(before) == {"refresh": 1, "refused": 1}
    assert world.call("grace") == "grace"
    assert world.grant(grant=grant.id).id == grant.id
    assert world.call() == "ada"


def test_w25_a_person_who_declines_is_told_as_such(world: World) -> None:
    before = world.server.counts
    begun = world.begin()
    with pytest.raises(AccessDenied):
        world.complete(world.server.decline(begun.url), begun)
    assert world.since(before) == {}
    assert world.own.grants() == []


def test_s98_the_server_says_who_it_is_and_an_answer_in_the_name_of_another_is_not_redeemed(world: World) -> None:
    assert world.own.configuration.iss_required, "each of them announces it"
    begun = world.begin()
    answer = world.server.accept(begun.url, person="ada")
    before = world.server.counts
    for iss in ("https://evil.example", f"{world.server.issuer}/", ""):
        with pytest.raises(MismatchingIssuer):
            world.complete(with_parameters(answer, [("iss", iss)]), begun)
    assert world.since(before) == {}
    assert world.own.grants() == []
    assert world.complete(answer, begun).person_id == "ada"


def test_w28_an_answer_that_comes_again_is_not_redeemed_again_and_the_grant_lives(world: World) -> None:
    """A strict server would end the grant at the second sight of its code."""
    begun = world.begin()
    answer = world.server.accept(begun.url, person="ada")
    world.complete(answer, begun)
    before, stored = world.server.counts, world.stored
    with ThreadPoolExecutor(8) as threads:
        for ended in [threads.submit(world.complete, answer, begun) for _ in range(8)]:
            with pytest.raises(ReusedState):
                ended.result()
    assert (world.since(before), world.stored) == ({}, stored)
    assert world.call() == "ada"


def test_if_somebody_else_comes_back_from_the_server_nothing_is_replaced(world: World) -> None:
    grant = world.grant()
    world.grant("grace")
    stored = world.stored
    with pytest.raises(WrongAccount, match=r"(?i)ada was to be renewed, but grace signed in"):
        world.grant("grace", grant=grant.id)
    assert world.stored == stored
    assert (world.call(), world.call("grace")) == ("ada", "grace")
