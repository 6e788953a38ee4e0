"""Servers that are not ours, each a process of its own at a free port, and what a test asks of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from grantflow import Integration, KeyRing, Person, SqliteVault
from grantflow.client.shells.clients import GrantClient
from tests.parts import ROOT, require
from tests.whole.person import Person as Browser
from tests.whole.running import environment

HERE = Path(__file__).parent
REDIRECT_URI = "http://localhost:8000/oauth"
#: Characters that Basic credentials carry only percent-encoded (RFC 6749 section 2.3.1).
ODD_CLIENT = {"client_id": "grantflow: tests", "client_secret": "a secret: 100 % foreign + odd/&=?"}
PLAIN_CLIENT = {"client_id": "grantflow-tests", "client_secret": "a-secret-of-these-tests-alone-0123456789"}


@dataclass(frozen=True, slots=True)
class Foreign:
    """`counts` of the token endpoint are of answers with tokens (exchange, refresh) and of others (refused)."""

    name: str
    issuer: str
    url: str
    client: Mapping[str, str]
    scopes: str
    #: What the person presses, and fills in.
    steps: Sequence[str]
    declines: str
    #: Of the authorization request: servers of OpenID Connect give a refresh token to who asks for consent.
    prompt: str | None = None
    knows_people: bool = False
    """It has userinfo; otherwise its API is asked who granted."""

    def options(self, vault: Path, key: str) -> dict[str, Any]:
        """What an integration is made with in any process, as JSON can carry it."""
        return {
            "issuer": self.issuer,
            "client": dict(self.client),
            "scopes": self.scopes,
            "api_url": f"{self.url}/api",
            "knows_people": self.knows_people,
            "vault": str(vault),
            "key": key,
        }

    def accept(self, url: str, *, person: str) -> str:
        """The address that the person's browser is sent to when they have accepted on the server's own pages."""
        with Browser(stops=(REDIRECT_URI,)) as browser:
            browser.open(url)
            self.walk(browser, person=person)
            return browser.page.url

    def walk(self, browser: Browser, *, person: str) -> None:
        """Through the server's own pages, on the first of which the browser is."""
        for step in self.steps:
            browser.press(step, **({"login": person, "password": "x"} if step == "Sign-in" else {"person": person}))

    def decline(self, url: str) -> str:
        with Browser(stops=(REDIRECT_URI,)) as browser:
            browser.open(url)
            return browser.press(self.declines).url

    @property
    def counts(self) -> dict[str, int]:
        return self._control("counts")

    def expire(self) -> None:
        """Every access token."""
        self._control("expire")

    def end(self) -> None:
        """Every grant: people have taken them back."""
        self._control("end")

    def lose(self) -> None:
        """The next tokens are made and kept, and their answer never arrives."""
        self._control("lose")

    def _control(self, what: str) -> dict[str, int]:
        answer: dict[str, int] = httpx2.get(f"{self.url}/control/{what}", trust_env=False).raise_for_status().json()
        return answer


def ask_api(client: GrantClient) -> Person:
    return Person(client.get("me").raise_for_status().json()["person"])


def integration(options: Mapping[str, Any], **others: Any) -> Integration:
    """With what `Foreign.options` gives; it asks the server for its metadata."""
    return Integration.discover(
        options["issuer"],
        options["client"]["client_id"],
        options["client"]["client_secret"],
        redirect_uri=REDIRECT_URI,
        scopes=options["scopes"],
        api_url=options["api_url"],
        vault=SqliteVault(options["vault"], keys=KeyRing(options["key"])),
        identify=None if options["knows_people"] else ask_api,
        **others,
    )


@contextmanager
def _started(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Its issuer, and the address that everything of it lies below."""
    options: dict[str, Any] = {"cwd": ROOT, "env": environment(), "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, f"{command} said nothing and ended with {process.wait()}"
            said = json.loads(line)
            yield said["issuer"], said["url"]
        finally:
            # Of its group: Node from its Python package is a process below the one that was started.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _settings(client: Mapping[str, str], *, redirect_uri: str = REDIRECT_URI) -> str:
    return json.dumps({**client, "redirect_uri": redirect_uri})


def _python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"tests.interop.servers.{program}", *arguments]


@contextmanager
def authlib(folder: Path) -> Iterator[Foreign]:
    """Plain OAuth 2: rotation, a used refresh token is refused and nothing more; HTTP Basic alone."""
    with _started(_python("authlib_server", str(folder), _settings(ODD_CLIENT))) as said:
        yield Foreign("authlib", *said, client=ODD_CLIENT, scopes="profile rooms", steps=["Accept"], declines="Decline")


@contextmanager
def oidc_provider(_folder: Path, *, redirect_uri: str = REDIRECT_URI) -> Iterator[Foreign]:
    """OpenID Connect: rotation, and a used refresh token ends the grant."""
    modules = str(Path(require("oidc-provider")).parents[1])
    command = [
        require("node"),
        str(HERE / "oidc_provider.mjs"),
        modules,
        _settings(ODD_CLIENT, redirect_uri=redirect_uri),
    ]
    with _started(command) as said:
        yield Foreign(
            "oidc-provider",
            *said,
            client=ODD_CLIENT,
            scopes="openid profile email offline_access",
            steps=["Sign-in", "Continue"],
            declines="[ Cancel ]",
            prompt="consent",
            knows_people=True,
        )


@contextmanager
def strict(_folder: Path) -> Iterator[Foreign]:
    """Ours in the manner of RFC 9700: rotation, and whatever is shown twice ends its family; the form's body alone."""
    with _started(_python("strict", _settings(PLAIN_CLIENT))) as said:
        yield Foreign("strict", *said, client=PLAIN_CLIENT, scopes="profile", steps=["Accept"], declines="Decline")
