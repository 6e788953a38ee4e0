"""`kill -9` of the platform and of an integration under load, at any moment: no grant is lost, no row half written."""

import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from grantflow import Integration, KeyRing, RefreshOutcomeUnknown, SqliteVault, TransientTokenError
from grantflow.client.errors import GrantflowError
from grantflow.client.grant import StoredGrant
from tests.client.crowd import Order
from tests.engines import Home, InFile
from tests.parts import free_port
from tests.soak.crowds import ENGINES, homes_in
from tests.soak.looking import Logs, left_behind, watched
from tests.soak.mayfly import Mayflies, mayflies
from tests.soak.proof import Play, Proof
from tests.whole.apart import ADA, SCOPES, Process
from tests.whole.person import Person
from tests.whole.running import grantflow, json_of, up
from tests.whole.sites import ForeignSite, Site, begun, grant, granted, sites
from tests.whole.sites import integration as integration_of
from tests.whole.test_nodes import MANY_MORE, Nodes, end, let_call, registered

REDIRECT_URI = "http://127.0.0.1:8765/oauth"
PROFILES = ("webex", "strict")
#: In seconds: a refresh may take so long, and its guard stays so much longer where its holder was killed.
SHORT = {"deadline": 2.0, "_lease_margin": 0.5}
#: How long a person waits at most for a call that succeeds again, once everything runs.
PATIENCE = 30.0

#: What no committed transaction leaves behind.
HALF_WRITTEN = {
    "a room with nobody in it": (
        "SELECT 1 FROM rooms r WHERE NOT EXISTS (SELECT 1 FROM memberships WHERE room_id = r.id)"
    ),
    "two living refresh tokens of one exchange": (
        "SELECT 1 FROM refresh_tokens WHERE revoked_at IS NULL AND replaced_at IS NULL "
        "GROUP BY family HAVING count(*) > 1"
    ),
    "a living grant that was exchanged and has no living refresh token": (
        "SELECT 1 FROM grants g WHERE revoked_at IS NULL "
        "AND EXISTS (SELECT 1 FROM refresh_tokens WHERE grant_id = g.id) AND NOT EXISTS "
        "(SELECT 1 FROM refresh_tokens WHERE grant_id = g.id AND revoked_at IS NULL AND replaced_at IS NULL)"
    ),
    "a spent code without its tokens": (
        "SELECT 1 FROM codes c WHERE spent_at IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE grant_id = c.grant_id)"
    ),
}


