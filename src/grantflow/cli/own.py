"""One's own integration, made from the same settings wherever a command works on it: serve, login, token, ..."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn, TypeVar
from urllib.parse import SplitResult

from grantflow.cli.configured import failure_of, read
from grantflow.cli.output import FAILED, REFUSED, USAGE, Failure, commands
from grantflow.cli.server import bring_along, server_of
from grantflow.client.discovery import check_identity
from grantflow.client.errors import UnknownPerson, VaultUnavailable
from grantflow.client.integration import AsyncIntegration, Integration
from grantflow.client.pages.about import About, platform_name
from grantflow.client.shells.clients import NoAnswer
from grantflow.client.vault.opening import open_vault, shown
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.client.vault.trouble import KEEP_THE_LOG, is_locked, log_left_alone
from grantflow.data_directory import DataDirectory
from grantflow.protocol.errors import InvalidScope
from grantflow.protocol.metadata import ServerMetadata
from grantflow.protocol.secret import Secret
from grantflow.sealing import HOW_TO_MAKE_A_KEY, KeyRing, MissingKey, SealingError, WrongKey
from grantflow.settings import IntegrationSettings

I = TypeVar("I", Integration, AsyncIntegration)  # noqa: E741


@contextmanager
def own_integration(
    env_file: Path | None = None, *, data: Path | None = None, create: bool = False, dry_run: bool = False
) -> Iterator[Integration]:
    """The blocking one, over the vault that `grantflow serve` with the same settings has; closed at the end. Where a
    vault is to be begun, a ``dry_run`` has an empty one that is gone at the end.

    Raises:
        Failure: it names each setting that is missing or wrong, or what is wrong with the vault; or there is none, and
            ``create`` does not ask to begin one.
    """
    settings = read(IntegrationSettings, env_file)
    directory = DataDirectory.find(data)
    if not create:
        _look_for_vault(settings, directory)
    with ExitStack() as stack:
        if dry_run and create and not has_vault(settings, directory):
            known, directory = directory, DataDirectory(Path(stack.enter_context(TemporaryDirectory())))
            bring_along(settings, known=known, to=directory)
            settings = settings.model_copy(update={"vault": None})
        directory.create()
        redirect_uri = redirect_uri_of(settings)
        integration = stack.enter_context(
            make(Integration, settings, redirect_uri=redirect_uri, directory=directory, redeems=False)
        )
        try:
            yield integration
        except NoAnswer as error:
            raise Failure(
                f"The API gave no usable answer: {error or type(error).__name__}.",
                fix=f"GRANTFLOW_API_URL is {settings.api_url}. If that is right, try again later; to see what is wrong:"
                f"{commands('grantflow doctor')}",
                code=REFUSED,
            ) from error


def make(
    kind: type[I],
    settings: IntegrationSettings,
    *,
    redirect_uri: str,
    directory: DataDirectory,
    grant_url: str | None = None,
    redeems: bool = True,
) -> I:
    """One that ``redeems`` codes must be able to find out who granted. Raises Failure as `own_integration`."""
    server = server_of(settings, directory)
    try:
        return kind(
            settings.client_id,
            settings.client_secrets(),
            redirect_uri=redirect_uri,
            scopes=settings.scopes,
            vault=open_own_vault(settings, directory),
            server=server,
            api_url=settings.api_url,
            authorization_endpoint=settings.authorization_endpoint,
            authorization_parameters=settings.authorization_parameters,
            client_authentication=settings.client_authentication,
            token_endpoint=settings.token_endpoint,
            revocation_url=settings.revocation_url,
            issuer=None if server else settings.issuer,
            grant_url=grant_url,
            identify=None if redeems or server is None else identify_at(server, settings.scopes.split()),
        )
    except (SealingError, ValueError, InvalidScope) as error:
        raise Failure(str(error), code=USAGE) from error


def identify_at(server: ServerMetadata, scopes: Sequence[str]) -> Callable[[object], NoReturn] | None:
    """Where nothing there tells who granted, that is an error where it is asked, and of no concern elsewhere: the
    grants are a program's, which has a way of its own (`identify=`)."""
    try:
        check_identity(server, scopes)
    except ValueError as error:
        why = str(error)
    else:
        return None

    def nobody_tells(_client: object) -> NoReturn:
        raise UnknownPerson(why)

    return nobody_tells


def redirect_uri_of(settings: IntegrationSettings) -> str:
    """The one that is set, or the one that `grantflow serve` would have at its port."""
    return settings.redirect_uri or f"{settings.public_url or f'http://{settings.host}:{settings.port}'}/oauth"


@contextmanager
def own_vault(env_file: Path | None = None, *, data: Path | None = None) -> Iterator[SqlVault]:
    """The vault of one's own integration, for what concerns it alone; closed at the end. Raises Failure likewise, also
    where there is none."""
    settings = read(IntegrationSettings, env_file)
    directory = DataDirectory.find(data)
    _look_for_vault(settings, directory)
    with closing(open_own_vault(settings, directory)) as vault:
        yield vault


def open_own_vault(settings: IntegrationSettings, directory: DataDirectory) -> SqlVault:
    """Raises Failure."""
    _refuse_to_lose_a_log(vault_of(settings, directory))
    return _vault(vault_of(settings, directory), keys_of(settings), keys_from=_keys_from(settings))


