"""Who asks for tokens (RFC 6749 section 2.3)."""

from datetime import datetime

from grantflow.authorization_server.records import Client, ClientSecret
from grantflow.protocol.errors import InvalidClient
from grantflow.protocol.token import ClientCredentials


def authenticate(client: Client | None, credentials: ClientCredentials, *, now: datetime) -> ClientSecret | None:
    """Answer the secret that proved who asks; None for a public client, which proves nothing by any secret (S10).

    Raises:
        InvalidClient: unknown, or without a right and living secret.
    """
    who = f"client {credentials.client_id}"
    if client is None:
        raise InvalidClient(
            "client_id is unknown; copy it again from the integration's page.", reason=f"{who} is unknown"
        )
    if client.public:
        return None
    presented = credentials.client_secret
    if presented is None:
        raise InvalidClient(
            "client_secret is missing; send it in the body or in a Basic Authorization header.",
            reason=f"{who} sent no secret",
        )
    for secret in client.secrets:
        if presented.matches(secret.digest) and secret.lives(now):
            return secret
    raise InvalidClient(
        "client_secret is wrong, or was replaced by a newer one; copy or regenerate it.",
        reason=f"{who} sent a wrong or replaced secret",
    )
