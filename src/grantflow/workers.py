"""Several processes that serve the same sockets, and the one that begins them, ends them, and replaces one that dies.

They are forked, so the sockets are theirs too, and the kernel hands each connection to one of them. All hold the
reading end of one pipe, the lifeline, whose other end their parent alone has: when that is closed, by the parent or by
its death, they finish what is under way and end.
"""

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TypeAlias

from grantflow import serving
from grantflow.serving import Listener

log = logging.getLogger("grantflow.workers")

#: Seconds until a worker that was told to end, and has not, is killed: what is under way has its grace, and closing
#: what was opened takes a moment more.
END_SECONDS = serving.GRACE + 4
#: Seconds until the next try where a replacement could not begin, or ended soon: 1, 2, 4, and so on up to this.
LONGEST_PAUSE = 30
#: Seconds that a worker must have served for its end to be an accident, after which another begins at once.
STEADY_SECONDS = 10

Handler: TypeAlias = Callable[[int, FrameType | None], object] | int

_ENDINGS = frozenset({signal.SIGINT, signal.SIGTERM})
_WATCHED = (*_ENDINGS, signal.SIGCHLD)


class WorkerFailed(Exception):
    """A worker ended before it answered; why stands in its log."""


def run(count: int, begin: Callable[[], Sequence[Listener]], *, on_ready: Callable[[], None]) -> signal.Signals:
    """Serve in ``count`` processes until SIGINT or SIGTERM, which is answered; ``on_ready`` is called here, once all of
    them answer. A second signal cuts off what is under way, as ``serving.run`` does.

    ``begin`` is called in each of the processes. What it opens must not be open here: SQLite's connections do not
    survive a fork, and neither do threads.

    Raises:
        WorkerFailed: one could not begin at the start; none runs any more. Later, one that cannot begin, or ends soon
            after, is tried again after a pause, while the others serve on.
    """
    with _signals() as signals:
        workers = _Workers(count, begin, signals)
        try:
            received = workers.start()
            if received is None:
                on_ready()
                received = workers.keep()
        finally:
            workers.end()
    return received


# --- signals -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Signals:
    """Those that we watch for, each as one byte in a pipe, so that one ``select`` waits for them, for what workers say
    and for a time. (``sigtimedwait`` would do; macOS has none.)
    """

    pipe: int
    former: Mapping[signal.Signals, Handler]

    def next(self) -> signal.Signals | None:
        """The one that came first; None where there is none."""
        try:
            return signal.Signals(os.read(self.pipe, 1)[0])
        except BlockingIOError:
            return None

    def give_back(self) -> None:
        """To whom they belonged before, in this process."""
        signal.set_wakeup_fd(-1)
        for watched, handler in self.former.items():
            signal.signal(watched, handler)


@contextmanager
def _signals() -> Iterator[_Signals]:
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # a handler of Python's must be there, or nothing is written
    former = {watched: signal.signal(watched, lambda *_: None) or signal.SIG_DFL for watched in _WATCHED}
    signals = _Signals(reading, former)
    try:
        yield signals
    finally:
        signals.give_back()
        os.close(reading)
        os.close(writing)


# --- processes ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Worker:
    process: int
    ready: int | None
    """The pipe that brings one byte once it answers requests, and ends without if it never will; None once read."""
    began_at: float | None = None
    """On the monotonic clock; None until it answers requests."""

    @property
    def has_begun(self) -> bool:
        return self.began_at is not None

    @property
    def was_steady(self) -> bool:
        return self.began_at is not None and time.monotonic() - self.began_at >= STEADY_SECONDS

    def hear(self) -> None:
        if self.ready is not None:
            self.began_at = time.monotonic() if os.read(self.ready, 1) else None
            os.close(self.ready)
            self.ready = None


