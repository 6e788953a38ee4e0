"""What one caller in this process does for all who ask for the same, and blocking callers wait for."""

import logging
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any


class LeaderGaveUp(Exception):
    """The caller that performed a shared flow was interrupted; another one takes it up."""


@dataclass(slots=True, eq=False)
class Flight:
    """What one caller does for all who ask for the same.

    A signal handler may raise between any two steps: KeyboardInterrupt, a time limit. So it needs no lock, which might
    stay locked (nor a Future, which has one), and `land` does no harm when it is done again.
    """

    result: Any = None
    #: That of a leader who comes to no end; None once there is a result.
    error: Exception | None = field(default_factory=LeaderGaveUp)
    #: What is no error but an end, and the leader's own.
    end: BaseException | None = None
    has_landed: bool = False
    #: The thread that it has of its own, once that has begun; and whether the leader has left it alone.
    thread: threading.Thread | None = None
    is_left: bool = False
    waiting: list["SimpleQueue[None]"] = field(default_factory=list)
    #: Of the log, to be written once it has landed.
    lines: list[logging.LogRecord] = field(default_factory=list)

    def wait(self) -> Any:
        """Raises its error."""
        landed: SimpleQueue[None] = SimpleQueue()
        self.waiting.append(landed)  # before looking, since `land` looks here last
        if not self.has_landed:
            landed.get()
        if self.error is not None:
            raise self.error
        return self.result

    def land(self) -> None:
        self.has_landed = True
        for each in self.waiting:
            each.put(None)


def land(flights: dict[Hashable, Flight], key: Hashable, flight: Flight) -> None:
    if flights.get(key) is flight:
        del flights[key]  # first, so that whoever is woken by a leader who gave up begins another
    flight.land()


def land_here(flights: dict[Hashable, Flight], key: Hashable, flight: Flight) -> None:
    if flight.thread is None:  # which lands it
        land(flights, key, flight)


# --- the log ----------------------------------------------------------------------------------------------------------
# A handler of the log may call the API itself, as one does that posts what went wrong to a room. It holds its lock
# while its call waits for a flight: one that wrote to the log meanwhile would wait for that lock, and both for ever.

_HERE = threading.local()


@contextmanager
def lines_held(flight: Flight) -> Iterator[None]:
    """What this thread logs waits in that flight; in a flight within another, in the outer one."""
    outer = getattr(_HERE, "lines", None)
    _HERE.lines = flight.lines if outer is None else outer
    try:
        yield
    finally:
        _HERE.lines = outer


def write_lines(flight: Flight) -> None:
    """Each once, also where two threads do it."""
    while flight.lines:
        try:
            line = flight.lines.pop(0)
        except IndexError:
            return
        logging.getLogger(line.name).handle(line)


def _may_pass(line: logging.LogRecord) -> bool:
    lines: list[logging.LogRecord] | None = getattr(_HERE, "lines", None)
    if lines is None:
        return True
    lines.append(line)
    return False


for _name in ("grantflow", "grantflow.vault"):
    logging.getLogger(_name).addFilter(_may_pass)
