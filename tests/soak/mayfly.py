"""Processes that live for one refresh or one exchange, to be killed in the middle of it.

`python -m tests.soak.mayfly '{...}'` forks one for each line of JSON that it reads, so that none has to be started: an
object with the answer at the redirect URI and the cookies is an exchange, an empty one a refresh. The child says its
process id when everything is ready but the first step, and ends with 0. `reap` says how the last one ended.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

from tests.client.crowd import Member, Order
from tests.parts import ROOT
from tests.whole.sites import integration

#: How often one lives to its end, to learn how long that takes.
TRIALS = 5


@dataclass(slots=True)
class Mayflies:
    member: Member
    usual: float = 0.0
    """How many seconds a refresh takes that nobody kills."""

    def hatch(self, **exchange: object) -> int:
        self.member.tell(json.dumps(exchange))
        return int(self.member.hear())

    def reap(self) -> int:
        """The exit code of the last one, negative for a signal."""
        self.member.tell("reap")
        return int(self.member.hear())

    def learn(self) -> None:
        took = []
        for _ in range(TRIALS):
            self.hatch()
            began = time.monotonic()
            assert self.reap() == 0
            took.append(time.monotonic() - began)
        self.usual = median(took)


@contextmanager
def mayflies(order: Order) -> Iterator[Mayflies]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.soak.mayfly", json.dumps(asdict(order))]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe)
    try:
        flies = Mayflies(Member(process))
        flies.learn()
        yield flies
    finally:
        process.kill()
        process.communicate()


def _live(order: Order, exchange: Mapping[str, object]) -> None:
    own = integration(order)
    print(os.getpid(), flush=True)
    if exchange:
        own.complete_authorization(exchange["answer"], exchange["cookies"])  # type: ignore[arg-type]
    else:
        own.refresh(order.people[0])


def main(order: Order) -> None:
    child = 0
    for line in sys.stdin:
        if line.strip() == "reap":
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _live(order, json.loads(line))
                code = 0
            finally:
                os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who watches over this
    main(Order(**json.loads(sys.argv[1])))