def check(database: Path, *, half_written: Mapping[str, str]) -> None:
    """As SQLite sees the file, and as its meaning is."""
    with closing(sqlite3.connect(database, timeout=20)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
        for what, statement in half_written.items():
            assert opened.execute(statement).fetchall() == [], what


def call_succeeds(integration: Integration, person_id: str) -> float:
    """The next call of this person succeeds, at once or after what the library says to wait; the seconds it took."""
    with integration.client_for(person_id) as client:
        return _succeeds(lambda: client.get("people/me").status_code == 200)


def refresh_succeeds(integration: Integration, person_id: str) -> float:
    """Likewise the next refresh: where the platform has just not answered, the library waits before it asks again."""
    return _succeeds(lambda: integration.refresh(person_id) is not None)


def _succeeds(attempt: Callable[[], bool]) -> float:
    began = time.monotonic()
    while True:
        try:
            assert attempt()
            return time.monotonic() - began
        except TransientTokenError as error:
            if time.monotonic() - began > PATIENCE:
                raise AssertionError(f"nothing has succeeded for {PATIENCE} s: {error}") from error
            time.sleep(min(error.retry_after or 0.2, 2.0))


# --- the platform --------------------------------------------------------------------------------------------------


@dataclass
class House:
    """A platform on a port that it keeps, an integration of each profile, and the grants of a few people."""

    folder: Path
    port: int
    process: Process
    integrations: list[Integration] = field(default_factory=list)
    granted: list[tuple[Integration, str]] = field(default_factory=list)

    def begin(self) -> None:
        self.process.begin()

    def add(self, profile: str, people: list[dict[str, str]]) -> None:
        redirect = ("--redirect-uri", REDIRECT_URI, "--scopes", SCOPES, "--profile", profile)
        app = json_of("platform", "app", "add", f"App {profile}", *redirect, "--data", str(self.folder), "--json")
        own = Integration(
            app["client_id"],
            app["client_secret"],
            redirect_uri=REDIRECT_URI,
            scopes=SCOPES,
            vault=SqliteVault(self.folder / f"{profile}.db", keys=KeyRing(KeyRing.new_key())),
            api_url=f"http://127.0.0.1:{self.port}/v1",
            deadline=SHORT["deadline"],
            _lease_margin=SHORT["_lease_margin"],
        )
        self.integrations.append(own)
        for account in people:
            begun = own.authorization_request()
            with Person(account, stops=(REDIRECT_URI,)) as person:
                answer = person.grant(begun.url)
            grant = own.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
            self.granted.append((own, grant.person_id))


@contextmanager
def house(folder: Path) -> Iterator[House]:
    data, port = folder / "state", free_port()
    people = [ADA, {"email": "grace@example.com", "password": "another sentence of words"}]
    for account in people:
        name = account["email"].partition("@")[0].title()
        adding = ("platform", "person", "add", account["email"], "--name", name, "--password-stdin")
        grantflow(*adding, "--data", str(data), stdin=account["password"])
    command = ("platform", "serve", "--port", str(port), "--data", str(data))
    made = House(data, port, Process(command, {}, folder / "platform.stderr"))
    try:
        made.begin()
        for profile in PROFILES:
            made.add(profile, people)
        yield made
    finally:
        made.process.kill()
        for integration in made.integrations:
            integration.close()


@contextmanager
def loaded(work: Callable[[random.Random], None], *, threads: int, chance: random.Random) -> Iterator[Counter[str]]:
    """Many do this all the time, until the block ends. What is counted is how each time ended."""
    ends: Counter[str] = Counter()
    over = threading.Event()

    def go_on(own: random.Random) -> None:
        while not over.is_set():
            try:
                work(own)
                ends["done"] += 1
            except (GrantflowError, httpx2.HTTPError) as error:
                ends[type(error).__name__] += 1
                over.wait(0.01)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(go_on, random.Random(chance.random())) for _ in range(threads)]
        try:
            yield ends
        finally:
            over.set()
    for one in running:
        one.result()


@contextmanager
def platform(folder: Path) -> Iterator[Play]:
    watched()
    logs = Logs(folder)
    with house(folder) as own:

        def work(chance: random.Random) -> None:
            integration, person_id = chance.choice(own.granted)
            match chance.randrange(3):
                case 0:
                    integration.refresh(person_id)
                case 1:
                    with integration.client_for(person_id) as client:
                        client.post("rooms", json={"title": "A room"})
                case _:
                    with integration.client_for(person_id) as client:
                        client.get("people/me")

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            with loaded(work, threads=6, chance=chance) as ends:
                time.sleep(chance.uniform(0.02, 0.4))
                own.process.kill()
                time.sleep(0.05)
            check(own.folder / "platform.db", half_written=HALF_WRITTEN)
            own.begin()
            waited = max(call_succeeds(integration, person_id) for integration, person_id in own.granted)
            for integration, person_id in own.granted:
                waited = max(waited, refresh_succeeds(integration, person_id))
            for profile in PROFILES:
                check(own.folder / f"{profile}.db", half_written={})
            logs.check()
            return {"ends": dict(ends), "waited": round(waited, 3)}

        yield play


# --- the integration -----------------------------------------------------------------------------------------------


