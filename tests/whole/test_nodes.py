"""One integration on several nodes, each with a redirect URI of its own, over one vault and one set of keys (W16)."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from grantflow import Integration, KeyRing, SqliteVault
from tests.parts import ROOT, free_port
from tests.whole.apart import Process
from tests.whole.person import Person
from tests.whole.running import Up, environment, up

pytestmark = pytest.mark.slow
MANY_MORE = 100_000  # than a node can make before it is killed


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("nodes") / "state") as running:
        yield running


@dataclass
class Nodes:
    """An integration with two redirect URIs, registered in one breath; nodes begin and are killed as a test wants."""

    platform: Up
    folder: Path
    urls: tuple[str, str]
    app: dict[str, Any]
    key: str = field(default_factory=KeyRing.new_key)
    begun: list[Process | subprocess.Popen[str]] = field(default_factory=list)

    @property
    def vault(self) -> Path:
        return self.folder / "vault.db"

    def redirect_uri(self, number: int) -> str:
        return f"{self.urls[number]}/oauth"

    def settings(self, number: int, **changed: Any) -> dict[str, Any]:
        return {
            "client_id": self.app["client_id"],
            "client_secret": self.app["client_secret"],
            "redirect_uri": self.redirect_uri(number),
            "scopes": self.platform.app["scopes"],
            "api_url": self.platform.api_url,
            "issuer": self.platform.api_url,
            **changed,
        }

    def serve(self, number: int, *, at: str | None = None) -> Process:
        """`grantflow serve` for this redirect URI; `at` is where it listens, if not there."""
        env = {f"GRANTFLOW_{name.upper()}": value for name, value in self.settings(number).items()}
        env |= {"GRANTFLOW_KEY": self.key, "GRANTFLOW_VAULT": str(self.vault)}
        host, port = (at or self.urls[number]).removeprefix("http://").split(":")
        command = ("serve", "--host", host, "--port", port, "--data", str(self.folder))
        node = Process(command, env, self.folder / f"{port}.stderr")
        node.begin()
        self.begun.append(node)
        return node

    def library(self, number: int) -> Integration:
        return Integration(**self.settings(number), vault=SqliteVault(self.vault, keys=KeyRing(self.key)))

    def grant(self, number: int = 0) -> str:
        """Ada's, by the library alone; her id."""
        redirect_uri = self.redirect_uri(number)
        with self.library(number) as node, Person(self.platform.ada, stops=(redirect_uri,)) as ada:
            begun = node.authorization_request()
            answer = ada.grant(begun.url)
            return node.complete_authorization(answer, {begun.cookie.name: begun.cookie.value}).person_id

    def caller(self, number: int, person_id: str, *, calls: int, **changed: Any) -> subprocess.Popen[str]:
        """A node that is ready to call the API, from a process of its own."""
        options = {
            "integration": self.settings(number, **changed),
            "vault": str(self.vault),
            "key": self.key,
            "person_id": person_id,
            "calls": calls,
        }
        with (self.folder / "caller.stderr").open("a") as errors:
            node = subprocess.Popen(
                [sys.executable, "-m", "tests.whole.node", json.dumps(options)],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.begun.append(node)
        assert said(node) == "ready"
        return node

    def tokens_alive(self) -> int:
        """Access tokens that were issued since `expire_access_tokens`: one for each refresh."""
        statement = "SELECT count(*) FROM access_tokens WHERE client_id = ? AND expires_at > 1"
        ((count,),) = self.platform.sql(statement, self.app["client_id"])
        return int(count)


def said(node: subprocess.Popen[str]) -> str:
    assert node.stdout is not None
    return node.stdout.readline().strip()


def let_call(*nodes: subprocess.Popen[str]) -> None:
    for node in nodes:
        assert node.stdin is not None
        node.stdin.write("now\n")
        node.stdin.flush()


def end(node: Process | subprocess.Popen[str]) -> None:
    node.kill()
    if isinstance(node, subprocess.Popen):
        node.wait(timeout=20)
        for pipe in (node.stdin, node.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def registered(platform: Up, folder: Path, *, hosts: tuple[str, str], profile: str) -> Iterator[Nodes]:
    urls = (f"http://{hosts[0]}:{free_port()}", f"http://{hosts[1]}:{free_port()}")
    both = ", ".join(f"{url}/oauth" for url in urls)
    house = Nodes(platform, folder, urls, platform.register(f"Two at {urls[0]}", both, "--profile", profile))
    try:
        yield house
    finally:
        for node in house.begun:
            end(node)


#: Another host name each, as data centers have; and for localhost the platform takes no other port.
APART = ("localhost", "127.0.0.1")


@pytest.fixture
def nodes(platform: Up, tmp_path: Path) -> Iterator[Nodes]:
    with registered(platform, tmp_path, hosts=APART, profile="webex") as house:
        yield house


@pytest.fixture(params=["webex", "strict"])
def callers(platform: Up, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """In either profile; strict knows no http://localhost."""
    with registered(platform, tmp_path, hosts=("127.0.0.1", "127.0.0.1"), profile=request.param) as house:
        yield house


def test_w16_a_grant_is_begun_and_completed_at_either_redirect_uri_and_serves_both_nodes(nodes: Nodes) -> None:
    nodes.serve(0)
    nodes.serve(1)
    spent_at = "SELECT redirect_uri FROM codes WHERE client_id = ? AND spent_at IS NOT NULL ORDER BY created_at DESC"
    for here, account in zip(nodes.urls, nodes.platform.people, strict=False):
        with Person(account) as person:
            assert person.grant(f"{here}/connect") == f"{here}/granted"
        assert nodes.platform.sql(spent_at, nodes.app["client_id"])[0] == (f"{here}/oauth",)

    nodes.platform.expire_access_tokens()
    for number in (0, 1):
        with nodes.library(number) as node:
            for grant in node.grants():
                assert node.client_for(grant.person_id).get("people/me").status_code == 200
    assert nodes.tokens_alive() == 2, "the second node found what the first had renewed"


def test_w16_an_answer_that_is_brought_to_the_other_redirect_uri_gets_nothing_there_and_still_serves_its_own(
    platform: Up, tmp_path: Path
) -> None:
    """On one host, so that the other node has the cookie and the keys too, and refuses all the same."""
    with registered(platform, tmp_path, hosts=("127.0.0.1", "127.0.0.1"), profile="webex") as nodes:
        nodes.serve(0)
        nodes.serve(1)
        with Person(platform.ada, stops=(nodes.redirect_uri(0),)) as ada:
            answer = ada.grant(f"{nodes.urls[0]}/connect")
            ada.stops = ()
            assert "/granted" not in ada.open(answer.replace(nodes.urls[0], nodes.urls[1])).url
            assert ada.open(answer).url == f"{nodes.urls[0]}/granted"


def test_w16_behind_a_balancer_another_node_of_the_same_redirect_uri_completes_what_one_began(nodes: Nodes) -> None:
    second = f"http://localhost:{free_port()}"
    first = nodes.serve(0)
    nodes.serve(0, at=second)
    with Person(nodes.platform.ada, stops=(nodes.redirect_uri(0),)) as ada:
        answer = ada.grant(f"{nodes.urls[0]}/connect")
        first.kill()
        ada.stops = (f"{nodes.urls[0]}/granted",)  # where the balancer would lead to the node that is left
        assert ada.open(answer.replace(nodes.urls[0], second)).url == f"{second}/granted"
        assert "Ada" in ada.page.words


def test_w16_a_node_that_is_killed_takes_nothing_along(nodes: Nodes) -> None:
    first = nodes.serve(0)
    nodes.serve(1)
    with Person(nodes.platform.ada, stops=(nodes.redirect_uri(0),)) as ada:
        answer = ada.grant(f"{nodes.urls[0]}/connect")
        first.kill()
        with Person(nodes.platform.grace) as grace:
            assert grace.grant(f"{nodes.urls[1]}/connect") == f"{nodes.urls[1]}/granted"
        first.begin()
        ada.stops = ()
        assert ada.open(answer).url == f"{nodes.urls[0]}/granted", "what it had begun is completed at the same place"
    with nodes.library(1) as node:
        assert len(node.grants()) == 2


def test_w16_w32_forty_calls_succeed_while_the_other_node_is_killed_and_the_token_is_renewed_once(
    callers: Nodes,
) -> None:
    person_id = callers.grant()
    callers.platform.expire_access_tokens()
    doomed, left = callers.caller(0, person_id, calls=MANY_MORE), callers.caller(1, person_id, calls=40)
    let_call(doomed, left)
    first = said(doomed)
    doomed.kill()
    assert first == "200"
    assert [said(left) for _ in range(40)] == ["200"] * 40
    assert callers.tokens_alive() == 1


def test_w16_s67_a_node_that_is_killed_before_it_could_keep_the_answer_costs_nobody_the_grant(callers: Nodes) -> None:
    """Killed in the worst moment: the platform has renewed the tokens, and the node has not read it."""
    person_id = callers.grant()
    callers.platform.expire_access_tokens()
    doomed: list[subprocess.Popen[str]] = []

    def kill() -> None:
        doomed[0].kill()

    with losing_the_first_answer(f"{callers.platform.api_url}/access_token", kill) as held:
        short = {"deadline": 4.0, "_lease_margin": 0.5, "token_endpoint": held}
        doomed.append(callers.caller(0, person_id, calls=8, **short))
        let_call(*doomed)
        assert said(doomed[0]) == "", "it died without a word"
        left = callers.caller(1, person_id, calls=40, **short)
        let_call(left)
        assert [said(left) for _ in range(40)] == ["200"] * 40
    tokens = "SELECT count(*) FROM refresh_tokens WHERE client_id = ?"
    rotates = callers.platform.sql("SELECT profile FROM integrations WHERE client_id = ?", callers.app["client_id"])
    assert callers.platform.sql(tokens, callers.app["client_id"]) == [(2 if rotates == [("strict",)] else 1,)], (
        "the same successor was fetched again"
    )
    callers.platform.expire_access_tokens()
    with callers.library(0) as node:
        assert node.client_for(person_id).get("people/me").status_code == 200


@contextmanager
def losing_the_first_answer(url: str, then: Callable[[], object]) -> Iterator[str]:
    """A way to the token endpoint on which the first answer gets lost, after `then` was called."""
    first = threading.Lock()

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kind = {"content-type": self.headers["content-type"]}
            answer = httpx2.post(url, content=body, headers=kind, trust_env=False, timeout=30)
            if first.acquire(blocking=False):
                then()
                return
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/access_token"
        finally:
            server.shutdown()
            serving.join()
