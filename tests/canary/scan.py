"""Looks for every secret of a record in all that the tests left behind: `python -m tests.canary.scan FOLDER`.

It names the file, the place in it and the kind of secret, never the secret. Where nothing is found the folder is
removed, since it holds them all; so it is where something was, but for the file that shows it.
"""

import base64
import binascii
import hashlib
import os
import re
import shutil
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from tests.canary.record import SHORTEST, read_secrets
from tests.parts import committed_files

#: What holds secrets on purpose, and so must be for its owner alone; and who writes it.
KEPT_ON_PURPOSE = {
    "sandbox.json": "grantflow up: the passwords, credentials and keys that it made up",
    "running.json": "grantflow up: what it told on its start, while it runs",
}
#: What is not ours to keep private, by the pattern of its name.
OF_OTHERS = {
    "tokens.db": "the document's own app in examples/flask_walkthrough, whose README says that tokens lie readable",
    "authlib.db": "the database of Authlib's server in tests/interop, which keeps tokens as they are",
    "tokens": "a token file of another program, as people have it before grantflow grants import",
    "tokens.json": "the same, as docs/moving-in.md has it",
    "env": "a browser's download of what the portal shows once, in tests/browser",
    "*.env": "the same elsewhere",
    "environment.json": "what Newman is given by tests/docs, the client secret and a code among it",
    "report.json": "what Newman says of its requests",
    "*.strace": "the system calls of a platform, with all that it was sent and answered",
    "codes.txt": "what the benchmarks' load generator sends",
    "refresh.txt": "the same",
    "access.txt": "the same",
}
#: Programs that others wrote and a test installed.
INSTALLED = {".git", ".tools", ".venv", "venv", "__pycache__", "node_modules"}

#: A code, an access token or a refresh token of ours, known or not (protocol/minting.py).
SHAPE = re.compile(rb"[A-Za-z0-9]{64}_[A-Z0-9]{4}_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RUN = re.compile(rb"[A-Za-z0-9+/_.~=:-]{%d,}" % SHORTEST)
_BASIC = re.compile(rb"Basic ([A-Za-z0-9+/]{16,}={0,2})")


@dataclass(frozen=True, slots=True)
class Finding:
    file: Path
    offset: int
    kind: str

    def __str__(self) -> str:
        return f"{self.file}, byte {self.offset}: {self.kind}"


class Wanted:
    """Many secrets, found in one pass: by a window of their first characters, or one by one where those are unusual."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._windows: dict[bytes, list[tuple[bytes, str]]] = {}
        self._others: list[tuple[bytes, str]] = []
        for text, kind in secrets.items():
            wanted = text.encode("utf-8", "surrogatepass")
            if _RUN.match(wanted[:SHORTEST]):
                self._windows.setdefault(wanted[:SHORTEST], []).append((wanted, kind))
            else:
                self._others.append((wanted, kind))

    def find(self, content: bytes) -> Iterator[tuple[int, str]]:
        for run in _RUN.finditer(content):
            yield from self._find_in_run(content, run.start(), run.end())
        for wanted, kind in self._others:
            if (offset := content.find(wanted)) >= 0:
                yield offset, kind
        for found in SHAPE.finditer(content):
            yield found.start(), "a code or token, by its shape"
        for basic in _BASIC.finditer(content):
            for _, kind in self.find(_decoded(basic[1])):
                yield basic.start(), f"in Basic credentials: {kind}"

    def _find_in_run(self, content: bytes, start: int, end: int) -> Iterator[tuple[int, str]]:
        windows = self._windows
        for offset in range(start, end - SHORTEST + 1):
            for wanted, kind in windows.get(content[offset : offset + SHORTEST], ()):
                if content.startswith(wanted, offset):
                    yield offset, kind


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""


@dataclass
class Scan:
    """``places`` counts the files by kind: a scan that looked at nothing is told from one that found nothing."""

    findings: list[Finding] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)
    size: int = 0


def scan(folder: Path, secrets: Mapping[str, str]) -> Scan:
    wanted, done = Wanted(secrets), Scan()
    ours = {_digest(file.read_bytes()) for file in committed_files()}
    for file in sorted(_left_behind(folder)):
        content = file.read_bytes()
        if (
            any(fnmatch(file.name, pattern) for pattern in OF_OTHERS) or _digest(content) in ours
        ):  # the latter in a checkout that a test made
            continue
        done.places[_place(file)] += 1
        done.size += len(content)
        found = {kind: offset for offset, kind in wanted.find(content)}
        if file.name in KEPT_ON_PURPOSE and found:
            found = _open_to_others(file)
        done.findings.extend(Finding(file, offset, kind) for kind, offset in found.items())
    return done


def _left_behind(folder: Path) -> Iterable[Path]:
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in INSTALLED]
        for file in (Path(path) / name for name in files):
            if stat.S_ISREG(file.lstat().st_mode) and not (file.parent == folder and file.name.startswith("secrets.")):
                yield file


def _open_to_others(file: Path) -> dict[str, int]:
    mode = stat.S_IMODE(file.stat().st_mode)
    return {} if mode == 0o600 else {f"holds secrets on purpose, and its mode is {mode:o}, not 600": 0}


def _place(file: Path) -> str:
    if re.search(r"\.db(-wal|-shm|-journal)?$", file.name):
        return "database"
    return {".stderr": "log"}.get(file.suffix, file.name.split(".")[0] if file.name.count(".") > 1 else "other")


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def main(folder: Path) -> int:
    began, secrets = time.monotonic(), read_secrets(folder)
    done = scan(folder, secrets)
    for finding in done.findings:
        print(finding, file=sys.stderr)
    places = ", ".join(f"{count} {place}" for place, count in done.places.most_common(8))
    print(
        f"{len(secrets)} secrets, {sum(done.places.values())} files ({places}), {done.size / 1e6:.0f} MB, "
        f"{time.monotonic() - began:.0f} s, {len(done.findings)} found",
        file=sys.stderr,
    )
    if done.findings:
        return 1
    if not secrets or not {"database", "log", "reprs", "written"} <= done.places.keys():
        print(
            "The record lacks secrets, a database, a log, reprs or what was written: it shows nothing.", file=sys.stderr
        )
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
