"""The examples that lend the living client to other libraries and frameworks, against a running `grantflow up`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grantflow import Integration, KeyRing, SqliteVault
from tests.examples.running import example, settings
from tests.parts import ROOT, free_port
from tests.whole.person import Person
from tests.whole.running import Up, environment, up

pytestmark = pytest.mark.slow

EXAMPLES = sorted(file.name for file in (ROOT / "examples").glob("with_*.py"))
FRAMEWORKS = ["with_django.py", "with_fastapi.py", "with_flask.py"]
CLIENTS = [name for name in EXAMPLES if name not in FRAMEWORKS]
DOCUMENT = (ROOT / "docs/adapters.md").read_text(encoding="utf-8")
SCOPES = "spark:people_read spark:rooms_read"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("others") / "state") as running:
        yield running


@pytest.fixture
def granted(platform: Up, tmp_path: Path) -> dict[str, str]:
    """What an example is told, where Ada has granted and her access token has ended."""
    app = platform.register(f"Others {free_port()}", "http://localhost:6001/redirect", scopes=SCOPES)
    env = settings(app, api_url=platform.api_url) | {"GRANTFLOW_VAULT": str(tmp_path / "grants.db")}
    with Integration(
        app["client_id"],
        app["client_secret"],
        redirect_uri=env["GRANTFLOW_REDIRECT_URI"],
        scopes=SCOPES,
        vault=SqliteVault(env["GRANTFLOW_VAULT"], keys=KeyRing(env["GRANTFLOW_KEY"])),
        api_url=platform.api_url,
    ) as integration:
        begun = integration.authorization_request()
        with Person(platform.ada, stops=(env["GRANTFLOW_REDIRECT_URI"],)) as ada:
            answer = ada.grant(begun.url)
        integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
    platform.expire_access_tokens()
    return env


def run(name: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / name)]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment() | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIENTS)
def test_an_example_of_a_client_calls_with_a_living_token(
    name: str, platform: Up, granted: dict[str, str], tmp_path: Path
) -> None:
    ended = run(name, tmp_path, **granted)
    assert (ended.returncode, ended.stderr) == (0, "")
    rooms = {title for (title,) in platform.sql("SELECT title FROM rooms")}
    said = ended.stdout.splitlines()
    assert {"Analytical Engine"} < set(said) <= rooms | {platform.ada["name"]}


def test_without_a_grant_an_example_says_how_to_get_one(tmp_path: Path) -> None:
    ended = run("with_requests.py", tmp_path, **BY_NOBODY, GRANTFLOW_KEY=KeyRing.new_key())
    assert "examples/terminal.py" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


BY_NOBODY = {
    "GRANTFLOW_CLIENT_ID": "C0ffee",
    "GRANTFLOW_CLIENT_SECRET": "a secret of twenty bytes",
    "GRANTFLOW_REDIRECT_URI": "http://localhost:8001/oauth",
}


def test_where_nothing_can_be_pasted_the_terminals_example_says_so(tmp_path: Path) -> None:
    ended = run("terminal.py", tmp_path, **BY_NOBODY, GRANTFLOW_KEY=KeyRing.new_key())
    assert (ended.returncode, ended.stderr.strip()) == (
        1,
        "Nothing was pasted, so nothing was granted. Run it again in a terminal.",
    )


def test_without_its_settings_the_terminals_example_says_which_and_how(tmp_path: Path) -> None:
    without = BY_NOBODY | {"GRANTFLOW_CLIENT_ID": "", "GRANTFLOW_KEY": KeyRing.new_key()}
    ended = run("terminal.py", tmp_path, **without)
    assert ended.returncode == 1
    assert ended.stderr.startswith("client_id is empty")
    assert "./dev grantflow status -o env" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", ["terminal.py", "with_requests.py"])
def test_an_example_takes_the_file_of_the_key_and_says_without_a_traceback_what_is_wrong_with_it(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "grantflow.key"
    missing = run(name, tmp_path, **BY_NOBODY, GRANTFLOW_KEY_FILE=str(file))
    assert missing.stderr.strip() == f"GRANTFLOW_KEY_FILE: {file} cannot be read: No such file or directory."
    assert run(name, tmp_path, **BY_NOBODY).stderr.startswith("GRANTFLOW_KEY is not set")
    file.write_text(KeyRing.new_key())
    ended = run(name, tmp_path, **BY_NOBODY, GRANTFLOW_KEY_FILE=str(file))
    assert "Open this address" in ended.stdout or "Nobody has granted yet" in ended.stderr


@pytest.mark.parametrize("name", ["terminal.py", *EXAMPLES])
def test_a_mistyped_address_of_a_vault_is_refused_without_its_password(name: str, tmp_path: Path) -> None:
    where = "postgresq://ada:horse@127.0.0.1:1/x"
    env = BY_NOBODY | {"GRANTFLOW_KEY": KeyRing.new_key(), "GRANTFLOW_VAULT": where}
    ended = run(name, tmp_path, **env)
    assert ended.returncode == 1
    assert "no path of a file" in ended.stderr
    assert "horse" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_w34_an_example_of_a_framework_connects_its_own_user_and_calls_in_their_name(
    name: str, platform: Up, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://localhost:{port}"
    app = platform.register(f"{name} {port}", f"{url}/webex/oauth", scopes=SCOPES)
    with (
        example(name, tmp_path, port=port, **settings(app, api_url=platform.api_url)) as said,
        Person(platform.ada) as ada,
    ):
        sign_in(ada, url, said=said)
        ada.press("Grant")
        ada.sign_in()
        ada.press("Accept")
        assert "You are connected, Ada Lovelace" in ada.page.words
        assert "Analytical Engine" in ada.open(url).text
        platform.expire_access_tokens()
        assert "Analytical Engine" in ada.open(url).text
        ada.open(f"{url}/webex/")
        assert "Disconnected" in ada.press("Disconnect").words
        assert "What you grant" in ada.open(url).words
    assert "code=" not in said.read_text()
    said.unlink()  # Django's says the password of the example's own user


def sign_in(person: Person, url: str, *, said: Path) -> None:
    """As the example's own user, whom its first page then asks to grant."""
    person.open(url)
    filled: dict[str, Any] = {"user": "you"}
    if told := re.search(r"Sign in as: (\w+) (\S+)", said.read_text()):
        filled = {"username": told[1], "password": told[2]}
        assert (
            "enter a correct username and password" in person.press("Sign in", **filled | {"password": "wrong"}).words
        )
    person.press("Sign in", **filled)


# --- docs/adapters.md ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL))
def test_every_snippet_of_the_document_stands_in_an_example_that_runs(snippet: str) -> None:
    sources = [(ROOT / "examples" / name).read_text(encoding="utf-8") for name in EXAMPLES]
    assert any(all(line in stripped(source) for line in stripped(snippet)) for source in sources)


def test_every_example_of_an_adapter_is_in_the_document_and_every_adapter_has_one() -> None:
    assert [name for name in EXAMPLES if f"(../examples/{name})" not in DOCUMENT] == []
    adapters = {file.stem for file in (ROOT / "src/grantflow/client/adapters").glob("[a-z]*.py")}
    assert {f"with_{name}.py" for name in adapters - {"prometheus", "opentelemetry"}} == set(EXAMPLES)


def stripped(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines() if line.strip()]
