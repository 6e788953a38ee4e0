"""What no round may leave: an answer that blames the server, a fault in a log, a secret that can be read.

A 503 that says when to come again is no fault: that is what a platform answers which has no room or no database just
now. Logs are looked through after each round, whole folders once their rounds are over (`left_behind`): every file but
those that hold secrets on purpose, for every secret that this process knew, as `./dev test` does (tests/canary).
"""

import atexit
import functools
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.canary import record
from tests.canary.record import read_secrets
from tests.canary.scan import SHAPE, scan

#: A line of a server's log that tells of a fault: a traceback, an error, a request that was answered 5xx.
_FAULT = re.compile(
    rb"""
    ^Traceback\ \(most\ recent\ call\ last\)
    | ^\S+\ (?:ERROR|CRITICAL)\ .*
    | ^\S+\ \w+\ +grantflow\.access:\ .*\ 5\d\d\ [\d.]+\ ms$
    """,
    re.MULTILINE | re.VERBOSE,
)
#: A refusal for now, in the access log, and in the words of the pages.
_COME_AGAIN = re.compile(rb" 503 [\d.]+ ms$| was answered 503, ")


@dataclass(slots=True)
class Answers:
    """All that this process was answered since `watch`; those with a fault are kept until somebody takes them."""

    count: int = 0
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self) -> None:
        """From here on, until the process ends."""
        send = httpx2.Client.send

        @functools.wraps(send)
        def watched(*arguments: Any, **options: Any) -> httpx2.Response:
            response = send(*arguments, **options)
            self.see(response)
            return response

        httpx2.Client.send = watched  # type: ignore[method-assign]

    def see(self, response: httpx2.Response) -> None:
        with self._lock:
            self.count += 1
            if response.status_code >= 500 and not (
                response.status_code == 503 and response.headers.get("retry-after", "").isdigit()
            ):
                url = response.request.url.copy_with(query=None)
                self.faults.append(f"{response.request.method} {url.path} was answered {response.status_code}")

    def take(self) -> list[str]:
        with self._lock:
            faults, self.faults = self.faults, []
            return faults


ANSWERS = Answers()


_beginning = threading.Lock()


def watched() -> Path:
    """Begin to watch this process's answers and to record its secrets, if nobody has; the folder of the record.

    From then on the commands that it starts log all that they can.
    """
    with _beginning:  # lanes come here side by side
        return _begin()


@functools.cache
def _begin() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="grantflow-soak-secrets-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    record.begin(folder, "soak", values=False)
    ANSWERS.watch()
    return folder


@dataclass(slots=True)
class Logs:
    """The logs below a folder, each read on from where the last look at it ended."""

    folder: Path
    _ends: dict[Path, int] = field(default_factory=dict)

    def check(self) -> None:
        """Fails where an answer or a log told of a fault since the last time, or a log shows a code or a token."""
        for log in sorted(self.folder.rglob("*.stderr")):
            for fault in self._faults(log):
                raise AssertionError(f"{log.name}: {fault}")
        faults = ANSWERS.take()
        assert not faults, faults[:3]

    def _faults(self, log: Path) -> Iterator[str]:
        begin = self._ends.get(log, 0)
        with log.open("rb") as file:
            file.seek(begin)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self._ends[log] = begin + len(new)
        for found in _FAULT.finditer(new):
            if not _COME_AGAIN.search(found[0]):
                yield new[found.start() : found.start() + 1_500].decode("utf-8", "replace")
        if SHAPE.search(new):
            yield "it shows a code or a token"


def left_behind(folder: Path) -> Mapping[str, object]:
    """A look through all that the rounds in a folder left, for every secret of the record."""
    secrets = read_secrets(watched())
    done = scan(folder, secrets)
    told = [f"{finding.file.relative_to(folder)}, byte {finding.offset}: {finding.kind}" for finding in done.findings]
    assert not told, told[:5]
    for place in ("database", "log"):
        assert done.places[place], f"there was no {place} to look through"
    files = sum(done.places.values())
    return {"files": files, "megabytes": round(done.size / 1e6, 1), "secrets": len(secrets)}
