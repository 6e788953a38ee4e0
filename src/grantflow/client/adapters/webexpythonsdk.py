"""webexpythonsdk with a living token: the SDK itself, unmodified, for as long as the grant lives."""

from typing import Any

from webexpythonsdk import WebexAPI

from grantflow.client.adapters.requests import carry_grant
from grantflow.client.integration import Integration

#: The SDK asks for a token before anything is called. It is replaced on each request.
_REPLACED = "replaced by Grantflow on each request"


def webex_api(integration: Integration, person_id: str, *, owner: str | None = None, **options: Any) -> WebexAPI:
    """A `WebexAPI` that calls in the person's name; `options` are the SDK's own.

    Beside the SDK's errors its calls raise what those of `client_for` raise.
    """
    options.setdefault("base_url", f"{integration.configuration.api_url}/")
    api = WebexAPI(access_token=_REPLACED, **options)
    carry_grant(api._session._req_session, integration, person_id, owner=owner)
    return api
