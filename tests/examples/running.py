"""An example, started as its README says: a process of its own that is told everything by its environment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from grantflow import KeyRing
from tests.parts import ROOT
from tests.whole.running import environment

PATIENCE = 60.0


def settings(app: dict[str, Any], *, api_url: str) -> dict[str, str]:
    """What every example is told: of its registration, of the platform, and a key of its own."""
    return {
        "GRANTFLOW_CLIENT_ID": app["client_id"],
        "GRANTFLOW_CLIENT_SECRET": app["client_secret"],
        "GRANTFLOW_REDIRECT_URI": app["redirect_uris"][0],
        "GRANTFLOW_API_URL": api_url,
        "GRANTFLOW_KEY": KeyRing.new_key(),
    }


@contextmanager
def example(script: str, folder: Path, *, port: int, **env: str) -> Iterator[Path]:
    """Run `examples/{script}` in `folder` until it is no longer needed; the file that holds all that it said."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving([sys.executable, "-u", str(ROOT / "examples" / script)], folder, port=port, **env) as said:
        yield said


@contextmanager
def serving(command: list[str], folder: Path, *, port: int, **env: str) -> Iterator[Path]:
    """Run a command until it is no longer needed, from the moment that it answers at the port."""
    said = folder / "said.txt"
    with said.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment() | env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for(process, port=port, said=said)
            yield said
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)


def _wait_for(process: "subprocess.Popen[bytes]", *, port: int, said: Path) -> None:
    """It may listen long before it answers: a visitor who came in between would lose patience on a busy machine."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        for scheme in ("http", "https"):
            with suppress(httpx2.TransportError):
                httpx2.head(f"{scheme}://127.0.0.1:{port}/", verify=False, trust_env=False, timeout=1)
                return
        time.sleep(0.05)
    raise AssertionError(f"it does not answer at {port}: {said.read_text()}")


def checkout(folder: Path) -> Path:
    """As a reader has it: ./dev, which here need not set anything up, and the examples."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dev").write_text(f'#!/bin/sh\nPATH={Path(sys.executable).parent}:$PATH exec "$@"\n')
    (folder / "dev").chmod(0o755)
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder
