"""What the README shows is what runs: the library's lines from the wheel alone, against a running sandbox."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from grantflow import AsyncIntegration, Integration, KeyRing, SqliteVault
from grantflow.settings import IntegrationSettings
from tests.examples import running
from tests.parts import ROOT, free_port
from tests.tooling.test_wheel import bare, wheel  # noqa: F401  (fixtures)
from tests.whole.person import Person
from tests.whole.running import Up, environment, grantflow, up

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/v1/authorize\S+")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


SETUP, AGAINST_THE_SANDBOX, MAKE_A_KEY, AGAINST_WEBEX = blocks("sh")
THE_LIBRARY, MOUNTED = blocks("python")


def test_the_example_does_what_the_lines_of_the_readme_do_in_their_order() -> None:
    example = [line.strip() for line in (ROOT / "examples/terminal.py").read_text(encoding="utf-8").splitlines()]
    shown = [line.strip() for line in THE_LIBRARY.splitlines()]
    conversation = shown[shown.index("begun = integration.authorization_request()") :]
    assert [line for line in example if line in conversation] == conversation
    settings = set(re.findall(r"GRANTFLOW_\w+", THE_LIBRARY))
    assert settings == set(re.findall(r"GRANTFLOW_\w+", "".join(example))) - {"GRANTFLOW_VAULT"}


def test_every_document_is_one_link_away_or_two() -> None:
    linked = {(ROOT / link).resolve() for link in re.findall(r"\]\(([^)#:]+)\)", README)}
    documents = [path for path in (ROOT / "docs").iterdir() if path.suffix == ".md" or path.name == "decisions"]
    assert set(documents) <= linked
    assert {ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG")} <= linked


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_of_the_readme_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("readme") / "state") as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As somebody has it who follows the README; their home is empty."""
    return running.checkout(tmp_path)


def follow(shell: str, lines: str, *, at: Path, data: Path) -> "subprocess.Popen[str]":
    """Type these lines into a shell; what serves takes a free port."""
    return subprocess.Popen(
        [shell, "-c", lines],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=at,
        env=environment() | {"GRANTFLOW_DATA": str(data), "GRANTFLOW_PORT": "0", "HOME": str(at)},
        start_new_session=True,
    )


