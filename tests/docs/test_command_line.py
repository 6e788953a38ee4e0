"""docs/command-line.md: its lines, typed one block after the other, against a running `grantflow up`."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary import record
from tests.cli.own import Begun
from tests.parts import ROOT, free_port, require
from tests.whole.running import GRANTFLOW, Up, environment, running, up

TEXT = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("command-line") / "state") as started:
        yield started


def test_the_lines_work_from_top_to_bottom(sandbox: Up, tmp_path: Path) -> None:
    require("curl")
    set_up, login, calls, token, add, serve, ask, look_after, doctor, logout = BLOCKS
    env = environment() | {"GRANTFLOW_DATA": str(sandbox.folder), "PATH": f"{GRANTFLOW.parent}:{os.environ['PATH']}"}
    told = typed(f"{set_up}\n{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'", env, tmp_path)
    env = json.loads(told)
    log_in(login, env, sandbox.grace)
    who, me, rooms = (typed(line, env, tmp_path) for line in calls.splitlines())
    assert who.startswith("grace@example.com\tGrace Hopper\tactive")
    assert json.loads(me)["displayName"] == "Grace Hopper"
    assert len(json.loads(rooms)["items"]) > 1
    assert json.loads(typed(token, env, tmp_path))["displayName"] == "Grace Hopper"
    typed(add, env, tmp_path)
    assert (tmp_path / "reports.key").stat().st_mode & 0o077 == 0
    port = free_port()
    serving = {**env, "GRANTFLOW_TOKEN_API_PORT": str(port)}
    with running(sandbox.folder, *serve.split()[1:], env=serving):
        told = typed(ask.replace("127.0.0.1:8010", f"127.0.0.1:{port}"), env, tmp_path)
        answer = json.loads(told)
        named = re.search(r"The answer is `\{(.*?)\}`", TEXT, re.DOTALL)
        assert named is not None
        assert list(answer) == re.findall(r'"(\w+)"', named[1])
    assert typed(look_after, env, tmp_path).startswith("reports\tgrace@example.com\t")
    assert "0 to mend." in typed(doctor, env, tmp_path)
    assert typed(logout, env, tmp_path) == ""


def log_in(block: str, env: dict[str, str], person: dict[str, str]) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([GRANTFLOW, *block.split()[1:]], text=True, bufsize=1, env=env, **pipes)  # type: ignore[call-overload]
    try:
        begun = Begun(process)
        begun.accept(person)
        assert begun.end().returncode == 0
    finally:
        process.kill()
        process.communicate()


def typed(block: str, env: dict[str, str], folder: Path) -> str:
    shell = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert shell.returncode == 0, shell.stderr
    record.learn_all(shell.stdout, "what a command says")
    return shell.stdout


def test_every_answer_of_the_token_api_is_in_the_table() -> None:
    listed = set(re.findall(r"^\| [\d, ]+ \| (.*?) \|", TEXT, re.MULTILINE))
    source = (ROOT / "src/grantflow/client/token_api.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'"(invalid_request|invalid_token|slow_down)"', source))
    codes |= {"not_for_caller", "grant_gone", "reauthorization_required", "vault_unavailable"}
    assert all(any(f"`{code}`" in row for row in listed) for code in codes)
