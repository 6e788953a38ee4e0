"""W35 in a graphical REST client: the Postman collection, run by Newman against a running `grantflow up`."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.parts import ROOT, require
from tests.whole.person import Person
from tests.whole.running import Up, environment, up

COLLECTION = ROOT / "docs/grantflow.postman_collection.json"
NEWMAN = ROOT / "tests/interop/newman"
WRITTEN: dict[str, Any] = json.loads(COLLECTION.read_text(encoding="utf-8"))
VARIABLES = {variable["key"]: variable["value"] for variable in WRITTEN["variable"]}
REQUESTS = [
    "Exchange the code for tokens",
    "Ask who granted",
    "Refresh",
    "Ask again, with the new token",
    "Revoke",
    "The revoked token is refused",
    "The used code is refused",
]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("postman") / "state") as running:
        yield running


def newman(folder: Path, **variables: str) -> tuple[int, dict[str, Any]]:
    """Its exit code and its report; the variables go by a file, so that no list of processes shows the secret."""
    program = require("newman")
    values = [{"key": name, "value": value} for name, value in variables.items()]
    (folder / "environment.json").write_text(json.dumps({"name": "Filled in", "values": values}))
    finished = subprocess.run(
        [
            *(program, "run", str(COLLECTION), "--environment", "environment.json"),
            *("--reporters", "json", "--reporter-json-export", "report.json"),
        ],
        cwd=folder,
        env=environment() | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (folder / "report.json").exists(), finished.stdout + finished.stderr
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return finished.returncode, report


def fresh_code(platform: Up, client_id: str) -> str:
    redirect_uri = VARIABLES["redirect_uri"]
    asked = {"client_id": client_id, "response_type": "code", "redirect_uri": redirect_uri, "state": "by-hand"}
    url = f"{platform.api_url}/authorize?{urlencode(asked | {'scope': 'spark:people_read'})}"
    with Person(platform.ada, stops=(redirect_uri,)) as ada:
        return parse_qs(urlsplit(ada.grant(url)).query)["code"][0]


@pytest.mark.slow
def test_w35_the_collection_walks_from_the_code_to_new_tokens_their_end_and_the_refused_code(
    platform: Up, tmp_path: Path
) -> None:
    app = platform.register("Postman", VARIABLES["redirect_uri"], scopes="spark:people_read")
    code, report = newman(
        tmp_path,
        api_url=platform.api_url,
        client_id=app["client_id"],
        client_secret=app["client_secret"],
        code=fresh_code(platform, app["client_id"]),
    )
    assert (code, report["run"]["failures"]) == (0, [])
    ran = [(run["item"]["name"], run["response"]["code"]) for run in report["run"]["executions"]]
    assert ran == list(zip(REQUESTS, [200, 200, 200, 200, 200, 401, 400], strict=True))
    assert all(run["assertions"] for run in report["run"]["executions"]), "each request is checked"


@pytest.mark.slow
def test_w35_the_collection_fails_where_the_secret_is_wrong(platform: Up, tmp_path: Path) -> None:
    app = platform.register("Postman, wrong secret", VARIABLES["redirect_uri"], scopes="spark:people_read")
    wrong = {"client_id": app["client_id"], "client_secret": "wrong", "code": fresh_code(platform, app["client_id"])}
    code, report = newman(tmp_path, api_url=platform.api_url, **wrong)
    assert code == 1
    assert report["run"]["failures"]


def test_the_collection_holds_no_secret_and_names_every_variable_that_it_uses() -> None:
    text = COLLECTION.read_text(encoding="utf-8")
    assert {name for name, value in VARIABLES.items() if value} == {"api_url", "redirect_uri"}
    assert set(re.findall(r"\{\{(\w+)\}\}", text)) | {"person_id"} == set(VARIABLES)
    assert not re.search(r"[0-9a-f]{32}", text)
    assert WRITTEN["info"]["schema"].endswith("/v2.1.0/collection.json")


def test_every_package_that_newman_brings_is_pinned_by_its_hash() -> None:
    lock = json.loads((NEWMAN / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((NEWMAN / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert lock["packages"][""]["dependencies"] == wanted
    assert packages["node_modules/newman"]["version"] == wanted["newman"]
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