@contextmanager
def integration(folder: Path) -> Iterator[Play]:
    """One node calls for Ada, whose access token is dead; at another Grace grants. Both are killed at one moment."""
    watched()
    logs = Logs(folder)
    with up(folder / "state") as running, ExitStack() as houses:
        nodes, graces = {}, {}
        for profile in PROFILES:
            (folder / profile).mkdir()
            hosts = ("127.0.0.1", "127.0.0.1")
            nodes[profile] = houses.enter_context(registered(running, folder / profile, hosts=hosts, profile=profile))
            nodes[profile].serve(0)
            graces[profile] = houses.enter_context(Person(running.grace))
            _grant(nodes[profile], graces[profile])
        ada = {profile: house.grant() for profile, house in nodes.items()}

        def play(number: int, chance: random.Random) -> Mapping[str, object]:
            profile = PROFILES[number % 2]
            own, grace, person_id = nodes[profile], graces[profile], ada[profile]
            served = next(node for node in own.begun if isinstance(node, Process))
            own.platform.expire_access_tokens()
            caller = own.caller(1, person_id, calls=MANY_MORE, **SHORT)
            let_call(caller)
            with loaded(lambda _: _grant(own, grace), threads=1, chance=chance) as ends:
                time.sleep(chance.uniform(0.0, 0.6))
                caller.kill()
                served.kill()
            calls = _ended(caller)
            end(caller)
            own.begun.remove(caller)
            check(own.vault, half_written={})
            served.begin()
            _is_served(own, grace)
            with own.library(1) as library:
                waited = call_succeeds(library, person_id)
                for grant in library.grants():
                    waited = max(waited, call_succeeds(library, grant.person_id))
            check(running.folder / "platform.db", half_written=HALF_WRITTEN)
            logs.check()
            return {"profile": profile, "ends": dict(ends), "calls": calls, "waited": round(waited, 3)}

        yield play


def _ended(caller: subprocess.Popen[str]) -> Mapping[str, int]:
    """How the calls ended that a killed node has told of; the last line may have been cut off."""
    assert caller.stdout is not None
    ends = Counter(caller.stdout.read().split("\n")[:-1])
    assert not any(end.startswith("5") for end in ends), ends
    return dict(sorted(ends.items()))


def _grant(own: Nodes, grace: Person) -> None:
    """From Connect to the page that says so. Once she is signed in and has accepted, most of that is the exchange."""
    assert grace.grant(f"{own.urls[0]}/connect") == f"{own.urls[0]}/granted", grace.page.words


def _is_served(own: Nodes, grace: Person) -> None:
    """To somebody whose exchange may have been cut off the landing page says Connected or Grant, and Grant succeeds."""
    page = grace.open(own.urls[0])
    offered = [words for form in page.forms for words, _ in form.buttons] + [words for words, _ in page.links]
    assert page.status == 200
    assert "Connected as Grace" in page.words or any("Grant" in words for words in offered), page.words
    _grant(own, grace)


# --- one refresh ---------------------------------------------------------------------------------------------------

#: In seconds: the lease of who was killed lasts for one.
BRIEF = {"deadline": 0.8, "_lease_margin": 0.2}
#: How many of the trials kill an exchange, and how many let the dead be seen as dead at once; the others wait.
EXCHANGES, SEEN = 0.2, 0.5


@dataclass
class Killing:
    """One grant at one site in one vault, whose refreshes are killed."""

    site: Site
    home: Home
    order: Order
    flies: Mayflies
    own: Integration

    @property
    def stored(self) -> StoredGrant:
        found = self.own._parts.vault.find(self.own._parts.key(self.order.people[0], None))
        assert found is not None
        return found

    def kill(self, chance: random.Random) -> Mapping[str, object]:
        """At a random point of a refresh, or of an exchange; where that was, as the vault tells."""
        before = self.stored
        exchange = begun(self.site, self.own) if chance.random() < EXCHANGES else {}
        pid = self.flies.hatch(**exchange)
        time.sleep(chance.uniform(0.0, 0.75 * self.flies.usual))
        os.kill(pid, signal.SIGKILL)
        was_seen = chance.random() < SEEN
        if was_seen:
            self.flies.reap()
        self.check_store()
        after = self.stored
        told = (
            "saved"
            if after.grant.generation > before.grant.generation
            else "sent"
            if after.unanswered_since
            else "before"
        )
        if told != "saved":
            assert (after.access_token, after.refresh_token) == (before.access_token, before.refresh_token)
        return {"killed": "exchange" if exchange else "refresh", "when": told, "seen": was_seen}

    def check_store(self) -> None:
        if isinstance(self.home, InFile):
            check(self.home.path, half_written={})
        else:
            under_way = "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()"
            until = time.monotonic() + 5
            while self.home.ask(under_way) != [(0,)]:
                assert time.monotonic() < until, "what was killed holds locks for ever"
                time.sleep(0.01)


