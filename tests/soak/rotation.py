"""A key takes over from another in a vault of 100,000 grants, under load, killed and resumed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.many_grants import fill, grant_number
from grantflow import Integration, KeyRing
from grantflow.client.vault.sql_vault import SqlVault
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Platform, foreign_platform
from tests.engines import Home
from tests.parts import ROOT
from tests.soak.crowds import ENGINES, homes_in
from tests.soak.proof import Play, Proof

GRANTS = 100_000
NODES = 4
PEOPLE = [f"caller{number}" for number in range(20)]


@dataclass
class Node:
    """A process that calls and refreshes until it is ended."""

    process: "subprocess.Popen[str]"

    @classmethod
    def begin(cls, options: Mapping[str, Any]) -> "Node":
        command = [sys.executable, "-m", "tests.soak.caller_of_many", json.dumps(options)]
        pipe = subprocess.PIPE
        node = cls(subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe))
        assert node.process.stdout is not None
        assert node.process.stdout.readline() == "ready\n"
        return node

    def end(self) -> Mapping[str, Any]:
        output, _ = self.process.communicate("\n", timeout=180)
        told: Mapping[str, Any] = json.loads(output)
        return told


@dataclass
class Fleet:
    """Nodes that have the same keys, but for the moment in which one after another is started with others."""

    size: int
    options: Mapping[str, Any]
    nodes: list[Node] = field(default_factory=list)
    calls: int = 0
    lookups: int = 0
    failures: list[str] = field(default_factory=list)

    def have_keys(self, *keys: str, chance: random.Random) -> None:
        for number in range(self.size):
            started = Node.begin({**self.options, "keys": keys, "seed": chance.randrange(2**32)})
            if number < len(self.nodes):
                self._count(self.nodes[number].end())
                self.nodes[number] = started
            else:
                self.nodes.append(started)

    def end(self) -> None:
        while self.nodes:
            self._count(self.nodes.pop().end())

    def kill(self) -> None:
        for node in self.nodes:
            node.process.kill()
            node.process.communicate()

    def _count(self, told: Mapping[str, Any]) -> None:
        self.calls += told["calls"]
        self.lookups += told["lookups"]
        self.failures += told["failures"]


@dataclass
class House:
    """A vault, the platform whose grants some of its people have, and the key that seals it by now."""

    home: Home
    platform: Platform
    api_url: str
    key: str
    grants: int
    nodes: int

    @property
    def options(self) -> Mapping[str, Any]:
        own = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "api_url": self.api_url,
            "vault": self.home.where,
        }
        return {**own, "people": [f"id-{person}" for person in PEOPLE], "grants": self.grants}

    def settle_in(self) -> None:
        fill(self.home.where, self.key, self.grants)
        with Integration(
            CLIENT_ID,
            CLIENT_SECRET,
            redirect_uri="http://localhost:8000/oauth",
            scopes="spark:people_read",
            api_url=self.api_url,
            vault=self.home.open(KeyRing(self.key)),
        ) as own:
            for person in PEOPLE:
                begun = own.authorization_request()
                answer = self.platform.accept(begun.url, person=person)
                own.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})


def rotation(grants: int, *, nodes: int = NODES) -> Any:
    @contextmanager
    def begin(folder: Path) -> Iterator[Play]:
        with homes_in(folder) as homes, foreign_platform() as (platform, api_url):
            platform.rotates = True  # a refresh token that was overwritten would be a lost grant
            houses: dict[str, House] = {}

            def play(number: int, chance: random.Random) -> Mapping[str, object]:
                engine = ENGINES[number % len(ENGINES)]
                if engine not in houses:
                    houses[engine] = House(homes[engine](), platform, api_url, KeyRing.new_key(), grants, nodes)
                    houses[engine].settle_in()
                return {"vault": engine, **rotated(houses[engine], chance)}

            yield play

    return begin


def rotated(house: House, chance: random.Random) -> Mapping[str, object]:
    """As docs/operations.md has it: everywhere as previous, then as primary, then rotate, then drop the old one."""
    old, new = house.key, KeyRing.new_key()
    before = house.platform.counts["refresh"]
    fleet = Fleet(house.nodes, house.options)
    try:
        fleet.have_keys(old, new, chance=chance)
        fleet.have_keys(new, old, chance=chance)
        with closing(house.home.open(KeyRing(new, previous=[old]))) as vault:
            kills = killed_and_resumed(house, vault, [new, old], chance)
        fleet.have_keys(new, chance=chance)
        fleet.end()
    finally:
        fleet.kill()
    assert not fleet.failures, f"{len(fleet.failures)} calls failed: {fleet.failures[:3]}"
    house.key = new
    with closing(house.home.open(KeyRing(new))) as vault:
        everything = {each.key_id: each.records for each in vault.keys_in_use() if each.records}
        assert everything == {KeyRing(new).key_id: house.grants + len(PEOPLE)}, everything
        for number in chance.sample(range(house.grants), min(1_000, house.grants)):
            assert vault.find(grant_number(number).grant.key) == grant_number(number)
    refreshes = house.platform.counts["refresh"] - before
    assert refreshes, "there was no load"
    return {"calls": fleet.calls, "lookups": fleet.lookups, "refreshes": refreshes, "kills": kills}


def killed_and_resumed(house: House, vault: SqlVault, keys: Sequence[str], chance: random.Random) -> int:
    """How often it was killed before it was done; at least once."""
    total, kills = house.grants + len(PEOPLE), 0
    for part in sorted(chance.uniform(0.02, 0.95) for _ in range(chance.randint(3, 6))):
        with rotate(house, keys) as process:
            while process.poll() is None and resealed(vault) < part * total:
                time.sleep(0.02)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
    with rotate(house, keys) as process:
        assert process.wait() == 0
    assert kills
    return kills


def resealed(vault: SqlVault) -> int:
    return sum(each.records for each in vault.keys_in_use() if each.key_id == vault.keys.key_id)


def rotate(house: House, keys: Sequence[str]) -> "subprocess.Popen[bytes]":
    settings = {
        "GRANTFLOW_CLIENT_ID": CLIENT_ID,
        "GRANTFLOW_CLIENT_SECRET": CLIENT_SECRET,
        "GRANTFLOW_SCOPES": "spark:people_read",
        "GRANTFLOW_KEY": ",".join(keys),
        "GRANTFLOW_VAULT": house.home.where,
    }
    command = [sys.executable, "-c", "from grantflow.cli import main; main()", "keys", "rotate"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env={**os.environ, **settings}, stdout=quiet, stderr=quiet)


ROTATION = [
    Proof(
        "rotation",
        "a key takes over 100,000 grants under load, killed and resumed: no call fails, none is left under the old",
        4,
        rotation(GRANTS),
    ),
]
