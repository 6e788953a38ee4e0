"""Processes that stand ready and call the API at once, half of them with threads, half with tasks of asyncio.

`python -m tests.client.crowd` is one of them. It reads orders (`Order`, one line of JSON each), says `ready`, waits for
a line, calls, and says what came of it, a line of JSON too. So they are started once and may play often.
"""

import asyncio
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, TypeAlias

from grantflow import AsyncIntegration, GrantflowError, Integration, KeyRing, ReauthorizationRequired, open_vault
from grantflow.client.integration.making import Made
from grantflow.client.shells.clients import NoAnswer
from tests.parts import ROOT

PROCESSES, CALLERS = 8, 125
#: How long a process may take until it is ready, or its calls to end, in seconds.
PATIENCE = 90.0
#: After each call, in seconds, where an order says to go on.
PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class Order:
    """`callers` call for the `people` in turn, all at once, with the tokens that lie in the vault by then. Each calls
    `calls` times, for another person each time where there are more than callers, and goes on for `seconds` at least.
    `stops`: where the refresh stops its own process, once: "leased" (with the lease in hand), "checked" (nothing is
    left but to send), "answered" (the answer was read, not saved).
    """

    integration: Mapping[str, Any]
    vault: str
    key: str
    people: Sequence[str]
    callers: int = CALLERS
    calls: int = 1
    seconds: float = 0.0
    stops: str = ""


@dataclass(slots=True)
class Called:
    """How the calls ended (a status, or the name of an error), where people were to be sent, and how many seconds all
    of them took."""

    ends: Counter[str] = field(default_factory=Counter)
    urls: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def add(self, other: Mapping[str, Any]) -> None:
        self.ends.update(other["ends"])
        self.urls.update(other["urls"])
        self.seconds = max(self.seconds, other["seconds"])


# --- on this side --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a crowd."""

    process: subprocess.Popen[str]

    def tell(self, line: str) -> None:
        _pipe(self.process.stdin).write(f"{line}\n")
        _pipe(self.process.stdin).flush()

    def hear(self) -> str:
        said = _pipe(self.process.stdout)
        waiting = select.poll()  # select knows the first 1,024 files alone, and a proof beside may have more
        waiting.register(said, select.POLLIN)
        assert waiting.poll(PATIENCE * 1000), f"a process of the crowd has said nothing for {PATIENCE} s"
        line = said.readline()
        assert line, "a process of the crowd has died"
        return line.strip()

    def is_stopped(self) -> bool:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0] == "T"


def _pipe(of: IO[str] | None) -> IO[str]:
    assert of is not None
    return of


@dataclass(frozen=True, slots=True)
class Crowd:
    members: Sequence[Member]

    def ready(self, orders: Sequence[Order]) -> None:
        """Give each process its order, and wait until all are ready."""
        for member, order in zip(self.members, orders, strict=True):
            member.tell(json.dumps(asdict(order)))
        for member in self.members:
            assert member.hear() == "ready"

    def begin(self, *members: Member) -> None:
        for member in members or self.members:
            member.tell("now")

    def called(self) -> Called:
        return self.called_by(*self.members)

    def called_by(self, *members: Member) -> Called:
        """Waits until they have called."""
        together = Called()
        for member in members:
            together.add(json.loads(member.hear()))
        return together

    def call(self, order: Order, *, people: Sequence[Sequence[str]] = ()) -> Called:
        """All at once; `people` gives each process people of its own."""
        each = people or [order.people] * len(self.members)
        self.ready([replace(order, people=own) for own in each])
        self.begin()
        return self.called()


@contextmanager
def crowd(number: int = PROCESSES, *, environments: Mapping[int, Mapping[str, str]] | None = None) -> Iterator[Crowd]:
    """So many processes; every other one has tasks in place of threads. `environments` adds to those of some."""
    members = [_member(awaits=bool(each % 2), env=(environments or {}).get(each, {})) for each in range(number)]
    try:
        yield Crowd(members)
    finally:
        for member in members:
            member.process.kill()
            member.process.communicate()


def _member(*, awaits: bool, env: Mapping[str, str]) -> Member:
    command = [sys.executable, "-m", "tests.client.crowd", "awaits" if awaits else "blocks"]
    pipe = subprocess.PIPE
    return Member(subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, text=True, stdin=pipe, stdout=pipe))


def ahead(faketime: str, by: str) -> Mapping[str, str]:
    """The environment that moves the clock of a process, such as by "+5m"; `faketime` is the program, which knows."""
    names = ("LD_PRELOAD", "FAKETIME")
    show = f"import json, os; print(json.dumps({{name: os.environ[name] for name in {names!r}}}))"
    command = [faketime, "-f", by, sys.executable, "-c", show]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: str(value) for name, value in json.loads(shown).items()}


