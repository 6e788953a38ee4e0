"""Leaks a secret in each kind of place, for test_scan.py alone: pytest collects it only where it is named."""

import base64
import logging
import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from grantflow.protocol.http import Response
from grantflow.protocol.secret import Secret
from tests.canary import record


def planted() -> str:
    return Secret(secrets.token_urlsafe(36)).reveal()


def test_in_a_database_and_its_log(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "kept.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("INSERT INTO t VALUES (?)", (planted(),))
        shutil.copy(tmp_path / "kept.db-wal", tmp_path / "killed.db-wal")  # as a killed process leaves it


def test_in_what_is_logged() -> None:
    logging.getLogger("grantflow").debug("it was %s", planted())


def test_in_what_a_value_prints() -> None:
    Response(200, {"location": planted()})


def test_in_what_is_written(tmp_path: Path) -> None:
    print(planted())
    (tmp_path / "export.har").write_text(f'{{"url": "https://host/?code={planted()}"}}')
    (tmp_path / "serve.stderr").write_text(f"Basic {base64.b64encode(f'client:{planted()}'.encode()).decode()}")
    password = tmp_path / "people.csv"
    password.write_text(f"ada,{Secret('four words and number 7').reveal()}")


def test_in_a_traceback() -> None:
    raise RuntimeError(planted())


def test_what_only_a_child_knew(tmp_path: Path) -> None:
    (tmp_path / "shaped.txt").write_text(f"{secrets.token_hex(32)}_LG01_{uuid4()}")
    said = secrets.token_hex(32)
    record.learn_all(f'{{"client_secret": "{said}"}}', "what a command says")
    (tmp_path / "said.txt").write_text(said)


def test_where_they_may_be_and_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text(planted())
    (tmp_path / "sandbox.json").chmod(0o644)


def test_where_they_may_be(tmp_path: Path) -> None:
    (tmp_path / "running.json").write_text(planted())
    (tmp_path / "running.json").chmod(0o600)
