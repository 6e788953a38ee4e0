"""The rows of the table: each a server that can be started, and a client that is known there.

A row's people sign in and consent before anything is measured; what they get (codes, tokens) comes by the same
requests that are measured later, through the server's own endpoints.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import httpx2

from benchmarks import machine
from benchmarks.load import Target
from benchmarks.machine import ROOT
from benchmarks.postgres import NoPostgres, Postgres, postgres_server

REDIRECT_URI = "http://127.0.0.1:9/oauth"
PEOPLE = 8
#: What RFC 7636 appendix B has, for the authorization request and for the exchange.
_PKCE = (
    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
    "&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
)
_PEER_SECRET = "bench-secret-bench-secret-bench-secret"
TOOLS = ROOT / ".tools/bench"


class Missing(Exception):
    """A row cannot be measured here; the message stands in its place."""


@dataclass(slots=True)
class Running:
    """A server under way. Its process and the ``others`` are what its CPU and memory are counted from."""

    spawned: "Spawned"
    target: Target
    cookies: Sequence[str] = ()
    others: Sequence[int] = ()

    def family(self) -> list[int]:
        return [each for top in (self.spawned.process.pid, *self.others) for each in machine.family(top)]


@dataclass(frozen=True, slots=True)
class Row:
    """``start`` has everything ready to be asked, and answers the server with its people's cookies. ``durable``: what
    it issues is on disk before it is answered. ``needs`` is what must be installed for it, by the names in parts.py.
    """

    name: str
    durable: bool
    start: Callable[["Place"], Running]
    what: str
    needs: Sequence[str] = ()


@dataclass(slots=True)
class Place:
    """A run's scratch folder, its PostgreSQL (made when first asked for), and what ends with it."""

    folder: Path
    stack: ExitStack
    _postgres: Postgres | None = None

    def postgres(self) -> Postgres:
        if self._postgres is None:
            try:
                self._postgres = self.stack.enter_context(postgres_server())
            except NoPostgres as error:
                raise Missing(str(error)) from error
        return self._postgres

    def of(self, name: str) -> Path:
        folder = self.folder / name.replace(" ", "-").replace(",", "")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def spawn(self, command: Sequence[str | Path], *, name: str, env: Mapping[str, str] | None = None) -> "Spawned":
        """Start it, and wait for its first answer; ``name`` is that of its folder."""
        spawned = Spawned([str(word) for word in command], dict(env or {}), self.of(name) / "stderr.txt")
        self.stack.callback(spawned.end)
        spawned.begin()
        return spawned


@dataclass(slots=True)
class Spawned:
    """A server's process: it says where it answers by one line of JSON with a ``platform_url``."""

    command: Sequence[str]
    env: Mapping[str, str]
    errors: Path
    url: str = ""
    _process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def begin(self) -> float:
        """Answers how many seconds it took from nothing to the first answer, whatever that says."""
        began = time.monotonic()
        with self.errors.open("a") as errors:
            self._process = subprocess.Popen(
                self.command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**_environment(), **self.env},
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Missing(f"it did not start: {self.errors.read_text().strip()[-500:]}")
        self.url = json.loads(line)["platform_url"]
        where = urlsplit(self.url)
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as asking:
            asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            asking.recv(1)
        return time.monotonic() - began

    def again(self) -> float:
        """Another one of the same, beside it, for as long as it takes to answer: the seconds of a cold start."""
        other = Spawned(self.command, {**self.env, "FURNISHED": "yes"}, self.errors)
        try:
            return other.begin()
        finally:
            other.end()

    def end(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            for each in reversed(machine.family(self._process.pid)):  # where node is a wrapper, it ends alone
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGTERM)
            self._process.terminate()
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(folder, stack)


