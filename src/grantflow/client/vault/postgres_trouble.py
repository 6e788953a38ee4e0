"""What keeps a vault's database from being used: the cause, and what to do, for whoever runs the integration.

Once connected, PostgreSQL says by a code what is wrong (its manual, appendix A). Whoever is not let in hears words
only; they are in English wherever the server speaks English or the client's own library is meant, and where they are
in another language the advice is the general one.
"""

import re
from typing import Final, TypeAlias

from grantflow.client.errors import VaultNotOpened, VaultUnavailable

#: The cause, what to do, and when to try again, in seconds.
_Cause: TypeAlias = tuple[str, str, float]

_GONE: Final = (
    "the server is not there",
    "Start it, or look at the network and the address; the vault comes back by itself",
    5.0,
)
_RESTARTING: Final = ("the server is being started or stopped", "It comes back by itself", 2.0)
_TOO_MANY: Final = (
    "the server has no connection left",
    "Each process takes up to eight: raise max_connections of the server, or run fewer processes",
    5.0,
)
_PASSWORD: Final = (
    "the server refuses the account or its password",
    "Mend them in the address, or in PGPASSWORD or ~/.pgpass where they come from there",
    60.0,
)
_NOT_LET_IN: Final = ("the server lets this account not in from here", "Add a line for it to its pg_hba.conf", 60.0)
_NO_DATABASE: Final = ("there is no such database", "Create it (createdb), or name another in the address", 60.0)
_NO_HOST: Final = ("its host is not known", "Look at the address, and at the network's names", 30.0)
_TLS: Final = (
    "no secure connection could be made",
    "Look at sslmode and sslrootcert in the address, and at the server's certificate",
    60.0,
)
_READ_ONLY: Final = (
    "the server takes no writes: it is a standby, or switched to read-only",
    "Name the primary in the address, or all hosts of the cluster: postgresql://one,two/name",
    5.0,
)
_SLOW: Final = ("the server takes too long to answer", "Look at its load and its disk", 5.0)
_LOCKED: Final = (
    "another program keeps the rows locked",
    "Close what has them (a migration, a backup, a session left open in a transaction: see pg_stat_activity)",
    5.0,
)
_IN_EACH_OTHERS_WAY: Final = ("two writes were in each other's way", "Nothing is amiss", 1.0)
_FULL: Final = ("the server's disk is full", "Make room on it", 60.0)
_DAMAGED: Final = ("the server's files are damaged", "Put them back from a backup", 60.0)
_NO_RIGHTS: Final = (
    "the account may not do that",
    "Let it own the vault's tables, or GRANT it what is missing (CREATE on the schema, for an upgrade)",
    60.0,
)
_NO_TABLES: Final = (
    "the vault's tables are not there",
    "Put the database back from a backup, or start again to make them new; also look at the search_path",
    60.0,
)
_NO_SCHEMA: Final = (
    "there is no schema that the account may use",
    "Create it (CREATE SCHEMA ... AUTHORIZATION ...), or GRANT the account USAGE and CREATE on it; also look at the "
    "search_path",
    60.0,
)
_ANOTHERS_TABLES: Final = (
    "a table of that name is there already, and not the vault's",
    "Give the vault a database of its own, or a schema: ...?options=-csearch_path%3Dgrantflow",
    60.0,
)
_UNKNOWN: Final = ("PostgreSQL cannot work with it", "Look at the server and its log", 30.0)

_BY_CODE: Final[dict[str, _Cause]] = {
    "08": _GONE,
    "53100": _FULL,
    "53300": _TOO_MANY,
    "57014": _SLOW,  # statement_timeout
    "57P": _RESTARTING,
    "55P03": _LOCKED,  # lock_timeout
    "25P03": _SLOW,  # a transaction in which this process did nothing for too long
    "25006": _READ_ONLY,
    "40": _IN_EACH_OTHERS_WAY,
    "28": _PASSWORD,
    "3D000": _NO_DATABASE,
    "3F000": _NO_SCHEMA,
    "42501": _NO_RIGHTS,
    "42P01": _NO_TABLES,
    "42703": _NO_TABLES,
    "42P07": _ANOTHERS_TABLES,
    "42P06": _ANOTHERS_TABLES,
    "58": _DAMAGED,
    "XX": _DAMAGED,
}
_BY_WORDS: Final[dict[str, _Cause]] = {
    "password|role .* does not exist|authentication failed|SCRAM": _PASSWORD,
    "pg_hba": _NOT_LET_IN,
    "database .* does not exist": _NO_DATABASE,
    "too many|remaining connection slots": _TOO_MANY,
    "starting up|shutting down|recovery": _RESTARTING,
    "read-only|not in hot standby|hot standby": _READ_ONLY,
    "resolve|translate host name": _NO_HOST,
    "SSL|certificate|TLS": _TLS,
    "timeout|timed out|no answer": _SLOW,
    "refused|closed|lost|unreachable|No such file|terminat|EOF|reset|Broken pipe|consuming": _GONE,
}


def is_trouble(code: str | None) -> bool:
    """Whether an error with this code, which the driver takes for a mistaken statement, is the database's trouble."""
    return code is not None and code in _BY_CODE


def unavailable(place: str, *, code: str | None, reason: str, maybe_kept: bool) -> VaultUnavailable:
    """`code` is PostgreSQL's own, None where no connection was made or it broke; `reason` are its words."""
    cause, fix, retry_after = _cause(code, reason)
    kept = (
        "Whether the last change was kept is not known; doing it once more does no harm."
        if maybe_kept
        else "Nothing was changed."
    )
    return VaultUnavailable(
        f"The vault {place} cannot be used just now: {cause} ({reason}). {kept} {fix}, then try again.",
        retry_after=retry_after,
    )


def not_opened(place: str, *, code: str | None, reason: str) -> VaultNotOpened:
    cause, fix, retry_after = _cause(code, reason)
    return VaultNotOpened(f"The vault {place} cannot be opened: {cause} ({reason}). {fix}.", retry_after=retry_after)


def wrong_encoding(place: str, encoding: str | None) -> VaultNotOpened:
    return VaultNotOpened(
        f"The vault {place} cannot be opened: the database keeps text as {encoding}, which has not every name that a "
        "person may have. Create one that keeps UTF8: createdb --encoding=UTF8 --template=template0.",
        retry_after=60.0,
    )


def busy(place: str, *, connections: int) -> VaultUnavailable:
    return VaultUnavailable(
        f"The vault {place} cannot be used just now: all {connections} connections of this process are in use, and "
        "none came free in time. Nothing was changed. Look whether the server is slow, then try again.",
        retry_after=5.0,
    )


def _cause(code: str | None, reason: str) -> _Cause:
    if code is not None:
        return next((cause for known, cause in _BY_CODE.items() if code.startswith(known)), _UNKNOWN)
    return next((cause for words, cause in _BY_WORDS.items() if re.search(words, reason, re.IGNORECASE)), _UNKNOWN)
