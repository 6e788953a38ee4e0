"""The same pages for host applications that block (WSGI): each request is answered in the thread that it came to.

The pages are coroutines, and what they await is the integration. Where that is a blocking one, everything has been done
before it is awaited, so a page runs to its end in one go: no event loop, no thread, no second set of pages; and the
host application's own context (its request, its signed-in user) is there as in any view of its own.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope

from grantflow.client.errors import GrantflowError
from grantflow.client.flows.parts import Parts
from grantflow.client.grant import Grant
from grantflow.client.integration import AsyncIntegration, Integration
from grantflow.client.pages.about import About
from grantflow.client.pages.assembly import IntegrationPages, integration_pages
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.clients import GrantClient
from grantflow.client.steps import Flow

T = TypeVar("T")

_CHUNK: Final = 65_536
_OWNER: Final = "grantflow.owner"


class AtOnce(AsyncIntegration):
    """A blocking integration by the names of the awaiting one: what is awaited has been done before."""

    def __init__(self, integration: Integration) -> None:
        self._integration = integration
        self._shell = _Performed(integration._shell)  # type: ignore[assignment]
        self.now = integration.now

    @property
    def _parts(self) -> Parts:  # type: ignore[override]  # whatever they are now: its secret may be changed
        return self._integration._parts


@dataclass(frozen=True, slots=True)
class _Performed:
    shell: Shell

    async def perform(self, flow: Flow[T]) -> T:
        return self.shell.perform(flow)


@dataclass(frozen=True, slots=True)
class HostRequest:
    """A request as the host application has it: `environ` by the names of WSGI (PEP 3333), `path` as the person's
    browser has it; `read` takes a number of bytes and gives at most as many.

    `owner` is the host application's user who sent it."""

    environ: Mapping[str, Any] = field(repr=False)
    path: str
    read: Callable[[int], bytes] = field(repr=False)
    owner: str | None = None

    def scope(self) -> Scope:
        """What ASGI calls it."""
        environ = self.environ
        return {
            "type": "http",
            "http_version": "1.1",
            "method": environ["REQUEST_METHOD"],
            "scheme": environ.get("wsgi.url_scheme", "http"),
            "server": (environ.get("SERVER_NAME", ""), int(environ.get("SERVER_PORT") or 0)),
            "client": None,
            "path": self.path,
            "raw_path": quote(self.path).encode("ascii"),
            "root_path": "",
            "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
            "headers": _headers(environ),
            _OWNER: self.owner,
        }


@dataclass(slots=True)
class Answered:
    """`headers` in their order; Set-Cookie may come several times."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    body: bytes = field(default=b"", repr=False)

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in message["headers"]]
        else:
            self.body += message.get("body", b"")


class PagesAtOnce:
    """What `integration_pages` makes, for host applications that block; with the same options but `try_it`.

    `knows_owners`: whether each HostRequest says whose user sent it.
    """

    def __init__(self, integration: Integration, about: About, *, knows_owners: bool, **options: Any) -> None:
        if options.get("try_it"):
            raise ValueError("try_it needs an event loop, which is not there in a host application that blocks.")
        self._integration = integration
        owner_of = (lambda request: request.scope[_OWNER]) if knows_owners else None
        self._pages = integration_pages(AtOnce(integration), about, owner_of=owner_of, **options)

    @property
    def folder(self) -> str:
        """As `IntegrationPages.folder`."""
        return self._pages.folder

    def answer(self, request: HostRequest) -> Answered:
        """The page at the request's path, which lies below `folder`."""
        return self._answered(request, {**request.scope(), "root_path": self.folder}, self._pages)

    def answer_refusal(self, request: HostRequest, error: GrantflowError) -> Answered:
        """As `IntegrationPages.answer_refusal`."""
        return self._answered(
            request, request.scope(), at_once(self._pages.answer_refusal(Request(request.scope()), error))
        )

    def grant(self, request: HostRequest) -> Grant | None:
        """As `IntegrationPages.grant`."""
        return at_once(self._pages.grant(Request(request.scope())))

    def client(self, request: HostRequest) -> GrantClient:
        """As `IntegrationPages.client`, with an `httpx2.Client`."""
        grant = at_once(self._pages.require_grant(Request(request.scope())))
        return self._integration.client_for(grant.person_id, owner=grant.owner)

    @staticmethod
    def _answered(request: HostRequest, scope: Scope, app: IntegrationPages | Response) -> Answered:
        answered = Answered()

        async def receive() -> Message:
            body = request.read(_CHUNK)
            return {"type": "http.request", "body": body, "more_body": bool(body)}

        try:
            at_once(app(scope, receive, answered.take))
        except Exception:
            if not answered.status:
                raise
            # The page that says so has been made, and it is in the log.
        return answered


def at_once(page: Coroutine[Any, Any, T]) -> T:
    """Run what waits for nothing to its end."""
    try:
        page.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    page.close()
    raise RuntimeError("Something that these pages call waits for an event loop, and here is none: let it block.")


def _headers(environ: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    named = {name[5:]: text for name, text in environ.items() if name.startswith("HTTP_")}
    named |= {name: environ[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    return [(name.replace("_", "-").lower().encode("latin-1"), text.encode("latin-1")) for name, text in named.items()]
