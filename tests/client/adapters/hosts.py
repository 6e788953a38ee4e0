"""One small application in each web framework, over sockets: its users sign in, and a page calls in their names."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import Thread
from types import ModuleType
from typing import Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
import fastapi
import flask
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import clear_url_caches, path
from django.views.decorators.csrf import csrf_exempt
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request

from grantflow.client.adapters import django as in_django
from grantflow.client.adapters import fastapi as in_fastapi
from grantflow.client.adapters import flask as in_flask
from grantflow.client.pages import About
from grantflow.client.shells.clients import AsyncGrantClient
from tests.client.conftest import World
from tests.client.pages.conftest import listening, served

# Once for all tests of this process; what differs from test to test is overridden.
settings.configure(
    SECRET_KEY="no secret, for tests",
    ALLOWED_HOSTS=["localhost"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    LOGIN_URL="/sign-in",
)
django.setup()

ABOUT = About("Notice Board", does="Post in your own name", operator="the help desk")


@dataclass(frozen=True)
class Host:
    """`serve` runs the application; it is at the URL that comes. With `options` for the integration."""

    name: str
    serve: Callable[..., AbstractContextManager[str]]


@contextmanager
def _serving_wsgi(app: Any, server: WSGIServer) -> Iterator[None]:
    server.set_app(app)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _wsgi_server() -> tuple[WSGIServer, str]:
    server = WSGIServer(("127.0.0.1", 0), _Silent)
    return server, f"http://localhost:{server.server_port}"


@contextmanager
def _flask(world: World, **options: Any) -> Iterator[str]:
    server, url = _wsgi_server()
    app = flask.Flask("host")
    app.secret_key = "no secret, for tests"
    integration = world.integration(redirect_uri=f"{url}/webex/oauth", **options)
    webex = in_flask.mount(app, integration, ABOUT, owner_of=lambda: flask.session.get("user"))

    @app.get("/sign-in")
    def sign_in() -> str:
        flask.session["user"] = flask.request.args["user"]
        return "signed in"

    @app.route("/spaces", methods=["GET", "POST"])
    def spaces() -> str:
        with webex.client() as client:
            return f"spaces of {client.get('people/me').json()['displayName']}"

    @app.get("/wrong")
    def wrong() -> str:
        with webex.client() as client:
            return client.get("https://elsewhere.example/").text

    with _serving_wsgi(app, server):
        yield url


@contextmanager
def _django(world: World, **options: Any) -> Iterator[str]:
    server, url = _wsgi_server()
    integration = world.integration(redirect_uri=f"{url}/webex/oauth", **options)
    webex = in_django.mount(integration, ABOUT, owner_of=lambda request: request.session.get("user"))

    def sign_in(request: HttpRequest) -> HttpResponse:
        request.session["user"] = request.GET["user"]
        return HttpResponse("signed in")

    def spaces(request: HttpRequest) -> HttpResponse:
        with webex.client(request) as client:
            return HttpResponse(f"spaces of {client.get('people/me').json()['displayName']}")

    def wrong(request: HttpRequest) -> HttpResponse:
        with webex.client(request) as client:
            return HttpResponse(client.get("https://elsewhere.example/").text)

    own = [path("sign-in", sign_in), path("spaces", csrf_exempt(spaces)), path("wrong", wrong)]
    module = ModuleType("a_django_project")
    module.middleware = webex.middleware  # type: ignore[attr-defined]
    module.urlpatterns = [*webex.urlpatterns, *own]  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    middleware = [
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "a_django_project.middleware",
    ]
    clear_url_caches()
    project = override_settings(ROOT_URLCONF=module.__name__, MIDDLEWARE=middleware)
    with project, _serving_wsgi(get_wsgi_application(), server):
        yield url


@contextmanager
def _fastapi(world: World, **options: Any) -> Iterator[str]:
    with listening() as (listener, url):
        integration = world.async_integration(redirect_uri=f"{url}/webex/oauth", **options)

        @asynccontextmanager
        async def running(_: fastapi.FastAPI) -> Any:
            async with integration:
                yield

        app = fastapi.FastAPI(lifespan=running)
        app.add_middleware(SessionMiddleware, secret_key="no secret, for tests")
        webex = in_fastapi.mount(app, integration, ABOUT, owner_of=lambda request: request.session.get("user"))
        client_of = fastapi.Depends(webex.client)

        @app.get("/sign-in")
        async def sign_in(request: Request, user: str) -> str:
            request.session["user"] = user
            return "signed in"

        @app.api_route("/spaces", methods=["GET", "POST"])
        async def spaces(client: Annotated[AsyncGrantClient, client_of]) -> str:
            return f"spaces of {(await client.get('people/me')).json()['displayName']}"

        @app.get("/wrong")
        async def wrong(client: Annotated[AsyncGrantClient, client_of]) -> str:
            return (await client.get("https://elsewhere.example/")).text

        with served(app, listener):
            yield url


HOSTS = [Host("Flask", _flask), Host("Django", _django), Host("FastAPI", _fastapi)]
