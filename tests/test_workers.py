"""Several processes at one port: who answers, what becomes of one that dies, and how all of them end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, logging, os, pathlib, sys, time
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from grantflow import serving, workers

async def who(request):
    await asyncio.sleep(float(request.query_params.get("wait", 0)))
    return PlainTextResponse(str(os.getpid()))

@asynccontextmanager
async def lifespan(app):
    yield
    if "--hanging" in sys.argv:
        await asyncio.sleep(60)
    print("ended well", flush=True)

def begin():
    if "--broken" in sys.argv:
        raise RuntimeError("no such luck")
    for hindrance in pathlib.Path(sys.argv[1]).glob("*"):
        try:
            hindrance.unlink()
        except FileNotFoundError:
            continue  # another worker has failed by it
        raise RuntimeError("not now")
    if os.path.exists(sys.argv[2]):
        pathlib.Path(f"{sys.argv[2]}.{os.getpid()}").touch()
    while os.path.exists(sys.argv[2]):
        time.sleep(0.1)
    return [serving.Listener(Starlette(routes=[Route("/", who)], lifespan=lifespan), sockets)]

logging.basicConfig(level=logging.INFO, format="%(message)s")
if "--steady" in sys.argv:
    workers.STEADY_SECONDS = 0
sockets = serving.bind("127.0.0.1", 0)
try:
    ended_by = workers.run(2, begin, on_ready=lambda: print(serving.port_of(sockets), flush=True))
    print(ended_by.name, flush=True)
except workers.WorkerFailed as error:
    print(error, flush=True)
"""


