"""The consent pages and the living client in a Flask application."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

from grantflow.client.errors import GrantflowError
from grantflow.client.grant import Grant
from grantflow.client.integration import Integration
from grantflow.client.pages import About
from grantflow.client.pages.at_once import Answered, HostRequest, PagesAtOnce
from grantflow.client.shells.clients import GrantClient

#: Answers the application's own signed-in user, from Flask's request or session; it may abort, as a view may.
OwnerOf = Callable[[], str | None]


def mount(
    app: Flask,
    integration: Integration,
    about: About,
    *,
    owner_of: OwnerOf | None = None,
    at: str | None = None,
    **options: Any,
) -> "MountedPages":
    """Serve the pages in the folder that the redirect URI lies in, and answer our errors wherever a view raises one.

    `at` is that folder as the application sees it, where a proxy or SCRIPT_NAME takes a part of it away. `owner_of` and
    `options` are those of `integration_pages`. Raises ValueError where the redirect URI is in no folder.
    """
    pages = MountedPages(integration, about, owner_of=owner_of, **options)
    for rule in ("/", "/<path:below>"):
        app.add_url_rule(
            (at or pages.folder) + rule,
            f"grantflow {pages.folder}",
            pages.page,
            methods=["GET", "POST"],
            provide_automatic_options=False,
            strict_slashes=False,
        )
    app.register_error_handler(GrantflowError, pages.answer_refusal)
    return pages


class MountedPages:
    """What `mount` makes: whose grant the present request has, and the client that calls with it."""

    def __init__(self, integration: Integration, about: About, *, owner_of: OwnerOf | None, **options: Any) -> None:
        self._owner_of = owner_of
        self._pages = PagesAtOnce(integration, about, knows_owners=owner_of is not None, **options)
        self.folder = self._pages.folder

    def grant(self) -> Grant | None:
        """The grant of whoever sent the request, dead or alive; None where there is none."""
        return self._pages.grant(self._here())

    def client(self) -> GrantClient:
        """An `httpx2.Client` that calls in their name. Raises ReauthorizationRequired, which leads them to the grant
        and back to where they are."""
        return self._pages.client(self._here())

    def page(self, below: str = "") -> Response:
        """The view of the pages."""
        return _written(self._pages.answer(self._request(f"{self.folder}/{below}")))

    def answer_refusal(self, error: GrantflowError) -> Response:
        """The answer of a view that an error of ours ended."""
        return _written(self._pages.answer_refusal(self._here(), error))

    def _here(self) -> HostRequest:
        return self._request(request.script_root + request.path)

    def _request(self, path: str) -> HostRequest:
        owner = self._owner_of() if self._owner_of else None
        return HostRequest(request.environ, path, request.stream.read, owner)


def _written(answered: Answered) -> Response:
    return Response(answered.body, answered.status, answered.headers)
