"""Grantflow: an OAuth integration that loses no grant, and a Webex-compatible platform to run it against.

What `__all__` names, and `PostgresVault`, is the public API of the integration half; its compatibility is what the
version number tells.
The names load on first use, so that `import grantflow` costs nothing where only a part is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grantflow.client.callers import AddedCaller, Caller
    from grantflow.client.errors import (
        AccessDenied,
        AuthorizationResponseError,
        BodyNotReplayable,
        CallerExists,
        CallerRefused,
        DiscoveryFailed,
        ExpiredState,
        ForeignOrigin,
        GrantflowError,
        GrantGone,
        IntegrationRefused,
        MismatchingIssuer,
        MismatchingState,
        MissingCode,
        NotForCaller,
        ReauthorizationRequired,
        RefreshOutcomeUnknown,
        RefusalHeldBack,
        ReusedState,
        TokenEndpointError,
        TransientTokenError,
        UnknownCaller,
        UnknownPerson,
        VaultNotOpened,
        VaultUnavailable,
        WrongAccount,
    )
    from grantflow.client.events import Event, Kind
    from grantflow.client.flows.starting import BegunAuthorization
    from grantflow.client.grant import (
        AccessToken,
        AdoptedGrant,
        Adoption,
        Brake,
        CompletedGrant,
        ExistingTokens,
        Grant,
        KeptAlive,
        Overview,
        Person,
        Revocation,
        Status,
    )
    from grantflow.client.integration import AsyncIntegration, Integration
    from grantflow.client.vault.opening import open_vault
    from grantflow.client.vault.postgres import PostgresVault as PostgresVault
    from grantflow.client.vault.sqlite import SqliteVault
    from grantflow.migrations import SchemaTooNew
    from grantflow.protocol.metadata import ServerMetadata
    from grantflow.sealing import KeyRing, MalformedKey, MissingKey, SealingError, Tampered, WrongKey

__all__ = [
    "AccessDenied",
    "AccessToken",
    "AddedCaller",
    "AdoptedGrant",
    "Adoption",
    "AsyncIntegration",
    "AuthorizationResponseError",
    "BegunAuthorization",
    "BodyNotReplayable",
    "Brake",
    "Caller",
    "CallerExists",
    "CallerRefused",
    "CompletedGrant",
    "DiscoveryFailed",
    "Event",
    "ExistingTokens",
    "ExpiredState",
    "ForeignOrigin",
    "Grant",
    "GrantGone",
    "GrantflowError",
    "Integration",
    "IntegrationRefused",
    "KeptAlive",
    "KeyRing",
    "Kind",
    "MalformedKey",
    "MismatchingIssuer",
    "MismatchingState",
    "MissingCode",
    "MissingKey",
    "NotForCaller",
    "Overview",
    "Person",
    "ReauthorizationRequired",
    "RefreshOutcomeUnknown",
    "RefusalHeldBack",
    "ReusedState",
    "Revocation",
    "SchemaTooNew",
    "SealingError",
    "ServerMetadata",
    "SqliteVault",
    "Status",
    "Tampered",
    "TokenEndpointError",
    "TransientTokenError",
    "UnknownCaller",
    "UnknownPerson",
    "VaultNotOpened",
    "VaultUnavailable",
    "WrongAccount",
    "WrongKey",
    "open_vault",
]
__version__ = "0.1.0"

_HOMES = {
    "grantflow.client.callers": ["AddedCaller", "Caller"],
    "grantflow.client.events": ["Event", "Kind"],
    "grantflow.client.flows.starting": ["BegunAuthorization"],
    "grantflow.client.grant": [
        *("AccessToken", "AdoptedGrant", "Adoption", "Brake", "CompletedGrant", "ExistingTokens", "Grant"),
        *("KeptAlive", "Overview", "Person"),
        *("Revocation", "Status"),
    ],
    "grantflow.client.integration": ["AsyncIntegration", "Integration"],
    "grantflow.client.vault.opening": ["open_vault"],
    "grantflow.client.vault.postgres": ["PostgresVault"],
    "grantflow.client.vault.sqlite": ["SqliteVault"],
    "grantflow.migrations": ["SchemaTooNew"],
    "grantflow.protocol.metadata": ["ServerMetadata"],
    "grantflow.sealing": ["KeyRing", "MalformedKey", "MissingKey", "SealingError", "Tampered", "WrongKey"],
}


#: Public too, but not in `__all__`: `from grantflow import *` must not ask for an extra.
_WITH_AN_EXTRA = ("PostgresVault",)


def __getattr__(name: str) -> Any:
    if name not in __all__ and name not in _WITH_AN_EXTRA:
        raise AttributeError(f"module 'grantflow' has no attribute {name!r}")
    homes = (home for home, names in _HOMES.items() if name in names)
    return getattr(import_module(next(homes, "grantflow.client.errors")), name)


def __dir__() -> list[str]:
    return [*__all__, *_WITH_AN_EXTRA, "__version__"]
