"""The platform that all clients meet: one token endpoint as RFC 6749 says, one API, over real sockets, for nobody in
particular. It shares no code with Grantflow.

It takes a client's secret in the body or as HTTP Basic, counts every request, ends access tokens by the clock, and
keeps every body that was uploaded. It can swap refresh tokens at each use (`rotates`), revoke the whole grant where a
swapped one comes again (`revokes_family`, RFC 9700 section 4.14.2), take its time, and be out of order.
"""

import base64
import json
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

CLIENT_ID = "bench-client"
CLIENT_SECRET = "bench-secret-0123456789-0123456789"
#: As long as Webex's: what is renewed while a scenario is played stays good until it ends.
LIFETIME = 1_209_600


@dataclass
class Grant:
    """One person's, and what came of it. `access` has the moment at which each access token ends."""

    person: str
    refresh: str
    rotates: bool = False
    revokes_family: bool = False
    access: dict[str, float] = field(default_factory=dict)
    swapped: set[str] = field(default_factory=set)
    alive: bool = True
    first: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    requests: int = 0
    """Token requests that named it."""
    issued: int = 0
    arrived: threading.Event = field(default_factory=threading.Event)
    """A token request for it has come."""
    answered: bool = False
    """A token request for it has been served, and the answer is about to be written."""


@dataclass(frozen=True)
class Outage:
    """What the token endpoint says as long as it is out of order."""

    status: int
    body: str
    headers: Mapping[str, str]


class Platform:
    def __init__(self) -> None:
        self.url = ""
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.grants: list[Grant] = []
        self.uploads: list[bytes] = []
        self.outage: Outage | None = None
        self.wait_before, self.wait_after = 0.0, 0.0
        self.issues_id_tokens = False

    @property
    def token_url(self) -> str:
        return f"{self.url}/oauth/token"

    @property
    def api_url(self) -> str:
        return f"{self.url}/v1"

    def begin(self) -> None:
        """A scenario of its own: nothing counted, in order again, at once."""
        self.counts.clear()
        self.uploads.clear()
        self.outage = None
        self.wait_before = self.wait_after = 0.0

    def grant(self, *, expires_in: int = LIFETIME, rotates: bool = False) -> Grant:
        """What a client has right after a person's consent: tokens as the token endpoint sent them, or a code."""
        made = Grant(f"person-{len(self.grants)}", _mint("refresh"), rotates=rotates, revokes_family=rotates)
        made.first, made.code = self._tokens(made, expires_in=expires_in), _mint("code")
        with self.lock:
            self.grants.append(made)
        return made

    def revoke_access_tokens(self, grant: Grant) -> None:
        with self.lock:
            grant.access.clear()

    def revoke(self, grant: Grant) -> None:
        with self.lock:
            grant.alive = False
            grant.access.clear()

    # --- the token endpoint -------------------------------------------------------------------------------------

    def token(self, form: Mapping[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        if not _is_the_client(form, authorization):
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") == "authorization_code":
            found = next((grant for grant in self.grants if grant.code == form.get("code")), None)
            return (200, found.first) if found else (400, {"error": "invalid_grant"})
        if form.get("grant_type") != "refresh_token":
            return 400, {"error": "unsupported_grant_type"}
        return self._refresh(form.get("refresh_token", ""))

    def _refresh(self, token: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            grant = next((each for each in self.grants if token == each.refresh or token in each.swapped), None)
            if grant is None:
                return 400, {"error": "invalid_grant"}
            grant.requests += 1
            grant.arrived.set()
        time.sleep(self.wait_before)
        answer = self._renew(grant, token)
        time.sleep(self.wait_after)
        grant.answered = True
        return answer

    def _renew(self, grant: Grant, token: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if token in grant.swapped and grant.revokes_family:
                grant.alive = False
                grant.access.clear()
            if not grant.alive or token != grant.refresh:
                return 400, {"error": "invalid_grant", "error_description": "The refresh token is not valid."}
            if grant.rotates:
                grant.swapped.add(token)
                grant.refresh = _mint("refresh")
            grant.issued += 1
            return 200, self._tokens(grant, expires_in=LIFETIME)

    def _tokens(self, grant: Grant, *, expires_in: int) -> dict[str, Any]:
        access = _mint("access")
        grant.access[access] = time.monotonic() + expires_in
        tokens = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": expires_in,
            "refresh_token": grant.refresh,
            "scope": "read",
        }
        return tokens | ({"id_token": self._id_token(grant)} if self.issues_id_tokens else {})

    def _id_token(self, grant: Grant) -> str:
        """For a client that knows a person by nothing else. It came straight from here, so it bears no signature."""
        now = int(time.time())
        claims = {"iss": f"{self.url}/tenant", "sub": grant.person, "aud": CLIENT_ID, "iat": now, "exp": now + 3600}
        parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
        return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])

    # --- the API ------------------------------------------------------------------------------------------------

    def whose(self, authorization: str) -> Grant | None:
        token, now = authorization.removeprefix("Bearer "), time.monotonic()
        with self.lock:
            return next((each for each in self.grants if each.alive and each.access.get(token, 0.0) > now), None)


def _mint(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(20)}"


def _is_the_client(form: Mapping[str, str], authorization: str) -> bool:
    named = (form.get("client_id"), form.get("client_secret"))
    if authorization.startswith("Basic "):
        client_id, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
        named = (unquote_plus(client_id), unquote_plus(secret))
    return named == (CLIENT_ID, CLIENT_SECRET)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    platform: Platform
    timeout = 120
    # Headers and body in one segment, or Nagle and delayed acknowledgements add 40 ms to each answer.
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        body, path = self._body(), urlsplit(self.path).path
        if path == "/oauth/token":
            self._token(body)
        elif path.endswith("/.well-known/openid-configuration"):
            self._metadata()
        elif path.startswith("/v1/"):
            self._api(path, body)
        else:
            self._answer(404, {"error": "not_found"})

    do_POST = do_GET  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _token(self, body: bytes) -> None:
        platform = self.platform
        platform.counts["token"] += 1
        if (outage := platform.outage) is not None:
            self._answer(outage.status, outage.body, outage.headers)
            return
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        status, members = platform.token(form, self.headers.get("Authorization", ""))
        self._answer(status, members, {"Cache-Control": "no-store"})

    def _metadata(self) -> None:
        url = self.platform.url
        members = {
            "issuer": f"{url}/tenant",
            "authorization_endpoint": f"{url}/oauth/authorize",
            "token_endpoint": self.platform.token_url,
        }
        self._answer(200, members)

    def _api(self, path: str, body: bytes) -> None:
        platform = self.platform
        platform.counts["call"] += 1
        grant = platform.whose(self.headers.get("Authorization", ""))
        if grant is None:
            platform.counts["unauthorized"] += 1
            self._answer(
                401, {"message": "The token is not valid."}, {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            )
        elif path == "/v1/upload":
            platform.uploads.append(body)
            self._answer(200, {"received": len(body)})
        else:
            self._answer(200, {"id": grant.person, "displayName": grant.person, "emails": []})

    def _answer(self, status: int, body: str | Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        written = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle is no news."""


@contextmanager
def platform(*, security: ssl.SSLContext | None = None) -> Iterator[Platform]:
    """One that answers until the block ends; `security`: over TLS, for whom nothing else will do."""
    made = Platform()
    handler = type("BoundHandler", (Handler,), {"platform": made})
    with Server(("127.0.0.1", 0), handler) as server:
        if security is not None:
            server.socket = security.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        host = "localhost" if security else "127.0.0.1"
        made.url = f"http{'s' if security else ''}://{host}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
