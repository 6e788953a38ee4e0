"""Many callers at once, over processes and sockets: one refresh, one redemption, nobody turned away."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from grantflow import Integration, KeyRing, SqliteVault
from tests.whole.person import Person
from tests.whole.running import Up, up

REDIRECT_URI = "http://127.0.0.1:8765/oauth"
PROCESSES, CALLERS = 8, 25
#: In seconds: for all processes to begin, and for all calls of a round.
PATIENCE = 90.0
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("many") / "state") as running:
        yield running


def register(platform: Up, profile: str, name: str) -> dict[str, Any]:
    return platform.register(f"{name}, {profile}", REDIRECT_URI, "--profile", profile)


def integration(platform: Up, app: dict[str, Any], *, vault: Path, key: str, **timing: Any) -> Integration:
    return Integration(
        client_id=app["client_id"],
        client_secret=app["client_secret"],
        redirect_uri=REDIRECT_URI,
        scopes=platform.app["scopes"],
        vault=SqliteVault(vault, keys=KeyRing(key)),
        api_url=platform.api_url,
        **timing,
    )


def address_with_code(platform: Up, url: str) -> str:
    with Person(platform.ada, stops=(REDIRECT_URI,)) as ada:
        return ada.grant(url)


def call_often(start: Barrier, orders: Connection) -> None:
    """One process. Each order names the person, and what the integration is made of; then many threads call with one
    integration, all at once and at once with the other processes. None ends it."""
    while (order := orders.recv()) is not None:
        person_id, of, keywords = order
        mine = integration(*of, **keywords)
        start.wait(PATIENCE)
        with mine, mine.client_for(person_id) as client, ThreadPoolExecutor(CALLERS) as threads:
            answers = list(threads.map(lambda _: client.get("people/me").status_code, range(CALLERS)))
        orders.send(answers)


#: Plays once: all call for the person of that id, with an integration that is made of the rest; how each call ended.
AllCall: TypeAlias = Callable[..., list[int]]


@contextmanager
def eight_processes() -> Iterator[AllCall]:
    """They are started once and may play often: to start them takes longer than all else."""
    processes = get_context("spawn")
    start = processes.Barrier(PROCESSES)
    pipes = [processes.Pipe() for _ in range(PROCESSES)]
    workers = [processes.Process(target=call_often, args=(start, theirs)) for _, theirs in pipes]
    for worker in workers:
        worker.start()

    def all_call(person_id: str, *of: Any, **keywords: Any) -> list[int]:
        for ours, _ in pipes:
            ours.send((person_id, of, keywords))
        for ours, _ in pipes:
            assert ours.poll(PATIENCE), f"a process has not answered for {PATIENCE} s"
        return [status for ours, _ in pipes for status in ours.recv()]

    try:
        yield all_call
        for ours, _ in pipes:
            ours.send(None)
        for worker in workers:
            worker.join(timeout=30)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def call_at_once(platform: Up, app: dict[str, Any], folder: Path, *, ada: Person, all_call: AllCall) -> None:
    """One grant whose access token is dead, and 25 callers in each of eight processes: one refresh, and all succeed."""
    of: dict[str, Any] = {"vault": folder / "vault.db", "key": KeyRing.new_key()}
    with integration(platform, app, **of) as mine:
        begun = mine.authorization_request()
        grant = mine.complete_authorization(ada.grant(begun.url), {begun.cookie.name: begun.cookie.value})
    platform.expire_access_tokens()

    assert all_call(grant.person_id, platform, app, **of) == [200] * (PROCESSES * CALLERS)
    living = "SELECT count(*) FROM access_tokens WHERE client_id = ? AND expires_at > 1"
    assert platform.sql(living, app["client_id"]) == [(1,)], "the one refresh issued one token"


@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_w32_eight_processes_of_25_callers_make_one_refresh_and_all_succeed(
    platform: Up, profile: str, tmp_path: Path
) -> None:
    app = register(platform, profile, "Eight processes")
    with Person(platform.ada, stops=(REDIRECT_URI,)) as ada, eight_processes() as all_call:
        call_at_once(platform, app, tmp_path, ada=ada, all_call=all_call)


def renew_and_die(person_id: str, *of: Any, **keywords: Any) -> None:
    """One process, killed as by `kill -9` with the new tokens in hand and nowhere else."""
    mine = integration(*of, **keywords)
    mine._parts.vault.save = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign]
    mine.refresh(person_id)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("profile", ["webex", "strict"])
def test_w33_our_platform_loses_no_grant_to_a_process_killed_between_the_answer_and_the_save(
    platform: Up, profile: str, tmp_path: Path
) -> None:
    app = register(platform, profile, "Killed")
    of: dict[str, Any] = {"vault": tmp_path / "vault.db", "key": KeyRing.new_key()}
    of |= {"deadline": 3.0, "_lease_margin": 0.5}
    with integration(platform, app, **of) as mine:
        begun = mine.authorization_request()
        address = address_with_code(platform, begun.url)
        grant = mine.complete_authorization(address, {begun.cookie.name: begun.cookie.value})
        platform.expire_access_tokens()
        issued = "SELECT count(*) FROM access_tokens WHERE client_id = ?"
        before = platform.sql(issued, app["client_id"])
        dying = get_context("spawn").Process(target=renew_and_die, args=(grant.person_id, platform, app), kwargs=of)
        dying.start()
        dying.join(timeout=60)
        assert dying.exitcode == -signal.SIGKILL
        assert platform.sql(issued, app["client_id"]) != before, "the platform has answered with tokens"
        stored = mine._parts.vault.find(grant.key)
        assert stored is not None
        assert (stored.grant.generation, stored.unanswered_since is None) == (1, False)
        assert mine.client_for(grant.person_id).get("people/me").status_code == 200
        assert mine.grants()[0].generation == 2


def test_w28_s33_fifty_parallel_redemptions_of_a_code_give_one_grant_and_49_clean_refusals(
    platform: Up,
) -> None:
    app = register(platform, "webex", "Fifty redemptions")
    url = (
        f"{platform.api_url}/authorize?client_id={app['client_id']}&response_type=code&redirect_uri={REDIRECT_URI}"
        f"&scope=spark:people_read&state=s"
    )
    code = parse_qs(urlsplit(address_with_code(platform, url)).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "code": code,
        "redirect_uri": REDIRECT_URI,
    }

    def redeem(_: int) -> httpx2.Response:
        return httpx2.post(f"{platform.api_url}/access_token", data=form, trust_env=False, timeout=30)

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(redeem, range(50)))
    winners = [answer.json() for answer in answers if answer.status_code == 200]
    losers = [(answer.status_code, answer.json()["error"]) for answer in answers if answer.status_code != 200]
    assert (len(winners), losers) == (1, [(400, "invalid_grant")] * 49)
    bearer = {"Authorization": f"Bearer {winners[0]['access_token']}"}
    assert httpx2.get(f"{platform.api_url}/people/me", headers=bearer, trust_env=False, timeout=30).status_code == 200
