"""Each rule of who may import whom, broken in a copy of the source: the checks of ./dev check see it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.parts import ROOT

# What the table of docs/architecture.md forbids, at least once for each of its cells.
FORBIDDEN: Mapping[str, Sequence[str]] = {
    "grantflow": ["grantflow.client.pages", "grantflow.web", "grantflow.storage", "grantflow.app", "starlette"],
    "grantflow.protocol": [
        *["grantflow", "grantflow.sealing", "grantflow.migrations", "grantflow.web", "grantflow.app", "grantflow.cli"],
        *["socket", "sqlite3", "asyncio", "threading", "time", "secrets", "random", "os", "pathlib"],
        *["cryptography", "httpx2", "starlette"],
    ],
    "grantflow.sealing": ["grantflow.web", "grantflow.storage", "sqlite3", "httpx2"],
    "grantflow.migrations": ["grantflow.sealing", "grantflow.storage", "cryptography"],
    "grantflow.database_file": ["grantflow.protocol", "grantflow.storage", "sqlite3"],
    "grantflow.web": [
        *["grantflow.sealing", "grantflow.client", "grantflow.resource_owner", "grantflow.storage", "grantflow.app"],
        *["sqlite3", "cryptography", "httpx2", "uvicorn"],
    ],
    "grantflow.client": [
        *["grantflow.web", "grantflow.storage", "grantflow.migrations", "grantflow.app"],
        *["grantflow.client.shells", "grantflow.client.pages"],
        *["socket", "sqlite3", "asyncio", "threading", "time", "secrets", "random"],
        *["cryptography", "httpx2", "starlette"],
    ],
    "grantflow.client.vault": [
        *["grantflow.web", "grantflow.storage", "sqlite3", "psycopg", "cryptography", "httpx2", "starlette"],
    ],
    "grantflow.client.vault.sqlite": ["grantflow.storage", "grantflow.client.shells", "cryptography", "httpx2"],
    "grantflow.client.vault.postgres": ["grantflow.storage", "grantflow.client.vault.sqlite", "sqlite3", "httpx2"],
    "grantflow.client.vault.postgres_connections": ["grantflow.client.vault", "sqlite3", "sqlalchemy"],
    "grantflow.client.vault.opening": ["grantflow.storage", "grantflow.client.integration", "sqlite3", "psycopg"],
    "grantflow.client.shells": ["grantflow.sealing", "grantflow.client.vault", "sqlite3", "starlette"],
    "grantflow.client.integration": ["grantflow.client.pages", "grantflow.web", "sqlite3", "httpx2", "starlette"],
    "grantflow.client.pages": [
        *["grantflow.client.vault", "grantflow.storage", "grantflow.authorization_server", "grantflow.app"],
        *["sqlite3", "httpx2", "cyclopts", "uvicorn"],
    ],
    "grantflow.client.adapters": ["requests", "httpx2", "starlette"],
    "grantflow.client.adapters.requests": ["grantflow.client.pages", "grantflow.client.vault", "aiohttp", "httpx2"],
    "grantflow.client.adapters.flask": ["grantflow.client.vault", "grantflow.web", "django", "starlette", "sqlite3"],
    "grantflow.client.adapters.prometheus": [
        "grantflow.client.vault",
        "grantflow.web",
        "opentelemetry",
        "starlette",
        "sqlite3",
    ],
    "grantflow.client.adapters.opentelemetry": ["grantflow.client.vault", "prometheus_client", "sqlite3"],
    "grantflow.authorization_server": [
        *["grantflow.resource_owner", "grantflow.resource_server", "grantflow.storage", "grantflow.client"],
        *["grantflow.app", "sqlite3", "httpx2", "cryptography"],
    ],
    "grantflow.authorization_server.records": ["grantflow.authorization_server", "grantflow.web", "starlette"],
    "grantflow.authorization_server.ports": ["grantflow.authorization_server", "grantflow.storage", "starlette"],
    "grantflow.resource_owner": [
        *["grantflow.authorization_server", "grantflow.resource_server", "grantflow.storage", "grantflow.client"],
        *["grantflow.app", "sqlite3", "httpx2"],
    ],
    "grantflow.resource_owner.records": ["grantflow.resource_owner", "grantflow.web", "cryptography"],
    "grantflow.resource_owner.ports": ["grantflow.resource_owner", "grantflow.storage", "starlette"],
    "grantflow.resource_server": [
        *["grantflow.authorization_server", "grantflow.resource_owner", "grantflow.storage", "grantflow.client"],
        *["grantflow.app", "sqlite3", "httpx2", "cryptography"],
    ],
    "grantflow.resource_server.records": ["grantflow.resource_server", "grantflow.web", "starlette"],
    "grantflow.resource_server.ports": ["grantflow.resource_server", "grantflow.storage", "starlette"],
    "grantflow.storage": [
        *["grantflow.web", "grantflow.authorization_server", "grantflow.resource_owner", "grantflow.resource_server"],
        *["grantflow.client", "grantflow.app", "starlette", "jinja2", "httpx2", "cryptography"],
    ],
    "grantflow.settings": ["grantflow.protocol", "grantflow.web", "starlette", "sqlite3"],
    "grantflow.data_directory": ["grantflow.app", "grantflow.web", "sqlite3", "starlette"],
    "grantflow.devtls": ["grantflow.app", "grantflow.web", "httpx2"],
    "grantflow.serving": ["grantflow.app", "grantflow.web", "cryptography"],
    "grantflow.app": ["grantflow.cli", "grantflow.seeding", "cyclopts", "rich", "httpx2", "sqlite3"],
    "grantflow.seeding": ["grantflow.cli", "cyclopts", "starlette", "sqlite3"],
    "grantflow.cli": ["jinja2", "cryptography", "sqlite3"],
}
CASES = [(importer, imported) for importer, row in FORBIDDEN.items() for imported in row]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copy_of_the_source(tmp_path)


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says when all cases are broken at once."""
    folder = copy_of_the_source(tmp_path_factory.mktemp("broken"))
    for importer, row in FORBIDDEN.items():
        path = folder / "src" / importer.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        file.write_text("".join(f"import {imported}\n" for imported in row) + file.read_text())
    return lint_imports(folder, code=1)


