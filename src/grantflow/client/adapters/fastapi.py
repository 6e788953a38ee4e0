"""The consent pages and the living client in a FastAPI application; in one of Starlette's as well."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from grantflow.client.errors import GrantflowError
from grantflow.client.grant import Grant
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages import About, AskHost, IntegrationPages, integration_pages
from grantflow.client.shells.clients import AsyncGrantClient


def mount(
    app: Starlette,
    integration: AsyncIntegration,
    about: About,
    *,
    owner_of: AskHost | None = None,
    at: str | None = None,
    **options: Any,
) -> "MountedPages":
    """Serve the pages in the folder that the redirect URI lies in, and answer our errors wherever a path raises one.

    `at` is that folder as the application sees it, where a proxy takes a part of it away. `owner_of` and `options` are
    those of `integration_pages`. Raises ValueError where the redirect URI is in no folder.
    """
    pages = integration_pages(integration, about, owner_of=owner_of, **options)
    app.mount(at or pages.folder, pages, name="grantflow")

    async def answer_refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, GrantflowError)
        return await pages.answer_refusal(request, error)

    app.add_exception_handler(GrantflowError, answer_refusal)
    return MountedPages(pages)


class MountedPages:
    """What `mount` makes: dependencies of paths, `Depends(webex.client)`, and answers elsewhere."""

    def __init__(self, pages: IntegrationPages) -> None:
        self._pages = pages

    async def grant(self, request: Request) -> Grant | None:
        """The grant of whoever sent a request, dead or alive; None where there is none."""
        return await self._pages.grant(request)

    async def client(self, request: Request) -> AsyncIterator[AsyncGrantClient]:
        """An `httpx2.AsyncClient` that calls in their name, as long as the request is answered.

        Raises ReauthorizationRequired, which leads them to the grant and back to where they are.
        """
        async with await self._pages.client(request) as client:
            yield client
