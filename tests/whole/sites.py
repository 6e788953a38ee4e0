"""The platforms that proofs are played at, alike to whoever plays: ours in a profile, and a foreign, strict one."""

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import httpx2

from grantflow import Integration, KeyRing, open_vault
from grantflow.client.grant import StoredGrant
from grantflow.protocol.secret import Secret
from tests.client.crowd import Order
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Platform, foreign_platform
from tests.engines import Home
from tests.whole.person import Person
from tests.whole.running import Up, up

REDIRECT_URI = "http://127.0.0.1:8765/oauth"
#: Foreign: swaps refresh tokens, and ends a grant whose old one comes back. Ours: its two profiles.
SITES = ("foreign", "webex", "strict")
_NUMBERS = itertools.count(1)


class Site(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]:
        """What an integration there is made with, but for its vault."""

    def answer(self, url: str, *, person: str = "ada") -> str:
        """What comes to the redirect URI after that person has accepted at that address."""

    def expire(self) -> None:
        """Let all access tokens expire."""

    def revoke_access(self, order: Order) -> None:
        """The access token dies at the platform, and the grant lives."""

    def revoke_grant(self, order: Order) -> None:
        """All of it dies at the platform; the vault does not know."""

    def token_requests(self) -> int:
        """How many there were since it was last asked."""


def order_for(site: Site, vault: str, *people: str, key: str, **more: Any) -> Order:
    timing: dict[str, Any] = {name: more.pop(name) for name in ("deadline", "_lease_margin") if name in more}
    return Order({**site.settings, **timing}, vault, key, people, **more)


def granted(site: Site, home: Home, **more: Any) -> Order:
    """The order for a fresh grant in the vault there."""
    vault, key = home.where, KeyRing.new_key()
    with integration(order_for(site, vault, key=key)) as own:
        person_id = grant(site, own)
    site.token_requests()
    return order_for(site, vault, person_id, key=key, **more)


def begun(site: Site, own: Integration, *, person: str = "ada") -> Mapping[str, Any]:
    """What `complete_authorization` takes, after a person has accepted."""
    request = own.authorization_request()
    return {
        "answer": site.answer(request.url, person=person),
        "cookies": {request.cookie.name: request.cookie.value},
    }


def grant(site: Site, own: Integration, *, person: str = "ada") -> str:
    """A fresh grant; the person's id."""
    return own.complete_authorization(**begun(site, own, person=person)).person_id


def stored(order: Order) -> StoredGrant:
    """The grant of the order's first person, opened."""
    with integration(order) as own:
        found = own._parts.vault.find(own._parts.key(order.people[0], None))
    assert found is not None
    return found


def integration(order: Order) -> Integration:
    return Integration(**order.integration, vault=open_vault(order.vault, keys=KeyRing(order.key)))


@dataclass
class ForeignSite:
    platform: Platform
    api_url: str
    name: str = "foreign"
    asked: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        return {
            **{"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "api_url": self.api_url},
            **{"redirect_uri": REDIRECT_URI, "scopes": "spark:people_read"},
        }

    def answer(self, url: str, *, person: str = "ada") -> str:
        return self.platform.accept(url, person=person)

    def expire(self) -> None:
        self.platform.expire_access_tokens()

    def revoke_access(self, order: Order) -> None:
        self.platform.expire_access_tokens()

    def revoke_grant(self, order: Order) -> None:
        self.platform.end_grants()

    def token_requests(self) -> int:
        before, self.asked = self.asked, self.platform.counts["token"]
        return self.asked - before


@dataclass
class OurSite:
    up: Up
    name: str
    app: dict[str, Any]
    person: Person
    read: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        return {
            **{"client_id": self.app["client_id"], "client_secret": self.app["client_secret"]},
            **{"redirect_uri": REDIRECT_URI, "scopes": self.up.app["scopes"], "api_url": self.up.api_url},
        }

    def answer(self, url: str, *, person: str = "ada") -> str:
        """`person` is always the one who is signed in."""
        return self.person.grant(url)

    def expire(self) -> None:
        self.up.expire_access_tokens()

    def revoke_access(self, order: Order) -> None:
        self._revoke(stored(order).access_token)

    def revoke_grant(self, order: Order) -> None:
        self._revoke(stored(order).refresh_token)

    def _revoke(self, token: Secret | None) -> None:
        assert token is not None
        credentials = {name: self.app[name] for name in ("client_id", "client_secret")}
        fields = {**credentials, "token": token.reveal()}
        answer = httpx2.post(f"{self.up.api_url}/revoke", data=fields, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text

    def token_requests(self) -> int:
        """The log may lag behind the answers: once a last request stands in it, so do all that were answered before."""
        last, until, new = f"/counted/{next(_NUMBERS)}", time.monotonic() + 30, b""
        httpx2.get(f"{self.up.platform_url}{last}", trust_env=False, timeout=30)
        with (self.up.folder.parent / f"{self.up.folder.name}.stderr").open("rb") as log:
            log.seek(self.read)
            while f" {last} ".encode() not in new:
                assert time.monotonic() < until, f"{last} does not stand in the log"
                new += log.read()
                time.sleep(0.01)
        self.read += len(new)
        return new.count(b" POST /v1/access_token ")


@contextmanager
def sites(folder: Path, *, names: Sequence[str] = SITES) -> Iterator[dict[str, Site]]:
    """Those, by name."""
    with ExitStack() as stack:
        made: dict[str, Site] = {}
        foreign = ForeignSite(*stack.enter_context(foreign_platform()))
        foreign.platform.rotates = foreign.platform.revokes_families = True
        if "foreign" in names:
            made["foreign"] = foreign
        profiles = [name for name in names if name != "foreign"]
        if profiles:
            running = stack.enter_context(up(folder / "state", "--verbose"))
        for profile in profiles:
            app = running.register(f"Crowd {profile}", REDIRECT_URI, "--profile", profile)
            ada = stack.enter_context(Person(running.ada, stops=(REDIRECT_URI,)))
            made[profile] = OurSite(running, profile, app, ada)
        yield made


@contextmanager
def slow_way(order: Order, seconds: float) -> Iterator[Order]:
    """The order with a way to the token endpoint on which each request stays for so long before it arrives."""
    url = order.integration.get("token_endpoint") or f"{order.integration['api_url']}/access_token"

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(seconds)
            kind = {"content-type": self.headers["content-type"]}
            answer = httpx2.post(url, content=body, headers=kind, trust_env=False, timeout=30)
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            there = f"http://127.0.0.1:{server.server_address[1]}/access_token"
            yield replace(order, integration={**order.integration, "token_endpoint": there})
        finally:
            server.shutdown()
            serving.join()