def copy_of_the_source(folder: Path) -> Path:
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests/tooling", folder / "tests/tooling", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint_imports(folder: Path, *, code: int) -> str:
    program = "import sys; sys.path[:0] = ['src']; from importlinter.cli import lint_imports_command as run; run()"
    finished = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == code, finished.stdout + finished.stderr
    return finished.stdout


def test_the_source_keeps_the_rules(copy: Path) -> None:
    assert "1 kept, 0 broken" in lint_imports(copy, code=0)


@pytest.mark.parametrize(("importer", "imported"), CASES)
def test_a_forbidden_import_is_caught(complaints: str, importer: str, imported: str) -> None:
    assert f"{importer} may not import {imported} (line " in complaints


def test_a_package_that_the_table_does_not_know_is_caught(copy: Path) -> None:
    (copy / "src/grantflow/helpers.py").write_text("")
    assert "grantflow.helpers has no row in the table" in lint_imports(copy, code=1)


def test_a_row_without_its_package_is_caught(copy: Path) -> None:
    (copy / "src/grantflow/sealing.py").unlink()
    assert "grantflow.sealing has a row in the table, but there is no such module" in lint_imports(copy, code=1)


@pytest.mark.parametrize(
    "line",
    [
        "import secrets",
        "import random",
        "from os import urandom",
        "from uuid import uuid4",
        "from time import time",
        "import datetime; datetime.datetime.now(datetime.UTC)",
    ],
)
@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("app", True),
        ("sealing", True),
        ("client/integration/making", True),
        ("client/integration/blocking", False),
        ("client/flows", False),
        ("web/csrf", False),
    ],
)
def test_only_three_modules_reach_for_the_clock_and_for_chance(line: str, module: str, *, allowed: bool) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select=TID251", f"--stdin-filename=src/grantflow/{module}.py", "-"],
        cwd=ROOT,
        input=line,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == (0 if allowed else 1), finished.stderr
    assert ("TID251" in finished.stdout) is not allowed
