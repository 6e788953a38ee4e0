"""What an integration makes of a server's metadata: whether it can work with it, and how (RFC 8414, section 2)."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from grantflow.protocol.http import Response, is_page
from grantflow.protocol.metadata import BASIC, POST, S256, ServerMetadata
from grantflow.protocol.redirect_uri import LENGTH_LIMIT
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import read_json_object

#: With either, people/me tells who granted; as it is at Webex and at our own platform.
_TELLS_WHO: Final = frozenset({"spark:people_read", "spark:all"})

#: A name or an address of either kind.
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]+")


def why_no_issuer(issuer: str) -> str | None:
    """What keeps this text from being one, in words; whether its transport is safe is for the configuration."""
    parts = _split(issuer)
    if parts is None or parts.scheme not in {"http", "https"} or not _is_plain(issuer):
        return "it must be an address like https://id.example.org, in plain ASCII"
    if parts.query or parts.fragment or issuer.endswith(("?", "#")):
        return "it has no query and no fragment (RFC 8414 section 2)"
    if "@" in parts.netloc:
        return "it has no user name or password"
    if "/.well-known/" in parts.path:
        return "give what stands before /.well-known/, or the member 'issuer' of that document"
    return None


def why_no_document(response: Response) -> str | None:
    """What came in place of a metadata document, in words; None where it may be one."""
    if 300 <= response.status < 400:
        return f"answered {response.status}, and redirects are not followed"
    if is_page(response):
        return f"answered {response.status} with a web page"
    if response.status != 200:
        return f"answered {response.status}"
    return None if read_json_object(response.body) is not None else "answered with something else than a JSON object"


def why_unusable(metadata: ServerMetadata) -> str | None:
    """What keeps an integration from working with such a server, in words."""
    secure = urlsplit(metadata.issuer).scheme == "https"
    for name, url in metadata.endpoints.items():
        if not _is_endpoint(url, secure=secure):
            wanted = "an https:// address" if secure else "an address"
            return f"its {name} {url[:200]!r} is not {wanted} without fragment and user, so nothing is sent there"
    if "code" not in metadata.response_types:
        return "it does not offer the authorization code (response_types_supported)"
    if "authorization_code" not in metadata.grant_types:
        return "it does not offer the authorization code (grant_types_supported)"
    if metadata.challenge_methods and S256 not in metadata.challenge_methods:
        return "it does not offer PKCE with S256 (code_challenge_methods_supported), without which nothing is asked for"
    return None


def sends_basic(server: ServerMetadata, client_secret: Secret | None) -> bool:
    """Whether the secret goes as HTTP Basic: where the server takes it so, since that is what a client is registered
    for by default (RFC 7591 section 2), or else in the form's body.

    Raises ValueError: it takes a secret in neither way.
    """
    if client_secret is None or BASIC in server.auth_methods:
        return True
    if POST in server.auth_methods:
        return False
    raise ValueError(
        f"The server {server.issuer} takes no client secret: it authenticates clients by "
        f"{_listed(server.auth_methods)}. If this client is registered for one nevertheless, say how it is sent: "
        'client_authentication="basic" or "body".'
    )


def check_identity(server: ServerMetadata, scopes: Sequence[str]) -> None:
    """Raises ValueError: nothing would tell who granted, and each person would find out after they did."""
    if server.userinfo_endpoint is None and not _TELLS_WHO & set(scopes):
        raise ValueError(
            f"The metadata of {server.issuer} names no userinfo_endpoint, so who grants cannot be asked there. Give "
            "identify=, a function that is handed an HTTP client with the new token and returns a Person; at Webex's "
            "own API the scope spark:people_read is enough."
        )


def _is_endpoint(url: str, *, secure: bool) -> bool:
    parts = _split(url)
    if parts is None or "#" in url or "@" in parts.netloc:
        return False
    return _is_plain(url) and parts.scheme in ({"https"} if secure else {"http", "https"})


def _is_plain(url: str) -> bool:
    return len(url) <= LENGTH_LIMIT and url.isascii() and url.isprintable() and " " not in url


def _split(url: str) -> SplitResult | None:
    """None where it has no host that can be connected to."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        host = parts.hostname or ""
        if "[" in parts.netloc or host.replace(".", "").isdecimal():
            ip_address(host)
    except ValueError:
        return None
    return parts if _HOST.fullmatch(host) else None


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:10]) or "nothing that it names"
