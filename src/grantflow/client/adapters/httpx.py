"""The auth of a grant, for a client of httpx 0.28. Its continuation httpx2 has another `Auth`."""

import httpx

from grantflow.client.integration import AsyncIntegration, Integration
from grantflow.client.shells.auth import AuthFlows, Resent


class _Resent(Resent, httpx.SyncByteStream, httpx.AsyncByteStream):
    """For httpx."""


class GrantAuth(AuthFlows, httpx.Auth):
    """For httpx."""

    resent = _Resent


def grant_auth(integration: Integration | AsyncIntegration, person_id: str, *, owner: str | None = None) -> GrantAuth:
    """For `httpx.Client(auth=...)`, or for an `httpx.AsyncClient` where the integration is an `AsyncIntegration`.

    Its calls raise what those of `client_for` raise; `ForeignOrigin` for each address outside of the API. Where the API
    redirects to another origin, the client takes the token off, as it does for any auth.
    """
    return GrantAuth(integration.calls_for(person_id, owner=owner))
