"""The pages served on a socket, against the foreign platform, and browsers that visit them."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from grantflow import AsyncIntegration, Integration
from grantflow.client.pages import About, integration_pages
from tests.client.conftest import World
from tests.whole.person import Page, Person

PATIENCE = 60.0

ABOUT = About("Sample <b>app</b>", does="Post in your own name", lead="A line or two.", operator="the help desk")


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A socket at a free port of loopback, and the address that browsers find it at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # else who comes before the server is up is refused
        yield listener, f"http://localhost:{listener.getsockname()[1]}"


def hosting(integration: AsyncIntegration, *routes: BaseRoute) -> Starlette:
    """An application that closes the integration when it ends."""

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        async with integration:
            yield

    return Starlette(routes=routes, lifespan=running)


@contextmanager
def served(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


class Browser(Person):
    """It stops where the foreign platform would show its sign-in page, and is patient on a busy machine."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._http.timeout = PATIENCE

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._http.cookies.jar}

    def see(self, method: str, url: str) -> httpx2.Response:
        """One answer as it comes, followed nowhere."""
        return self._http.request(method, url)

    @contextmanager
    def keeping_cookies(self) -> Iterator[None]:
        """What a site has discarded meanwhile is there again afterwards, as on the way back in the history."""
        kept = list(self._http.cookies.jar)
        yield
        for cookie in kept:
            self._http.cookies.jar.set_cookie(cookie)


@dataclass
class Sample:
    """An integration whose pages are served at `url`."""

    world: World
    url: str
    integration: AsyncIntegration

    def browser(self) -> "Browser":
        return Browser(stops=(f"{self.world.api_url}/authorize",))

    def elsewhere(self) -> Integration:
        """The same integration in another process of the host application: the same vault."""
        return self.world.integration(redirect_uri=f"{self.url}/oauth")

    def accepted(self, visitor: Browser, *, person: str = "ada", start: str = "/connect") -> str:
        """Click on Grant and accept at the platform: the address that the browser is now sent to."""
        return self.world.platform.accept(visitor.open(self.url + start).url, person=person)

    def grant(self, visitor: Browser, *, person: str = "ada", start: str = "/connect") -> Page:
        return visitor.open(self.accepted(visitor, person=person, start=start))

    def http(self, **options: Any) -> httpx2.Client:
        """A client that follows nothing and keeps cookies."""
        return httpx2.Client(base_url=self.url, trust_env=False, timeout=PATIENCE, **options)


Serve = Callable[..., Sample]


@pytest.fixture
def serve(world: World) -> Iterator[Serve]:
    """Serves the pages of an integration with these options, until the test ends."""
    with ExitStack() as stack:

        def serve_pages(about: About = ABOUT, *, pages: dict[str, Any] | None = None, **options: Any) -> Sample:
            listener, url = stack.enter_context(listening())
            integration = world.async_integration(redirect_uri=f"{url}/oauth", **options)
            app = hosting(integration, Mount("/", integration_pages(integration, about, **(pages or {}))))
            stack.enter_context(served(app, listener))
            return Sample(world, url, integration)

        yield serve_pages


@pytest.fixture
def sample(serve: Serve) -> Sample:
    return serve()
