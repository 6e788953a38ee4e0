"""Several processes that serve the same sockets, and the one that begins them, ends them, and replaces one that dies.

They are forked, so the sockets are theirs too, and the kernel hands each connection to one of them. All hold the
reading end of one pipe, the lifeline, whose other end their parent alone has: when that is closed, by the parent or by
its death, they finish what is under way and end.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from grantflow import serving
from grantflow.serving import Listener

log = logging.getLogger("grantflow.workers")

_ENDINGS = frozenset({signal.SIGINT, signal.SIGTERM})
_WATCHED = frozenset({*_ENDINGS, signal.SIGCHLD})


class WorkerFailed(Exception):
    """A worker ended before it answered; why stands in its log."""


def run(count: int, begin: Callable[[], Sequence[Listener]], *, on_ready: Callable[[], None]) -> signal.Signals:
    """Serve in ``count`` processes until SIGINT or SIGTERM, which is answered; ``on_ready`` is called here, once all of
    them answer. A second signal cuts off what is under way, as ``serving.run`` does.

    ``begin`` is called in each of the processes. What it opens must not be open here: SQLite's connections do not
    survive a fork, and neither do threads.

    Raises:
        WorkerFailed: one could not begin; none runs any more.
    """
    with _signals_held_back() as mask:
        workers = _Workers(begin, mask)
        try:
            workers.add(count)
            on_ready()
            while (received := signal.sigwait(_WATCHED)) not in _ENDINGS:
                workers.replace_the_dead()
        finally:
            workers.end()
    return signal.Signals(received)


@contextmanager
def _signals_held_back() -> Iterator[set[int]]:
    """They wait for ``sigwait``; answers the mask that was there before, which is the workers'."""
    former = signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler macOS would not keep it for us
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    try:
        yield mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGCHLD, former)


@dataclass
class _Workers:
    begin: Callable[[], Sequence[Listener]]
    mask: set[int]
    running: set[int] = field(default_factory=set)
    """Process ids."""
    lifeline: tuple[int, int] = field(default_factory=os.pipe)

    def add(self, count: int) -> None:
        """Fork them all, then wait until each answers."""
        for ready in [self._fork() for _ in range(count)]:
            with open(ready, "rb") as pipe:
                if not pipe.read(1):
                    raise WorkerFailed("A worker ended before it answered.")

    def replace_the_dead(self) -> None:
        for process, status in self._ended():
            log.error("worker %d ended by itself (%s); another takes its place", process, _how(status))
            self.add(1)

    def end(self) -> None:
        """Let all finish; each further signal to us is passed on to them."""
        for end in self.lifeline:
            os.close(end)
        while True:
            for process, status in self._ended():
                log.debug("worker %d ended (%s)", process, _how(status))
            if not self.running:
                return
            if (received := signal.sigwait(_WATCHED)) in _ENDINGS:
                for process in self.running:
                    os.kill(process, received)

    def _ended(self) -> list[tuple[int, int]]:
        """Process id and exit status of those that are no more."""
        ended = [os.waitpid(process, os.WNOHANG) for process in self.running]
        gone = [(process, status) for process, status in ended if process]
        self.running -= {process for process, _ in gone}
        return gone

    def _fork(self) -> int:
        """Begin one. The pipe that is answered brings one byte once it answers requests, and ends without if it never
        will.
        """
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            self._work(writing)
        os.close(writing)
        self.running.add(process)
        return reading

    def _work(self, ready: int) -> None:
        """The worker's whole life: it must not return to where its parent goes on."""
        code = 1
        try:
            lifeline, parents_end = self.lifeline
            os.close(parents_end)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
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
