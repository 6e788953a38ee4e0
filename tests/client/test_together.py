"""One refresh for each dead token, however many callers, threads, tasks, processes and crashes there are."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import FrameType
from typing import Any

import pytest

from grantflow import Grant, ReauthorizationRequired, RefreshOutcomeUnknown, Status, TransientTokenError
from grantflow.client.events import Kind
from grantflow.client.shells.awaiting import VAULT_THREADS
from grantflow.client.shells.repeating import RepeatingTransport
from grantflow.client.steps import Flow, alone, current_time
from grantflow.client.vault.sql_vault import SqlVault
from tests.client.conftest import World
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Answer, Refusal
from tests.engines import BOTH
from tests.parts import ROOT

pytestmark = BOTH


class Workers:
    """Processes that stand ready over one vault, each with many callers."""

    def __init__(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe)
        assert self.process.stdout is not None
        self.pids: list[int] = json.loads(self.process.stdout.readline())

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def ends(self) -> Counter[str]:
        """What the callers got: statuses and names of errors."""
        output, _ = self.process.communicate(timeout=180)
        return Counter(json.loads(output))


@contextmanager
def workers(world: World, number: int, *, callers: int, **timing: float) -> Iterator[Workers]:
    options = {
        **{"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "api_url": world.api_url},
        **{"processes": number, "callers": callers},
        **{"vault": world.where, "key": world.key, "deadline": 40.0, "lease_margin": 5.0, **timing},
    }
    made = Workers([sys.executable, "-m", "tests.client.worker", json.dumps(options)])
    try:
        yield made
    finally:
        if made.process.poll() is None:
            for pid in made.pids:
                os.kill(pid, signal.SIGKILL)
            made.process.kill()
        made.process.communicate()


def run_together(world: World, number: int, *, callers: int) -> Counter[str]:
    with workers(world, number, callers=callers) as made:
        made.begin()
        return made.ends()


@pytest.mark.slow
@pytest.mark.parametrize("rotates", [False, True])
def test_eight_processes_with_25_callers_each_make_one_refresh(world: World, rotates: bool) -> None:
    world.grant(world.integration())
    world.platform.rotates = rotates
    world.platform.wait = 0.2
    world.platform.expire_access_tokens()
    assert run_together(world, 8, callers=25) == {"200": 200}
    assert world.platform.counts["refresh"] == 1


@pytest.mark.slow
def test_processes_share_a_final_refusal(world: World) -> None:
    world.grant(world.integration())
    world.platform.wait = 0.2
    world.platform.end_grants()
    assert run_together(world, 4, callers=25) == {"ReauthorizationRequired": 100}
    assert world.platform.counts["refresh"] == 1


@pytest.mark.slow
def test_processes_share_a_transient_failure(world: World) -> None:
    world.grant(world.integration())
    world.platform.expire_access_tokens()
    world.platform.answers.append(Answer(503, "<html>", {"Retry-After": "60"}, wait=0.2))
    assert run_together(world, 4, callers=25) == {"TransientTokenError": 100}
    assert world.platform.counts["token"] == 2  # the exchange, and one refresh


def test_fifty_threads_make_one_refresh(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.wait = 0.1
    client = integration.client_for("id-ada")
    for round_number in range(1, 4):
        world.platform.expire_access_tokens()
        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(lambda _: client.get("people/me").status_code, range(50)))
        assert answers == [200] * 50
        assert world.platform.counts["refresh"] == round_number


def test_callers_in_one_process_share_one_flight_and_queue_for_one_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.wait = 0.3
    vault = integration._parts.vault
    take_lease, taken = vault.take_lease, []

    def counted(*arguments: Any, **options: Any) -> Any:
        taken.append(threading.get_ident())
        return take_lease(*arguments, **options)

    monkeypatch.setattr(vault, "take_lease", counted)
    old, _ = world.stored_tokens(integration)
    with ThreadPoolExecutor(20) as threads:
        renewed = set(threads.map(lambda _: integration.refresh("id-ada", rejected=old).generation, range(20)))
    assert renewed == {2}
    assert len(taken) == 1


def test_fifty_threads_share_one_failure(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    world.platform.answers.append(Answer(503, "<html>", wait=0.2))

    def call(_: int) -> str:
        with pytest.raises(TransientTokenError) as caught:
            integration.client_for("id-ada").get("people/me")
        assert caught.value.grant is not None
        return str(caught.value.grant.incident)

    with ThreadPoolExecutor(50) as threads:
        incidents = set(threads.map(call, range(50)))
    assert len(incidents) == 1


def test_fifty_tasks_make_one_refresh_and_leave_the_loop_free(world: World) -> None:
    world.grant(world.integration())
    world.platform.expire_access_tokens()
    asked, went_on = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert went_on.wait(20), "the event loop stood still"

    world.platform.on_refresh = hold

    async def tick() -> None:
        ticks = 0
        while ticks < 20:
            await asyncio.sleep(0.02)
            ticks += asked.is_set()
        went_on.set()

    async def call() -> None:
        async with world.async_integration() as integration:
            client = integration.client_for("id-ada")
            ticker = asyncio.create_task(tick())
            answers = await asyncio.gather(*(client.get("people/me") for _ in range(50)))
            await ticker
            assert [answer.status_code for answer in answers] == [200] * 50

    asyncio.run(call())
    assert world.platform.counts["refresh"] == 1


def test_the_wait_for_a_locked_vault_does_not_stop_the_event_loop(world: World) -> None:
    world.grant(world.integration())
    world.platform.expire_access_tokens()
    ticks = 0

    async def call() -> None:
        nonlocal ticks
        async with world.async_integration() as integration:
            with world.home.locked():
                calling = asyncio.create_task(integration.client_for("id-ada").get("people/me"))
                for _ in range(30):
                    await asyncio.sleep(0.01)
                    ticks += 1
                assert not calling.done()
            assert (await calling).status_code == 200

    asyncio.run(call())
    assert ticks == 30


def test_writes_that_wait_for_the_vault_take_no_thread_of_the_host_applications(world: World) -> None:
    """Asyncio's own few threads also look up names and read files for whoever shares the event loop."""
    people = [f"p{number}" for number in range(VAULT_THREADS + 8)]
    for person in people:
        world.grant(world.integration(), person=person)

    earlier = set(threading.enumerate())  # of an integration, say, that another test left to its event loop's end

    def ours() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each.name.startswith("grantflow-vault")} - earlier

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        async with world.async_integration() as integration:
            with world.home.locked():
                waiting = [asyncio.create_task(integration.refresh(f"id-{person}")) for person in people]
                await asyncio.sleep(0.05)
                assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 4) == "free"
                assert 1 < len(ours()) <= VAULT_THREADS
                assert not any(each.done() for each in waiting)
            assert {each.status for each in await asyncio.gather(*waiting)} == {Status.ACTIVE}

    asyncio.run(story())
    for thread in ours():
        thread.join(30)
        assert not thread.is_alive(), "they go with the integration"


