"""Authorization server metadata (RFC 8414), only what works, in both directions."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from grantflow.protocol.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    iss_announced: bool = False
    scopes: tuple[str, ...] = ()
    sandbox: bool = False


def metadata_url(issuer: str) -> str:
    """Where RFC 8414 section 3.1 puts it: between host and path of the issuer."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"


def write_metadata(metadata: ServerMetadata) -> dict[str, Any]:
    members: dict[str, Any] = {
        "issuer": metadata.issuer,
        "authorization_endpoint": metadata.authorization_endpoint,
        "token_endpoint": metadata.token_endpoint,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": metadata.iss_announced,
    }
    if metadata.sandbox:
        members["sandbox"] = True  # a member of our own: here plain http on localhost may be registered
    if metadata.scopes:
        members["scopes_supported"] = list(metadata.scopes)
    if metadata.revocation_endpoint:
        members["revocation_endpoint"] = metadata.revocation_endpoint
        members["revocation_endpoint_auth_methods_supported"] = [
            "client_secret_basic",
            "client_secret_post",
            "none",
        ]
    return members


def read_metadata(members: dict[str, Any], *, issuer: str) -> ServerMetadata:
    """Read a metadata document fetched for ``issuer``.

    Raises:
        InvalidRequest: its issuer is not the one it was fetched for (RFC 8414 section 3.3), or an endpoint is missing.
    """
    if members.get("issuer") != issuer:
        raise InvalidRequest("The metadata names another issuer than the one it was fetched for; do not trust it.")
    endpoints = {name: members.get(name) for name in ("authorization_endpoint", "token_endpoint")}
    for name, value in endpoints.items():
        if not isinstance(value, str):
            raise InvalidRequest(f"The metadata lacks {name}.")
    revocation = members.get("revocation_endpoint")
    scopes = members.get("scopes_supported")
    return ServerMetadata(
        issuer=issuer,
        authorization_endpoint=str(endpoints["authorization_endpoint"]),
        token_endpoint=str(endpoints["token_endpoint"]),
        revocation_endpoint=revocation if isinstance(revocation, str) else None,
        iss_announced=members.get("authorization_response_iss_parameter_supported") is True,
        scopes=tuple(s for s in scopes if isinstance(s, str)) if isinstance(scopes, list) else (),
        sandbox=members.get("sandbox") is True,
    )
