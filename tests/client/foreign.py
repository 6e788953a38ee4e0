"""A foreign, strict platform over a real socket: it shares no code with Grantflow and counts what reaches it."""

import base64
import hashlib
import json
import secrets
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

CLIENT_ID = "Cforeign"
CLIENT_SECRET = "foreign-secret-0123456789"


@dataclass
class Line:
    """One grant at the platform: its person, its living tokens."""

    person: str
    access: set[str]
    refresh: str
    alive: bool = True
    swapped: set[str] = field(default_factory=set)
    """The refresh tokens that it had before."""


@dataclass
class Answer:
    """What the token endpoint says instead of what it should; `status` 0 hangs up without a word."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    after_work: bool = False
    """The request is served first, and its answer lost."""
    speak: Callable[[socket.socket], None] | None = None
    """Says on the bare connection whatever it likes, and then hangs up."""


Refusal: TypeAlias = tuple[int, dict[str, Any]]


class Platform:
    """Everything that the server knows; tests read and change it while it runs."""

    def __init__(self) -> None:
        self.rotates = False
        self.revokes_families = False
        """Whether a refresh token that comes back after it was swapped ends the grant."""
        self.wait = 0.0
        self.expires_in: int | None = 1_209_600
        self.sends_refresh_token = True
        self.sends_scope = True
        self.token_type = "Bearer"
        self.client_secret = CLIENT_SECRET
        self.revocation_status = 200
        self.counts: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.forms: list[dict[str, str]] = []
        self.seen: list[tuple[str, str]] = []
        self.answers: list[Answer] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.lines: list[Line] = []
        self.lock = threading.Lock()
        self.people_me_status = 200
        self.person_members: dict[str, object] = {}
        self.api_answers: list[Answer] = []
        self.revocation_answers: list[Answer] = []
        self.documents: dict[str, Answer] = {}
        self.on_whoami: Callable[[], None] = lambda: None
        self.on_refresh: Callable[[], Refusal | None] = lambda: None

    # --- what a person does in the browser ----------------------------------------------------------------------

    def accept(self, authorization_url: str, *, person: str = "ada") -> str:
        """The address that the browser is sent to after Accept."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(24)
        self.codes[code] = {**asked, "person": person}
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    # --- what goes wrong ----------------------------------------------------------------------------------------

    def expire_access_tokens(self) -> None:
        with self.lock:
            for line in self.lines:
                line.access.clear()

    def end_grants(self) -> None:
        with self.lock:
            for line in self.lines:
                line.alive = False
                line.access.clear()

    def line(self, person: str = "ada") -> Line:
        return next(line for line in reversed(self.lines) if line.person == person)

    # --- the token endpoint -------------------------------------------------------------------------------------

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != self.client_secret:
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") == "authorization_code":
            return self._exchange(form)
        assert form["grant_type"] == "refresh_token"
        return self._refresh(form["refresh_token"])

    def _exchange(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.counts["exchange"] += 1
        with self.lock:
            asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri") or asked["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        line = Line(asked["person"], set(), self._mint("refresh"))
        self.lines.append(line)
        return 200, self._tokens(line, scope=asked["scope"])

    def _refresh(self, token: str) -> tuple[int, dict[str, Any]]:
        self.counts["refresh"] += 1
        if refusal := self.on_refresh():
            return refusal
        time.sleep(self.wait)
        with self.lock:
            line = next((line for line in self.lines if line.refresh == token and line.alive), None)
            if line is None:
                self._note_reuse(token)
                return 400, {"error": "invalid_grant"}
            if self.rotates:
                line.swapped.add(line.refresh)
                line.refresh = self._mint("refresh")
            return 200, self._tokens(line, scope="spark:people_read")

    def _note_reuse(self, token: str) -> None:
        for line in self.lines:
            if self.revokes_families and token in line.swapped:
                line.alive = False
                line.access.clear()

    def _tokens(self, line: Line, *, scope: str) -> dict[str, Any]:
        access = self._mint("access")
        line.access.add(access)
        answer: dict[str, Any] = {
            "access_token": access,
            "token_type": self.token_type,
            "surprise": {"unknown": ["field"]},
        }
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        if self.sends_refresh_token:
            answer |= {"refresh_token": line.refresh, "refresh_token_expires_in": 7_776_000}
        if self.sends_scope:
            answer["scope"] = scope
        return answer

    @staticmethod
    def _mint(kind: str) -> str:
        return f"{kind}-{secrets.token_hex(20)}"

    def person_of(self, authorization: str) -> str | None:
        token = authorization.removeprefix("Bearer ")
        with self.lock:
            return next((line.person for line in self.lines if line.alive and token in line.access), None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    platform: Platform
    timeout = 60
    # Headers and body in one segment, or Nagle and delayed acknowledgements add 40 ms to each answer.
    wbufsize = -1

    def setup(self) -> None:
        self.platform.counts["connection"] += 1
        super().setup()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_GET  # noqa: N815

    def _serve(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        self.platform.seen.append((self.path, self.headers.get("Authorization", "")))
        if path in self.platform.documents:
            self.platform.counts["document"] += 1
            self._scripted(self.platform.documents[path])
        elif path == "/v1/access_token":
            self._token(body)
        elif path == "/v1/revoke":
            self.platform.counts["revoke"] += 1
            self.platform.bodies.append(body)
            if self.platform.revocation_answers:
                self._scripted(self.platform.revocation_answers.pop(0))
            else:
                self._answer(self.platform.revocation_status, b"")
        else:
            self._api(path, body)

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
        assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.platform.counts["token"] += 1
        self.platform.forms.append(form)
        scripted = self.platform.answers.pop(0) if self.platform.answers else None
        if scripted is not None:
            if scripted.after_work:
                self.platform.token(form)
            self._scripted(scripted)
            return
        status, members = self.platform.token(form)
        self._answer(status, json.dumps(members).encode(), {"Content-Type": "application/json"})

    def _scripted(self, answer: Answer) -> None:
        time.sleep(answer.wait)
        if answer.speak is not None:
            with suppress(OSError):  # the other side has gone
                answer.speak(self.connection)
        if answer.status == 0:
            self.close_connection = True
            return
        self._answer(answer.status, answer.body.encode(), answer.headers)

    def _api(self, path: str, body: bytes) -> None:
        self.platform.counts["call"] += 1
        person = self.platform.person_of(self.headers.get("Authorization", ""))
        if person is None:
            self.platform.counts["unauthorized"] += 1
            self._json(401, {"message": "The request requires a valid access token."})
        elif self.platform.api_answers:
            self._scripted(self.platform.api_answers.pop(0))
        elif path == "/v1/people/me":
            self.platform.on_whoami()
            members = {"id": f"id-{person}", "displayName": person.title(), "emails": [f"{person}@example.org"]}
            self._json(self.platform.people_me_status, {**members, **self.platform.person_members})
        elif path == "/v1/userinfo":
            members = {"sub": f"sub-{person}", "name": person.title(), "email": f"{person}@example.org"}
            self._json(self.platform.people_me_status, {**members, **self.platform.person_members})
        elif path == "/v1/away":
            query = parse_qs(urlsplit(self.path).query)
            self._answer(int(query.get("status", ["302"])[0]), b"", {"Location": query["to"][0]})
        else:
            self.platform.bodies.append(body)
            self._json(200, {"person": person, "received": len(body)})

    def _json(self, status: int, members: dict[str, Any]) -> None:
        self._answer(status, json.dumps(members).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle is no news."""


@contextmanager
def foreign_platform(*, security: ssl.SSLContext | None = None) -> Iterator[tuple[Platform, str]]:
    """The platform and its API's URL; `security`: over TLS."""
    platform = Platform()
    handler = type("BoundHandler", (Handler,), {"platform": platform})
    with Server(("127.0.0.1", 0), handler) as server:
        if security is not None:
            server.socket = security.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield platform, f"http{'s' if security else ''}://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()
