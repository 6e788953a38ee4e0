"""Where a scenario is played: a library's processes, the platform that they meet, and the grants that they keep."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.clients.foreign import CLIENT_ID, CLIENT_SECRET, LIFETIME, Grant, Platform, platform
from benchmarks.clients.peers import HERE, Peer
from benchmarks.machine import ROOT
from grantflow.devtls import Certificates, certificates

#: In seconds: an answer that takes longer is none.
PATIENCE = 90.0
#: An access token that is to have expired by its own clock lives so long, and this is waited for.
SHORT, UNTIL_EXPIRED = 1, 1.2


class NoAnswer(Exception):
    """The library's process has ended, or said nothing for too long; the message says what it wrote."""


class Player:
    """A process in the library's environment, which does what it is told (player.py)."""

    def __init__(self, peer: Peer, *, errors: Path) -> None:
        self.errors = errors
        command = [str(peer.python), "-P", str(HERE / "player.py"), str(peer.program)]
        with errors.open("a") as file:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=_environment(),
                cwd=ROOT,
            )

    def ask(self, do: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if not line:
            raise NoAnswer(f"{do}: no answer within {PATIENCE:g} s, or ended: {self.errors.read_text()[-500:]}")
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def _environment() -> dict[str, str]:
    """Ours, without a proxy, settings of Grantflow's or authorities of this machine; and no browser could open."""
    others = {"VIRTUAL_ENV", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GRANTFLOW_") and not name.lower().endswith("_proxy") and name not in others
    }
    return kept | {"BROWSER": "true", "NO_PROXY": "*"}


class Stage:
    """`player` opens and calls; `forker` opens nothing itself and makes processes that do."""

    def __init__(self, peer: Peer, platform: Platform, folder: Path, certificate: Path) -> None:
        self.peer, self.platform, self.folder, self.certificate = peer, platform, folder, certificate
        self.begin()
        self.versions: Mapping[str, str] = self.player.ask("versions", packages=list(peer.packages))
        self.made = 0

    def begin(self) -> None:
        self.player = Player(self.peer, errors=self.folder / "stderr.txt")
        self.forker = Player(self.peer, errors=self.folder / "stderr.txt")

    def end(self) -> None:
        self.player.end()
        self.forker.end()

    def kept(self, *, expires_in: int = LIFETIME, rotates: bool = False) -> tuple[Grant, dict[str, str]]:
        """A fresh grant in a store of its own."""
        self.made += 1
        grant = self.platform.grant(expires_in=expires_in, rotates=rotates)
        place = {
            "store": str(self.folder / f"store-{self.made}"),
            "url": self.platform.url,
            "api_url": self.platform.api_url,
            "token_url": self.platform.token_url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "certificate": str(self.certificate),
        }
        said = self.player.ask("keep", place=place, tokens=grant.first, code=grant.code)
        if said != "None":
            raise NoAnswer(f"the grant could not be kept: {said}")
        return grant, place

    def expired(self, number: int, *, rotates: bool = False) -> Sequence[tuple[Grant, dict[str, str]]]:
        """So many grants, their access tokens expired by their own clock, in stores that nobody has open."""
        made = [self.kept(expires_in=SHORT, rotates=rotates) for _ in range(number)]
        time.sleep(UNTIL_EXPIRED)
        return made

    def open(self, place: Mapping[str, str]) -> None:
        said = self.player.ask("open", place=place)
        if said != "open":
            raise NoAnswer(f"what was kept could not be opened: {said}")

    def call_apart(self, place: Mapping[str, str]) -> str:
        """How a call ends in a process that begins now."""
        said: list[str] = self.forker.ask("call_apart", place=place)
        return said[0]


@contextmanager
def stages(peers: Sequence[Peer]) -> Iterator[list[Stage]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="grantflow-clients-")))
        authority = certificates(folder / "tls", now=datetime.now(UTC))
        made = []
        for peer in peers:
            own = folder / peer.driver
            own.mkdir()
            stage = Stage(peer, stack.enter_context(_platform_for(peer, authority)), own, authority.authority)
            stack.callback(stage.end)
            made.append(stage)
        yield made


@contextmanager
def _platform_for(peer: Peer, authority: Certificates) -> Iterator[Platform]:
    with platform(security=authority.server_context() if peer.knows_by_id_token else None) as made:
        made.issues_id_tokens = peer.knows_by_id_token
        yield made