@contextmanager
def served(
    *arguments: str, hindrances: Path = Path("/no/such/folder"), slow_while: Path = Path("/no/such/file")
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A worker that begins fails by a file in the one folder, which it takes away, and takes its time while the other
    file is there, as one beside it tells."""
    command = [sys.executable, "-c", PROGRAM, str(hindrances), str(slow_while), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=60)  # workers that outlived it would hold its pipes for ever


def who_answers(port: str) -> int:
    """Over a connection of its own."""
    return int(httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=20).text)


def those_who_answer(port: str, *, but: int | None = None) -> set[int]:
    """The two processes, found by asking until both have answered, and `but` was not one of them."""
    seen: set[int] = set()
    until = time.monotonic() + 60
    while len(seen) < 2:
        assert time.monotonic() < until, f"only {seen} answered"
        with suppress(httpx2.TransportError):  # a connection that the dead one had taken
            seen |= {who_answers(port)} - {but}
    return seen


def is_gone(process: int) -> bool:
    """Also where it has ended and nobody has asked how."""
    with suppress(OSError), open(f"/proc/{process}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(processes: set[int]) -> None:
    until = time.monotonic() + 60
    while not all(map(is_gone, processes)):
        assert time.monotonic() < until, "a worker outlived its parent"
        time.sleep(0.05)


def wait_until_they_begin(slow: Path, *, count: int) -> None:
    until = time.monotonic() + 60
    while len(list(slow.parent.glob(f"{slow.name}.*"))) < count:
        assert time.monotonic() < until, "a worker has not begun"
        time.sleep(0.05)


def test_both_processes_answer_at_one_port() -> None:
    with served() as (parent, port):
        assert parent.pid not in those_who_answer(port)


def test_one_that_was_killed_is_replaced_and_the_log_says_so() -> None:
    with served() as (parent, port):
        killed, other = those_who_answer(port)
        os.kill(killed, signal.SIGKILL)
        after = those_who_answer(port, but=killed)
        assert other in after
        assert killed not in after
        parent.terminate()
        _, log = parent.communicate(timeout=60)
        assert f"worker {killed} ended by itself (signal 9); another takes its place" in log


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_their_parent_ends_all_and_each_closes_what_it_opened(ending: signal.Signals) -> None:
    with served() as (parent, port):
        workers = those_who_answer(port)
        parent.send_signal(ending)
        out, _ = parent.communicate(timeout=60)
        assert out.split("\n") == ["ended well", "ended well", ending.name, ""]
        assert all(map(is_gone, workers))


def test_a_second_signal_cuts_off_what_is_under_way() -> None:
    with served() as (parent, port), socket.create_connection(("127.0.0.1", int(port))) as waiting:
        waiting.sendall(b"GET /?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        for _ in range(2):
            parent.terminate()
            time.sleep(0.1)
        out, _ = parent.communicate(timeout=60)
        assert out.endswith("SIGTERM\n")


def test_workers_whose_parent_was_killed_end_too() -> None:
    with served() as (parent, port):
        workers = those_who_answer(port)
        parent.kill()
        wait_until_gone(workers)


def test_where_one_cannot_begin_none_goes_on_and_its_log_says_why() -> None:
    with served("--broken") as (parent, said):
        _, log = parent.communicate(timeout=60)
        assert said == "A worker ended before it answered."
        assert "RuntimeError: no such luck" in log


def test_where_a_replacement_cannot_begin_the_others_serve_on_and_it_is_tried_again(tmp_path: Path) -> None:
    with served(hindrances=tmp_path) as (parent, port):
        killed, other = those_who_answer(port)
        for number in ("1", "2"):
            (tmp_path / number).touch()
        os.kill(killed, signal.SIGKILL)
        until = time.monotonic() + 60
        while any(tmp_path.iterdir()):  # until the first try and the second have failed
            assert time.monotonic() < until, "nobody was begun again"
            with suppress(httpx2.TransportError):
                assert who_answers(port) == other
        assert other in those_who_answer(port, but=killed)
        parent.terminate()
        out, log = parent.communicate(timeout=60)
        assert out.split("\n") == ["ended well", "ended well", "SIGTERM", ""]
        assert "RuntimeError: not now" in log
        assert [line[-22:] for line in log.split("\n") if "could not begin" in line] == [
            "the next try is in 1 s",
            "the next try is in 2 s",
        ]


def test_one_that_ends_again_and_again_soon_after_it_began_is_replaced_after_ever_longer_pauses() -> None:
    with served() as (parent, port):
        dying, other = those_who_answer(port)
        for pause in (0, 1, 2):
            killed_at = time.monotonic()
            os.kill(dying, signal.SIGKILL)
            (after,) = those_who_answer(port, but=dying) - {other}
            assert time.monotonic() - killed_at >= pause
            dying = after
        parent.terminate()
        _, log = parent.communicate(timeout=60)
        assert log.count("ended by itself (signal 9); another takes its place") == 1
        assert [line[-22:] for line in log.split("\n") if "soon after it began (signal 9)" in line] == [
            "the next try is in 1 s",
            "the next try is in 2 s",
        ]


def test_one_that_had_served_for_long_is_replaced_at_once_whatever_ended_before() -> None:
    with served("--steady") as (parent, port):
        dying, other = those_who_answer(port)
        for _ in range(4):
            os.kill(dying, signal.SIGKILL)
            (dying,) = those_who_answer(port, but=dying) - {other}
        parent.terminate()
        _, log = parent.communicate(timeout=60)
        assert log.count("ended by itself (signal 9); another takes its place") == 4
        assert "the next try" not in log


def test_where_all_have_died_they_are_begun_again_until_they_can(tmp_path: Path) -> None:
    with served(hindrances=tmp_path) as (_, port):
        killed = those_who_answer(port)
        for process in killed:
            (tmp_path / str(process)).touch()
        for process in killed:
            os.kill(process, signal.SIGKILL)
        assert not those_who_answer(port) & killed
        assert not any(tmp_path.iterdir()), "two could not begin"


def test_a_signal_ends_all_at_once_also_while_a_replacement_takes_its_time_to_begin(tmp_path: Path) -> None:
    with served(slow_while=tmp_path / "slow") as (parent, port):
        killed, other = those_who_answer(port)
        (tmp_path / "slow").touch()
        os.kill(killed, signal.SIGKILL)
        wait_until_they_begin(tmp_path / "slow", count=1)
        assert who_answers(port) == other
        parent.terminate()
        out, log = parent.communicate(timeout=60)
        assert out.split("\n") == ["ended well", "SIGTERM", ""]
        assert "has not ended" not in log


def test_a_signal_ends_all_at_once_also_while_they_begin(tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    command = [sys.executable, "-c", PROGRAM, "/no/such/folder", str(tmp_path / "slow")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until_they_begin(tmp_path / "slow", count=2)
            process.terminate()
            out, log = process.communicate(timeout=60)
        finally:
            process.kill()
    assert out == "SIGTERM\n"
    assert "has not ended" not in log


@pytest.mark.parametrize("hindrance", ["stopped", "hanging"])
def test_a_worker_that_does_not_end_is_killed(hindrance: str) -> None:
    with served(*(["--hanging"] if hindrance == "hanging" else [])) as (parent, port):
        workers = those_who_answer(port)
        if hindrance == "stopped":
            os.kill(min(workers), signal.SIGSTOP)
        parent.terminate()
        out, log = parent.communicate(timeout=60)
        assert out.endswith("SIGTERM\n")
        assert f"worker {min(workers)} has not ended in 5 seconds; it is killed" in log
        assert all(map(is_gone, workers))
