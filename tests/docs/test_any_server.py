"""docs/any-server.md: each of its programs runs with a server that is not ours, and a person can grant to it."""

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from grantflow import Integration, KeyRing
from tests.interop.servers.running import Foreign, authlib, oidc_provider, strict
from tests.parts import ROOT
from tests.whole.running import GRANTFLOW, environment

TEXT = (ROOT / "docs/any-server.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
(COMMANDS,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
Start = Callable[[Path], AbstractContextManager[Foreign]]


def settings(server: Foreign) -> dict[str, str]:
    return {
        "ISSUER": server.issuer,
        "CLIENT_ID": server.client["client_id"],
        "CLIENT_SECRET": server.client["client_secret"],
        "API_URL": f"{server.url}/api",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "start"),
    list(zip(PROGRAMS, [oidc_provider, authlib, strict], strict=True)),
    ids=["issuer", "plain", "named"],
)
def test_each_program_makes_an_integration_that_a_person_can_grant_to(
    program: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRANTFLOW_KEY", KeyRing.new_key())
    with start(tmp_path) as server:
        for name, value in settings(server).items():
            monkeypatch.setenv(name, value)
        made: dict[str, Any] = {}
        exec(program, made)
        with made["integration"] as integration:
            assert isinstance(integration, Integration)
            begun = integration.authorization_request()
            answer = server.accept(begun.url, person="ada")
            grant = integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
            server.expire()
            with integration.client_for(grant.person_id) as client:
                assert client.get("me").json()["person"] == "ada"
            assert integration.revoke(grant.person_id).at_platform


@pytest.mark.slow
def test_the_commands_serve_the_pages(tmp_path: Path) -> None:
    (tmp_path / "grantflow.key").write_text(KeyRing.new_key())
    path = f"{GRANTFLOW.parent}{os.pathsep}{os.environ['PATH']}"
    with oidc_provider(tmp_path) as server:
        env = environment() | settings(server) | {"PATH": path, "GRANTFLOW_DATA": str(tmp_path / "data")}
        script = COMMANDS.replace("grantflow serve", "exec grantflow serve --port 0 --json")
        with subprocess.Popen(["sh", "-euc", script], cwd=tmp_path, env=env, stdout=subprocess.PIPE) as served:
            assert served.stdout is not None
            line = served.stdout.readline()
            served.terminate()
    assert b'"integration_url"' in line


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)", TEXT))
def test_every_link_of_the_document_leads_to_a_file(link: str) -> None:
    assert Path(ROOT / "docs" / link).exists()
