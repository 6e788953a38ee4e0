"""wxc_sdk with a living token: the SDK itself, unmodified, for as long as the grant lives."""

from typing import TYPE_CHECKING, Any, Final

from wxc_sdk import WebexSimpleApi

from grantflow.client.adapters.requests import carry_grant
from grantflow.client.integration import AsyncIntegration, Integration

if TYPE_CHECKING:
    from wxc_sdk.as_api import AsWebexSimpleApi

#: The SDK asks for a token before anything is called. It is replaced on each request.
_REPLACED: Final = "replaced by Grantflow on each request"


def webex_simple_api(
    integration: Integration, person_id: str, *, owner: str | None = None, **options: Any
) -> WebexSimpleApi:
    """A `WebexSimpleApi` that calls in the person's name; `options` are the SDK's own.

    Beside the SDK's errors its calls raise what those of `client_for` raise: some of the SDK's calls go to other hosts
    of Webex, and `ForeignOrigin` names each that is not among the integration's `api_origins` yet.
    """
    api = WebexSimpleApi(tokens=_REPLACED, **options)
    api.session.BASE = integration.configuration.api_url  # type: ignore[misc]  # of this session alone
    carry_grant(api.session, integration, person_id, owner=owner)
    return api


def as_webex_simple_api(
    integration: AsyncIntegration, person_id: str, *, owner: str | None = None, **options: Any
) -> "AsWebexSimpleApi":
    """The same for asyncio, made within the event loop that it serves."""
    from wxc_sdk.as_api import AsWebexSimpleApi  # aiohttp comes with it

    from grantflow.client.adapters.aiohttp import grant_middleware

    carrying = (*options.pop("middlewares", ()), grant_middleware(integration, person_id, owner=owner))
    api = AsWebexSimpleApi(tokens=_REPLACED, middlewares=carrying, **options)
    api.session.BASE = integration.configuration.api_url
    return api
