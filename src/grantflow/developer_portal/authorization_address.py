"""The OAuth Authorization URL of an integration, and what each of its parameters is for (W20)."""

import re
import shlex
from urllib.parse import urljoin, urlsplit

from grantflow.developer_portal.records import Integration
from grantflow.protocol.authorization import STATE_PLACEHOLDER, AuthorizationRequest, authorization_url
from grantflow.protocol.secret import Secret


def authorization_addresses(integration: Integration, endpoint: str) -> list[tuple[str, str]]:
    """For each redirect URI, in their order, the address that a grant begins at."""
    registration = integration.registration
    return [
        (
            uri,
            authorization_url(
                endpoint,
                AuthorizationRequest(
                    registration.client_id, redirect_uri=uri, scope=str(registration.scopes), state=STATE_PLACEHOLDER
                ),
            ),
        )
        for uri in registration.redirect_uris
    ]


_NOT_IN_SINGLE = re.compile(r"['\\]")
_NOT_IN_DOUBLE = re.compile("[$`]")
#: In the order of the address.
PARAMETERS = (
    ("client_id", "Says which integration asks. It is public."),
    ("response_type", "Always code: the answer carries an authorization code, never a token."),
    ("redirect_uri", "Where the answer is sent. It must be one of yours, character for character."),
    ("scope", "What people are asked for, separated by spaces (%20). You may ask for fewer than are registered."),
    ("state", "Comes back unchanged with the code. Put a new, unguessable value in its place for each request."),
)


def endpoints_elsewhere(authorization_endpoint: str, *, api_url: str) -> dict[str, str]:
    """The two endpoints that a client cannot find below the API's address: where the roles are apart. Else none."""
    if authorization_endpoint == f"{api_url}/authorize":
        return {}
    token_endpoint = urljoin(authorization_endpoint, "access_token")
    return {"authorization_endpoint": authorization_endpoint, "token_endpoint": token_endpoint}


def environment_file(
    integration: Integration,
    secret: Secret | None,
    *,
    api_url: str,
    authorization_endpoint: str,
    platform: str,
    connected_apps_url: str,
) -> str:
    """A ``.env`` file as shells, Grantflow's command line and dotenv libraries read it.

    ``platform`` is what the integration's pages call it, and ``connected_apps_url`` where they send whoever revokes.
    """
    elsewhere = endpoints_elsewhere(authorization_endpoint, api_url=api_url)
    registration = integration.registration
    redirect_uri = urlsplit(registration.redirect_uris[0])
    variables = {
        "GRANTFLOW_API_URL": api_url,
        **{f"GRANTFLOW_{name.upper()}": address for name, address in elsewhere.items()},
        "GRANTFLOW_REVOCATION_URL": urljoin(authorization_endpoint, "revoke"),
        "GRANTFLOW_ISSUER": authorization_endpoint.removesuffix("/authorize"),
        "GRANTFLOW_PLATFORM": platform,
        "GRANTFLOW_CONNECTED_APPS_URL": connected_apps_url or None,
        "GRANTFLOW_NAME": registration.name,
        "GRANTFLOW_CLIENT_ID": registration.client_id,
        "GRANTFLOW_CLIENT_SECRET": secret.reveal() if secret else None,
        "GRANTFLOW_REDIRECT_URI": registration.redirect_uris[0],
        "GRANTFLOW_PORT": str(redirect_uri.port) if redirect_uri.scheme == "http" and redirect_uri.port else None,
        "GRANTFLOW_SCOPES": str(registration.scopes),
    }
    return "".join(f"{name}={_quoted(value)}\n" for name, value in variables.items() if value is not None)


def _quoted(value: str) -> str:
    """In single quotes shells take all as it stands, dotenv libraries no apostrophe; in double quotes both take it, but
    shells act on $ and `. Nothing serves both where there are both, and a shell would run what it reads: its way.
    """
    if not _NOT_IN_SINGLE.search(value) or _NOT_IN_DOUBLE.search(value):
        return shlex.quote(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
