"""A platform under strace: in which order its requests, writes, syncs and answers reached the kernel.

One line of the trace, with its process, its time and what each file descriptor is::

    4711 1764080000.123456 fdatasync(7</tmp/state/platform.db-wal>) = 0

Calls that took longer than another thread's next one come in two halves; a whole one stands where it ended.
"""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts import require
from tests.whole.running import GRANTFLOW, environment

_CALLS = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync"
_BEGINS = re.compile(r"(?P<thread>\d+) +\d+\.\d+ (?P<call>\w+)\(\d+<(?P<file>[^>]*)>(?P<rest>.*)")
_RESUMES = re.compile(r"(?P<thread>\d+) +\d+\.\d+ <\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)")
_UNFINISHED = " <unfinished ...>"
_IN, _OUT = ("read", "readv", "recvfrom", "recvmsg"), ("write", "writev", "sendto", "sendmsg")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. ``began`` and ``ended`` are lines of the trace."""

    name: str
    file: str
    text: str
    began: int
    ended: int

    @property
    def syncs_the_log(self) -> bool:
        return self.name in ("fsync", "fdatasync") and self.file.endswith("platform.db-wal")

    @property
    def writes_the_log(self) -> bool:
        return self.name.startswith("pwrite") and self.file.endswith("platform.db-wal")

    def brings(self, text: str) -> bool:
        return self.name in _IN and text in self.text

    def answers(self, request: "Call") -> bool:
        return self.name in _OUT and self.file == request.file and "HTTP/1.1 200" in self.text


@dataclass(frozen=True, slots=True)
class Traced:
    """A running `grantflow platform serve`, and where its trace lies."""

    url: str
    process: subprocess.Popen[str]
    path: Path

    def calls(self) -> list[Call]:
        """End it, and read what it did."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        until = time.monotonic() + 30
        while f"\n{self.process.pid} " not in (text := self.path.read_text()) or "+++ exited with" not in last(text):
            assert time.monotonic() < until, "strace has not written its last line"
            time.sleep(0.05)
        return read(text.splitlines())


def last(text: str) -> str:
    return text.rstrip("\n").rpartition("\n")[2]


def read(lines: list[str]) -> list[Call]:
    """All calls on files and sockets, by when they ended."""
    begun: dict[str, tuple[re.Match[str], int]] = {}
    calls = []
    for number, line in enumerate(lines):
        if match := _BEGINS.fullmatch(line):
            if line.endswith(_UNFINISHED):
                begun[match["thread"]] = match, number
            else:
                calls.append(Call(match["call"], match["file"], match["rest"], number, number))
        elif (match := _RESUMES.fullmatch(line)) and match["thread"] in begun:
            first, began = begun.pop(match["thread"])
            text = first["rest"].removesuffix(_UNFINISHED) + match["rest"]
            calls.append(Call(first["call"], first["file"], text, began, number))
    return calls


@contextmanager
def traced(folder: Path) -> Iterator[Traced]:
    """`grantflow platform serve` on this data directory, at a free port."""
    trace = folder.parent / f"{folder.name}.strace"
    # -D: the platform is our child, not strace's, so that a signal reaches it.
    strace = [require("strace"), "-D", "-f", "-y", "-ttt", "-s", "4096", "-e", f"trace={_CALLS}", "-o", str(trace)]
    serve = [str(GRANTFLOW), "platform", "serve", "--port", "0", "--json", "--data", str(folder)]
    process = subprocess.Popen([*strace, *serve], stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "it said nothing; its errors stand above"
        yield Traced(json.loads(line)["platform_url"], process, trace)
    finally:
        process.kill()
        process.communicate()
