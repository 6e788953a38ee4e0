"""The parts of a machine that some tests cannot do without, and what to do where one is missing."""

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Part:
    """A program: its names on PATH or its full paths, the first that exists is taken, and how to come by it. What is
    run by another program is named by the full path of a file."""

    programs: Sequence[str]
    fix: str


PARTS = {
    "chromium": Part(
        programs=[
            "chromium",
            "chromium-browser",
            "google-chrome",
            "/Applications/Chromium.app/Contents/MacOS/Chromium",
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        ],
        fix="Chromium is missing: run ./dev test as root on Debian, or install Chromium or Chrome.",
    ),
    "curl": Part(
        programs=["curl"],
        fix="curl is missing: run ./dev test as root on Debian, or install curl.",
    ),
    "faketime": Part(
        programs=["faketime"],
        fix="faketime is missing: run ./dev test as root on Debian, or install faketime.",
    ),
    "git": Part(
        programs=["git"],
        fix="git is missing: run ./dev test as root on Debian, or install git.",
    ),
    "newman": Part(
        programs=[str(ROOT / ".tools/newman/node_modules/.bin/newman"), "newman"],
        fix="Newman is missing: run the tests by ./dev test, which fetches it.",
    ),
    "node": Part(
        programs=["node"],
        fix="Node is missing: run the tests by ./dev test, whose environment has it.",
    ),
    "oidc-provider": Part(
        programs=[str(ROOT / ".tools/oidc_provider/node_modules/oidc-provider/package.json")],
        fix="oidc-provider is missing: run the tests by ./dev test, which fetches it.",
    ),
    "postgres": Part(
        programs=[*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), "initdb"],
        fix="PostgreSQL is missing: run ./dev test as root on Debian, or install it.",
    ),
    "strace": Part(
        programs=["strace"],
        fix="strace is missing: run ./dev test as root on Debian, or install strace.",
    ),
    "uv": Part(
        programs=["uv", str(ROOT / ".tools/bin/uv")],
        fix="uv is missing: run the tests by ./dev test, which fetches it, or install uv.",
    ),
    "wrk": Part(
        programs=["wrk"],
        fix="wrk is missing: run ./dev test as root on Debian, or install wrk.",
    ),
}


def require(name: str) -> str:
    """The path of the program that the part is.

    Where it is missing the test is skipped with the one sentence that says what to do; with CI=true that skip is a
    failure, as every skip is (conftest.py).
    """
    part = PARTS[name]
    for program in part.programs:
        if found := shutil.which(program):
            return found
        if Path(program).is_absolute() and Path(program).is_file():
            return program
    pytest.skip(part.fix)


def committed_files() -> list[Path]:
    """The files that git keeps, as they are in the work tree."""
    # safe.directory: a checkout that belongs to somebody else is read all the same.
    listing = [require("git"), "-c", "safe.directory=*", "ls-files", "--cached", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


_given: set[int] = set()


def free_port(*, and_next: bool = False) -> int:
    """One that nobody has now (nor the one after it), and that nobody was given before, who may take it only later. It
    lies below those that the system gives to outgoing connections, of which any may be taken the next moment, and above
    those that Chromium refuses to open.
    """
    while True:
        port = random.choice(_own_ports())
        ports = {port, port + 1} if and_next else {port}
        if ports.isdisjoint(_given) and all(map(_is_free, ports)):
            _given.update(ports)
            return port


def _own_ports() -> range:
    """Each process of pytest-xdist has others, so that no two of them choose the same at once."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    each = 21_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(11_000 + worker * each, 11_000 + (worker + 1) * each - 1)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