def test_a_vault_behind_a_network_is_read_beside_the_event_loop_and_one_in_a_file_on_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.grant(world.integration())
    world.platform.expire_access_tokens()
    readers: set[str] = set()

    async def story() -> None:
        async with world.async_integration() as integration:
            vault = integration._parts.vault
            assert isinstance(vault, SqlVault)
            rows = vault._rows

            def watched(*asked: Any) -> Sequence[Any]:
                readers.add(threading.current_thread().name.partition("_")[0])
                return rows(*asked)

            monkeypatch.setattr(vault, "_rows", watched)
            assert (await integration.client_for("id-ada").get("people/me")).status_code == 200
            assert len(await integration.grants()) == 1
            assert readers == {"grantflow-vault" if vault.waits else threading.main_thread().name}

    asyncio.run(story())


def test_a_refresh_outlives_the_caller_who_began_it(world: World) -> None:
    """With a server that swaps refresh tokens, an answer that nobody awaits any more would be a lost grant."""
    world.grant(world.integration())
    world.platform.rotates = True
    world.platform.expire_access_tokens()
    asked, given_up = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        given_up.wait(20)

    world.platform.on_refresh = hold

    async def call() -> None:
        async with world.async_integration() as integration:
            client = integration.client_for("id-ada")
            callers = [asyncio.create_task(client.get("people/me")) for _ in range(5)]
            assert await asyncio.to_thread(asked.wait, 20)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            assert all(caller.cancelled() for caller in callers)
            given_up.set()
            assert (await client.get("people/me")).status_code == 200

    asyncio.run(call())
    assert world.platform.counts["refresh"] == 1


def test_a_refresh_that_is_under_way_when_the_event_loop_ends_is_awaited_and_saved(world: World) -> None:
    """A strict server has swapped the token by then, and ends the grant where the old one comes again."""
    world.grant(world.integration())
    world.platform.rotates = world.platform.revokes_families = True
    world.platform.expire_access_tokens()
    world.platform.wait = 0.3  # from when it was asked
    asked = threading.Event()
    world.platform.on_refresh = asked.set
    integration = world.async_integration()

    async def leave() -> None:
        caller = asyncio.create_task(integration.client_for("id-ada").get("people/me"))
        assert await asyncio.to_thread(asked.wait, 20)
        caller.cancel()

    async def come_back() -> int:
        async with integration:
            return (await integration.client_for("id-ada").get("people/me")).status_code

    asyncio.run(leave())
    assert world.platform.counts["refresh"] == 1
    world.platform.wait = 0
    assert asyncio.run(come_back()) == 200
    assert world.platform.counts["refresh"] == 1


