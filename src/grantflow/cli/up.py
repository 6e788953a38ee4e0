"""`grantflow up`: platform and sample integration in one process, furnished and ready for a first grant."""

import asyncio
import logging
from datetime import timedelta
from json import dumps
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette

from grantflow.app import Storage, TakeOver, clock, integration, mint, platform
from grantflow.authorization_server import Settings
from grantflow.cli.flags import Data, Json, Open, OtherPortNumber, PortNumber, Seconds
from grantflow.cli.output import USAGE, Failure, say
from grantflow.cli.report import show
from grantflow.cli.starting import address, bound, held, open_browser, serve_until_signal
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages import About
from grantflow.client.vault.sqlite import SqliteVault
from grantflow.data_directory import BrokenFile, DataDirectory, write_private
from grantflow.developer_portal import MY_APPS
from grantflow.protocol.authorization import STATE_PLACEHOLDER, AuthorizationRequest, authorization_url
from grantflow.protocol.secret import Secret
from grantflow.resource_owner import CONNECTED_APPS
from grantflow.sealing import KeyRing
from grantflow.seeding import ADMIN, APP_DESCRIPTION, APP_NAME, APP_SCOPES, OWN_SCOPES, Sandbox, furnish, keep_secret
from grantflow.serving import Listener, port_of
from grantflow.web.site import Site

log = logging.getLogger("grantflow.sandbox")

PLATFORM_NAME = "Grantflow"
PLATFORM_HOST = "127.0.0.1"
#: Another host than the platform's: browsers share cookies between the ports of one host.
INTEGRATION_HOST = "localhost"


def up(
    *,
    data: Data = None,
    port: PortNumber = 9000,
    integration_port: OtherPortNumber = 8000,
    access_token_lifetime: Seconds = 14 * 86_400,
    refresh_token_lifetime: Seconds = 90 * 86_400,
    open_: Open = False,
    json: Json = False,
) -> int:
    if port == integration_port != 0:
        raise Failure(
            f"Platform and integration cannot share port {port}.",
            fix=f"Give one of them another, such as --integration-port {port - 1}, or 0 for any that is free.",
            code=USAGE,
        )
    directory = DataDirectory.find(data)
    directory.create()
    with (
        held(directory),
        bound(PLATFORM_HOST, port) as platform_sockets,
        bound(INTEGRATION_HOST, integration_port, flag="--integration-port") as integration_sockets,
    ):
        settings = Settings(
            issuer=f"{address('http', PLATFORM_HOST, platform_sockets)}/v1",
            access_token_lifetime=timedelta(seconds=access_token_lifetime),
            refresh_token_lifetime=timedelta(seconds=refresh_token_lifetime),
        )
        integration_url = address("http", INTEGRATION_HOST, integration_sockets)
        own_port = idle_port(port_of(integration_sockets), taken=port_of(platform_sockets))
        storage, sandbox = furnished(
            directory,
            redirect_uri=f"{integration_url}/oauth",
            own_redirect_uri=f"http://{INTEGRATION_HOST}:{own_port}/oauth",
        )
        environment = environment_of(sandbox, settings, directory)
        report = report_of(sandbox, settings, integration_url=integration_url)
        client = sample_client(sandbox, settings, directory)
        take_over = taking_over(client, directory)
        listeners = [
            Listener(sandbox_platform(storage, settings, directory, take_over=take_over), platform_sockets),
            Listener(sample(client, settings, base_url=integration_url), integration_sockets),
        ]

        def on_ready() -> None:
            write_private(directory.running, dumps(report | {"environment": environment}).encode())
            show(report, "json" if json else "text", environment=environment, credentials=directory.sandbox)
            if open_:
                open_browser(integration_url)

        try:
            return serve_until_signal(listeners, on_ready=on_ready)
        finally:
            directory.running.unlink(missing_ok=True)


def idle_port(port: int, *, taken: int) -> int:
    """The one after ``port``, as a rule: for the reader's own code, so nothing of ours may listen there."""
    near = (port + 1, port + 2, port - 1, port - 2)
    return next(each for each in near if each != taken and each < 65_536)


def furnished(directory: DataDirectory, *, redirect_uri: str, own_redirect_uri: str) -> tuple[Storage, Sandbox]:
    if not directory.sandbox.exists():
        say(f"First start: people, rooms and credentials are made up in {directory.path}.")
    storage = Storage.open(directory.database)
    furnishing = furnish(
        storage, directory, redirect_uri=redirect_uri, own_redirect_uri=own_redirect_uri, now=clock(), mint=mint
    )
    return storage, asyncio.run(furnishing)


