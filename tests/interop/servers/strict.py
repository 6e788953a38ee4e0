"""A strict server in the manner of RFC 9700, which shares no code with Grantflow: PKCE always, every refresh token
serves once, and whoever shows one again, or a code, ends its whole family, access tokens too. It says no lifetimes,
takes the secret in the body alone, and knows nothing of OpenID Connect.

`python -m tests.interop.servers.strict '{"client_id", "client_secret", "redirect_uri"}'` prints its issuer. Beside it
an API, and below /control what the tests want to know and to have happen.
"""

import base64
import hashlib
import html
import json
import secrets
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

PAGE = """<!doctype html><title>A strict server</title><form method="post"><input name="person">
<button name="answer" value="yes">Accept</button><button name="answer" value="no">Decline</button></form><p>{}</p>"""


@dataclass
class Family:
    """All that stems from one consent. Of each kind the last one lives; the others are known, to notice their use."""

    person: str
    redirect_uri: str
    challenge: str
    alive: bool = True
    codes: list[str] = field(default_factory=list)
    refresh_tokens: list[str] = field(default_factory=list)
    access_tokens: list[str] = field(default_factory=list)


class Refused(Exception):
    pass


class State:
    def __init__(self, settings: dict[str, str]) -> None:
        self.client = settings
        self.issuer = ""
        self.families: list[Family] = []
        self.counts: Counter[str] = Counter(exchange=0, refresh=0, refused=0, revoke=0, api=0)
        self.losing = False
        self.lock = threading.Lock()

    def begin(self, asked: dict[str, str], person: str) -> str:
        family = Family(person, asked["redirect_uri"], asked["code_challenge"], codes=[secrets.token_urlsafe(32)])
        self.families.append(family)
        return family.codes[0]

    def tokens(self, form: dict[str, str]) -> dict[str, str]:
        if (form.get("client_id"), form.get("client_secret")) != (
            self.client["client_id"],
            self.client["client_secret"],
        ):
            raise Refused("invalid_client")
        if form.get("grant_type") == "authorization_code":
            family = self._spend("codes", form.get("code", ""))
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            verified = base64.urlsafe_b64encode(digest).decode().rstrip("=") == family.challenge
            if not verified or form.get("redirect_uri") != family.redirect_uri:
                family.alive = False
                raise Refused("invalid_grant")
            self.counts["exchange"] += 1
        else:
            family = self._spend("refresh_tokens", form.get("refresh_token", ""))
            self.counts["refresh"] += 1
        family.refresh_tokens.append(secrets.token_urlsafe(32))
        family.access_tokens[:] = [secrets.token_urlsafe(32)]
        return {
            "access_token": family.access_tokens[-1],
            "refresh_token": family.refresh_tokens[-1],
            "token_type": "bearer",
        }

    def _spend(self, kind: str, token: str) -> Family:
        for family in self.families:
            known: list[str] = getattr(family, kind)
            if token in known:
                if not family.alive or token != known[-1] or (kind == "codes" and family.refresh_tokens):
                    family.alive = False  # shown twice: somebody else may have it
                    break
                return family
        raise Refused("invalid_grant")

    def revoke(self, token: str) -> None:
        for family in self.families:
            if token in family.refresh_tokens + family.access_tokens:
                family.alive = False

    def person_of(self, token: str) -> str | None:
        alive = (family for family in self.families if family.alive and token in family.access_tokens)
        return next((family.person for family in alive), None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    state: State

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        path, state = urlsplit(self.path).path, self.state
        if path == "/.well-known/oauth-authorization-server":
            self._json(200, metadata(state.issuer))
        elif path == "/authorize":
            self._page()
        elif path.startswith("/api/"):
            self._api()
        elif path.startswith("/control/"):
            self._control(path.removeprefix("/control/"))
        else:
            self._json(404, {})

    def do_POST(self) -> None:
        form = self._form()
        with self.state.lock:
            if self.path == "/token":
                self._token(form)
            elif self.path == "/revoke":
                self.state.counts["revoke"] += 1
                self.state.revoke(form.get("token", ""))
                self._json(200, {})
            else:
                self._decide(form)

    def _form(self) -> dict[str, str]:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        return {name: values[0] for name, values in parse_qs(text, strict_parsing=True).items()}

    def _asked(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def _page(self) -> None:
        asked = self._asked()
        known = (asked.get("client_id"), asked.get("redirect_uri"))
        if known != (self.state.client["client_id"], self.state.client["redirect_uri"]):
            self._json(400, {"error": "an unknown client or redirect URI"})
        elif asked.get("code_challenge_method") != "S256" or len(asked.get("state", "")) < 16:
            self._json(400, {"error": "PKCE and state are required"})
        else:
            self._answer(200, PAGE.format(html.escape(asked["scope"])).encode(), {"Content-Type": "text/html"})

    def _decide(self, form: dict[str, str]) -> None:
        asked = self._asked()
        answer = {"state": asked["state"], "iss": self.state.issuer}
        if form.get("answer") == "yes":
            answer["code"] = self.state.begin(asked, form["person"])
        else:
            answer["error"] = "access_denied"
        self._answer(303, b"", {"Location": f"{asked['redirect_uri']}?{urlencode(answer)}"})

    def _token(self, form: dict[str, str]) -> None:
        try:
            members = self.state.tokens(form)
        except Refused as refused:
            self.state.counts["refused"] += 1
            self._json(401 if str(refused) == "invalid_client" else 400, {"error": str(refused)})
            return
        if self.state.losing:
            self.state.losing, self.close_connection = False, True  # the answer never arrives
            return
        self._json(200, members)

    def _api(self) -> None:
        self.state.counts["api"] += 1
        person = self.state.person_of(self.headers.get("Authorization", "").removeprefix("Bearer "))
        self._json(200 if person else 401, {"person": person})

    def _control(self, what: str) -> None:
        if what == "expire":
            for family in self.state.families:
                family.access_tokens.clear()
        elif what == "end":
            for family in self.state.families:
                family.alive = False
        elif what == "lose":
            self.state.losing = True
        self._json(200, dict(self.state.counts))

    def _json(self, status: int, members: object) -> None:
        self._answer(status, json.dumps(members).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Cache-Control": "no-store"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def metadata(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "revocation_endpoint": f"{issuer}/revoke",
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


def main() -> None:
    state = State(json.loads(sys.argv[1]))
    with Server(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"state": state})) as server:
        state.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        print(json.dumps({"issuer": state.issuer, "url": state.issuer}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