# --- on theirs -----------------------------------------------------------------------------------------------------

#: Makes one call for that caller; answers its status.
Call: TypeAlias = Callable[[int], Any]


def made(order: Order, kind: type[Made]) -> Any:
    """The integration, which knows the tokens of before as one that has run for hours does."""
    own = kind(**order.integration, vault=open_vault(order.vault, keys=KeyRing(order.key)))
    for person_id in order.people:
        key = own._parts.key(person_id, None)
        stored = own._parts.vault.find(key)
        assert stored is not None
        if stored.access_token is not None:
            own._parts.live.keep(key, stored, now=own._shell._now())  # type: ignore[attr-defined]
    if order.stops:
        _stop_at(own, order.stops)
    return own


def _stop_at(own: Any, place: str) -> None:
    stopped = threading.Event()

    def stop(result: Any) -> Any:
        if result and not stopped.is_set():
            stopped.set()
            # By way of this very thread: sent to the process it would let the thread go on for a while.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        return result

    vault, shell = own._parts.vault, own._shell
    match place:
        case "leased":
            take_lease = vault.take_lease
            vault.take_lease = lambda *of, **more: stop(take_lease(*of, **more))
        case "checked":
            lease_left = vault.lease_left
            vault.lease_left = lambda *of, **more: stop(lease_left(*of, **more))
        case "answered":
            send = shell._send
            if isinstance(own, Integration):
                shell._send = lambda *of, **more: stop(send(*of, **more))
            else:

                async def awaited(*of: Any, **more: Any) -> Any:
                    return stop(await send(*of, **more))

                shell._send = awaited


class Calling:
    """What comes of the calls of one order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.called = Called()
        self.began = time.monotonic()

    def begin(self) -> None:
        self.began = time.monotonic()

    def goes_on(self, calls: int) -> bool:
        return calls < self.order.calls or time.monotonic() - self.began < self.order.seconds

    def note(self, end: object) -> float:
        """How long to pause before the next call."""
        if isinstance(end, ReauthorizationRequired):
            self.called.urls.add(end.grant_url)
        is_error = isinstance(end, Exception)
        self.called.ends[type(end).__name__ if is_error else str(end)] += 1
        return PAUSE if self.order.seconds else 0.0

    def told(self) -> str:
        seconds = time.monotonic() - self.began
        return json.dumps({"ends": self.called.ends, "urls": sorted(self.called.urls), "seconds": seconds})


def call_in_threads(order: Order, *, ready: Callable[[], None]) -> str:
    calling, together = Calling(order), threading.Barrier(order.callers + 1)
    noting = threading.Lock()
    with made(order, Integration) as own:
        clients = [own.client_for(person_id) for person_id in order.people]

        def call(caller: int) -> None:
            together.wait()
            calls = 0
            while calling.goes_on(calls):
                client = clients[(caller + calls * order.callers) % len(clients)]
                end: object
                try:
                    end = client.get("people/me", timeout=PATIENCE).status_code
                except (GrantflowError, NoAnswer) as error:
                    end = error
                calls += 1
                with noting:
                    pause = calling.note(end)
                time.sleep(pause)

        threads = [threading.Thread(target=call, args=(caller,)) for caller in range(order.callers)]
        for thread in threads:
            thread.start()
        ready()
        calling.begin()
        together.wait()
        for thread in threads:
            thread.join()
    return calling.told()


def call_in_tasks(order: Order, *, ready: Callable[[], None]) -> str:
    calling = Calling(order)

    async def call_all() -> None:
        async with made(order, AsyncIntegration) as own:
            clients = [own.client_for(person_id) for person_id in order.people]

            async def call(caller: int) -> None:
                calls = 0
                while calling.goes_on(calls):
                    client = clients[(caller + calls * order.callers) % len(clients)]
                    end: object
                    try:
                        end = (await client.get("people/me", timeout=PATIENCE)).status_code
                    except (GrantflowError, NoAnswer) as error:
                        end = error
                    calls += 1
                    await asyncio.sleep(calling.note(end))

            ready()
            calling.begin()
            await asyncio.gather(*(call(caller) for caller in range(order.callers)))

    asyncio.run(call_all())
    return calling.told()


def main(kind: str) -> None:
    call = call_in_tasks if kind == "awaits" else call_in_threads
    logging.getLogger("grantflow").setLevel(logging.CRITICAL)  # that calls fail is what some orders are for

    def ready() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    for line in sys.stdin:
        print(call(Order(**json.loads(line)), ready=ready), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
