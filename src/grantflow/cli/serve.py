"""`grantflow serve`: the pages of one's own integration, by themselves."""

import shlex
from pathlib import Path
from socket import create_connection
from typing import Annotated
from urllib.parse import SplitResult, urljoin, urlsplit

from cyclopts import Parameter
from starlette.applications import Starlette

from grantflow.app import clock, integration
from grantflow.cli.configured import read
from grantflow.cli.flags import Data, Json, Open, Switch
from grantflow.cli.output import USAGE, Failure, aligned, say, write, write_json
from grantflow.cli.starting import address, bound, open_browser, serve_until_signal
from grantflow.client.errors import VaultUnavailable
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages import About
from grantflow.client.vault.sqlite import SqliteVault
from grantflow.data_directory import DataDirectory
from grantflow.devtls import LOCAL_NAMES, Certificates, certificates
from grantflow.protocol.errors import InvalidScope
from grantflow.sealing import KeyRing, SealingError, WrongKey
from grantflow.serving import Listener
from grantflow.settings import WEBEX_API_URL, IntegrationSettings
from grantflow.web.site import is_loopback

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


def serve(
    *,
    host: str | None = None,
    port: Annotated[int | None, Parameter(alias="-p")] = None,
    public_url: str | None = None,
    tls: Switch = False,
    try_it: Switch = False,
    data: Data = None,
    open_: Open = False,
    json: Json = False,
) -> int:
    settings = read(IntegrationSettings, host=host, port=port, public_url=public_url)
    _refuse_plain_http_beyond_this_machine(settings, tls=tls)
    directory = DataDirectory.find(data)
    directory.create()
    made = certificates(directory.certificates, now=clock(), names=_names(settings)) if tls else None
    with bound(settings.host, settings.port) as sockets:
        local_url = address("https" if tls else "http", settings.host, sockets)
        base_url = settings.public_url or _home_of(settings.redirect_uri) or local_url
        redirect_uri = settings.redirect_uri or f"{base_url}/oauth"
        vault = settings.vault or directory.vault_of(settings.client_id)
        app = _app(settings, redirect_uri, base_url=base_url, vault=vault, try_it=try_it)
        _warn_of_a_redirect_uri_elsewhere(settings, served_at=local_url)
        _warn_of_a_platform_that_is_away(settings.api_url)

        def on_ready() -> None:
            if json:
                authority = str(made.authority) if made else None
                write_json(
                    {"integration_url": base_url, "redirect_uri": redirect_uri, "certificate_authority": authority}
                )
            else:
                rows = [("Landing page", base_url), ("Redirect URI", redirect_uri), ("API", settings.api_url)]
                if base_url != local_url:
                    rows.append(("Served at", local_url))
                write("\n".join(aligned(rows)))
                say(f"\nThe redirect URI must be registered at the platform exactly like that.{_how_to_trust(made)}")
            if open_:
                open_browser(base_url)

        return serve_until_signal([Listener(app, sockets, made.server_context() if made else None)], on_ready=on_ready)


def _app(settings: IntegrationSettings, redirect_uri: str, *, base_url: str, vault: Path, try_it: bool) -> Starlette:
    try:
        keys = KeyRing.from_env(environ={"GRANTFLOW_KEY": settings.key.get_secret_value()})
        client = AsyncIntegration(
            settings.client_id,
            settings.client_secret.get_secret_value(),
            redirect_uri=redirect_uri,
            scopes=settings.scopes,
            vault=_vault(vault, keys),
            api_url=settings.api_url,
            authorization_endpoint=settings.authorization_endpoint,
            token_endpoint=settings.token_endpoint,
            revocation_url=settings.revocation_url,
            issuer=settings.issuer,
        )
        return integration(client, _about(settings), base_url=base_url, try_it=try_it)
    except (SealingError, ValueError, InvalidScope) as error:
        raise Failure(str(error), code=USAGE) from error