def sandbox_platform(
    storage: Storage, settings: Settings, directory: DataDirectory, *, take_over: TakeOver
) -> Starlette:
    site = Site(PLATFORM_NAME, settings.issuer.removesuffix("/v1"), sandbox=True)
    return platform(storage, settings, site=site, form_key=directory.form_key(mint=mint), take_over=take_over)


def taking_over(client: AsyncIntegration, directory: DataDirectory) -> TakeOver:
    """A secret that is regenerated in the portal serves the sample from then on, and `grantflow status` shows it."""

    def take_over(client_id: str, secret: Secret) -> bool:
        if client_id == client.client_id:
            client.use_secret(secret)
        try:
            return keep_secret(directory, client_id, secret)
        except (OSError, BrokenFile) as error:  # the person must see the secret all the same; a start makes another
            log.warning("a regenerated client secret could not be remembered: %s", error)
            return False

    return take_over


def sample_client(sandbox: Sandbox, settings: Settings, directory: DataDirectory) -> AsyncIntegration:
    """The sample integration, over a vault of its own."""
    app = sandbox.sample
    return AsyncIntegration(
        app.registration.client_id,
        app.client_secret,
        redirect_uri=app.redirect_uri,
        scopes=APP_SCOPES,
        vault=SqliteVault(directory.vault, keys=KeyRing(app.vault_key.reveal())),
        api_url=settings.issuer,
        revocation_url=settings.revocation_endpoint,
        issuer=settings.issuer,
    )


def sample(client: AsyncIntegration, settings: Settings, *, base_url: str) -> Starlette:
    """Its pages."""
    about = About(
        APP_NAME,
        does="Post to your spaces in your own name",
        lead=APP_DESCRIPTION,
        platform=PLATFORM_NAME,
        connected_apps_url=f"{settings.issuer.removesuffix('/v1')}{CONNECTED_APPS}",
        operator="whoever started this sandbox",
    )
    return integration(client, about, base_url=base_url, sandbox=True, try_it=True)


def report_of(sandbox: Sandbox, settings: Settings, *, integration_url: str) -> dict[str, Any]:
    """What --json prints, with the secrets that are meant for the person who started the sandbox."""
    registration, platform_url = sandbox.sample.registration, settings.issuer.removesuffix("/v1")
    request = AuthorizationRequest(
        registration.client_id,
        redirect_uri=registration.redirect_uris[0],
        scope=str(registration.scopes),
        state=STATE_PLACEHOLDER,
    )
    return {
        "platform_url": platform_url,
        "api_url": settings.issuer,
        "portal_url": f"{platform_url}{MY_APPS}",
        "integration_url": integration_url,
        "people": [
            {"name": each.name, "email": each.email, "password": each.password.reveal(), "admin": each.is_admin}
            for each in sandbox.people
        ],
        "app": {
            "client_id": registration.client_id,
            "client_secret": sandbox.sample.client_secret.reveal(),
            "redirect_uris": list(registration.redirect_uris),
            "scopes": str(registration.scopes),
            "owner": ADMIN,
            "authorization_url": authorization_url(settings.authorization_endpoint, request),
        },
    }


def environment_of(sandbox: Sandbox, settings: Settings, directory: DataDirectory) -> dict[str, str]:
    """For the reader's own code and `grantflow serve`: the integration that is theirs, and a key for a vault."""
    own, platform_url = sandbox.own, settings.issuer.removesuffix("/v1")
    return {
        "GRANTFLOW_API_URL": settings.issuer,
        "GRANTFLOW_REVOCATION_URL": settings.revocation_endpoint,
        "GRANTFLOW_ISSUER": settings.issuer,
        "GRANTFLOW_PLATFORM": PLATFORM_NAME,
        "GRANTFLOW_CONNECTED_APPS_URL": f"{platform_url}{CONNECTED_APPS}",
        "GRANTFLOW_NAME": own.registration.name,
        "GRANTFLOW_CLIENT_ID": own.registration.client_id,
        "GRANTFLOW_CLIENT_SECRET": own.client_secret.reveal(),
        "GRANTFLOW_REDIRECT_URI": own.redirect_uri,
        "GRANTFLOW_PORT": str(urlsplit(own.redirect_uri).port),
        "GRANTFLOW_SCOPES": OWN_SCOPES,
        "GRANTFLOW_KEY": own.vault_key.reveal(),
        "GRANTFLOW_VAULT": str(directory.vault_of(own.registration.client_id)),
        **({} if directory == DataDirectory.default() else {"GRANTFLOW_DATA": str(directory.path)}),
    }
