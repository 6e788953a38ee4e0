"""What a run needs and may lack: wrk and PostgreSQL from Debian, the peers from their registries, in pinned versions.

What cannot be had is said, and its rows say so too; the rest goes on.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence, Set
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.rows import TOOLS, Row
from benchmarks.run import say

PEERS = ROOT / "benchmarks/peers"


def _is_here(package: str) -> bool:
    if package == "wrk":
        return shutil.which("wrk") is not None
    return any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb") is not None


def install(rows: Sequence[Row]) -> None:
    """What these rows need, and wrk, which asks all of them."""
    install_needed({part for row in rows for part in row.needs}, programs=["wrk"])


def install_needed(needed: Set[str], *, programs: Sequence[str] = ()) -> None:
    """The peers' servers of these names, what they stand on, and Debian's programs."""
    _install_from_debian([*programs, *({"postgresql"} & needed)])
    if "oidc_provider" in needed:
        make("oidc_provider", made_from=sorted((PEERS / "oidc_provider").iterdir()), make=_npm)
    if "django" in needed:
        lock = PEERS / "django_oauth_toolkit/requirements.lock"
        make("django", made_from=[lock], make=environment(lock))


def _install_from_debian(packages: Sequence[str]) -> None:
    missing = [package for package in packages if not _is_here(package)]
    if missing and os.getuid() == 0 and "ID=debian" in _os_release():
        say(f"system packages: {' '.join(missing)}")
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", *command], env=env, stdout=subprocess.DEVNULL, check=False)


def _os_release() -> str:
    path = Path("/etc/os-release")
    return path.read_text() if path.exists() else ""


def make(name: str, *, made_from: Sequence[Path], make: Callable[[Path], None]) -> None:
    """Where these files have changed, make the peer's folder anew."""
    folder = TOOLS / name
    mark = folder / "made-from"
    made_of = b"".join(file.read_bytes() for file in made_from)
    if mark.exists() and mark.read_bytes() == made_of:
        return
    say(f"{name} into {folder.relative_to(ROOT)}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        make(folder)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        say(f"  it could not be installed, its rows stay empty: {getattr(error, 'stderr', None) or error}")
    else:
        mark.write_bytes(made_of)


def _npm(folder: Path) -> None:
    for file in (PEERS / "oidc_provider").iterdir():
        shutil.copy(file, folder)
    run(["npm", "ci", "--prefix", str(folder), "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"])


def environment(lock: Path) -> Callable[[Path], None]:
    """What makes an environment of the packages that a lock file names, by our own Python."""

    def make_it(folder: Path) -> None:
        uv = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
        run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        run([uv, "pip", "sync", "--quiet", "--python", str(folder / "bin/python"), "--require-hashes", str(lock)])

    return make_it


def run(command: Sequence[str]) -> None:
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=True)