def killing(names: Sequence[str], *, after: Callable[[Killing], Mapping[str, object]]) -> Callable[[Path], Any]:
    """Kill a refresh at those sites, with each vault, and look `after` the grant."""
    combined = [(engine, name) for engine in ENGINES for name in names]

    @contextmanager
    def begin(folder: Path) -> Iterator[Play]:
        watched()
        logs = Logs(folder)
        with ExitStack() as stack:
            all_sites = stack.enter_context(sites(folder, names=names))
            homes = stack.enter_context(homes_in(folder))
            doomed = []
            for engine, name in combined:
                home = homes[engine]()
                order = granted(all_sites[name], home, **BRIEF)
                flies, own = stack.enter_context(mayflies(order)), stack.enter_context(integration_of(order))
                doomed.append(Killing(all_sites[name], home, order, flies, own))

            def play(number: int, chance: random.Random) -> Mapping[str, object]:
                engine, name = combined[number % len(combined)]
                one = doomed[number % len(combined)]
                told = one.kill(chance)
                more = after(one)
                if not told["seen"]:
                    one.flies.reap()
                logs.check()
                return {"site": name, "vault": engine, **told, **more}

            yield play

    return begin


def nothing_lost(one: Killing) -> Mapping[str, object]:
    """The next call and the next refresh succeed, and a person can grant again over whatever was cut off."""
    waited = call_succeeds(one.own, one.order.people[0])
    waited = max(waited, refresh_succeeds(one.own, one.order.people[0]))
    assert call_succeeds(one.own, one.order.people[0]) < PATIENCE
    return {"waited": round(waited, 3)}


def loss_told(one: Killing) -> Mapping[str, object]:
    """Where the server has swapped the token for one that never arrived, and there alone, that is what is told."""
    assert isinstance(one.site, ForeignSite)
    token = one.stored.refresh_token
    assert token is not None
    line = next(line for line in one.site.platform.lines if token.reveal() in {line.refresh, *line.swapped})
    was_lost = line.refresh != token.reveal()
    try:
        refresh_succeeds(one.own, one.order.people[0])
        assert not was_lost
        assert call_succeeds(one.own, one.order.people[0]) < PATIENCE
    except RefreshOutcomeUnknown:
        # What the killed process had sent may have been served only after the look above, or after the renewal.
        assert token.reveal() in line.swapped or not line.alive, "nothing was lost, and yet it is told"
        was_lost = True
        grant(one.site, one.own)
        assert call_succeeds(one.own, one.order.people[0]) < PATIENCE
    return {"lost": was_lost}


KILLS = [
    Proof(
        "kill-refresh",
        "S101: no grant is lost where a process is killed in a refresh or exchange, in both profiles",
        1_000,
        killing(PROFILES, after=nothing_lost),
        look=left_behind,
        lanes=2,
    ),
    Proof(
        "kill-foreign",
        "S101: at a server that swaps tokens and ends reused families, every loss is told as one, and only those",
        1_000,
        killing(["foreign"], after=loss_told),
        lanes=2,
    ),
    Proof(
        "kill-platform",
        "S101: no grant is lost where the platform is killed under load",
        1_000,
        platform,
        look=left_behind,
        lanes=2,
    ),
    Proof(
        "kill-integration",
        "S101: no grant is lost where the integration is killed under load",
        200,
        integration,
        look=left_behind,
        lanes=2,
    ),
]
