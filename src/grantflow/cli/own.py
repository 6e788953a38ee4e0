"""One's own integration, made from the same settings wherever a command works on it: serve, login, token, ..."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from grantflow.cli.configured import failure_of, read
from grantflow.cli.output import REFUSED, USAGE, Failure
from grantflow.client.errors import VaultUnavailable
from grantflow.client.integration import AsyncIntegration, Integration
from grantflow.client.pages.about import About
from grantflow.client.shells.clients import NoAnswer
from grantflow.client.vault.sqlite import SqliteVault
from grantflow.data_directory import DataDirectory
from grantflow.protocol.errors import InvalidScope
from grantflow.sealing import HOW_TO_MAKE_A_KEY, KeyRing, SealingError, WrongKey
from grantflow.settings import WEBEX_API_URL, IntegrationSettings

I = TypeVar("I", Integration, AsyncIntegration)  # noqa: E741


@contextmanager
def own_integration(env_file: Path | None = None, *, data: Path | None = None) -> Iterator[Integration]:
    """The blocking one, over the vault that `grantflow serve` with the same settings has; closed at the end.

    Raises:
        Failure: it names each setting that is missing or wrong, or what is wrong with the vault.
    """
    settings = read(IntegrationSettings, env_file)
    directory = DataDirectory.find(data)
    directory.create()
    with make(Integration, settings, redirect_uri=redirect_uri_of(settings), directory=directory) as integration:
        try:
            yield integration
        except NoAnswer as error:
            raise Failure(f"The API gave no usable answer: {error or type(error).__name__}.", code=REFUSED) from error


def make(
    kind: type[I],
    settings: IntegrationSettings,
    *,
    redirect_uri: str,
    directory: DataDirectory,
    grant_url: str | None = None,
) -> I:
    """Raises Failure as `own_integration`."""
    try:
        return kind(
            settings.client_id,
            settings.client_secrets(),
            redirect_uri=redirect_uri,
            scopes=settings.scopes,
            vault=_vault(vault_of(settings, directory), keys_of(settings), keys_from=_keys_from(settings)),
            api_url=settings.api_url,
            authorization_endpoint=settings.authorization_endpoint,
            token_endpoint=settings.token_endpoint,
            revocation_url=settings.revocation_url,
            issuer=settings.issuer,
            grant_url=grant_url,
        )
    except (SealingError, ValueError, InvalidScope) as error:
        raise Failure(str(error), code=USAGE) from error


def redirect_uri_of(settings: IntegrationSettings) -> str:
    """The one that is set, or the one that `grantflow serve` would have at its port."""
    return settings.redirect_uri or f"{settings.public_url or f'http://{settings.host}:{settings.port}'}/oauth"


def vault_of(settings: IntegrationSettings, directory: DataDirectory) -> Path:
    return settings.vault or directory.vault_of(settings.client_id)


def keys_of(settings: IntegrationSettings) -> KeyRing:
    """Raises Failure where what was given is no key."""
    try:
        return KeyRing.from_env(environ={"GRANTFLOW_KEY": settings.key.get_secret_value()})
    except SealingError as error:
        what = str(error).removesuffix(HOW_TO_MAKE_A_KEY)
        raise failure_of({_keys_from(settings): f"{what}Make one with: grantflow key new"}) from error


def _keys_from(settings: IntegrationSettings) -> str:
    return "GRANTFLOW_KEY_FILE" if settings.key_file else "GRANTFLOW_KEY"


def about_of(settings: IntegrationSettings) -> About:
    people_sign_in_at = settings.authorization_endpoint or settings.api_url
    by_address = "Webex" if people_sign_in_at.startswith(WEBEX_API_URL) else urlsplit(people_sign_in_at).netloc
    platform = settings.platform or by_address
    return About(
        settings.name,
        does=f"Connect {settings.name} with {platform}",
        platform=platform,
        connected_apps_url=settings.connected_apps_url,
    )


def port_in(address: SplitResult) -> int:
    return address.port or {"http": 80, "https": 443}[address.scheme]


def _vault(path: Path, keys: KeyRing, *, keys_from: str) -> SqliteVault:
    try:
        return SqliteVault(path, keys=keys)
    except WrongKey as error:
        raise Failure(
            f"The vault {path} was sealed under key {error.key_id}, and {keys_from} has {', '.join(error.known)}.",
            fix=f"If these are the grants of this integration, put that key back: {keys_from} takes the new one first "
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
