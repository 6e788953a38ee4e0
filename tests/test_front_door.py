"""`import grantflow`: what it offers, what it costs."""

import inspect
import os
import subprocess
import sys
import tomllib

import pytest

import grantflow
from tests.parts import ROOT


def test_every_public_name_loads_and_is_where_it_says() -> None:
    for name in grantflow.__all__:
        assert getattr(grantflow, name).__name__ == name
    assert grantflow.__all__ == sorted(grantflow.__all__)
    assert set(grantflow.__all__) <= set(dir(grantflow))


@pytest.mark.parametrize("name", [*grantflow.__all__, "PostgresVault"])
def test_no_signature_that_help_shows_holds_what_the_environment_holds(name: str) -> None:
    public = getattr(grantflow, name)
    parts = [public, *(part for _, part in inspect.getmembers(public) if inspect.isroutine(part))]
    for part in parts:
        try:
            parameters = inspect.signature(part).parameters.values()
        except (TypeError, ValueError):  # of C, without one
            continue
        defaults = [parameter.default for parameter in parameters]
        assert not any(default is os.environ or isinstance(default, dict | os._Environ) for default in defaults), part


def test_what_takes_an_extra_is_offered_by_name_alone() -> None:
    assert grantflow.PostgresVault.__name__ == "PostgresVault"
    assert "PostgresVault" in dir(grantflow)
    assert "PostgresVault" not in grantflow.__all__


def test_what_is_not_public_is_not_offered() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Grantflow'"):
        grantflow.Grantflow  # noqa: B018
    with pytest.raises(ImportError):
        from grantflow import nonsense  # noqa: F401


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert grantflow.__version__ == project["version"]


def test_importing_alone_loads_neither_the_http_library_nor_ciphers() -> None:
    program = "import sys, grantflow; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {"httpx2", "cryptography", "sqlite3", "asyncio", "starlette"}.isdisjoint(loaded)
