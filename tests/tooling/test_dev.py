"""./dev in a fresh copy of the committed files, in a folder whose name has a space."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.parts import ROOT, committed_files, require

pytestmark = pytest.mark.slow

SAY_WHERE = ["python", "-c", "import grantflow; print(grantflow.__file__)"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    for file in committed_files():
        copy = folder / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    return folder


def dev(checkout: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Begun as by a program that ignores SIGPIPE, which what it begins does then too (signal(7))."""
    programs = [Path(require("uv")).parent, "/usr/bin", "/bin"]
    finished = subprocess.run(
        [checkout / "dev", *arguments],
        cwd=checkout.parent,
        env={**os.environ, "PATH": os.pathsep.join(map(str, programs))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        restore_signals=False,
    )
    assert finished.returncode == code, finished.stdout + finished.stderr
    assert "roken pipe" not in finished.stderr
    return finished


@pytest.mark.slow
def test_a_checkout_is_set_up_once_and_again_where_it_moved_or_changed(checkout: Path) -> None:
    first = dev(checkout, *SAY_WHERE)
    assert first.stdout.strip() == str(checkout / "src/grantflow/__init__.py")
    assert "packages of requirements/run.lock ... " in first.stderr, "what ./dev up brings is enough for the README"
    assert dev(checkout, "grantflow", "keys", "new").stderr == ""
    assert dev(checkout, "python", "-c", "import flask, starlette, uvicorn").stderr == "", "and for the examples"
    assert "packages of requirements/dev.lock ... " in dev(checkout, "pytest", "--version").stderr
    assert dev(checkout, *SAY_WHERE).stderr == ""

    moved = checkout.rename(checkout.with_name("moved"))
    assert dev(moved, *SAY_WHERE).stdout.strip() == str(moved / "src/grantflow/__init__.py")
    assert dev(moved, "grantflow", "keys", "new").stderr == ""

    project = moved / "pyproject.toml"
    project.write_text(f"{project.read_text()}\n# a change\n")
    assert "grantflow itself ... " in dev(moved, *SAY_WHERE).stderr

    assert "no command named 'horse'" in dev(moved, "horse", code=1).stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("status", "-o", "env"), "grantflow status"),
        (("serve",), "grantflow serve"),
        (("keys", "new"), "grantflow keys"),
        (("platform", "serve"), "grantflow platform"),
        (("statsu",), "grantflow status"),
        (("chekc",), "check"),
    ],
)
def test_a_command_of_grantflow_and_a_slip_are_told_before_anything_is_installed(
    checkout: Path, words: tuple[str, ...], meant: str
) -> None:
    said = dev(checkout, *words, code=1).stderr
    assert said == f"dev: there is no command '{words[0]}' here. Did you mean ./dev {meant}?\n"
    assert not (checkout / ".venv").exists()
    assert not (checkout / ".tools").exists()


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may read everything")
def test_an_environment_that_may_not_be_read_is_told_and_left_alone(checkout: Path) -> None:
    environment = checkout / ".venv"
    environment.mkdir()
    (environment / "kept").write_text("")
    environment.chmod(0)
    # root may read everything, unless it lays that down
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*unprivileged, str(checkout / "dev"), "grantflow", "keys", "new"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    environment.chmod(0o700)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"dev: {environment} may not be read or not be changed by ")
    assert "in a clone of your own" in ended.stderr
    assert (environment / "kept").exists()


def test_help_needs_no_environment(checkout: Path) -> None:
    assert "./dev test" in dev(checkout, "help").stdout
    assert dev(checkout).stdout == dev(checkout, "help").stdout
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("arguments", [("help",), ("soak", "--help"), ("bench", "--help"), ("grantflow", "--help")])
def test_whoever_reads_no_further_is_told_nothing_of_it(arguments: tuple[str, ...]) -> None:
    """`./dev soak --help | head -1`, also where SIGPIPE is ignored; by Python's own it is, always."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with os.fdopen(writing, "wb") as nobody:
        finished = subprocess.run(
            [ROOT / "dev", *arguments],
            env=environment,
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
            restore_signals=False,
        )
    assert finished.stderr == ""
