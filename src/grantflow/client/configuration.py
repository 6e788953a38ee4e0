"""What an integration knows of itself and of its platform, checked once when it is made."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

from grantflow.client import webex
from grantflow.client.grant import Grant
from grantflow.protocol.metadata import ServerMetadata
from grantflow.protocol.redirect_uri import origin, with_parameters
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials

#: Parameters of an authorization request that bind its answer to it, or that are settings of their own.
_OURS: Final = frozenset(
    {"client_id", "response_type", "response_mode", "redirect_uri", "scope", "state"}
    | {"code_challenge", "code_challenge_method", "request", "request_uri"}
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """`credentials` holds the first client secret, `further_secrets` the others that may serve while one is replaced.
    `iss_required`: whether `iss` must come with each answer, and not only match where it comes. Where
    `userinfo_endpoint` is None, people/me tells who granted. `deadline` is the most that one call of the token endpoint
    may take in all, and `lease_margin` by how much the lease outlasts it, both in seconds."""

    credentials: ClientCredentials
    further_secrets: tuple[Secret, ...]
    redirect_uri: str
    scopes: Scopes
    api_url: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_url: str | None
    issuer: str | None
    iss_required: bool
    userinfo_endpoint: str | None
    api_origins: tuple[str, ...]
    connect_url: str
    deadline: float
    lease_margin: float

    @property
    def client_id(self) -> str:
        return self.credentials.client_id

    @property
    def all_credentials(self) -> tuple[ClientCredentials, ...]:
        """One for each client secret, in the order in which they were given."""
        return (
            self.credentials,
            *(replace(self.credentials, client_secret=secret) for secret in self.further_secrets),
        )

    @property
    def lease_seconds(self) -> float:
        return self.deadline + self.lease_margin

    def grant_url(self, grant: Grant | None) -> str:
        """Where to send the person: our own page, which begins a fresh authorization on the click."""
        if grant is None:
            return self.connect_url
        separator = "&" if "?" in self.connect_url else "?"
        return self.connect_url + separator + urlencode({"grant": grant.id})


def name_of(credentials: ClientCredentials) -> str:
    """Names the client secret without telling it: another secret has another standing."""
    return credentials.client_secret.fingerprint() if credentials.client_secret else "public"


def configure(
    credentials: ClientCredentials,
    *,
    further_secrets: Sequence[Secret] = (),
    redirect_uri: str,
    scopes: Scopes,
    server: ServerMetadata | None = None,
    api_url: str | None = None,
    authorization_endpoint: str | None = None,
    authorization_parameters: Mapping[str, str] | None = None,
    token_endpoint: str | None = None,
    revocation_url: str | None = None,
    issuer: str | None = None,
    api_origins: tuple[str, ...] = (),
    grant_url: str | None = None,
    deadline: float = 40.0,
    lease_margin: float = 5.0,
    allow_plain_http: bool = False,
) -> Configuration:
    """Fill in the defaults and check every address.

    Raises ValueError: an address is not https (and not loopback), client id, client secret or redirect URI are empty,
    no scope is named, an issuer other than the server's, or a parameter that each authorization request has of its own.
    """
    if server is not None:
        _check_issuer(issuer, server=server)
        authorization_endpoint = authorization_endpoint or server.authorization_endpoint
        token_endpoint = token_endpoint or server.token_endpoint
        revocation_url = revocation_url or server.revocation_endpoint
        api_url = server.issuer if api_url is None else api_url
        api_origins = (*api_origins, server.userinfo_endpoint) if server.userinfo_endpoint else api_origins
    api_url = (webex.API_URL if api_url is None else api_url).rstrip("/")
    authorization_endpoint = authorization_endpoint or webex.authorization_endpoint(api_url)
    configuration = Configuration(
        credentials=credentials,
        further_secrets=tuple(dict.fromkeys(further_secrets)),
        redirect_uri=redirect_uri,
        scopes=scopes,
        api_url=api_url,
        authorization_endpoint=_with_parameters(authorization_endpoint, authorization_parameters or {}),
        token_endpoint=token_endpoint or webex.token_endpoint(api_url),
        revocation_url=revocation_url,
        issuer=server.issuer if server else issuer,
        iss_required=server.iss_announced if server and issuer is None else issuer is not None,
        userinfo_endpoint=server.userinfo_endpoint if server else None,
        api_origins=tuple(dict.fromkeys(origin(url) for url in (api_url, *api_origins))),
        connect_url=grant_url or _connect_url(redirect_uri),
        deadline=deadline,
        lease_margin=lease_margin,
    )
    _check(configuration, allow_plain_http=allow_plain_http)
    return configuration


def _with_parameters(endpoint: str, parameters: Mapping[str, str]) -> str:
    if taken := _OURS & set(parameters):
        raise ValueError(f"authorization_parameters may not set {', '.join(sorted(taken))}: each request has its own.")
    return with_parameters(endpoint, parameters.items()) if parameters else endpoint


def _check_issuer(issuer: str | None, *, server: ServerMetadata) -> None:
    if issuer not in {None, server.issuer}:
        raise ValueError(f"issuer is {issuer!r}, and the server's own metadata says {server.issuer!r}; leave it out.")


def _connect_url(redirect_uri: str) -> str:
    """In the folder of the redirect URI, where the pages are too, below whatever prefix they are mounted."""
    base = origin(redirect_uri)
    # A native app's own scheme has no host of its own: mydemoapp://oauth is answered by mydemoapp://connect.
    return f"{base}//connect" if base.endswith(":") else urljoin(redirect_uri, "connect")


def _check(configuration: Configuration, *, allow_plain_http: bool) -> None:
    secrets = [each.client_secret for each in configuration.all_credentials]
    if not configuration.client_id.strip():
        raise ValueError("client_id is empty; the platform shows it when the integration is registered.")
    if any(secret is not None and not secret.reveal().strip() for secret in secrets):
        raise ValueError(
            "client_secret is empty (a setting that is not set?); the platform shows it once, when the integration is "
            "registered or the secret regenerated. A public client has none: leave it out, or give None."
        )
    if not configuration.redirect_uri.strip():
        raise ValueError("redirect_uri is empty; give the address of yours that is registered at the platform.")
    if not configuration.scopes:
        raise ValueError('scopes is empty; name what the integration needs, such as "spark:people_read".')
    if configuration.deadline <= 0 or configuration.lease_margin <= 0:
        raise ValueError("deadline must be more than 0 seconds; 40 is the default.")
    addresses = {
        "api_url": configuration.api_url,
        "authorization_endpoint": configuration.authorization_endpoint,
        "token_endpoint": configuration.token_endpoint,
        "revocation_url": configuration.revocation_url,
        "userinfo_endpoint": configuration.userinfo_endpoint,
        **{f"api_origins[{number}]": url for number, url in enumerate(configuration.api_origins)},
    }
    for name, url in addresses.items():
        if url is not None:
            check_address(name, url, allow_plain_http=allow_plain_http)
    check_address("redirect_uri", configuration.redirect_uri, private_schemes=True, allow_plain_http=allow_plain_http)


def check_address(name: str, url: str, *, allow_plain_http: bool, private_schemes: bool = False) -> None:
    """Raises ValueError: what travels there could be read on the way."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and (allow_plain_http or _is_loopback(parts.hostname)):
        return
    if private_schemes and parts.scheme not in {"", "http", "https"}:
        return
    raise ValueError(
        f"{name} must be an https:// address, not {url!r}: tokens and codes travel over it. "
        "Plain http is for this machine alone (localhost, 127.0.0.1); inside a network that you trust, say so with "
        "allow_plain_http=True."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