def test_an_interrupted_thread_hands_the_refresh_to_the_next_caller_at_once(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()

    class Interrupted(BaseException):
        pass

    interrupted = threading.Event()
    real_send = integration._shell._send

    def send(*arguments: Any, **options: Any) -> Any:
        if not interrupted.is_set():
            interrupted.set()
            time.sleep(0.2)
            raise Interrupted
        return real_send(*arguments, **options)

    integration._shell._send = send  # type: ignore[method-assign]
    begun = time.monotonic()

    def call(_: int) -> str:
        try:
            return str(integration.client_for("id-ada").get("people/me").status_code)
        except Interrupted:
            return "interrupted"

    with ThreadPoolExecutor(10) as threads:
        ends = Counter(threads.map(call, range(10)))
    assert ends == {"200": 9, "interrupted": 1}
    assert world.platform.counts["refresh"] == 1
    assert time.monotonic() - begun < 20, "the lease was given back"


class Interruption(BaseException):
    """What a signal handler raises."""


@contextmanager
def interrupted_before(number: int, *, within: str) -> Iterator[None]:
    """Raise before that instruction of this thread in a source file, counted from 1, wherever it is by then."""
    left = number

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(within):
            return None
        frame.f_trace_opcodes = True
        left -= event == "opcode"
        if left == 0:
            sys.settrace(None)
            raise Interruption
        return trace

    earlier = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(earlier)


def beside(work: Callable[[], str]) -> Future[str]:
    """In a thread that keeps no process from ending."""
    done: Future[str] = Future()
    threading.Thread(target=lambda: done.set_result(work()), daemon=True).start()
    return done


def test_a_signal_handler_that_raises_wherever_it_may_leaves_nobody_waiting(world: World) -> None:
    """KeyboardInterrupt, or the soft time limit of a task queue: the process goes on, and so do its other threads."""
    shell = world.integration()._shell
    others: list[Future[str]] = []

    def ask() -> str:
        return shell.perform(alone("the same for all", work))

    def work() -> Flow[str]:
        if threading.current_thread().name in ("MainThread", "grantflow-flight"):
            others.append(beside(ask))
            time.sleep(0.001)  # so that they wait
        yield from current_time()
        return "done"

    for number in itertools.count(1):
        try:
            with interrupted_before(number, within="shells/blocking.py"):
                ask()
        except Interruption:
            others.append(beside(ask))
        else:
            break
        while others:
            assert others.pop().result(5) == "done", f"interrupted before instruction {number}"
        assert not shell._here().flights
    assert number > 100


def test_a_signal_handler_that_raises_keeps_no_thread_from_the_connections_to_the_api(world: World) -> None:
    """The library's own lock around them is one of Python's that a signal leaves locked."""
    integration = world.integration()
    world.grant(integration)
    transport = integration._shell.transport()
    assert isinstance(transport, RepeatingTransport)

    def use(lock: AbstractContextManager[object]) -> str:
        with lock:
            return "free"

    for kept in (transport._kept, transport._fresh):
        lock = kept._pool._optional_thread_lock
        for number in itertools.count(1):
            try:
                with interrupted_before(number, within="httpcore2/_synchronization.py"):
                    use(lock)
            except Interruption:
                assert beside(partial(use, lock)).result(5) == "free", f"interrupted before instruction {number}"
            else:
                break
    assert integration.client_for("id-ada").get("people/me").status_code == 200


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("rotates", [False, True])
def test_a_process_killed_in_the_middle_of_a_refresh_is_noticed_and_repaired_or_told(
    world: World, rotates: bool
) -> None:
    integration = world.integration(deadline=2.0, _lease_margin=1.0)
    grant = world.grant(integration)
    world.platform.expire_access_tokens()
    world.platform.rotates = rotates
    arrived, killed = threading.Event(), threading.Event()

    def hold() -> None:
        world.platform.on_refresh = lambda: None
        arrived.set()
        killed.wait(30)

    world.platform.on_refresh = hold
    with workers(world, 1, callers=1, deadline=2.0, lease_margin=1.0) as made:
        made.begin()
        assert arrived.wait(30)
        os.kill(made.pids[0], signal.SIGKILL)
        assert made.ends() == {"killed": 1}
        killed.set()
        stored = integration._parts.vault.find(integration._parts.key("id-ada", None))
        assert stored is not None
        assert stored.unanswered_since is not None, "the intent tells of the crash"
    if rotates:
        until = time.monotonic() + 30
        while not world.platform.line().swapped:  # by what was sent last before the kill
            assert time.monotonic() < until
            time.sleep(0.01)
        with pytest.raises(RefreshOutcomeUnknown):
            integration.client_for("id-ada").get("people/me")
        world.grant(integration, grant=grant.id)
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    sent = [form["refresh_token"] for form in world.platform.forms if form["grant_type"] == "refresh_token"]
    assert len(sent) == 2
    assert len(set(sent)) == 1, "the same token was sent again"
    assert integration.grants()[0].status is Status.ACTIVE


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which process is which")
def test_s101_where_the_server_comes_to_a_killed_process_last_and_takes_it_for_reuse_the_loss_is_told(
    world: World,
) -> None:
    integration = world.integration()
    grant = world.grant(integration)
    world.platform.expire_access_tokens()
    world.platform.rotates = world.platform.revokes_families = True
    arrived, served = threading.Event(), threading.Event()

    def hold() -> None:
        world.platform.on_refresh = lambda: None
        arrived.set()
        served.wait(30)

    world.platform.on_refresh = hold
    with workers(world, 1, callers=1) as made:
        made.begin()
        assert arrived.wait(30)
        os.kill(made.pids[0], signal.SIGKILL)
        assert made.ends() == {"killed": 1}
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    line = world.platform.line()
    served.set()
    until = time.monotonic() + 30
    while line.alive:
        assert time.monotonic() < until
        time.sleep(0.01)
    for _ in range(2):
        with pytest.raises(RefreshOutcomeUnknown, match="so late that it took it for the use of a stolen token"):
            integration.client_for("id-ada").get("people/me")
    assert integration.history("id-ada")[-1].kind is Kind.OUTCOME_UNKNOWN
    world.grant(integration, grant=grant.id)
    assert integration.client_for("id-ada").get("people/me").status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which process is which")
def test_nobody_waits_for_the_lease_of_a_process_that_is_dead(world: World) -> None:
    """It would last for 45 seconds."""
    integration = world.integration()
    world.grant(integration)
    world.platform.expire_access_tokens()
    with workers(world, 1, callers=1, dies_before_saving=True) as made:
        made.begin()
        assert made.ends() == {"killed": 1}
    begun = time.monotonic()
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    assert time.monotonic() - begun < 10


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("rotates", [False, True])
def test_s101_a_process_killed_between_the_answer_and_the_save_loses_no_grant_that_the_platform_has_not_swapped(
    world: World, rotates: bool
) -> None:
    integration = world.integration(deadline=2.0, _lease_margin=1.0)
    grant = world.grant(integration)
    before = world.stored_tokens(integration)
    world.platform.expire_access_tokens()
    world.platform.rotates = rotates
    with workers(world, 1, callers=3, deadline=2.0, lease_margin=1.0, dies_before_saving=True) as made:
        made.begin()
        assert made.ends() == {"killed": 1}
    assert world.platform.counts["refresh"] == 1
    assert len(world.platform.line().access) == 1, "the platform has answered with tokens"
    assert world.stored_tokens(integration) == before, "which are nowhere now"
    stored = integration._parts.vault.find(grant.key)
    assert stored is not None
    assert stored.unanswered_since is not None, "the intent tells of the crash"
    if rotates:
        with pytest.raises(RefreshOutcomeUnknown, match="never arrived"):
            integration.client_for("id-ada").get("people/me")
        world.grant(integration, grant=grant.id)
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    sent = [form["refresh_token"] for form in world.platform.forms if form["grant_type"] == "refresh_token"]
    assert sent == [before[1]] * 2, "the same token was sent again"
    assert integration.grants()[0].status is Status.ACTIVE


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="SIGSTOP is POSIX's")
def test_a_holder_that_was_stopped_past_its_deadline_changes_nothing_when_it_comes_back(world: World) -> None:
    integration = world.integration(deadline=2.0, _lease_margin=1.0)
    world.grant(integration)
    world.platform.expire_access_tokens()
    arrived, resumed = threading.Event(), threading.Event()

    def hold() -> None:
        world.platform.on_refresh = lambda: None
        arrived.set()
        resumed.wait(30)

    world.platform.on_refresh = hold
    with workers(world, 1, callers=3, deadline=2.0, lease_margin=1.0) as made:
        made.begin()
        assert arrived.wait(30)
        os.kill(made.pids[0], signal.SIGSTOP)
        assert integration.client_for("id-ada").get("people/me").status_code == 200
        tokens = world.stored_tokens(integration)
        resumed.set()
        os.kill(made.pids[0], signal.SIGCONT)
        assert made.ends() == {"200": 3}
    assert world.stored_tokens(integration) == tokens, "whoever saved first counts"
    assert world.platform.counts["refresh"] == 2
    assert integration.client_for("id-ada").get("people/me").status_code == 200


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="SIGSTOP is POSIX's")
def test_an_answer_that_came_while_its_process_was_stopped_is_kept_though_the_time_is_over(world: World) -> None:
    """A platform that swaps refresh tokens has swapped this one."""
    world.grant(world.integration())
    world.platform.expire_access_tokens()
    world.platform.rotates = world.platform.revokes_families = True
    with workers(world, 1, callers=3, deadline=2.0, lease_margin=1.0) as made:

        def stop() -> Refusal | None:
            os.kill(made.pids[0], signal.SIGSTOP)
            threading.Timer(3.0, os.kill, (made.pids[0], signal.SIGCONT)).start()
            return None

        world.platform.on_refresh = stop
        made.begin()
        assert made.ends() == {"200": 3}
    assert world.platform.counts["refresh"] == 1
    assert world.stored_tokens(world.integration())[1] == world.platform.line().refresh


