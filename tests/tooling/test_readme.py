"""What the README shows is what runs: the library's lines from the wheel alone, against a running sandbox."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import ROOT
from tests.tooling.test_wheel import bare, wheel  # noqa: F401  (fixtures)
from tests.whole.person import Person
from tests.whole.running import Up, environment, up

README = (ROOT / "README.md").read_text(encoding="utf-8")
REDIRECT_URI = "http://127.0.0.1:8001/oauth"
(AGAINST_THE_SANDBOX,) = (
    block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "terminal.py" in block
)


def test_the_lines_of_the_readme_are_the_example() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert (ROOT / "examples/terminal.py").read_text(encoding="utf-8").endswith('"""\n\n' + shown)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_of_the_readme_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("readme") / "state") as running:
        yield running


@pytest.mark.slow
def test_the_lines_of_the_readme_run_with_the_wheel_alone(
    bare: Path,  # noqa: F811
    platform: Up,
    tmp_path: Path,
) -> None:
    register, *_ = AGAINST_THE_SANDBOX.splitlines()
    runner, program, first, *words = shlex.split(register)
    assert (runner, program, first) == ("./dev", "grantflow", "platform")
    app = platform.platform(*words)
    settings = {
        "GRANTFLOW_CLIENT_ID": app["client_id"],
        "GRANTFLOW_CLIENT_SECRET": app["client_secret"],
        "GRANTFLOW_REDIRECT_URI": REDIRECT_URI,
        "GRANTFLOW_API_URL": platform.api_url,
        "GRANTFLOW_KEY": new_key(bare),
    }
    assert set(re.findall(r"export (\w+)=", AGAINST_THE_SANDBOX)) == set(settings), "a reader sets just these"
    assert f"GRANTFLOW_REDIRECT_URI={REDIRECT_URI}" in AGAINST_THE_SANDBOX
    command = [str(bare / "python"), "-I", "-u", str(ROOT / "examples/terminal.py")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment() | settings,
    ) as terminal:
        assert terminal.stdout is not None
        url = terminal.stdout.readline().split()[-1]
        with Person(platform.ada, stops=(REDIRECT_URI,)) as ada:
            said, complaints = terminal.communicate(ada.grant(url) + os.linesep, timeout=60)
    assert terminal.returncode == 0, complaints
    assert "Analytical Engine" in said


def new_key(bare: Path) -> str:  # noqa: F811
    make = "from grantflow import KeyRing; print(KeyRing.new_key())"
    return subprocess.run(
        [bare / "python", "-I", "-c", make], capture_output=True, text=True, check=True
    ).stdout.strip()