def ended(program: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit code, and what it said on stderr."""
    _, complaints = program.communicate(timeout=180)
    return program.returncode, complaints


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_commands_of_the_readme_run_as_they_are_written(platform: Up, checkout: Path, shell: str) -> None:
    said = terminal(follow(shell, AGAINST_THE_SANDBOX, at=checkout, data=platform.folder), platform)
    assert "Analytical Engine" in said


@pytest.mark.slow
@pytest.mark.parametrize("program", ["examples/terminal.py", "readme.py"])
def test_the_lines_of_the_readme_and_of_its_example_run_with_the_wheel_alone(
    bare: Path,  # noqa: F811
    platform: Up,
    checkout: Path,
    program: str,
) -> None:
    (checkout / "readme.py").write_text(THE_LIBRARY)
    lines = AGAINST_THE_SANDBOX.replace("./dev python examples/terminal.py", f"{bare}/python -I {program}")
    said = terminal(follow("sh", lines, at=checkout, data=platform.folder), platform)
    assert "Analytical Engine" in said


def terminal(program: "subprocess.Popen[str]", platform: Up) -> str:
    """Do what it asks for: open the address, press Accept, paste where the browser was sent; all that it said."""
    assert program.stdout is not None
    with program:
        first = program.stdout.readline()
        address = ADDRESS.search(first)
        if address is None:
            raise AssertionError(first + str(program.communicate(timeout=180)))
        (redirect_uri,) = parse_qs(urlsplit(address[0]).query)["redirect_uri"]
        with Person(platform.ada, stops=(redirect_uri,)) as ada:
            said, complaints = program.communicate(ada.grant(address[0]) + os.linesep, timeout=180)
    assert program.returncode == 0, complaints
    return said


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_placeholders_of_the_readme_are_asked_for_and_once_filled_in_its_lines_serve_the_pages(
    checkout: Path, shell: str
) -> None:
    assert "..." not in AGAINST_THE_SANDBOX + MAKE_A_KEY + AGAINST_WEBEX, "a shell would take it for the value"
    assert "#" not in SETUP + AGAINST_THE_SANDBOX + MAKE_A_KEY + AGAINST_WEBEX, "zsh takes no comments on a terminal"
    typed = partial(follow, shell, at=checkout, data=checkout / "data")
    assert ended(typed(MAKE_A_KEY))[0] == 0
    key = (checkout / "grantflow.key").read_text()
    assert ended(typed(MAKE_A_KEY))[0] != 0
    assert (checkout / "grantflow.key").read_text() == key, "the key that opens the vault is never written over"

    code, complaints = ended(typed(AGAINST_WEBEX))
    assert code == 2
    assert re.findall(r"^  (GRANTFLOW_\w+) ", complaints, re.MULTILINE) == [
        "GRANTFLOW_CLIENT_ID",
        "GRANTFLOW_CLIENT_SECRET",
    ]

    filled = re.sub(r"(CLIENT_ID|CLIENT_SECRET)=$", r"\1=from-the-portal", AGAINST_WEBEX, flags=re.MULTILINE)
    with typed(filled) as serving:
        assert serving.stdout is not None
        shown = [serving.stdout.readline() for _ in range(3)]
        os.killpg(serving.pid, signal.SIGTERM)  # the shell and what it started
        serving.communicate(timeout=180)
    assert "https://your.host/oauth" in shown[1]
    assert "https://webexapis.com/v1" in shown[2]


@pytest.mark.slow
def test_whatever_else_is_pasted_is_told_without_a_traceback_and_what_is_not_set_by_its_name(tmp_path: Path) -> None:
    given = {"CLIENT_ID": "C1", "CLIENT_SECRET": "s", "REDIRECT_URI": "http://localhost:1/oauth"}
    complete = {f"GRANTFLOW_{name}": value for name, value in given.items()} | {"GRANTFLOW_KEY": KeyRing.new_key()}
    vault = {"GRANTFLOW_VAULT": str(tmp_path / "own.db")}
    for pasted in ("", "horse", "http://localhost:1/oauth?code=c"):
        program = run_terminal(complete | vault, at=tmp_path, pasted=pasted)
        assert program.returncode == 1
        assert "paste the whole address, with code= and state=" in program.stderr
        assert "Traceback" not in program.stderr
    assert [file.name for file in tmp_path.glob("*.db")] == ["own.db"], "what status -o env names begins afresh with it"
    unset = run_terminal({"GRANTFLOW_KEY": complete["GRANTFLOW_KEY"]}, at=tmp_path, pasted="")
    assert unset.stderr.startswith("client_id is empty;")
    assert "Traceback" not in unset.stderr


def run_terminal(env: dict[str, str], *, at: Path, pasted: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "examples/terminal.py")],
        input=f"{pasted}\n",
        capture_output=True,
        text=True,
        cwd=at,
        env=environment() | env,
        check=False,
    )


def test_each_variable_that_the_readme_names_is_read() -> None:
    """What `serve` reads is its settings'; the example reads the environment itself."""
    named = set(re.findall(r"\bGRANTFLOW_[A-Z_]+", README))
    by_serve = {f"GRANTFLOW_{name.upper()}" for name in IntegrationSettings.model_fields}
    assert set(re.findall(r"export (\w+)=", AGAINST_WEBEX)) <= by_serve
    assert named <= by_serve
    by_the_example = set(re.findall(r'environ(?:\.get\(|\[)"(\w+)"', THE_LIBRARY))
    assert by_the_example <= by_serve


@pytest.mark.slow
def test_w16_what_the_readme_mounts_can_be_granted_in_the_sandbox(platform: Up, tmp_path: Path) -> None:
    env = grantflow("status", "-o", "env", "--data", str(platform.folder)).stdout
    given = dict(line.removeprefix("export ").split("=", 1) for line in env.splitlines())
    redirect_uri = given["GRANTFLOW_REDIRECT_URI"].replace("/oauth", "/webex/oauth")
    integration = Integration(
        given["GRANTFLOW_CLIENT_ID"],
        given["GRANTFLOW_CLIENT_SECRET"],
        redirect_uri=redirect_uri,
        scopes="spark:people_read",
        vault=SqliteVault(tmp_path / "vault.db", keys=KeyRing(given["GRANTFLOW_KEY"])),
        api_url=given["GRANTFLOW_API_URL"],
    )
    begun = integration.authorization_request()
    with integration, Person(platform.grace, stops=(redirect_uri,)) as grace:
        answer = grace.grant(begun.url)
        grant = integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
    assert grant.person_id


HOST = """
from grantflow import AsyncIntegration, KeyRing, SqliteVault

vault = SqliteVault("vault.db", keys=KeyRing(KeyRing.new_key()))
redirect_uri = "http://localhost:8001/webex/oauth"
integration = AsyncIntegration("C1", "s3cret", redirect_uri=redirect_uri, scopes="spark:people_read", vault=vault)
"""


@pytest.mark.slow
def test_s94_the_server_that_the_readme_starts_logs_no_authorization_code(tmp_path: Path) -> None:
    (tmp_path / "your_app.py").write_text(HOST + MOUNTED)
    (command,) = re.findall(r"`(uvicorn your_app:app[^`]*)`", README)
    port, log = str(free_port()), tmp_path / "log"
    words = [sys.executable, "-m", *command.replace("8001", port).split()]
    with log.open("w") as file, subprocess.Popen(words, cwd=tmp_path, stdout=file, stderr=file) as server:
        try:
            url = f"http://127.0.0.1:{port}/webex/oauth?code=c0de&state=x"
            assert awaited(url).status_code == 303, "the pages answer there"
        finally:
            server.terminate()
    assert "Uvicorn running" in log.read_text()
    assert "c0de" not in log.read_text()


def awaited(url: str) -> httpx2.Response:
    for _ in range(600):
        try:
            return httpx2.get(url, trust_env=False)
        except httpx2.ConnectError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}")


def test_the_pages_mount_as_the_readme_shows(tmp_path: Path) -> None:
    integration = AsyncIntegration(
        "C1",
        "s3cret",
        redirect_uri="https://your.host/webex/oauth",
        scopes="spark:people_read",
        vault=SqliteVault(tmp_path / "vault.db", keys=KeyRing(KeyRing.new_key())),
    )
    names: dict[str, Any] = {"integration": integration}
    exec(MOUNTED, names)

    async def visit() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app=names["app"])
        async with integration, httpx2.AsyncClient(transport=transport, base_url="https://your.host") as browser:
            return [await browser.get("/webex/"), await browser.get("/webex/connect")]

    landing, connect = asyncio.run(visit())
    assert (landing.status_code, "Connect your app with Webex" in landing.text) == (200, True)
    assert connect.headers["location"].startswith("https://webexapis.com/v1/authorize?")