def test_a_pause_between_lease_and_sending_is_noticed_and_nothing_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration = world.integration(deadline=3.0, _lease_margin=0.5)
    world.grant(integration)
    vault = integration._parts.vault
    take_lease = vault.take_lease
    leases: list[str] = []

    def take_and_sleep(*arguments: Any, **options: Any) -> Any:
        leased = take_lease(*arguments, **options)
        leases.append("taken")
        if len(leases) == 1:
            time.sleep(0.8)
            assert world.platform.counts["refresh"] == 0
        return leased

    monkeypatch.setattr(vault, "take_lease", take_and_sleep)
    integration.refresh("id-ada")
    assert len(leases) >= 2
    assert world.platform.counts["refresh"] == 1


def test_a_late_refusal_is_no_verdict_while_somebody_else_is_asking(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The one who lost the lease was refused because its successor has just swapped the token."""
    late, successor = world.integration(), world.integration()
    world.grant(late)
    asking = threading.Event()
    threads = ThreadPoolExecutor(1)
    renewed: list[Future[Grant]] = []

    def refuse_the_late_one() -> Refusal:
        world.platform.on_refresh = hold_the_successor
        world.home.ask("UPDATE grants SET lease_until = 0, lease_process = NULL")
        renewed.append(threads.submit(successor.refresh, "id-ada"))
        assert asking.wait(30)
        return 400, {"error": "invalid_grant"}

    def hold_the_successor() -> None:
        asking.set()
        time.sleep(0.5)

    world.platform.on_refresh = refuse_the_late_one
    with threads:
        assert late.refresh("id-ada").generation == 2
        assert renewed[0].result().generation == 2
    assert "is dead" not in caplog.text


def test_no_lease_is_held_during_the_call_of_the_api(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    held: list[object] = []
    real = world.platform.person_of

    def person_of(authorization: str) -> str | None:
        [(holder,)] = world.home.ask("SELECT lease_holder FROM grants")
        held.append(holder)
        return real(authorization)

    world.platform.person_of = person_of  # type: ignore[method-assign]
    world.platform.expire_access_tokens()
    assert integration.client_for("id-ada").get("people/me").status_code == 200
    assert held == [None, None]


def test_two_grants_are_renewed_side_by_side(world: World) -> None:
    integration = world.integration()
    for person in ("ada", "grace", "edsger", "barbara"):
        world.grant(integration, person=person)
    world.platform.expire_access_tokens()
    side_by_side = threading.Barrier(4)

    def meet() -> None:
        side_by_side.wait(30)

    world.platform.on_refresh = meet
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda each: integration.refresh(each.person_id), integration.grants()))
    assert world.platform.counts["refresh"] == 4


def test_after_a_final_refusal_many_callers_cost_one_request_in_all(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.end_grants()

    def call(_: int) -> str:
        with pytest.raises(ReauthorizationRequired) as caught:
            integration.client_for("id-ada").get("people/me")
        return caught.value.grant_url

    with ThreadPoolExecutor(50) as threads:
        assert len(set(threads.map(call, range(200)))) == 1
    assert world.platform.counts["refresh"] == 1
