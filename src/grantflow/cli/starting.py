"""What every command that serves has in common: sockets, addresses, the browser, and how a start fails."""

import signal
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from socket import socket
from threading import Thread

from grantflow import serving, workers
from grantflow.cli.output import INTERRUPTED, OK, Failure, say, say_interrupted, write_no_more
from grantflow.cli.ports import holder_of
from grantflow.cli.report import status_command
from grantflow.data_directory import DataDirectory, DirectoryInUse
from grantflow.serving import Listener, PortUnavailable
from grantflow.workers import WorkerFailed


@contextmanager
def bound(host: str, port: int, *, flag: str = "--port", otherwise: str = "") -> Iterator[Sequence[socket]]:
    """Listening sockets, closed at the end; ``flag`` is what sets the port, and ``otherwise`` what else there is to do
    where it is taken.

    Raises:
        Failure: the address cannot be listened at, with who does, and what to do.
    """
    try:
        sockets = serving.bind(host, port)
    except PortUnavailable as error:
        raise _unavailable(error, flag, otherwise) from error
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


@contextmanager
def held(directory: DataDirectory, *, shared: bool = False) -> Iterator[None]:
    """Hold the data directory meanwhile: `grantflow up` alone, platforms ``shared`` among themselves.

    Raises:
        Failure: who else holds it, and what to do.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(directory.held(shared=shared))
        except DirectoryInUse as error:
            raise _in_use(directory) from error
        directory.clear_running()
        yield


def _in_use(directory: DataDirectory) -> Failure:
    if directory.is_held():
        return Failure(
            f"Another grantflow up runs on {directory.path}.",
            fix="Stop it, or let this one have a directory of its own: --data DIR. To see where it answers:\n"
            f"  {status_command(directory.path)}",
        )
    return Failure(
        f"A grantflow platform serve runs on {directory.path}, at an address of its own.",
        fix="Stop it, or let this one have a directory of its own: --data DIR.",
    )


def _unavailable(error: PortUnavailable, flag: str, otherwise: str) -> Failure:
    if not error.taken:
        return Failure(
            f"{error.host}:{error.port} cannot be listened at: {error.reason}.", fix="Choose another host or port."
        )
    holder = holder_of(error.port) or "another program"
    otherwise = otherwise or f"choose another port: {flag} {error.port + 1}, or {flag} 0 for any that is free"
    return Failure(f"Port {error.port} on {error.host} is taken by {holder}.", fix=f"Stop it, or {otherwise}.")


def address(scheme: str, host: str, sockets: Sequence[socket]) -> str:
    """Where this machine finds what listens there: a server on all addresses is found on loopback."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{scheme}://{name}:{serving.port_of(sockets)}"


def serve_until_signal(listeners: Sequence[Listener], *, on_ready: Callable[[], None]) -> int:
    """Serve until a signal ends it, also where nobody reads what ``on_ready`` writes; answers the exit code."""
    return _exit_code(serving.run(listeners, on_ready=_told_or_not(on_ready)))


def serve_in_workers(count: int, begin: Callable[[], Sequence[Listener]], *, on_ready: Callable[[], None]) -> int:
    """The same in several processes, each of which calls ``begin``; one needs no other to watch over it.

    Raises:
        Failure: a worker could not begin.
    """
    if count == 1:
        return serve_until_signal(begin(), on_ready=on_ready)
    try:
        return _exit_code(workers.run(count, begin, on_ready=_told_or_not(on_ready)))
    except WorkerFailed as error:
        raise Failure(str(error), fix="What went wrong stands above.") from error


def _told_or_not(on_ready: Callable[[], None]) -> Callable[[], None]:
    def ready() -> None:
        try:
            on_ready()
        except BrokenPipeError:
            write_no_more()

    return ready


def _exit_code(ended_by: signal.Signals) -> int:
    if ended_by == signal.SIGINT:
        say_interrupted()
    say("Stopped.")
    return INTERRUPTED if ended_by == signal.SIGINT else OK


def open_browser(url: str) -> None:
    """In a thread of its own: some browsers block until they are closed."""

    def show() -> None:
        if not webbrowser.open(url):
            say(f"No browser could be opened; go to {url}")

    Thread(target=show, daemon=True).start()
