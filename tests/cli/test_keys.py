"""`grantflow keys`: which key seals what, and how one takes over from another, over each database."""

import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from grantflow.client.vault.sql_vault import SqlVault
from grantflow.sealing import KeyRing
from tests.cli.conftest import CommandLine
from tests.cli.test_own import SETTINGS
from tests.client.vault_records import stored
from tests.engines import BOTH, Home

pytestmark = BOTH

OLD, NEW = KeyRing.new_key(), KeyRing.new_key()
OLD_ID, NEW_ID = KeyRing(OLD).key_id, KeyRing(NEW).key_id


@dataclass
class Operator:
    """Who has 30 grants under the old key and the command line."""

    grantflow: CommandLine
    home: Home
    monkeypatch: pytest.MonkeyPatch

    def have_keys(self, *keys: str) -> None:
        self.monkeypatch.setenv("GRANTFLOW_KEY", ",".join(keys))

    def enter(self, number: int, key: str) -> None:
        with closing(self.home.open(KeyRing(key, previous=[OLD, NEW]))) as vault:
            for each in range(number):
                vault.enter(stored(f"p{each:04}"))


@pytest.fixture
def operator(grantflow: CommandLine, home: Home, monkeypatch: pytest.MonkeyPatch) -> Operator:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GRANTFLOW_VAULT", home.where)
    operator = Operator(grantflow, home, monkeypatch)
    operator.enter(30, OLD)
    return operator


def test_a_key_takes_over_from_another_step_by_step_and_each_step_says_the_next(operator: Operator) -> None:
    operator.have_keys(OLD, NEW)  # everywhere, so that each node can open what the first one seals
    ended = operator.grantflow("keys", "status")
    assert ended.code == 0
    assert [line.split("\t")[:3] for line in ended.out.splitlines()] == [
        [OLD_ID, "primary", "30"],
        [NEW_ID, "previous", "0"],
    ]
    assert f"Key {NEW_ID} opens what others seal under it, and has sealed nothing here itself" in ended.err
    assert "destroy" not in ended.err + operator.grantflow("keys", "rotate").err, "it is the new one"
    operator.have_keys(NEW, OLD)
    ended = operator.grantflow("keys", "status")
    assert [line.split("\t")[:3] for line in ended.out.splitlines()] == [
        [NEW_ID, "primary", "0"],
        [OLD_ID, "previous", "30"],
    ]
    assert f"Key {OLD_ID} is still needed. Seal its grants under the primary key: grantflow keys rotate" in ended.err
    ended = operator.grantflow("keys", "rotate")
    assert ended.code == 0
    assert ended.out == f"30 grants were sealed anew; key {NEW_ID} is the primary one.\n"
    assert f"Key {OLD_ID} seals no grant any more." in ended.err
    assert "take the other out of GRANTFLOW_KEY" in ended.err
    assert f"Key {OLD_ID} seals no grant any more." in operator.grantflow("keys", "status").err
    ended = operator.grantflow("keys", "status", "--json")
    keys = {row["key_id"]: (row["role"], row["grants"]) for row in ended.json["keys"]}
    assert keys == {NEW_ID: ("primary", 30), OLD_ID: ("previous", 0)}
    operator.have_keys(NEW)
    ended = operator.grantflow("keys", "rotate", "--json")
    assert ended.json == {"primary": NEW_ID, "resealed": 0, "left": {}, "unopened": []}
    with closing(operator.home.open(KeyRing(NEW))) as vault:
        assert vault.find(stored("p0007").grant.key) == stored("p0007")


def test_a_key_that_is_missing_is_told_by_its_id(operator: Operator) -> None:
    operator.have_keys(NEW)
    ended = operator.grantflow("keys", "status")
    assert ended.code == 2
    assert f"was sealed under key {OLD_ID}, and GRANTFLOW_KEY has {NEW_ID}" in " ".join(ended.err.split())


def test_a_key_that_is_missing_for_some_grants_is_told_with_how_many(operator: Operator) -> None:
    other = KeyRing.new_key()
    with closing(operator.home.open(KeyRing(other, previous=[OLD]))) as vault:
        vault.enter(stored("zoe"))
    operator.have_keys(OLD)
    for command, says in [
        ("status", "without it these 1 grants do not open"),
        ("rotate", "was not given: put it back"),
    ]:
        ended = operator.grantflow("keys", command)
        assert ended.code == 1
        assert KeyRing(other).key_id in ended.err
        assert says in ended.err


