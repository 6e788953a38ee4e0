"""What runs in each library's own environment: it does with one driver what it is told, line by line.

`python player.py DRIVER.py` reads commands from standard input, a line of JSON each, and answers each with one. It
needs nothing but the standard library and the driver's own packages; what a driver is, drivers/README.md says.
"""

import importlib.util
import io
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any


def ended(work: Callable[[], object]) -> str:
    """How it ended for the caller: the API's status, or the error that was raised."""
    try:
        return str(work())
    except Exception as error:
        words = " ".join(str(error).split())[:160]
        return f"{type(error).__name__}: {words}" if words else type(error).__name__


class Player:
    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.client: Any = None
        self.children: list[int] = []

    def versions(self, *, packages: list[str]) -> dict[str, str]:
        return {package: version(package) for package in packages}

    def keep(self, *, place: dict[str, str], tokens: dict[str, Any], code: str) -> str:
        """Put a fresh grant where this library's users put it."""
        return ended(lambda: self.driver.keep(place, tokens, code))

    def open(self, *, place: dict[str, str]) -> str:
        """As a program that starts: with whatever is kept there."""

        def work() -> str:
            self.client = self.driver.Client(place)
            return "open"

        return ended(work)

    def call(self, *, times: int = 1) -> list[str]:
        return [ended(self.client.get) for _ in range(times)]

    def together(self, *, callers: int, times: int = 1) -> list[str]:
        """So many callers at one moment, each so many times: threads, or tasks where the library is for those."""
        if hasattr(self.client, "together"):
            return list(self.client.together(callers, times, ended))
        ends: list[str] = []
        start = threading.Barrier(callers)

        def work() -> None:
            start.wait()
            for _ in range(times):
                ends.append(ended(self.client.get))

        threads = [threading.Thread(target=work) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ends

    def upload(self, *, kind: str, content: str, begins: int) -> str:
        whole = content.encode()
        if kind == "multipart":
            return ended(lambda: self.client.multipart(io.BytesIO(whole)))
        return ended(lambda: self.client.post(_body(kind, whole, begins)))

    # --- processes of their own: made from this one, which itself has opened nothing, so that importing takes no time

    def begin_call(self, *, place: dict[str, str]) -> int:
        """It opens, calls, and ends, unless it is ended before."""
        child = os.fork()
        if child == 0:
            self.open(place=place)
            self.call()
            os._exit(0)
        self.children.append(child)
        return child

    def reap(self) -> int:
        for child in self.children:
            os.waitpid(child, 0)
        reaped, self.children = len(self.children), []
        return reaped

    def call_apart(self, *, place: dict[str, str], processes: int = 1) -> list[str]:
        """So many open what is kept there, wait for one another, and call at one moment, each once."""
        readied, ready = os.pipe()
        waited, go = os.pipe()
        answers = []
        for _ in range(processes):
            answer, told = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(go)
                os.write(told, self._call_when(place, ready, waited).encode())
                os._exit(0)
            os.close(told)
            self.children.append(child)
            answers.append(answer)
        for _ in range(processes):
            os.read(readied, 1)
        for end in (readied, ready, waited, go):
            os.close(end)
        said = [os.fdopen(answer).read() for answer in answers]
        self.reap()
        return said

    def _call_when(self, place: dict[str, str], ready: int, waited: int) -> str:
        opened = self.open(place=place)
        os.write(ready, b".")
        os.read(waited, 1)  # until the one who made this process closes the other end
        return self.call()[0] if opened == "open" else opened


def _body(kind: str, whole: bytes, begins: int) -> object:
    if kind == "bytes":
        return whole
    if kind == "file":
        file = io.BytesIO(whole)
        file.seek(begins)
        return file
    return _pieces(whole)


def _pieces(whole: bytes) -> Iterator[bytes]:
    for at in range(0, len(whole), 10_000):
        yield whole[at : at + 10_000]


def load(path: Path) -> Any:
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    return driver


def stay_on_this_machine() -> None:
    """Whatever a library would like to ask elsewhere, nothing leaves this machine, nor the question where it is."""
    find = socket.getaddrinfo

    def getaddrinfo(host: Any, *more: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", b"127.0.0.1", b"localhost"):
            raise socket.gaierror(f"{host} is not on this machine")
        return find(host, *more, **options)

    socket.getaddrinfo = getaddrinfo


def main() -> None:
    stay_on_this_machine()
    # What a library prints (some log to standard output) must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    player = Player(load(Path(sys.argv[1])))
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(player, command.pop("do"))(**command)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