def _environment() -> dict[str, str]:
    """Ours, without settings of Grantflow's or a proxy's; Python keeps what it has compiled, as it does by itself."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GRANTFLOW_")
        and not name.lower().endswith("_proxy")
        and name != "PYTHONDONTWRITEBYTECODE"
    } | {"PYTHONPATH": str(ROOT)}


# --- ours --------------------------------------------------------------------------------------------------------


def ours(workers: int, *, profile: str = "webex", people: int = PEOPLE) -> Callable[[Place], Running]:
    """People and an integration are registered by the command line; each person signs in and consents on our pages.
    The profile `strict` wants PKCE: all requests have the one challenge.
    """

    def start(place: Place) -> Running:
        name = f"grantflow {workers}" if profile == "webex" else f"grantflow {workers} {profile}"
        folder = place.of(name) / "state"
        data = ("--data", folder, "--json")
        program = Path(sys.executable).with_name("grantflow")

        def said(*command: str | Path) -> dict[str, str]:
            words = [str(word) for word in (program, "platform", *command, *data)]
            answer: dict[str, str] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
            return answer

        added = [said("person", "add", f"p{number}@x.example", "--name", f"P{number}") for number in range(people)]
        registered = ("--redirect-uri", REDIRECT_URI, "--scopes", "spark:people_read", "--profile", profile)
        app = said("app", "add", "Bench", *registered)
        serving = ("platform", "serve", "--port", "0", "--workers", str(workers))
        spawned = place.spawn([program, *serving, *data], name=name)
        pkce = _PKCE if profile == "strict" else ("", "")
        target = Target(
            spawned.url,
            authorize=_authorize("/v1/authorize", app["client_id"], "spark:people_read") + pkce[0],
            token="/v1/access_token",
            form=_form(app["client_id"], app["client_secret"]) + pkce[1],
            me="/v1/people/me",
        )
        running = Running(spawned, target)
        running.cookies = [
            _signed_in(target, {"email": f"p{number}@x.example", "password": person["password"]})
            for number, person in enumerate(added)
        ]
        return running

    return start


def _signed_in(target: Target, account: Mapping[str, str]) -> str:
    """Through our pages: sign in, accept. Answers the Cookie header."""
    with httpx2.Client(trust_env=False, follow_redirects=False) as http:
        url = target.url + target.authorize
        answer = http.get(url)
        for _ in range(10):
            if location := answer.headers.get("location"):
                url = urljoin(url, location)
                if url.startswith(REDIRECT_URI):
                    return "; ".join(f"{name}={value}" for name, value in http.cookies.items())
                answer = http.get(url)
            else:
                action, fields = _form_in(answer.text)
                url = urljoin(url, action)
                answer = http.post(url, data={**fields, **account}, headers={"origin": target.url})
    raise Missing(f"nobody could sign in: {answer.status_code} at {url}")


class _Forms(HTMLParser):
    """All forms of a page, each its address and its fields, of which the first of a name counts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((of.get("action", ""), {}))
        elif self.found and tag in ("input", "button") and of.get("name") and _is_sent(of):
            self.found[-1][1].setdefault(of["name"], of.get("value", "on"))


def _is_sent(field: Mapping[str, str]) -> bool:
    return field.get("type") not in ("checkbox", "radio") or "checked" in field


def _form_in(page: str) -> tuple[str, dict[str, str]]:
    """The one that signs in, or that decides; its first button accepts. (In the menu is one that signs out.)"""
    forms = _Forms()
    forms.feed(page)
    for action, fields in forms.found:
        if {"password", "decision"} & set(fields):
            return action, fields
    raise Missing(f"a page came that asks for nothing: {page[:200]}")


# --- the limits --------------------------------------------------------------------------------------------------


def limit(workers: int, *, durable: bool) -> Callable[[Place], Running]:
    def start(place: Place) -> Running:
        name = f"{'durable' if durable else 'constant'} {workers}"
        command: list[str | Path] = [sys.executable, "-m", "benchmarks.servers.limit", "--redirect-uri", REDIRECT_URI]
        command += ["--workers", str(workers)]
        if durable:
            command += ["--durable", _database(place.of(name) / "limit.db")]
        spawned = place.spawn(command, name=name)
        target = Target(
            spawned.url,
            authorize=_authorize("/v1/authorize", "C" + "0" * 64, "spark:people_read"),
            token="/v1/access_token",
            form=_form("C" + "0" * 64, "0" * 64),
            me="/v1/people/me",
        )
        return Running(spawned, target, cookies=[f"grantflow_platform_session={'0' * 43}"])

    return start


def _database(path: Path) -> Path:
    import sqlite3

    from benchmarks.servers.limit import CREATE

    with sqlite3.connect(path) as database:
        database.execute(CREATE)
    database.close()
    return path


# --- the peers ---------------------------------------------------------------------------------------------------


