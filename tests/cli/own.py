"""A sandbox, one's own integration at it, and people who grant in a browser what a command in a terminal asks for."""

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.canary import record
from tests.parts import free_port
from tests.whole.person import Person
from tests.whole.running import GRANTFLOW, Up, environment, grantflow

SCOPES = "spark:people_read spark:rooms_read spark:messages_write spark:messages_read"
PATIENCE = 60.0


@dataclass(frozen=True)
class Own:
    """An integration of one's own: its settings, and commands that have them."""

    up: Up
    settings: dict[str, str]

    def __call__(self, *command: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return grantflow(*command, stdin=stdin, check=False, **self.settings | env)

    def json(self, *command: str) -> Any:
        ended = self(*command, "--json")
        assert ended.returncode == 0, ended.stderr
        return self.read(ended)

    @staticmethod
    def read(ended: "subprocess.CompletedProcess[str]") -> Any:
        """The one line of JSON that it said."""
        (line,) = ended.stdout.splitlines()
        return json.loads(line)

    def grant(self, who: int = 1, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """That person grants by `login`."""
        with self.login(*arguments) as begun:
            begun.accept(self.up.people[who])
            return begun.end()

    @contextmanager
    def login(self, *arguments: str, **env: str) -> Iterator["Begun"]:
        process = subprocess.Popen(
            [GRANTFLOW, "login", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment() | self.settings | env,
        )
        try:
            yield Begun(process)
        finally:
            process.kill()
            process.communicate()


@dataclass
class Begun:
    """`grantflow login` under way."""

    process: "subprocess.Popen[str]"
    said: str = ""
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.until(r"^  (http\S+)$")
        self.until(r"(Ctrl-C gives up\.)")

    def until(self, pattern: str) -> str:
        """Reads on until a line is like that; what its group holds."""
        assert self.process.stderr is not None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            line = self.process.stderr.readline()
            self.said += line
            if found := re.search(pattern, line):
                return found[1]
            if not line:
                break
        raise AssertionError(f"it never said {pattern}: {self.said}")

    def accept(self, person: dict[str, str]) -> Person:
        with Person(person) as browser:
            browser.grant(self.url)
        return browser

    def answer_of(self, person: dict[str, str], stops: str) -> str:
        """The address that a browser was sent to which cannot open it."""
        with Person(person, stops=(stops,)) as browser:
            return browser.grant(self.url)

    def paste(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def end(self) -> "subprocess.CompletedProcess[str]":
        out, err = self.process.communicate(timeout=PATIENCE)
        record.learn_all(out, "what a command says")
        record.written(err, "stderr of grantflow login")
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, out, self.said + err)


def registered(up: Up, folder: Path, *, redirect_uri: str = "", name: str = "Mine", public: bool = False) -> Own:
    """Registered at that sandbox for this alone, with a vault of its own."""
    redirect_uri = redirect_uri or f"http://127.0.0.1:{free_port()}/oauth"
    app = up.register(name, redirect_uri, *(["--public"] if public else []), scopes=SCOPES)
    key = grantflow("keys", "new").stdout.strip()
    settings = {
        "GRANTFLOW_CLIENT_ID": app["client_id"],
        **({"GRANTFLOW_PUBLIC_CLIENT": "true"} if public else {"GRANTFLOW_CLIENT_SECRET": app["client_secret"]}),
        "GRANTFLOW_SCOPES": SCOPES,
        "GRANTFLOW_KEY": key,
        "GRANTFLOW_VAULT": str(folder / "vault.db"),
        "GRANTFLOW_REDIRECT_URI": redirect_uri,
        "GRANTFLOW_API_URL": up.api_url,
        "GRANTFLOW_REVOCATION_URL": f"{up.api_url}/revoke",
        "GRANTFLOW_PLATFORM": "Grantflow",
        "GRANTFLOW_NAME": name,
        "GRANTFLOW_DATA": str(folder / "data"),
    }
    return Own(up, settings)


def on_a_terminal(own: Own, *command: str, **env: str) -> tuple[int, str]:
    """The exit code, and what a person sees."""
    primary, secondary = os.openpty()
    process = subprocess.Popen(
        [GRANTFLOW, *command],
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environment() | own.settings | {"TERM": "xterm"} | env,
    )
    os.close(secondary)
    seen = b""
    while select.select([primary], [], [], PATIENCE)[0]:
        try:
            came = os.read(primary, 65_536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not came:
            break
        seen += came
    os.close(primary)
    text = seen.decode().replace("\r\n", "\n")
    record.learn_all(text, "what a command shows on a terminal")
    return process.wait(timeout=PATIENCE), text
