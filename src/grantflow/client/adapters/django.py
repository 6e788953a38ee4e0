"""The consent pages and the living client in a Django project."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import URLPattern, re_path
from django.views.decorators.csrf import csrf_exempt

from grantflow.client.errors import GrantflowError
from grantflow.client.grant import Grant
from grantflow.client.integration import Integration
from grantflow.client.pages import About
from grantflow.client.pages.at_once import Answered, HostRequest, PagesAtOnce
from grantflow.client.pages.mount import CONNECT
from grantflow.client.shells.clients import GrantClient

#: Answers the project's own signed-in user of a request.
OwnerOf = Callable[[HttpRequest], str | None]
View = Callable[[HttpRequest], HttpResponseBase]


def signed_in(request: HttpRequest) -> str | None:
    """The user of django.contrib.auth."""
    user = request.user
    return str(user.pk) if user.is_authenticated else None


def mount(
    integration: Integration,
    about: About,
    *,
    owner_of: OwnerOf = signed_in,
    at: str | None = None,
    **options: Any,
) -> "MountedPages":
    """The pages in the folder that the redirect URI lies in, for `urlpatterns` and MIDDLEWARE::

        webex = mount(integration, About("Your app", does="Connect it with Webex"))
        middleware = webex.middleware                    # settings.py: MIDDLEWARE = [..., "yours.webex.middleware"]
        urlpatterns = [*webex.urlpatterns, ...]

    A grant belongs to the user who is signed in; who is not is sent to sign in first. `at` is that folder as the
    project sees it, where a proxy or SCRIPT_NAME takes a part of it away. `options` are those of `integration_pages`.
    Raises ValueError where the redirect URI is in no folder.
    """
    return MountedPages(integration, about, owner_of=owner_of, at=at, **options)


class MountedPages:
    """What `mount` makes: whose grant a request has, and the client that calls with it."""

    def __init__(
        self, integration: Integration, about: About, *, owner_of: OwnerOf, at: str | None, **options: Any
    ) -> None:
        self._owner_of = owner_of
        self._pages = PagesAtOnce(integration, about, knows_owners=True, **options)
        self._at = at or self._pages.folder

    @property
    def urlpatterns(self) -> list[URLPattern]:
        # The forms of these pages carry tokens of their own.
        return [re_path(rf"^{re.escape(self._at[1:])}(?P<below>$|/.*$)", csrf_exempt(self.page), name="grantflow")]

    def grant(self, request: HttpRequest) -> Grant | None:
        """The grant of whoever sent a request, dead or alive; None where there is none."""
        return self._pages.grant(self._request(request))

    def client(self, request: HttpRequest) -> GrantClient:
        """An `httpx2.Client` that calls in their name. Raises ReauthorizationRequired, which leads them to the grant
        and back to where they are."""
        return self._pages.client(self._request(request))

    def page(self, request: HttpRequest, below: str) -> HttpResponseBase:
        """The view of the pages."""
        asked = self._request(request, self._pages.folder + (below or "/"))
        if below == CONNECT and asked.owner is None:
            from django.conf import settings  # an object that cannot even be looked at before a project is configured

            sign_in = resolve_url(settings.LOGIN_URL)
            return HttpResponseRedirect(f"{sign_in}?{urlencode({'next': request.get_full_path()})}")
        return _written(self._pages.answer(asked))

    def middleware(self, get_response: View) -> "AnsweringRefusals":
        """Answers our errors, wherever a view raises one."""
        return AnsweringRefusals(self, get_response)

    def answer_refusal(self, request: HttpRequest, error: GrantflowError) -> HttpResponse:
        return _written(self._pages.answer_refusal(self._request(request), error))

    def _request(self, request: HttpRequest, path: str | None = None) -> HostRequest:
        return HostRequest(request.META, path or request.path, request.read, self._owner_of(request))


@dataclass(frozen=True, slots=True)
class AnsweringRefusals:
    pages: MountedPages
    get_response: View

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, GrantflowError):
            return None
        return self.pages.answer_refusal(request, error)


def _written(answered: Answered) -> HttpResponse:
    plain = {name: text for name, text in answered.headers if name != "set-cookie"}
    response = HttpResponse(answered.body, status=answered.status, headers=plain)
    for name, text in answered.headers:
        if name == "set-cookie":
            response.cookies.update(SimpleCookie(text))
    return response
