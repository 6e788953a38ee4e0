"""What an operator sets: flags before environment before file, each value checked and each mistake named.

The platform's ``access_token_lifetime`` is the flag ``--access-token-lifetime``, the environment variable
``GRANTFLOW_PLATFORM_ACCESS_TOKEN_LIFETIME``, or ``access_token_lifetime`` under ``[platform]`` in ``grantflow.toml``
(in the current directory, or the file that ``GRANTFLOW_CONFIG`` names). The integration's variables begin with
``GRANTFLOW_``, and its table is ``[integration]``.
"""

import os
import shlex
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from grantflow.secret_files import Unreadable, not_both, read_text

CONFIG_VARIABLE = "GRANTFLOW_CONFIG"
CONFIG_FILE = "grantflow.toml"

WEBEX_API_URL = "https://webexapis.com/v1"
_DAY = 86_400


class SettingsError(Exception):
    """Settings are missing or wrong. ``problems`` tells where each is set and what is wrong; it quotes no secret."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"{where}: {what}" for where, what in problems.items()))
        self.problems = dict(problems)


def read_address(text: str) -> str:
    """An http or https address without the slash at its end; plain http is for this machine alone.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is not an address like https://host or https://host/prefix")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("is plain http, which leaves passwords and tokens readable on the network: use https")
    return text.rstrip("/")


def check_redirect_uri(text: str) -> str:
    """As it is, to the letter: the platform compares it with what was registered. Raises ValueError."""
    read_address(text.partition("?")[0])
    return text


def check_issuer(text: str) -> str:
    """As it is, to the letter: it is compared with what the platform says (RFC 9207). Raises ValueError."""
    read_address(text)
    return text


def read_networks(listed: object) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and networks, in a list or separated by spaces or commas. Raises ValueError."""
    texts = listed.replace(",", " ").split() if isinstance(listed, str) else listed
    if not isinstance(texts, list | tuple):
        raise ValueError("is no list of addresses or networks, like 10.0.0.5 192.168.0.0/16")
    networks = tuple(_read_network(text) for text in texts)
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("would believe everybody: name the addresses of your own proxies")
    return networks


def _read_network(text: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(text))
    except ValueError:
        raise ValueError("is no list of addresses or networks, like 10.0.0.5 192.168.0.0/16") from None


def read_query(text: object) -> Mapping[str, str]:
    """``name=value&name=value``, or a table. Raises ValueError."""
    if isinstance(text, Mapping):
        return {str(name): str(value) for name, value in text.items()}
    try:
        return dict(parse_qsl(str(text), strict_parsing=True)) if text else {}
    except ValueError:
        raise ValueError("is no list of parameters, like prompt=consent&access_type=offline") from None


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(read_networks)]


def read_vault(where: object) -> object:
    """The address of a database holds a password, a path does not."""
    if not isinstance(where, str):
        return where
    return SecretStr(where) if where.startswith(("postgresql://", "postgres://")) else Path(where)


Vault = Annotated[SecretStr | Path, BeforeValidator(read_vault)]
Address = Annotated[str, AfterValidator(read_address)]
RedirectUri = Annotated[str, AfterValidator(check_redirect_uri)]
Query = Annotated[Mapping[str, str], NoDecode, BeforeValidator(read_query)]
Issuer = Annotated[str, AfterValidator(check_issuer)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Workers = Annotated[int, Field(ge=1, le=64)]
Seconds = Annotated[int, Field(ge=1, le=3_650 * _DAY)]
Text = Annotated[str, Field(min_length=1)]
RoleName = Literal["authorization-server", "resource-owner", "resource-server", "developer-portal"]


def split_words(value: object) -> object:
    """What an environment variable says in one line, separated by commas or spaces, as a list."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


RoleNames = Annotated[tuple[RoleName, ...], NoDecode, BeforeValidator(split_words)]


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_ignore_empty=True, extra="forbid", frozen=True)

    #: Of the file's table that holds them.
    heading: ClassVar[str]
    #: What to do about a setting that is missing.
    remedies: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read_table(cls.heading))


class PlatformSettings(_Settings):
    """``grantflow platform serve``. Lifetimes are in seconds; ``sandbox`` None: as the data directory was begun.

    ``trusted_proxies`` are the addresses and networks whose X-Forwarded-For is believed. ``revoke_on_...``: what a
    person granted ends when they sign out, or get another password.
    ``role`` is which roles this process serves, none named: all. Where each role is found when they run apart, stands
    in the address that is named after it; that of a role which this process serves is another word for ``public_url``.
    ``workers`` is how many processes share the port.
    """

    model_config = SettingsConfigDict(env_prefix="GRANTFLOW_PLATFORM_")
    heading: ClassVar[str] = "platform"

    host: Text = "127.0.0.1"
    port: Port = 9000
    public_url: Address | None = None
    trusted_proxies: Networks = ()
    role: RoleNames = ()
    authorization_server_url: Address | None = None
    resource_owner_url: Address | None = None
    resource_server_url: Address | None = None
    developer_portal_url: Address | None = None
    workers: Workers = 1
    access_token_lifetime: Seconds = 14 * _DAY
    refresh_token_lifetime: Seconds = 90 * _DAY
    error_body: Literal["superset", "webex"] = "superset"
    token_endpoint_accepts_json: bool = False
    report_countdown: bool = False
    revoke_on_sign_out: bool = False
    revoke_on_password_change: bool = False
    sandbox: bool | None = None


