"""Where state lies, and that nobody else reads it or sees it half-written."""

import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from grantflow.data_directory import BrokenFile, DataDirectory, DirectoryInUse, read_json, write_private


@pytest.mark.parametrize(
    ("named", "environ", "found"),
    [
        ("/named", {"GRANTFLOW_DATA": "/set"}, "/named"),
        (None, {"GRANTFLOW_PLATFORM_DATA": "/platform", "GRANTFLOW_DATA": "/set"}, "/platform"),
        (None, {"GRANTFLOW_DATA": "/set", "XDG_DATA_HOME": "/xdg"}, "/set"),
        (None, {"XDG_DATA_HOME": "/xdg"}, "/xdg/grantflow"),
        (None, {}, str(Path.home() / ".local/share/grantflow")),
    ],
)
def test_the_flag_comes_before_the_environment_and_that_before_the_persons_data(
    named: str | None, environ: dict[str, str], found: str
) -> None:
    assert str(DataDirectory.find(Path(named) if named else None, environ=environ).path) == found


def test_it_and_what_is_written_there_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "a" / "b")
    directory.create()
    write_private(directory.sandbox, b"{}")
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(directory.sandbox.stat().st_mode) == 0o600
    assert [path.name for path in directory.path.iterdir()] == ["sandbox.json"]


def test_what_is_written_is_its_owners_alone_from_the_first_byte_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    real = os.fsync

    def look(descriptor: int) -> None:
        """Between the writing of the draft and its taking the place of the file."""
        found = os.fstat(descriptor)
        seen.append((stat.S_IMODE(found.st_mode), found.st_size))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    path = tmp_path / "running.json"
    path.write_text("what somebody left there, for all to read")
    before = os.umask(0)
    try:
        write_private(path, b"secret")
    finally:
        os.umask(before)
    assert seen == [(0o600, 6)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_private(path, b'{"n": 0}')

    def read(_: int) -> int:
        value: int = read_json(path)["n"]
        return value

    with ThreadPoolExecutor(4) as readers:
        results = readers.map(read, range(200))
        for n in range(50):
            write_private(path, json.dumps({"n": n, "padding": "x" * 5_000}).encode())
    assert set(results) <= set(range(50))


def test_what_is_not_there_reads_as_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "nothing.json") is None


def test_a_file_that_holds_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(BrokenFile, match=re.escape(f"{tmp_path}/broken.json is damaged")):
        read_json(tmp_path / "broken.json")


def test_processes_that_start_together_agree_on_the_form_key(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first = directory.form_key(mint=os.urandom)
    write_private(tmp_path / "form.key", os.urandom(32).hex().encode(), only_if_missing=True)
    assert directory.form_key(mint=os.urandom) == first
    assert len(first) == 32


def test_to_look_whether_it_is_held_makes_nothing_and_keeps_nobody_out(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", tmp_path / "missing" / "further"):
        assert not DataDirectory(path).is_held()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    assert not DataDirectory(tmp_path / "file").is_held()
    directory = DataDirectory(tmp_path)
    with directory.held():
        assert directory.is_held()
    assert not directory.is_held()
    with directory.held():
        pass


def test_it_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    assert not directory.is_held()
    with directory.held():
        assert directory.is_held()
        with pytest.raises(DirectoryInUse), directory.held():
            pass
    assert not directory.is_held()


def test_platforms_share_it_among_themselves_and_with_no_sandbox(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with directory.held(shared=True), directory.held(shared=True):
        assert not directory.is_held()
        with pytest.raises(DirectoryInUse), directory.held():
            pass
    with directory.held(), pytest.raises(DirectoryInUse), directory.held(shared=True):
        pass


def test_who_issues_under_another_name_than_others_here_is_told_and_nobody_else(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with directory.issuing("http://one:9000/v1") as first, directory.issuing("http://one:9000/v1") as node:
        assert (first, node) == (None, None)
        with directory.issuing("http://two/v1") as other:
            assert other == "http://one:9000/v1"
    with directory.issuing("http://two/v1") as alone, directory.issuing("http://two/v1") as node:
        assert (alone, node) == (None, None), "a longer name from before is gone"
