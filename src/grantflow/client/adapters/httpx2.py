"""The auth of a grant, for an httpx2 client of one's own; `Integration.client_for` is a client made with it."""

from grantflow.client.integration import AsyncIntegration, Integration
from grantflow.client.shells.clients import GrantAuth


def grant_auth(integration: Integration | AsyncIntegration, person_id: str, *, owner: str | None = None) -> GrantAuth:
    """For `httpx2.Client(auth=...)`, or for an `httpx2.AsyncClient` where the integration is an `AsyncIntegration`.

    Its calls raise what those of `client_for` raise; `ForeignOrigin` for each address outside of the API. Where the API
    redirects to another origin, the client takes the token off, as it does for any auth.
    """
    return GrantAuth(integration.calls_for(person_id, owner=owner))