@dataclass
class _Workers:
    count: int
    begin: Callable[[], Sequence[Listener]]
    signals: _Signals
    running: list[_Worker] = field(default_factory=list)
    lifeline: tuple[int, int] = field(default_factory=os.pipe)
    tries: int = 0
    """How often in a row those that are missing were begun, and ended before they had served for long."""
    next_try: float = 0.0
    """On the monotonic clock: none is begun before."""

    def start(self) -> signal.Signals | None:
        """Fork them all, then wait until each answers; or until a signal, which is answered.

        Raises:
            WorkerFailed: one ended meanwhile.
        """
        for _ in range(self.count):
            self._fork()
        while not all(worker.has_begun for worker in self.running):
            if (received := self._wait(None)) in _ENDINGS:
                return received
            if self._ended():
                raise WorkerFailed("A worker ended before it answered.")
        return None

    def keep(self) -> signal.Signals:
        """Replace those that end by themselves, until a signal, which is answered."""
        while True:
            is_complete = len(self.running) == self.count
            received = self._wait(None if is_complete else self.next_try)
            if received in _ENDINGS:
                return received
            for worker, status in self._ended():
                self._tell_why(worker, _how(status))
            if len(self.running) < self.count and time.monotonic() >= self.next_try:
                self._replace()

    def end(self) -> None:
        """Let all finish, and kill who has not by ``END_SECONDS``; each further signal to us is passed on."""
        for worker in self.running:
            if not worker.has_begun:  # it does not look at its lifeline yet
                os.kill(worker.process, signal.SIGTERM)
        for end in self.lifeline:
            os.close(end)
        until: float | None = time.monotonic() + END_SECONDS
        while self.running:
            if (received := self._wait(until)) in _ENDINGS:
                self._signal_all(received)
            for worker, status in self._ended():
                log.debug("worker %d ended (%s)", worker.process, _how(status))
            if until is not None and time.monotonic() >= until:
                for worker in self.running:
                    log.error("worker %d has not ended in %d seconds; it is killed", worker.process, END_SECONDS)
                self._signal_all(signal.SIGKILL)
                until = None

    def _tell_why(self, worker: _Worker, how: str) -> None:
        if worker.was_steady:
            self.tries, self.next_try = 0, 0.0
        if not worker.has_begun:
            self._pause(f"worker {worker.process} could not begin ({how})")
        elif self.tries:
            self._pause(f"worker {worker.process} ended by itself soon after it began ({how})")
        else:
            log.error("worker %d ended by itself (%s); another takes its place", worker.process, how)

    def _replace(self) -> None:
        self.tries += 1
        try:
            while len(self.running) < self.count:
                self._fork()
        except OSError as error:  # no more processes or files, for the moment
            self._pause(f"a worker could not be begun ({error})")

    def _pause(self, why: str) -> None:
        pause = min(2 ** max(self.tries - 1, 0), LONGEST_PAUSE)
        self.next_try = time.monotonic() + pause
        log.error("%s; the next try is in %d s", why, pause)

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in self.running:
            os.kill(worker.process, number)

    def _wait(self, until: float | None) -> signal.Signals | None:
        """For a signal, which is answered, or for a worker that begins, or until this time on the monotonic clock."""
        seconds = None if until is None else max(0.0, until - time.monotonic())
        starting = {worker.ready: worker for worker in self.running if worker.ready is not None}
        for pipe in select.select([self.signals.pipe, *starting], [], [], seconds)[0]:
            if pipe in starting:
                starting[pipe].hear()
        return self.signals.next()

    def _ended(self) -> list[tuple[_Worker, int]]:
        """Those that are no more, and their exit status."""
        looked_at = [(worker, *os.waitpid(worker.process, os.WNOHANG)) for worker in self.running]
        gone = [(worker, status) for worker, process, status in looked_at if process]
        for worker, _ in gone:
            worker.hear()
            self.running.remove(worker)
        return gone

    def _fork(self) -> None:
        reading, writing = os.pipe()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)  # one of the child's would stand in our pipe
        try:
            process = os.fork()
            if process == 0:
                self._work(writing, mask)
            self.running.append(_Worker(process, reading))
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _work(self, ready: int, mask: set[int]) -> None:
        """The worker's whole life: it must not return to where its parent goes on."""
        code = 1
        try:
            lifeline, parents_end = self.lifeline
            os.close(parents_end)
            self.signals.give_back()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            serving.run(self.begin(), on_ready=lambda: _tell(ready), lifeline=lifeline)
            code = 0
        except KeyboardInterrupt:
            pass
        except BaseException:
            log.exception("worker %d cannot go on", os.getpid())
        finally:
            sys.stderr.flush()
            os._exit(code)


def _tell(ready: int) -> None:
    os.write(ready, b".")
    os.close(ready)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit code {code}"
