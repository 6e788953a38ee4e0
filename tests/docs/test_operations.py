"""The commands of docs/operations.md that work on one's own grants, typed into one shell from top to bottom."""

import os
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from grantflow import KeyRing, Kind, Status
from tests.cli.grants import own
from tests.cli.test_own import SETTINGS
from tests.client.vault_records import stored
from tests.engines import BOTH, Home
from tests.parts import ROOT
from tests.whole.running import GRANTFLOW

TEXT = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SECTIONS = ("Who has granted, and why somebody was logged out", "The calendar: grants that nobody uses")


def section(title: str) -> str:
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.slow
def test_the_commands_on_grants_do_what_is_said_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [block for title in SECTIONS for block in re.findall(r"```sh\n(.*?)```", section(title), re.DOTALL)]
    assert len(blocks) == 3
    path = f"{Path(GRANTFLOW).parent}{os.pathsep}{os.environ['PATH']}"
    with own(tmp_path, monkeypatch) as here:
        here.grant("ada", "grace")
        here.grant("soon", days_ago=80)
        script = "\n".join(["set -eu", *blocks])
        ended = subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        with here.integration() as integration:
            grants = {grant.person_id: grant for grant in integration.grants()}
    assert "Nobody was logged out: the grant works." in ended.stdout
    assert "Of the grants that end within 14 days: 1 renewed." in ended.stderr
    assert grants["id-grace"].status is Status.REVOKED
    assert (grants["id-ada"].generation, grants["id-soon"].generation) == (2, 2)


def test_every_command_on_grants_is_told_of_in_the_documents() -> None:
    from grantflow.cli.program import COMMANDS

    told = TEXT + (ROOT / "docs/moving-in.md").read_text(encoding="utf-8")
    missing = [words for words in COMMANDS if words[0] == "grants" and " ".join(words) not in told]
    assert missing == []


def test_who_is_told_of_events_is_told_as_it_is_shown_and_every_kind_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", section("Being told"), re.DOTALL)
    with own(tmp_path, monkeypatch) as here:
        here.grant("ada")
        with here.integration() as integration:
            made: list[object] = []

            def stands_for_it(*_: object, on_event: object) -> object:
                made.append(on_event)
                return integration

            names: dict[str, object] = {"Integration": stands_for_it, "person_id": "id-ada"}
            exec(code, names)
    assert made == [names["tell"]]
    assert " granted" in capsys.readouterr().out
    assert [kind for kind in Kind if f"`{kind}`" not in section("Being told")] == []


@BOTH
@pytest.mark.slow
def test_a_key_is_replaced_by_the_commands_that_are_shown(home: Home, tmp_path: Path) -> None:
    old = KeyRing.new_key()
    (tmp_path / "grantflow.key").write_text(f"{old}\n")
    with closing(home.open(KeyRing(old))) as vault:
        for person in ("ada", "grace"):
            vault.enter(stored(person))
    blocks = re.findall(r"```sh\n(.*?)```", section("A key is replaced"), re.DOTALL)
    settings = {name: value for name, value in SETTINGS.items() if name != "GRANTFLOW_KEY"}
    path = f"{Path(GRANTFLOW).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["sh", "-c", "\n".join(["set -eu", *blocks])],
        cwd=tmp_path,
        env={**os.environ, **settings, "PATH": path, "GRANTFLOW_VAULT": home.where, "GRANTFLOW_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    new = (tmp_path / "new.key").read_text().strip()
    assert f"2 grants were sealed anew; key {KeyRing(new).key_id} is the primary one." in ended.stdout
    assert f"Key {KeyRing(old).key_id} seals no grant any more." in ended.stderr
    with closing(home.open(KeyRing(new))) as vault:
        assert vault.find(stored().grant.key) == stored()
