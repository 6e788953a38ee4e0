"""The committed lock files: in step with pyproject.toml, every file of every package pinned by its hash."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.parts import ROOT

LOCKS = ["dev.lock", "run.lock", "soak.lock", "uv.lock"]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def entries(lock: str) -> dict[str, str]:
    """Each package's canonical name with its part of the file: version, hashes, and for whom it is there."""
    parts = re.split(r"^(?=[a-z0-9])", (ROOT / "requirements" / lock).read_text(), flags=re.MULTILINE)[1:]
    return {canonicalize_name(part.partition("==")[0]): part for part in parts}


def version(entry: str) -> Version:
    return Version(entry.partition("==")[2].split()[0])


def extra(name: str) -> Iterator[Requirement]:
    """An extra's requirements, those of the extras that it names included."""
    for line in PROJECT["project"]["optional-dependencies"][name]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["project"]["name"]:
            for other in requirement.extras:
                yield from extra(other)
        else:
            yield requirement


def group(name: str) -> Iterator[Requirement]:
    for line in PROJECT["dependency-groups"][name]:
        if isinstance(line, dict):
            yield from group(line["include-group"])
        else:
            yield Requirement(line)


def wanted(lock: str) -> list[Requirement]:
    if lock == "soak.lock":
        return list(group("soak"))
    return [
        *map(Requirement, PROJECT["project"]["dependencies"]),
        *extra("server"),
        *extra("postgres"),
        *([*extra("otel"), *group("dev")] if lock == "dev.lock" else [*group("build"), *group("examples")]),
    ]


@pytest.mark.parametrize("lock", ["dev.lock", "run.lock", "soak.lock"])
def test_a_lock_file_holds_what_pyproject_asks_for_and_nothing_that_it_no_longer_does(lock: str) -> None:
    pinned = entries(lock)
    for requirement in wanted(lock):
        entry = pinned.get(canonicalize_name(requirement.name))
        assert entry is not None, f"{requirement} is not in {lock}: run ./dev lock"
        assert version(entry) in requirement.specifier, f"{lock} does not fit {requirement}: run ./dev lock"
    asked_for = {canonicalize_name(requirement.name) for requirement in wanted(lock)}
    direct = {name for name, entry in pinned.items() if re.search(r"\bgrantflow \(pyproject\.toml", entry)}
    assert direct == asked_for, f"{lock} is out of step with pyproject.toml: run ./dev lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_by_hashes(lock: str) -> None:
    assert entries(lock)
    assert [name for name, entry in entries(lock).items() if "--hash=sha256:" not in entry] == []


def test_what_runs_has_the_versions_that_were_tested() -> None:
    tested = {name: version(entry) for name, entry in entries("dev.lock").items()}
    assert {name: version(entry) for name, entry in entries("run.lock").items()}.items() <= tested.items()


def test_the_build_tool_that_is_locked_is_the_one_that_builds() -> None:
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]


@pytest.mark.parametrize("part", ["newman", "oidc_provider"])
def test_every_package_from_npm_is_pinned_by_its_hash_and_names_no_host(part: str) -> None:
    folder = ROOT / "tests/interop" / part
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    asked_for = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert lock["packages"][""]["dependencies"] == asked_for
    assert {name: packages[f"node_modules/{name}"]["version"] for name in asked_for} == asked_for
    loose = [name for name, of in packages.items() if not of["integrity"].startswith("sha512-") or "resolved" in of]
    assert loose == []