class IntegrationSettings(_Settings):
    """``grantflow serve``: the pages of one's own integration. ``scopes`` are separated by spaces.

    ``vault`` keeps the grants, sealed under ``key``: a file, or the address of a PostgreSQL. ``public_url`` is
    where people and the platform find the pages, if not at the address that they are served at; ``redirect_uri`` is
    ``/oauth`` below it. Instead of ``client_secret`` and ``key``, a file that holds nothing else can be named:
    ``client_secret_file``, ``key_file``. While the client secret is replaced there may be another one,
    ``other_client_secret`` (``_file``): the one that works is used; a ``public_client`` has none (RFC 6749, 2.1).
    ``platform`` is what the pages call the other side, and ``connected_apps_url`` its page where a person revokes a
    grant. ``token_api`` hands out access tokens, and ``metrics`` are for Prometheus, each at an address of its own; the
    latter also where only their port is set.

    The two endpoints lie below ``api_url`` unless they are named; where only the ``issuer`` is, they are what its
    metadata says (RFC 8414, OpenID Connect Discovery), and ``api_url`` is the issuer unless it is named too.
    ``authorization_parameters`` are added to each authorization request, in the form of a query.
    """

    model_config = SettingsConfigDict(env_prefix="GRANTFLOW_")
    heading: ClassVar[str] = "integration"
    remedies: ClassVar[Mapping[str, str]] = {
        "client_id": "the Client ID that the platform gave the integration, when it was registered",
        "client_secret": "its Client Secret, or GRANTFLOW_CLIENT_SECRET_FILE: a file that holds it and nothing else. A "
        "public client has none: GRANTFLOW_PUBLIC_CLIENT=true",
        "scopes": "what people are asked to grant, separated by spaces, such as: spark:people_read spark:rooms_read",
        # Commands stand on lines of their own, after two spaces: nothing breaks those.
        "key": "the key that seals people's tokens, or GRANTFLOW_KEY_FILE. If you have a key already, name its file. "
        "If you have none, make one, once, and keep it:\n"
        "  grantflow keys new --out grantflow.key\n"
        "  export GRANTFLOW_KEY_FILE=grantflow.key",
    }

    client_id: Text
    client_secret: SecretStr
    client_secret_file: Path | None = None
    other_client_secret: SecretStr | None = None
    other_client_secret_file: Path | None = None
    public_client: bool = False
    scopes: Text
    key: SecretStr
    key_file: Path | None = None
    vault: Vault | None = None
    redirect_uri: RedirectUri | None = None
    public_url: Address | None = None
    api_url: Address = WEBEX_API_URL
    authorization_endpoint: Address | None = None
    authorization_parameters: Query = Field(default_factory=dict)
    token_endpoint: Address | None = None
    client_authentication: Literal["body", "basic"] | None = None
    revocation_url: Address | None = None
    issuer: Issuer | None = None
    name: Text = "My integration"
    platform: Text | None = None
    connected_apps_url: Address | None = None
    host: Text = "localhost"
    port: Port = 8000
    token_api: bool = False
    token_api_host: Text = "127.0.0.1"
    token_api_port: Port = 8010
    metrics: bool = False
    metrics_host: Text = "127.0.0.1"
    metrics_port: Port = 9464

    @property
    def has_metrics(self) -> bool:
        return self.metrics or "metrics_port" in self.model_fields_set

    @property
    def discovers(self) -> bool:
        """Whether the issuer's metadata is to say what is not named."""
        return self.issuer is not None and (self.authorization_endpoint is None or self.token_endpoint is None)

    def client_secrets(self) -> list[str]:
        """One, or two while it is replaced; a public client has none."""
        given = [] if self.public_client else [self.client_secret, self.other_client_secret]
        return [secret.get_secret_value() for secret in given if secret is not None]

    @model_validator(mode="before")
    @classmethod
    def read_secret_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in ("client_secret", "other_client_secret", "key"):
            if path := values.get(f"{name}_file"):
                if name in values:
                    raise SettingsError({_variable(cls, name): not_both(_variable(cls, name))})
                values = {**values, name: _read_text(Path(str(path)), where=_variable(cls, f"{name}_file"))}
        return values

    @model_validator(mode="before")
    @classmethod
    def ask_a_public_client_for_no_secret(cls, values: dict[str, Any]) -> dict[str, Any]:
        if str(values.get("public_client", "")).lower() not in _YES:
            return values
        if any(name in values for name in _SECRETS):
            raise SettingsError({_variable(cls, "public_client"): "a public client has no secret; set one of both"})
        return {**values, "client_secret": ""}

    @model_validator(mode="before")
    @classmethod
    def look_for_the_api_at_the_issuer(cls, values: dict[str, Any]) -> dict[str, Any]:
        issuer = values.get("issuer")
        if not issuer or not _is_address(str(issuer)):  # a wrong one is told of by its own name, and once
            return values
        return {"api_url": issuer, **values}


