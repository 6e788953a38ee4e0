"""What one caller in this process does for all who ask for the same, and blocking callers wait for."""

import threading
from collections.abc import Hashable
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