def _vault(path: Path, keys: KeyRing) -> SqliteVault:
    try:
        return SqliteVault(path, keys=keys)
    except WrongKey as error:
        raise Failure(
            f"The vault {path} was sealed under key {error.key_id}, and GRANTFLOW_KEY is {', '.join(error.known)}.",
            fix="If these are the grants of this integration, put that key back: GRANTFLOW_KEY takes the new one first "
            "and the old one after a comma. If they are something else's, name another file: GRANTFLOW_VAULT.",
            code=USAGE,
        ) from error
    except VaultUnavailable as error:
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else str(cause or error)
        raise Failure(
            f"The vault {path} cannot be opened: {reason}.",
            fix="GRANTFLOW_VAULT names its file. Name another, or restore this one from a backup.",
        ) from error


def _warn_of_a_redirect_uri_elsewhere(settings: IntegrationSettings, *, served_at: str) -> None:
    """Behind a proxy it lies elsewhere for good reason, and then the public URL says so."""
    redirect_uri = urlsplit(settings.redirect_uri or served_at)
    if settings.public_url is not None or not is_loopback(redirect_uri.hostname or ""):
        return
    served = urlsplit(served_at)
    if (redirect_uri.scheme, port_in(redirect_uri)) != (served.scheme, port_in(served)):
        tls = "--tls " if redirect_uri.scheme == "https" else ""
        say(
            f"warning: The pages are served at {served_at}, but people come back to {redirect_uri.geturl()}, "
            f"where they are not. Serve them there: grantflow serve {tls}--port {port_in(redirect_uri)}"
        )


def port_in(address: SplitResult) -> int:
    return address.port or {"http": 80, "https": 443}[address.scheme]


def _warn_of_a_platform_that_is_away(api_url: str) -> None:
    """On this machine it would be up within milliseconds; others are not asked."""
    parts = urlsplit(api_url)
    if not is_loopback(parts.hostname or ""):
        return
    try:
        create_connection((parts.hostname, port_in(parts)), timeout=1).close()
    except OSError:
        say(f"warning: Nothing answers at {api_url} now. Start the platform, or correct GRANTFLOW_API_URL.")


def _about(settings: IntegrationSettings) -> About:
    platform = "Webex" if settings.api_url == WEBEX_API_URL else urlsplit(settings.api_url).netloc
    return About(settings.name, does=f"Connect {settings.name} with {platform}", platform=platform)


def _home_of(redirect_uri: str | None) -> str | None:
    """The folder that it lies in, where the pages must be too."""
    return urljoin(redirect_uri, ".").rstrip("/") if redirect_uri else None


def _names(settings: IntegrationSettings) -> list[str]:
    public = urlsplit(settings.public_url or "").hostname
    return [*LOCAL_NAMES, *(name for name in (settings.host, public) if name and name not in _EVERYWHERE)]


def _refuse_plain_http_beyond_this_machine(settings: IntegrationSettings, *, tls: bool) -> None:
    if not tls and settings.public_url is None and not is_loopback(settings.host):
        raise Failure(
            f"On {settings.host} others could reach it over plain http, and read codes on the way.",
            fix="Add --tls, or put a server that speaks https before it and name its address with --public-url.",
            code=USAGE,
        )


def _how_to_trust(made: Certificates | None) -> str:
    if made is None:
        return ""
    authority = shlex.quote(str(made.authority))
    rows = [
        (
            "Debian",
            f"sudo cp {authority} /usr/local/share/ca-certificates/grantflow.crt && sudo update-ca-certificates",
        ),
        (
            "macOS",
            "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain " + authority,
        ),
        ("Firefox", f"Settings, Certificates, Authorities, Import: {authority}"),
        ("curl", f"curl --cacert {authority} ..."),
    ]
    return "\n\nTo trust its certificate, which is good for this machine's own names alone:\n" + "\n".join(
        aligned(rows)
    )