def oidc_provider(*, on_postgres: bool, rotates: bool = False) -> Callable[[Place], Running]:
    def start(place: Place) -> Running:
        program = TOOLS / "oidc_provider/server.mjs"
        if not program.exists():
            raise Missing("npm oidc-provider is not installed: npm could not fetch it")
        database = [place.postgres().database("oidc")] if on_postgres else []
        env = {"ROTATES": "yes"} if rotates else {}
        name = "oidc pg" if on_postgres else "oidc"
        spawned = place.spawn(["node", program, REDIRECT_URI, *database], name=name, env=env)
        target = Target(
            spawned.url,
            authorize=_authorize("/auth", "bench", "openid offline_access") + "&prompt=consent",
            token="/token",
            form=_form("bench", _PEER_SECRET),
            me="/me",
        )
        running = Running(spawned, target)
        running.cookies = [followed(target) for _ in range(PEOPLE)]
        # prompt=consent is what OpenID Connect wants for offline_access; afterwards the consent is remembered.
        running.target = Target(
            target.url, target.authorize.removesuffix("&prompt=consent"), target.token, target.form, target.me
        )
        running.others = [place.postgres().process] if on_postgres else []
        return running

    return start


def django_oauth_toolkit(place: Place, *, name: str = "django", **more: str) -> Running:
    """`more` goes into its environment: ROTATES, GRACE_SECONDS."""
    program = TOOLS / "django/bin/python"
    if not program.exists():
        raise Missing("django-oauth-toolkit is not installed: its packages could not be fetched")
    env = {"DATABASE": place.postgres().database(name), "REDIRECT_URI": REDIRECT_URI, **more}
    folder = ROOT / "benchmarks/peers/django_oauth_toolkit"
    spawned = place.spawn([program, folder / "server.py"], name=name, env=env | {"PYTHONPATH": str(folder)})
    target = Target(
        spawned.url,
        authorize=_authorize("/o/authorize/", "bench", "read"),
        token="/o/token/",
        form=_form("bench", _PEER_SECRET),
        me="/me",
    )
    cookies = [followed(target, first=f"/enter?person={number}") for number in range(PEOPLE)]
    return Running(spawned, target, cookies=cookies, others=[place.postgres().process])


def followed(target: Target, *, first: str | None = None) -> str:
    """Follow where the authorization request leads until it has been answered; answers the Cookie header."""
    with httpx2.Client(trust_env=False, follow_redirects=False) as http:
        if first:
            http.get(target.url + first).raise_for_status()
        url = target.url + target.authorize
        for _ in range(10):
            answer = http.get(url)
            if "location" not in answer.headers:
                break
            url = urljoin(url, answer.headers["location"])
            if url.startswith(REDIRECT_URI) and "code=" in urlsplit(url).query:
                return "; ".join(f"{cookie.name}={cookie.value}" for cookie in http.cookies.jar)
    raise Missing(f"nobody could sign in: {answer.status_code} at {url}: {answer.text[:300]}")


# --- requests ----------------------------------------------------------------------------------------------------


def _authorize(path: str, client_id: str, scope: str) -> str:
    sent = {"client_id": client_id, "response_type": "code", "redirect_uri": REDIRECT_URI, "scope": scope, "state": "s"}
    return f"{path}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in sent.items())


def _form(client_id: str, client_secret: str) -> str:
    return f"client_id={client_id}&client_secret={client_secret}&redirect_uri={quote(REDIRECT_URI, safe='')}"


ROWS = [
    Row("constant 1", False, limit(1, durable=False), "our HTTP server, answering a constant, 1 worker"),
    Row("constant 2", False, limit(2, durable=False), "the same, 2 workers"),
    Row("durable 1", True, limit(1, durable=True), "that and one row on disk, in a shared commit, 1 worker"),
    Row("durable 2", True, limit(2, durable=True), "the same, 2 workers"),
    Row("grantflow 1", True, ours(1), "Grantflow on embedded SQLite, 1 worker"),
    Row("grantflow 2", True, ours(2), "the same, 2 workers"),
    Row(
        "oidc-provider memory",
        False,
        oidc_provider(on_postgres=False),
        "npm oidc-provider in a Map, 1 process",
        ("oidc_provider",),
    ),
    Row(
        "oidc-provider pg",
        True,
        oidc_provider(on_postgres=True),
        "npm oidc-provider on PostgreSQL, 1 process",
        ("oidc_provider", "postgresql"),
    ),
    Row(
        "django-oauth-toolkit",
        True,
        django_oauth_toolkit,
        "on PostgreSQL, gunicorn, 2 workers, secret in clear",
        ("django", "postgresql"),
    ),
]