def test_a_node_that_still_seals_under_the_old_key_is_noticed(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.have_keys(NEW, OLD)
    keys_in_use = SqlVault.keys_in_use

    def behind(vault: SqlVault) -> object:
        operator.enter(2, OLD)
        return keys_in_use(vault)

    monkeypatch.setattr(SqlVault, "keys_in_use", behind)
    ended = operator.grantflow("keys", "rotate")
    assert ended.code == 1
    assert f"2 grants are under key {OLD_ID} again: some node still seals under it." in ended.err


def test_a_record_that_does_not_open_is_named_with_what_to_do(operator: Operator) -> None:
    operator.home.ask("UPDATE grants SET owner = 'mallory' WHERE id = 'g-p0003'")
    operator.have_keys(NEW, OLD)
    ended = operator.grantflow("keys", "rotate")
    assert ended.code == 1
    assert "29 grants were sealed anew" in ended.out
    assert "The record of grant g-p0003 does not open: restore it from a backup" in ended.err


def test_no_key_and_no_password_is_shown(operator: Operator, engine: str) -> None:
    operator.have_keys(NEW, OLD)
    if engine == "postgres":
        operator.monkeypatch.setenv(
            "GRANTFLOW_VAULT", operator.home.where.replace("postgres@", "postgres:hor%2Fse@", 1)
        )
    for command in ("status", "rotate"):
        ended = operator.grantflow("keys", command, "--debug")
        assert ended.code == 0
        for secret in (OLD, NEW, "hor%2Fse", "hor/se"):
            assert secret not in ended.out + ended.err


def rotating(*, stderr: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    slowly = "import grantflow.cli.keys as keys; keys._TOGETHER = 5; keys._REST_SECONDS = 0.05; "
    program = f"{slowly}keys._PROGRESS_SECONDS = 0.05; from grantflow.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, "keys", "rotate"], stdout=subprocess.PIPE, stderr=stderr, env=os.environ
    )


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(operator: Operator) -> None:
    operator.enter(300, OLD)
    operator.have_keys(NEW, OLD)
    done = 0
    with closing(operator.home.open(KeyRing(NEW, previous=[OLD]))) as vault:

        def under_the_new_one() -> int:
            return {each.key_id: each.records for each in vault.keys_in_use()}.get(NEW_ID, 0)

        for _ in range(3):
            with rotating() as process:
                until = time.monotonic() + 60
                while under_the_new_one() < done + 20 and time.monotonic() < until:
                    time.sleep(0.01)
                process.send_signal(signal.SIGKILL)
            assert process.returncode == -signal.SIGKILL
            before, done = done, under_the_new_one()
            assert before < done < 300
        ended = operator.grantflow("keys", "rotate", "--json")
        assert ended.json == {"primary": NEW_ID, "resealed": 300 - done, "left": {}, "unopened": []}


@pytest.mark.slow
def test_progress_is_told_in_lines_and_on_a_terminal_in_a_bar(operator: Operator) -> None:
    operator.have_keys(NEW, OLD)
    with rotating(stderr=subprocess.PIPE) as process:
        _, err = process.communicate(timeout=60)
    assert b"of 30 grants are sealed under the primary key." in err
    operator.have_keys(OLD, NEW)
    terminal, end = pty.openpty()
    with rotating(stderr=end) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
        os.close(terminal)
    assert process.returncode == 0
    assert b"Sealing anew" in shown
    assert b"/30" in shown


def test_where_no_grant_is_kept_that_is_said_and_no_bar_goes_from_nothing_to_nothing(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = operator.home.another()
    monkeypatch.setenv("GRANTFLOW_VAULT", empty.where)
    empty.open(KeyRing(OLD)).close()
    operator.have_keys(NEW, OLD)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    ended = operator.grantflow("keys", "rotate")
    assert ended.code == 0
    assert ended.out == f"The vault keeps no grant yet, so nothing was sealed anew; key {NEW_ID} is the primary one.\n"
    assert "0/0" not in ended.err
    monkeypatch.setenv("GRANTFLOW_VAULT", operator.home.where)
    operator.have_keys(OLD)
    ended = operator.grantflow("keys", "rotate")
    assert ended.out == f"No grant had to be sealed anew; key {OLD_ID} is the primary one.\n"
    assert "0/0" not in ended.err


def test_a_new_key_is_printed_alone(operator: Operator) -> None:
    ended = operator.grantflow("keys", "new")
    assert KeyRing(ended.out.strip()).key_id
    assert (ended.code, ended.err) == (0, "")


def test_a_new_key_in_a_file_is_for_its_owner_alone_and_no_file_is_written_over(operator: Operator) -> None:
    file = Path("my keys") / "grantflow.key"
    without_a_folder = operator.grantflow("keys", "new", "--out", str(file))
    assert (without_a_folder.code, without_a_folder.out) == (2, "")
    assert f"{file} cannot be written: No such file or directory." in without_a_folder.err
    file.parent.mkdir()
    before = os.umask(0)
    try:
        made = operator.grantflow("keys", "new", "--out", str(file))
    finally:
        os.umask(before)
    key = file.read_text()
    assert KeyRing(key.strip()).key_id
    assert (made.code, made.out, key.strip() in made.err) == (0, "", False)
    assert file.stat().st_mode & 0o777 == 0o600
    assert made.err.splitlines()[-1] == f"  export GRANTFLOW_KEY_FILE='{file}'"

    again = operator.grantflow("keys", "new", "--out", str(file))
    assert (again.code, again.out, file.read_text()) == (2, "", key)
    assert f"{file} is there already, and was left as it is" in again.err
    assert f"export GRANTFLOW_KEY_FILE='{file}'" in [line.strip() for line in again.err.splitlines()]