def _is_address(text: str) -> bool:
    try:
        read_address(text)
    except ValueError:
        return False
    return True


_SECRETS = ("client_secret", "client_secret_file", "other_client_secret", "other_client_secret_file")
#: As pydantic reads them.
_YES = frozenset({"1", "true", "t", "yes", "y", "on"})

#: Every table that the file may have, whichever command reads it: a misspelt one would set nothing.
_HEADINGS = (PlatformSettings.heading, IntegrationSettings.heading)

S = TypeVar("S", bound=_Settings)


def read_settings(kind: type[S], env_file: Path | None = None, /, **flags: object) -> S:
    """Settings from flags (None: not given), environment, ``env_file`` (lines for a shell) and file.

    Raises:
        SettingsError: all that is missing or wrong.
    """
    flags = {name: value for name, value in flags.items() if value is not None}
    lines = _read_env_file(kind, env_file) if env_file else {}
    unset = {name: value for name, value in lines.items() if not os.environ.get(_variable(kind, name))}
    try:
        return kind(**(unset | flags))
    except ValidationError as error:
        raise SettingsError(dict(_explain(kind, details, flags) for details in error.errors())) from None


def overruled(kind: type[_Settings], env_file: Path, /, **flags: object) -> list[str]:
    """The variables that the file sets and the environment sets otherwise, which counts; not those given by flags.

    Raises:
        SettingsError: the file cannot be read, or holds a line of another kind.
    """
    lines = {_variable(kind, name): value for name, value in _read_env_file(kind, env_file).items()}
    by_flag = {_variable(kind, name) for name, value in flags.items() if value is not None}
    return [name for name in lines if name not in by_flag and os.environ.get(name) not in (None, "", lines[name])]


def _read_env_file(kind: type[_Settings], path: Path) -> dict[str, object]:
    """What it sets of these settings. Nothing in it is run, unlike where a shell reads it.

    Raises:
        SettingsError: it cannot be read, or holds a line of another kind.
    """
    found: dict[str, object] = {}
    for number, line in enumerate(_read_text(path, where="--env-file").splitlines(), start=1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            words = [""]
        name, equals, value = (words or ["="])[-1].partition("=")
        if words[:-1] not in ([], ["export"]) or not equals:
            raise SettingsError(
                {f"{path}:{number}": "the line is not of the form NAME=value, or 'NAME=value' in quotes"}
            )
        fields = {_variable(kind, field): field for field in kind.model_fields}
        if name in fields and value:
            found[fields[name]] = value
    return found


def _read_table(heading: str) -> dict[str, Any]:
    """What the file says under the heading.

    Raises:
        SettingsError: it cannot be read, is no TOML, has something else than settings there, or an unknown table.
    """
    file = config_file()
    if not file.exists():
        return {}
    try:
        tables = tomllib.loads(_read_text(file, where=f"[{heading}]"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError({str(file): f"it is not valid TOML: {error}"}) from None
    if unknown := {f"{file}: {name}": _no_such_table(name) for name in tables if name not in _HEADINGS}:
        raise SettingsError(unknown)
    table = tables.get(heading, {})
    if not isinstance(table, dict):
        raise SettingsError({f"{file}: {heading}": f"it must be a table; write its settings below a line [{heading}]"})
    return table


def _no_such_table(name: str) -> str:
    known = " and ".join(f"[{heading}]" for heading in _HEADINGS)
    close = get_close_matches(name.lower(), _HEADINGS, n=1)
    return f"all settings stand below {known}" + (f"; did you mean [{close[0]}]?" if close else "; this does not")


def config_file() -> Path:
    """The file that settings are read from, if there is one.

    Raises:
        SettingsError: ``GRANTFLOW_CONFIG`` names a file that is not there.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise SettingsError({CONFIG_VARIABLE: f"there is no file {named}; name one, or leave the variable out"})
    return Path(named or CONFIG_FILE).resolve()


def _explain(kind: type[_Settings], details: ErrorDetails, flags: Mapping[str, object]) -> tuple[str, str]:
    name = str(details["loc"][0]) if details["loc"] else ""
    where = _variable(kind, name) + (f" (--{_FLAGS.get(name, name.replace('_', '-'))})" if name in flags else "")
    match details["type"]:
        case "missing":
            return where, kind.remedies[name]
        case "extra_forbidden":
            return f"{config_file()}: {name}", "there is no such setting; correct its name, or leave it out"
    what = _WORDS.get(details["type"]) or details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return where, what if name in kind.remedies else f"{str(details['input'])!r} {what}"


_FLAGS = {"trusted_proxies": "trusted-proxy"}
_WORDS = {"int_parsing": "is not a whole number", "bool_parsing": "is neither true nor false"}


def _variable(kind: type[_Settings], name: str) -> str:
    return f"{kind.model_config.get('env_prefix', '')}{name}".upper()


def _read_text(path: Path, *, where: str) -> str:
    try:
        return read_text(path)
    except Unreadable as error:
        raise SettingsError({where: str(error)}) from None
