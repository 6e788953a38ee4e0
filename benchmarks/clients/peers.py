"""Which libraries are compared, what each is installed from, and what its own documentation promises."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import parts
from benchmarks.machine import ROOT
from benchmarks.rows import TOOLS
from benchmarks.run import say

HERE = Path(__file__).parent
LOCKS, DRIVERS = HERE / "locks", HERE / "drivers"


@dataclass(frozen=True, slots=True)
class Peer:
    """`packages` are those whose versions are told; `lock` is None for what runs in our own environment. `shares` is
    whether its documentation says that several processes may use one store. `knows_by_id_token`: and only over TLS.
    `not_for_threads`: why many threads at once are not played."""

    name: str
    driver: str
    packages: Sequence[str]
    lock: str | None
    shares: bool = False
    knows_by_id_token: bool = False
    not_for_threads: str = ""

    @property
    def python(self) -> Path:
        return Path(sys.executable) if self.lock is None else TOOLS / f"clients-{self.lock}/bin/python"

    @property
    def program(self) -> Path:
        return DRIVERS / f"{self.driver}.py"


PEERS = [
    Peer("Grantflow", "grantflow_integration", ("grantflow", "httpx2"), None, shares=True),
    Peer("wxc_sdk through Grantflow", "grantflow_wxc_sdk", ("grantflow", "wxc-sdk"), None, shares=True),
    Peer("Authlib, OAuth2Session", "authlib_session", ("Authlib", "requests"), "authlib"),
    Peer("Authlib, AsyncOAuth2Client", "authlib_async", ("Authlib", "httpx2"), "authlib"),
    Peer("requests-oauthlib", "requests_oauthlib_session", ("requests-oauthlib", "oauthlib", "requests"), "oauthlib"),
    Peer("google-auth", "google_auth_session", ("google-auth", "requests"), "google_auth"),
    Peer("requests-oauth2client", "requests_oauth2client_auth", ("requests-oauth2client", "requests"), "oauth2client"),
    Peer("httpx-auth", "httpx_auth_code", ("httpx-auth", "httpx"), "httpx_auth"),
    Peer("wxc_sdk", "wxc_sdk_api", ("wxc-sdk", "requests"), "wxc_sdk"),
    Peer("MSAL", "msal_application", ("msal", "requests"), "msal", knows_by_id_token=True),
    Peer(
        "MSAL, msal-extensions",
        "msal_extensions_application",
        ("msal", "msal-extensions", "portalocker", "requests"),
        "msal",
        shares=True,
        knows_by_id_token=True,
        not_for_threads="the lock of its file is for processes; 64 threads over one cache took more than 90 s",
    ),
]


def named(beginnings: Sequence[str]) -> list[Peer]:
    """Those whose name begins with one of these, in whatever case; all where there are none."""
    wanted = [beginning.lower() for beginning in beginnings]
    return [peer for peer in PEERS if not wanted or any(peer.name.lower().startswith(each) for each in wanted)]


def install(peers: Sequence[Peer]) -> None:
    """The released packages, in the versions of the lock files, each library in an environment of its own."""
    for lock in dict.fromkeys(peer.lock for peer in peers if peer.lock):
        parts.make(
            f"clients-{lock}", made_from=[LOCKS / f"{lock}.lock"], make=parts.environment(LOCKS / f"{lock}.lock")
        )


def lock_anew(run: Callable[[Sequence[str]], None] = parts.run) -> None:
    """Write the lock files anew, from the newest releases of what the .in files name."""
    uv = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    for names in sorted(LOCKS.glob("*.in")):
        say(f"{names.stem}.lock")
        command = [uv, "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11"]
        command += [
            "--generate-hashes",
            "--no-emit-index-url",
            "--custom-compile-command",
            "./dev bench clients --lock",
        ]
        run([*command, "--output-file", str(names.with_suffix(".lock")), str(names)])
