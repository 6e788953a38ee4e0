"""The commands of docs/moving-in.md, typed into one shell from top to bottom; the members that it names are read."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from grantflow import Adoption, Integration
from grantflow.cli import token_files
from tests.cli.grants import own
from tests.parts import ROOT
from tests.whole.running import GRANTFLOW

TEXT = (ROOT / "docs/moving-in.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.slow
def test_the_commands_do_what_is_said_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{Path(GRANTFLOW).parent}{os.pathsep}{os.environ['PATH']}"
    with own(tmp_path, monkeypatch) as here:
        script = "\n".join(["set -eu", *BLOCKS])
        ended = subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        with here.integration() as integration:
            grants = integration.grants()
    assert "2 entries: 2 new.\nNothing was changed." in ended.stderr
    assert {grant.display_name for grant in grants} == {"Ada Lovelace", None}
    assert "MzA4ZGU2YzUt" not in ended.stdout + ended.stderr
    assert "warning" not in ended.stderr


def test_every_member_that_is_read_is_named_and_every_outcome() -> None:
    source = Path(token_files.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'members(?:\.get\(|, \(?)"(\w+)"|"(\w+_at)"', source))
    names = {name for pair in read for name in pair if name}
    assert names >= {"refresh_token", "scope", "owner", "refresh_token_expires_at"}
    assert [name for name in names if f"`{name}`" not in TEXT] == []
    assert [outcome for outcome in Adoption if f"`{outcome.value}`" not in TEXT] == []


def test_the_lines_of_code_are_the_librarys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    with own(tmp_path, monkeypatch) as here, here.integration() as integration:
        known = {"refresh_token": "a", "person_id": "id-ada", "user_id": "u1", "integration": integration}
        exec(compile(code, "docs/moving-in.md", "exec"), known)
        assert isinstance(known["integration"], Integration)
        assert integration.grant("id-ada", owner="u1") is not None
