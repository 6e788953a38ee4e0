"""The built wheel, installed without extras where nothing else is: the library alone, small and quick to import."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.parts import ROOT, require

pytestmark = pytest.mark.slow

NOT_FOR_THE_LIBRARY = {
    *("cyclopts", "jinja2", "pydantic", "pydantic_settings", "rich", "starlette", "uvicorn"),
    *("opentelemetry", "prometheus_client", "psycopg"),
}
MODULES_AFTER_IMPORT = "import json, sys, grantflow; print(json.dumps(sorted(sys.modules)))"


def run(*command: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {"UV_SYSTEM_CERTS": "1", **os.environ}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == code, finished.stdout + finished.stderr
    return finished


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        require("uv"), "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, ROOT
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and what it depends on, in the locked versions."""
    uv, environment = require("uv"), tmp_path_factory.mktemp("bare") / "venv"
    run(uv, "venv", "--python", sys.executable, environment)
    locked = ROOT / "requirements/run.lock"
    run(uv, "pip", "install", "--python", environment / "bin/python", "--constraints", locked, wheel)
    return environment / "bin"


def test_the_library_alone_brings_at_most_ten_packages(bare: Path) -> None:
    listing = run(require("uv"), "pip", "list", "--python", bare / "python", "--format", "json").stdout
    brought = {package["name"] for package in json.loads(listing)} - {"grantflow"}
    assert {"httpx2", "cryptography"} <= brought
    assert len(brought) <= 10, sorted(brought)


def test_the_library_alone_gives_everything_that_it_promises(bare: Path) -> None:
    run(bare / "python", "-I", "-c", "from grantflow import *; import grantflow; assert grantflow.__all__")


def test_importing_the_library_loads_no_web_framework_no_server_and_no_command_line() -> None:
    """Here they are all installed, so an import that only lacked them would show."""
    loaded = json.loads(run(sys.executable, "-c", MODULES_AFTER_IMPORT).stdout)
    assert NOT_FOR_THE_LIBRARY.isdisjoint(loaded)
    own = {name.split(".")[1] for name in loaded if name.startswith("grantflow.")}
    assert own <= {"client", "migrations", "protocol", "sealing"}
    assert not {name for name in loaded if name.startswith(("grantflow.client.pages", "grantflow.client.adapters"))}


def test_the_script_without_its_extra_says_how_to_get_it(bare: Path) -> None:
    finished = run(bare / "grantflow", "up", code=1)
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    assert line.endswith('in a clone of Grantflow: pip install ".[server]"'), "it is not published"


@pytest.mark.parametrize(("adapter", "extra"), [("prometheus", "metrics"), ("opentelemetry", "otel")])
def test_what_watches_says_without_its_extra_how_to_get_it(bare: Path, adapter: str, extra: str) -> None:
    finished = run(bare / "python", "-I", "-c", f"import grantflow.client.adapters.{adapter}", code=1)
    assert f'in a clone of Grantflow: pip install ".[{extra}]"' in finished.stderr.splitlines()[-1]


def test_the_pages_without_their_extra_say_how_to_get_it(bare: Path) -> None:
    finished = run(bare / "python", "-I", "-c", "import grantflow.client.pages", code=1)
    assert finished.stderr.splitlines()[-1] == (
        "ImportError: grantflow.client.pages needs more packages. Install them in a clone of Grantflow: "
        'pip install ".[pages]"'
    )


def test_the_wheel_holds_every_file_of_the_package_and_the_licence(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    files = {path.relative_to(source).as_posix() for path in (source / "grantflow").rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= packed
    assert {name.rpartition("/")[2] for name in packed} >= {"LICENSE", "NOTICE", "METADATA"}
