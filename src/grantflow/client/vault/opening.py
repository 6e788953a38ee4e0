"""One word for where a vault is, whichever database that means."""

import os
from pathlib import Path

from grantflow.client.vault.places import is_address, refuse_address
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.protocol.secret import Secret
from grantflow.sealing import KeyRing


def shown(where: str | os.PathLike[str] | Secret) -> str:
    """Where that is, without a password. Raises ValueError where it is neither a path nor an address that can be
    read."""
    text = where.reveal() if isinstance(where, Secret) else os.fspath(where)
    if not is_address(text):
        refuse_address(text)
        return text
    from grantflow.client.vault.postgres import place_of

    return place_of(Secret(text))


def open_vault(where: str | os.PathLike[str] | Secret, *, keys: KeyRing | None = None) -> SqlVault:
    """The vault at `where`: an address like `postgresql://account:password@host/name`, or the path of a SQLite file.

    Raises ValueError where it is neither, what `PostgresVault` and `SqliteVault` raise, and ModuleNotFoundError without
    psycopg, which says what to do.
    """
    text = where.reveal() if isinstance(where, Secret) else os.fspath(where)
    if is_address(text):
        from grantflow.client.vault.postgres import PostgresVault

        return PostgresVault(text, keys=keys)
    from grantflow.client.vault.sqlite import SqliteVault

    return SqliteVault(Path(text), keys=keys)
