"""Authorization server metadata (RFC 8414, and OpenID Connect Discovery 1.0), only what works, in both directions.

Side by side: ``metadata_requests`` and where the platform serves it (``metadata_url``); ``write_metadata`` and
``read_metadata``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.http import JSON, Request

BASIC = "client_secret_basic"
POST = "client_secret_post"
S256 = "S256"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "userinfo_endpoint")
_REQUIRED = _ENDPOINTS[:2]


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What a server says of itself; `auth_methods` are those of the token endpoint, `challenge_methods` those of PKCE.

    Of what a document leaves out, its standard's default is read: HTTP Basic, all of the code grant, and nothing said
    of PKCE, which is then an empty tuple.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    iss_announced: bool = False
    scopes: tuple[str, ...] = ()
    sandbox: bool = False
    userinfo_endpoint: str | None = None
    auth_methods: tuple[str, ...] = (BASIC, POST, "none")
    challenge_methods: tuple[str, ...] = (S256,)
    response_types: tuple[str, ...] = ("code",)
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")

    @property
    def endpoints(self) -> dict[str, str]:
        """Those that it has, under the names that they have in the document."""
        named = {name: getattr(self, name) for name in _ENDPOINTS}
        return {name: url for name, url in named.items() if url is not None}


def metadata_url(issuer: str) -> str:
    """Where RFC 8414 section 3.1 puts it: between host and path of the issuer."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"


def openid_configuration_url(issuer: str) -> str:
    """Where OpenID Connect Discovery 1.0 section 4 puts it: after the issuer."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def metadata_requests(issuer: str) -> tuple[Request, ...]:
    """Ask for it at either place, in this order: many servers have one alone."""
    return tuple(
        Request("GET", url, {"accept": JSON}) for url in (metadata_url(issuer), openid_configuration_url(issuer))
    )


def write_metadata(metadata: ServerMetadata) -> dict[str, Any]:
    members: dict[str, Any] = {
        "issuer": metadata.issuer,
        "authorization_endpoint": metadata.authorization_endpoint,
        "token_endpoint": metadata.token_endpoint,
        "response_types_supported": list(metadata.response_types),
        "response_modes_supported": ["query"],
        "grant_types_supported": list(metadata.grant_types),
        "token_endpoint_auth_methods_supported": list(metadata.auth_methods),
        "code_challenge_methods_supported": list(metadata.challenge_methods),
        "authorization_response_iss_parameter_supported": metadata.iss_announced,
    }
    if metadata.sandbox:
        members["sandbox"] = True  # a member of our own: here plain http on localhost may be registered
    if metadata.scopes:
        members["scopes_supported"] = list(metadata.scopes)
    if metadata.revocation_endpoint:
        members["revocation_endpoint"] = metadata.revocation_endpoint
        members["revocation_endpoint_auth_methods_supported"] = list(metadata.auth_methods)
    if metadata.userinfo_endpoint:
        members["userinfo_endpoint"] = metadata.userinfo_endpoint
    return members


def read_metadata(members: Mapping[str, Any], *, issuer: str) -> ServerMetadata:
    """Read a metadata document fetched for ``issuer``; members that are not known, or not of their type, say nothing.

    Raises:
        InvalidRequest: its issuer is not the one it was fetched for (RFC 8414 section 3.3), or an endpoint is missing.
    """
    named = members.get("issuer")
    if named != issuer:
        told = f"the issuer {str(named)[:200]!r}" if isinstance(named, str) else "no issuer"
        raise InvalidRequest(
            "The metadata names another issuer than the one it was fetched for; do not trust it.",
            reason=f"it names {told} and not {issuer!r}, to the letter (RFC 8414 section 3.3)",
        )
    endpoints = {name: value if isinstance(value := members.get(name), str) and value else None for name in _ENDPOINTS}
    for name in _REQUIRED:
        if endpoints[name] is None:
            raise InvalidRequest(f"The metadata lacks {name}.", reason=f"it lacks {name}")
    return ServerMetadata(
        issuer=issuer,
        authorization_endpoint=str(endpoints["authorization_endpoint"]),
        token_endpoint=str(endpoints["token_endpoint"]),
        revocation_endpoint=endpoints["revocation_endpoint"],
        userinfo_endpoint=endpoints["userinfo_endpoint"],
        iss_announced=members.get("authorization_response_iss_parameter_supported") is True,
        scopes=_words(members.get("scopes_supported")) or (),
        sandbox=members.get("sandbox") is True,
        auth_methods=_or(members.get("token_endpoint_auth_methods_supported"), (BASIC,)),
        challenge_methods=_or(members.get("code_challenge_methods_supported"), ()),
        response_types=_or(members.get("response_types_supported"), ("code",)),
        grant_types=_or(members.get("grant_types_supported"), ("authorization_code", "refresh_token")),
    )


def _or(listed: object, default: tuple[str, ...]) -> tuple[str, ...]:
    words = _words(listed)
    return default if words is None else words


def _words(listed: object) -> tuple[str, ...] | None:
    return tuple(each for each in listed if isinstance(each, str)) if isinstance(listed, list) else None
