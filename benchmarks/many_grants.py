"""A vault with as many grants as wanted, of which each can be told from its number alone."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime

import psycopg

from grantflow import KeyRing, open_vault
from grantflow.client import rules
from grantflow.client.grant import GrantKey, Person, StoredGrant
from grantflow.client.vault.places import is_address
from grantflow.client.vault.records import COLUMNS, write_record
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens

INTEGRATION = "Cforeign"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def grant_number(number: int) -> StoredGrant:
    """With tokens as long as Webex's."""
    person = Person(f"person-{number:08}", f"Person {number}", f"person{number}@example.org")
    access, refresh = f"access-{number:08}-".ljust(105, "a"), f"refresh-{number:08}-".ljust(105, "r")
    tokens = Tokens(Secret(access), 1_209_599, Secret(refresh))
    # Ids that come in no order, as real ones do.
    grant_id = f"grant-{number * 2_654_435_761 % 2**32:08x}-{number:08}"
    key = GrantKey(INTEGRATION, person.person_id, person.person_id)
    return rules.granted(grant_id, key, person=person, tokens=tokens, asked=Scopes.of("spark:people_read"), now=NOW)


def fill(where: str, key: str, grants: int) -> None:
    """Past the vault, which would need an hour for a million; the vault has made its tables before."""
    open_vault(where, keys=KeyRing(key)).close()
    sealing = KeyRing(key).derive("vault")
    records = (write_record(grant_number(number), sealing) for number in range(grants))
    rows = (tuple(record[name] for name in COLUMNS) for record in records)
    if is_address(where):
        _fill_server(where, rows)
    else:
        _fill_file(where, rows)


def _fill_server(address: str, rows: Iterator[Sequence[object]]) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        with connection.cursor() as cursor, cursor.copy(f"COPY grants ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        connection.execute("VACUUM ANALYZE grants")


def _fill_file(path: str, rows: Iterator[Sequence[object]]) -> None:
    statement = f"INSERT INTO grants ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    with closing(sqlite3.connect(path)) as connection:
        with connection:
            connection.executemany(statement, rows)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