def vault_of(settings: IntegrationSettings, directory: DataDirectory) -> Path | Secret:
    """A file, or the address of a database."""
    where = settings.vault or directory.vault_of(settings.client_id)
    return where if isinstance(where, Path) else Secret(where.get_secret_value())


def place_of_vault(settings: IntegrationSettings, directory: DataDirectory) -> str:
    """Where it is, in words that may be shown."""
    return shown(vault_of(settings, directory))


def has_vault(settings: IntegrationSettings, directory: DataDirectory) -> bool:
    """Whether it has been begun: an empty file or database holds no grant, though there may have been some in a file
    before it was cut short. What cannot be looked at is told when it is opened. Raises Failure where the setting is
    neither a path nor an address, or its log is all that is left of a file."""
    where = vault_of(settings, directory)
    _refuse_to_lose_a_log(where)
    try:
        if isinstance(where, Secret):
            from grantflow.client.vault.postgres import is_begun

            return is_begun(where)
        shown(where)
        return where.stat().st_size > 0 or not where.is_file()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    except ValueError as error:
        raise failure_of({"GRANTFLOW_VAULT": str(error)}) from error


def _refuse_to_lose_a_log(where: Path | Secret) -> None:
    """Raises Failure, as opening it would raise VaultNotOpened."""
    if isinstance(where, Path) and (lost := log_left_alone(where)) is not None:
        raise Failure(lost, fix=KEEP_THE_LOG)


def _look_for_vault(settings: IntegrationSettings, directory: DataDirectory) -> None:
    """Raises Failure where there is none: an empty one in a place that was mistyped would say that nobody has granted.
    What is wrong with the key comes first, as it does when a vault is opened."""
    keys_of(settings)
    if not has_vault(settings, directory):
        raise Failure(
            f"There is no vault at {place_of_vault(settings, directory)}, so no grant of anybody either.",
            fix=how_to_have_a_vault(settings, directory),
        )


def how_to_have_a_vault(settings: IntegrationSettings, directory: DataDirectory) -> str:
    where = vault_of(settings, directory)
    if isinstance(where, Secret):
        empty = "The database there has no table of a vault in the schema that its account begins with (search_path). "
    else:
        is_empty = where.exists()
        empty = "The file there is empty: if it held grants, put it back from a backup. " if is_empty else ""
    found_by = "GRANTFLOW_VAULT" if settings.vault else "--data DIR, GRANTFLOW_VAULT or GRANTFLOW_CLIENT_ID"
    begins = "grantflow login, grantflow serve or grantflow grants import"
    return f"{empty}If there should be one, correct {found_by}. If nobody has granted yet, {begins} makes it."


def keys_of(settings: IntegrationSettings) -> KeyRing:
    """Raises Failure where what was given is no key."""
    try:
        return KeyRing.from_env(environ={"GRANTFLOW_KEY": settings.key.get_secret_value()})
    except SealingError as error:
        if settings.key_file and isinstance(error, MissingKey):
            what = f"{settings.key_file} is empty. Put the key back into it, or name the file that holds it."
            raise failure_of({"GRANTFLOW_KEY_FILE": what}) from error
        what = str(error).removesuffix(HOW_TO_MAKE_A_KEY)
        raise failure_of({_keys_from(settings): f"{what}Make one with:{commands('grantflow keys new')}"}) from error


def _keys_from(settings: IntegrationSettings) -> str:
    return "GRANTFLOW_KEY_FILE" if settings.key_file else "GRANTFLOW_KEY"


#: While one takes over from another, or where the old one was left out.
_HOW_TO_HAVE_TWO = {
    "GRANTFLOW_KEY": "GRANTFLOW_KEY has the new one first and the old one after a comma",
    "GRANTFLOW_KEY_FILE": "the file that GRANTFLOW_KEY_FILE names holds the new one in its first line and the old one "
    "in the next",
}


def about_of(settings: IntegrationSettings) -> About:
    people_sign_in_at = settings.authorization_endpoint or settings.issuer or settings.api_url
    platform = settings.platform or platform_name(people_sign_in_at)
    return About(
        settings.name,
        does=f"Connect {settings.name} with {platform}",
        platform=platform,
        connected_apps_url=settings.connected_apps_url,
    )


def port_in(address: SplitResult) -> int:
    return address.port or {"http": 80, "https": 443}[address.scheme]


def _vault(where: Path | Secret, keys: KeyRing, *, keys_from: str) -> SqlVault:
    try:
        return open_vault(where, keys=keys)
    except WrongKey as error:
        kind = "file" if isinstance(where, Path) else "database"
        raise Failure(
            f"The vault {shown(where)} was sealed under key {error.key_id}, and {keys_from} has "
            f"{', '.join(error.known)}.",
            fix=f"If these are the grants of this integration, put that key back: {_HOW_TO_HAVE_TWO[keys_from]}. "
            f"If they are something else's, name another {kind}: GRANTFLOW_VAULT.",
            code=USAGE,
        ) from error
    except ValueError as error:
        raise failure_of({"GRANTFLOW_VAULT": str(error)}) from error
    except VaultUnavailable as error:
        if isinstance(where, Secret):
            raise Failure(str(error), fix="GRANTFLOW_VAULT names it.") from error
        raise Failure(
            str(error), fix="GRANTFLOW_VAULT names its file.", code=REFUSED if is_locked(error) else FAILED
        ) from error
