"""A vault of every earlier Grantflow is brought to this one's tables when it is opened, and nothing in it is lost."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest

from grantflow.client import rules
from grantflow.client.events import Event, Kind
from grantflow.client.grant import GrantKey
from grantflow.client.vault.records import write_record
from grantflow.migrations import POSTGRES, SQLITE, migrate
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens
from tests.client.vault_records import KEYS, NOW, stored
from tests.engines import BOTH, Home, OnServer

pytestmark = BOTH

SQL = files("grantflow.client.vault") / "sql"
#: Columns of a grant that came later, and with which version.
ADDED = {"overtaken_since": 11}
SCRIPTS = sorted(script.name for script in (SQL / "sqlite").iterdir())


def make_it_as_of(version: int, home: Home, folder: Path) -> None:
    """The tables as that version has made them."""
    engine, connection = (
        (POSTGRES, psycopg.connect(home.where, autocommit=True))
        if isinstance(home, OnServer)
        else (SQLITE, sqlite3.connect(home.where, isolation_level=None))
    )
    with closing(connection):
        for name in SCRIPTS[:version]:
            of_that_engine = SQL / ("postgres" if isinstance(home, OnServer) else "sqlite") / name
            (folder / name).write_text(of_that_engine.read_text())
        assert migrate(connection, as_scripts(folder), part="vault", engine=engine) == version


def as_scripts(folder: Path) -> Any:  # a path is a Traversable, though its type does not say so
    return folder


def put(home: Home, columns: Mapping[str, Any]) -> None:
    names = ", ".join(columns)
    values = ", ".join(f":{name}" for name in columns)
    home.ask(f"INSERT INTO grants ({names}) VALUES ({values})", **columns)


@pytest.mark.parametrize("version", range(1, len(SCRIPTS) + 1))
def test_a_vault_of_an_earlier_version_is_upgraded_when_it_is_opened_and_keeps_all_grants(
    home: Home, tmp_path: Path, version: int
) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    make_it_as_of(version, home, folder)
    sealing = KEYS.derive("vault")
    for person in ("ada", "grace"):
        columns = write_record(stored(person), sealing)
        put(home, {name: value for name, value in columns.items() if version >= ADDED.get(name, 1)})
    for _ in range(2):  # the second time there is nothing left to do
        with closing(home.open(KEYS)) as vault:
            assert vault.find(stored().grant.key) == stored()
            assert [grant.id for grant in vault.grants("C1")] == ["g-ada", "g-grace"]
    assert home.ask("SELECT version FROM grantflow_schema WHERE part = 'vault'") == [(len(SCRIPTS),)]
    with closing(home.open(KEYS)) as vault:
        leased = vault.take_lease("g-ada", generation=1, holder="one", seconds=30)
        assert leased == stored()
        renewed = rules.renewed(leased, Tokens(Secret("a2")), now=NOW)
        assert vault.save(renewed, generation=1, holder="one")
        assert vault.find(stored().grant.key) == renewed
        assert vault.enter(stored("edsger")) == stored("edsger")


@pytest.mark.parametrize("version", range(4, 9))
def test_renewals_of_before_it_was_noted_under_which_secret_count_for_nobody(
    home: Home, tmp_path: Path, version: int
) -> None:
    """Nobody is condemned because of one: it may have come under another secret."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    make_it_as_of(version, home, folder)
    insert = "INSERT INTO events (id, at, kind, integration, owner, person_id) VALUES (:id, 1, :kind, 'C1', :who, :who)"
    home.ask(insert, id="e1", kind=Kind.REFRESH_DELAYED.value, who="ada")
    home.ask(insert, id="e2", kind=Kind.REFRESHED.value, who="grace")
    ada = stored().grant.key
    with closing(home.open(KEYS)) as vault:
        assert [event.credentials for event in vault.events(GrantKey("C1", "grace", "grace"))] == [None]
        assert not vault.served_others(ada, credentials="new")
        vault.record(Event("e3", NOW, Kind.REFRESHED, "C1", credentials="new"))
        assert vault.served_others(ada, credentials="new")
        assert not vault.served_others(ada, credentials="old")


def test_both_databases_have_the_same_versions(engine: str) -> None:
    assert sorted(script.name for script in (SQL / engine).iterdir()) == SCRIPTS
