"""What a process holds in memory of its grants: no more than it may, however many threads put something there."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from grantflow.client.flows import parts
from grantflow.client.flows.parts import LiveTokens, VainRenewals
from grantflow.client.grant import GrantKey
from tests.client.vault_records import NOW, stored

LIMIT, THREADS, EACH = 20, 8, 4_000
STORED = stored()


def key(name: object) -> GrantKey:
    return GrantKey("C1", f"{name}", f"{name}")


@pytest.fixture
def _crowded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads take turns as often as they can, and the limit is soon reached."""
    monkeypatch.setattr(parts, "_LIVE_LIMIT", LIMIT)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_crowded")
@pytest.mark.parametrize("kind", ["live tokens", "vain renewals"])
def test_with_more_grants_than_are_held_no_thread_fails_and_the_oldest_give_way(kind: str) -> None:
    """Who looks for the oldest finds that another thread has put one there since."""
    live, vain, start = LiveTokens(), VainRenewals(), threading.Barrier(THREADS)
    held = live._tokens if kind == "live tokens" else vain._rows

    def put(name: GrantKey) -> None:
        if kind == "live tokens":
            live.confirm(name, live.keep(name, STORED, now=NOW), now=NOW)
        else:
            vain.add(name, generation=1)

    def work(thread: int) -> None:
        start.wait()
        for number in range(EACH):
            put(key(f"{thread}-{number}"))

    with ThreadPoolExecutor(THREADS) as pool:
        for each in [pool.submit(work, thread) for thread in range(THREADS)]:
            each.result(60)
    for number in range(LIMIT):
        put(key(number))
    assert list(held) == [key(number) for number in range(LIMIT)]


def test_renewals_in_vain_count_once_for_each_generation() -> None:
    vain = VainRenewals()
    for generation in (5, 5, 6):
        vain.add(key("ada"), generation=generation)
    assert vain.count(key("ada")) == 2
    vain.end(key("ada"))
    assert vain.count(key("ada")) == 0
