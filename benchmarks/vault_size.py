"""./dev bench vault: what a lookup and a refresh cost in a vault of a million grants, against one of ten thousand.

On SQLite and on PostgreSQL, each with a small and a large vault side by side. Blocks take turns (small, large, small,
large, ...), so that whatever else the machine does meets both. A lookup is `find`, which unseals the tokens; a refresh
is `Integration.refresh` against a token endpoint that answers at once, in this process, so that nothing but ours is
measured: a lease taken, looked at and ended, and the new tokens on disk.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx2

from benchmarks import machine, parts
from benchmarks.arguments import Parser, whole
from benchmarks.many_grants import INTEGRATION, fill, grant_number
from benchmarks.postgres import Postgres, postgres_server
from benchmarks.run import say
from grantflow import Integration, KeyRing, open_vault
from grantflow.client.grant import GrantKey

RESULTS: Final = machine.ROOT / "benchmarks/results/vault"
#: The most that the large vault may cost, over the small one.
BOUND: Final = 1.5
ENGINES: Final = ("sqlite", "postgres")
ACTS: Final = ("lookup", "refresh")


@dataclass(frozen=True, slots=True)
class Plan:
    """`each`: how many of an act make a block; `rounds`: how many blocks of each vault are counted, after one to warm
    up."""

    small: int
    large: int
    each: int
    rounds: int
    engines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Vault:
    """One of the two of an engine."""

    grants: int
    integration: Integration


def main(words: Sequence[str]) -> int:
    given = _arguments(words)
    plan = Plan(given.small, given.large, given.each, given.rounds, given.engine or ENGINES)
    if "postgres" in plan.engines:
        parts.install_needed({"postgresql"})
    folder = given.into or RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M}"
    folder.mkdir(parents=True)
    described = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "small": plan.small, "large": plan.large}
    (folder / "machine.json").write_text(json.dumps({**described, **machine.described()}, indent=2) + "\n")
    with (folder / "blocks.jsonl").open("w") as file:
        blocks = []
        for block in measure(plan):
            blocks.append(block)
            file.write(json.dumps(block) + "\n")
            file.flush()
    text, holds = table(blocks, plan)
    (folder / "table.txt").write_text(text)
    print(text, end="")
    say(f"raw figures: {folder}")
    return 0 if holds else 1


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="./dev bench vault", description=__doc__)
    parser.add_argument("--small", type=whole, default=10_000, help="grants of the one vault [10000]")
    parser.add_argument("--large", type=whole, default=1_000_000, help="and of the other [1000000]")
    parser.add_argument("--each", type=whole, default=200, help="how many lookups or refreshes make a block [200]")
    parser.add_argument("--rounds", type=whole, default=20, help="how many blocks of each are counted [20]")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="only this one")
    parser.add_argument("--into", type=Path, metavar="DIR", help=f"where raw output goes [{RESULTS.name}/DATE]")
    return parser.parse_args(words)


def measure(plan: Plan) -> Iterator[dict[str, Any]]:
    """A block each: its engine, act, size of vault, round, and the median of its acts in microseconds."""
    chance = random.Random(0)
    for engine in plan.engines:
        with _vaults(engine, plan) as vaults:
            for act in ACTS:
                for number in range(plan.rounds + 1):
                    for vault in vaults:
                        took = _block(vault, act, each=plan.each, chance=chance)
                        if number:
                            yield {"engine": engine, "act": act, "grants": vault.grants, "round": number, "us": took}


def _block(vault: Vault, act: str, *, each: int, chance: random.Random) -> float:
    perform = _lookup(vault) if act == "lookup" else _refresh(vault)
    took = []
    for _ in range(each):
        key = grant_number(chance.randrange(vault.grants)).grant.key
        began = time.perf_counter()
        perform(key)
        took.append((time.perf_counter() - began) * 1e6)
    return round(median(took), 1)


def _lookup(vault: Vault) -> Callable[[GrantKey], object]:
    find = vault.integration._parts.vault.find

    def perform(key: GrantKey) -> None:
        assert find(key) is not None

    return perform


def _refresh(vault: Vault) -> Callable[[GrantKey], object]:
    return lambda key: vault.integration.refresh(key.person_id)


@contextmanager
def _vaults(engine: str, plan: Plan) -> Iterator[list[Vault]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-vault-")))
        server = stack.enter_context(postgres_server()) if engine == "postgres" else None
        vaults = []
        for grants in (plan.small, plan.large):
            say(f"{engine}: a vault of {grants:,} grants")
            key, where = KeyRing.new_key(), _place(folder, server, grants)
            fill(where, key, grants)
            vaults.append(Vault(grants, stack.enter_context(_integration(where, key))))
        say(f"{engine}: {plan.rounds} rounds")
        yield vaults


def _place(folder: Path, server: Postgres | None, grants: int) -> str:
    return str(folder / f"{grants}.db") if server is None else server.database(f"of_{grants}")


def _integration(where: str, key: str) -> Integration:
    return Integration(
        INTEGRATION,
        "a secret",
        redirect_uri="http://localhost:8000/oauth",
        scopes="spark:people_read",
        api_url="http://127.0.0.1:1/v1",
        vault=open_vault(where, keys=KeyRing(key)),
        transport=httpx2.MockTransport(_answer),
    )


def _answer(request: httpx2.Request) -> httpx2.Response:
    tokens = {"access_token": "a" * 105, "expires_in": 1_209_599, "refresh_token": "r" * 105}
    return httpx2.Response(200, json={**tokens, "refresh_token_expires_in": 7_775_999, "token_type": "Bearer"})


def table(blocks: Sequence[dict[str, Any]], plan: Plan) -> tuple[str, bool]:
    """Medians over the blocks, and the ratio of each round; whether no ratio's median is over the bound."""
    lines = [f"{'':<20}{plan.small:>12,}{plan.large:>12,}   large / small (least to most)"]
    holds = True
    for engine in plan.engines:
        for act in ACTS:
            own = [block for block in blocks if (block["engine"], block["act"]) == (engine, act)]
            small, large = ([block["us"] for block in own if block["grants"] == n] for n in (plan.small, plan.large))
            ratios = sorted(each / other for each, other in zip(large, small, strict=True))
            holds = holds and median(ratios) <= BOUND
            range_of_them = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
            lines.append(
                f"{f'{engine} {act}':<20}{median(small):>9,.0f} us{median(large):>9,.0f} us   "
                f"{median(ratios):.2f} {range_of_them}"
            )
    said = "holds" if holds else "DOES NOT HOLD"
    return "\n".join([*lines, f"at most {BOUND} times: {said}", ""]), holds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
