"""`grantflow up`, in a process of its own, over real sockets."""

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from grantflow.cli.report import block
from grantflow.cli.up import idle_port
from grantflow.protocol.registration import CLIENT_ID, CLIENT_SECRET
from grantflow.protocol.scope import MEANINGS
from grantflow.sealing import KeyRing
from tests.parts import free_port
from tests.whole.person import Person
from tests.whole.running import GRANTFLOW, Running, ended, running

pytestmark = pytest.mark.slow
UP = ("up", "--port", "0", "--integration-port", "0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up") / "data"


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Running]:
    with running(folder, "up", "--port", "0", "--integration-port", str(free_port(and_next=True))) as sandbox:
        yield sandbox


def test_it_prints_one_line_of_json_and_keeps_serving(up: Running) -> None:
    said = up.said
    assert list(said) == ["platform_url", "api_url", "portal_url", "integration_url", "people", "app"]
    assert said["api_url"] == f"{said['platform_url']}/v1"
    assert [list(person) for person in said["people"]] == [["name", "email", "password", "admin"]] * 4
    assert [person["email"] for person in said["people"] if person["admin"]] == ["grace@example.com"]
    assert list(said["app"]) == [
        "client_id",
        "client_secret",
        "redirect_uris",
        "scopes",
        "owner",
        "authorization_url",
    ]
    assert up.process.poll() is None


def test_everything_that_it_names_answers_by_then(up: Running) -> None:
    for url in ("platform_url", "portal_url", "integration_url"):
        page = httpx2.get(up.said[url], trust_env=False, headers={"accept": "text/html"}, follow_redirects=True)
        assert page.status_code == 200
    assert httpx2.get(f"{up.said['api_url']}/people/me", trust_env=False).status_code == 401
    for url in ("platform_url", "integration_url"):
        assert httpx2.get(f"{up.said[url]}/healthz", trust_env=False).json() == {"status": "ok"}


def test_platform_and_integration_have_hosts_of_their_own_since_ports_share_cookies(up: Running) -> None:
    assert urlsplit(up.said["platform_url"]).hostname == "127.0.0.1"
    assert urlsplit(up.said["integration_url"]).hostname == "localhost"


def test_w05_w06_w09_w20_the_sample_integration_is_registered_with_an_authorization_url(up: Running) -> None:
    app = up.said["app"]
    assert CLIENT_ID.fullmatch(app["client_id"])
    assert CLIENT_SECRET.fullmatch(app["client_secret"])
    assert app["redirect_uris"] == [f"{up.said['integration_url']}/oauth"]
    assert set(app["scopes"].split()) <= set(MEANINGS)
    assert parse_qs(urlsplit(app["authorization_url"]).query) == {
        "client_id": [app["client_id"]],
        "response_type": ["code"],
        "redirect_uri": app["redirect_uris"],
        "scope": [app["scopes"]],
        "state": ["set_state_here"],
    }


def test_what_is_secret_lies_in_files_that_their_owner_alone_reads(up: Running, folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir() if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    stored = b"".join(path.read_bytes() for path in folder.glob("platform.db*"))
    for secret in (up.said["app"]["client_secret"], *(person["password"] for person in up.said["people"])):
        assert secret.encode() not in stored


def test_people_are_added_and_seen_while_it_runs(up: Running, folder: Path) -> None:
    added = ended(
        "platform", "person", "add", "mary@example.com", "--name", "Mary Somerville", "--json", "--data", str(folder)
    )
    assert added.returncode == 0
    listed = ended("platform", "person", "list", "--json", "--data", str(folder))
    assert "mary@example.com" in [person["email"] for person in json.loads(listed.stdout)]


def test_another_password_of_one_of_its_people_is_shown_from_then_on(up: Running, folder: Path) -> None:
    alan = up.said["people"][2]
    with Person(alan) as person:
        person.open(f"{up.said['platform_url']}/signin")
        person.sign_in()
        changed = ended("platform", "person", "password", alan["email"], "--json", "--data", str(folder))
        alan["password"] = json.loads(changed.stdout)["password"]
        assert json.loads(ended("status", "--json", "--data", str(folder)).stdout) == up.said
        person.open(f"{up.said['platform_url']}/connected-apps")
        assert "Connected apps" in person.sign_in().words, "signed out, and in again with the new one"


@pytest.mark.parametrize("restarted", [False, True])
def test_w19_w32_a_secret_that_is_regenerated_in_the_portal_costs_nobody_a_grant_nor_the_sandbox_its_sample(
    tmp_path: Path, restarted: bool
) -> None:
    folder = tmp_path / "data"
    # Ports that no connection takes while it is started anew.
    command = ("up", "--port", str(free_port()), "--integration-port", str(free_port(and_next=True)))
    with running(folder, *command) as sandbox, Person(sandbox.said["people"][1]) as grace:
        sample = sandbox.said["integration_url"]
        grace.open(sample)
        grace.press("Grant")
        grace.sign_in()
        assert "You are connected" in grace.press("Accept").words
        before = environment(folder)
        for number, client_id in enumerate((sandbox.said["app"]["client_id"], before["GRANTFLOW_CLIENT_ID"]), start=1):
            grace.open(f"{sandbox.said['portal_url']}/{client_id}/secret")
            assert "This sandbox goes on with it" in grace.press("Regenerate").words, number
        if restarted:
            sandbox.stop()
            with running(folder, *command) as second:
                check_that_the_grant_works(grace, second, folder, other_than=before)
        else:
            check_that_the_grant_works(grace, sandbox, folder, other_than=before)


def check_that_the_grant_works(grace: Person, up: Running, folder: Path, *, other_than: dict[str, str]) -> None:
    with closing(sqlite3.connect(folder / "platform.db", timeout=60, isolation_level=None)) as database:
        # So the sample has to refresh with its secret.
        assert database.execute("UPDATE access_tokens SET expires_at = 1").rowcount
    assert "Post a message in your name" in grace.open(up.said["integration_url"]).words
    kept = json.loads((folder / "sandbox.json").read_text())
    shown = json.loads(ended("status", "--json", "--data", str(folder)).stdout)
    assert shown["app"]["client_secret"] == kept["app"]["client_secret"]
    new = environment(folder)
    assert new["GRANTFLOW_CLIENT_SECRET"] == kept["own_app"]["client_secret"] != other_than["GRANTFLOW_CLIENT_SECRET"]
    code = {"grant_type": "authorization_code", "code": "x", "redirect_uri": new["GRANTFLOW_REDIRECT_URI"]}
    for client_id, secret in (
        (kept["app"]["client_id"], shown["app"]["client_secret"]),
        (new["GRANTFLOW_CLIENT_ID"], new["GRANTFLOW_CLIENT_SECRET"]),
    ):
        sent = {**code, "client_id": client_id, "client_secret": secret}
        answer = httpx2.post(f"{up.said['api_url']}/access_token", data=sent, trust_env=False)
        assert answer.json()["error"] == "invalid_grant", "it is the code that is wrong, not who asks"


def environment(folder: Path) -> dict[str, str]:
    return sourced(ended("status", "-o", "env", "--data", str(folder)).stdout, shell="sh")


def test_there_are_rooms_with_members_and_messages(up: Running, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "platform.db")) as database:
        counted = database.execute(
            "SELECT count(DISTINCT r.id), count(DISTINCT m.person_id), count(DISTINCT s.id) FROM rooms r "
            "JOIN memberships m ON m.room_id = r.id JOIN messages s ON s.room_id = r.id"
        ).fetchone()
    database.close()
    assert counted == (3, 4, 8)


def test_status_shows_the_same_again_as_json_text_and_environment(up: Running, folder: Path) -> None:
    shown = ended("status", "--json", "--data", str(folder))
    assert json.loads(shown.stdout) == up.said
    assert ended("status", "--data", str(folder)).stdout.splitlines() == block(up.said, folder / "sandbox.json")


@pytest.mark.parametrize(("shell", "person_number"), [("sh", 1), ("bash", 2)])
def test_the_environment_that_status_shows_is_all_that_ones_own_pages_need(
    up: Running, folder: Path, tmp_path: Path, shell: str, person_number: int
) -> None:
    taken_over = sourced(ended("status", "-o", "env", "--data", str(folder)).stdout, shell=shell)
    assert taken_over["GRANTFLOW_CLIENT_ID"] != up.said["app"]["client_id"], "the sample keeps its grants to itself"
    with running(tmp_path / "data", "serve", env=taken_over) as served:
        assert served.said["redirect_uri"] == taken_over["GRANTFLOW_REDIRECT_URI"]
        assert served.errors.read_text() == ""
        with Person(up.said["people"][person_number]) as person:
            person.open(served.said["integration_url"])
            person.press("Grant")
            person.sign_in()
            assert "My first integration" in person.page.words
            assert "You are connected" in person.press("Accept").words
    assert taken_over["GRANTFLOW_DATA"] == str(folder), "nothing of it is written where another sandbox keeps its own"
    assert Path(taken_over["GRANTFLOW_VAULT"]).parent == folder
    assert Path(taken_over["GRANTFLOW_VAULT"]).exists()
    another = taken_over | {"GRANTFLOW_CLIENT_ID": "C1", "GRANTFLOW_KEY": KeyRing.new_key(), "GRANTFLOW_VAULT": ""}
    with running(folder, "serve", env=another) as served:
        assert served.said["redirect_uri"], "an integration with a key of its own has a vault of its own"


def sourced(lines: str, *, shell: str) -> dict[str, str]:
    """What a shell that takes these lines over hands on to the commands in it."""
    program = f'eval "$1" && exec {sys.executable} -c "import json, os; print(json.dumps(dict(os.environ)))"'
    taken_over = subprocess.run([shell, "-euc", program, shell, lines], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(taken_over.stdout)
    return {name: value for name, value in found.items() if name.startswith("GRANTFLOW_")}


def test_nothing_of_ours_listens_where_the_answer_for_ones_own_code_is_sent() -> None:
    assert idle_port(8000, taken=9000) == 8001
    assert idle_port(8000, taken=8001) == 8002
    assert idle_port(65_535, taken=65_534) == 65_533


def test_s108_the_sample_asks_for_what_it_uses_and_no_more(up: Running) -> None:
    location = httpx2.get(f"{up.said['integration_url']}/connect", trust_env=False).headers["location"]
    (asked,) = parse_qs(urlsplit(location).query)["scope"]
    assert set(asked.split()) - {"spark:kms"} == {"spark:people_read", "spark:rooms_read", "spark:messages_write"}
    assert set(asked.split()) < set(up.said["app"]["scopes"].split())


def test_a_second_one_on_the_same_directory_is_refused(up: Running, folder: Path) -> None:
    refused = ended(*UP, "--json", "--data", str(folder))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Another grantflow up runs on" in refused.stderr
    assert f"grantflow status --data {folder}\n" in refused.stderr, "whole, to be copied"


def test_its_port_taken_the_next_one_says_by_whom(up: Running, tmp_path: Path) -> None:
    port = urlsplit(up.said["integration_url"]).port
    refused = ended("up", "--port", "0", "--integration-port", str(port), "--data", str(tmp_path / "other"))
    assert (refused.returncode, refused.stdout) == (1, "")
    said = " ".join(refused.stderr.split())
    assert f"(process {up.process.pid})" in said
    assert f"--integration-port {int(port or 0) + 1}" in said


def test_the_text_for_people_fits_into_80_columns_and_ends_with_what_to_do(up: Running, folder: Path) -> None:
    lines = block(up.said, folder / "sandbox.json")
    assert all(len(line) <= 80 for line in lines if str(folder) not in line)
    assert up.said["app"]["client_secret"] not in "\n".join(lines)
    for person in up.said["people"]:
        assert any(person["email"] in line and person["password"] in line for line in lines)
    assert "click Grant" in lines[-2]
    assert "sign in as ada@example.com." in lines[-1]


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_it_within_two_seconds_and_a_second_start_finds_everything_again(
    tmp_path: Path, ending: signal.Signals, code: int
) -> None:
    folder = tmp_path / "data"
    with running(folder, *UP) as first:
        began = time.monotonic()
        assert first.stop(ending) == code
        assert time.monotonic() - began < 2 + 6  # and some for a busy machine
        assert first.errors.read_text() == (
            f"First start: people, rooms and credentials are made up in {folder}.\nStopped.\n"
        )
        assert first.process.stdout is not None
        assert first.process.stdout.read() == ""
    assert ended("status", "--data", str(folder)).returncode == 1
    with running(folder, *UP) as second:
        for same in ("client_id", "client_secret", "scopes"):
            assert second.said["app"][same] == first.said["app"][same]
        assert second.errors.read_text() == ""
        assert second.said["people"] == first.said["people"]
        assert second.said["app"]["redirect_uris"] == [f"{second.said['integration_url']}/oauth"]
        assert second.said["integration_url"] != first.said["integration_url"]


def test_what_a_killed_one_left_of_its_secrets_goes_with_the_next_start_even_if_that_fails(
    up: Running, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    with running(folder, *UP) as killed:
        assert killed.stop(signal.SIGKILL) == -signal.SIGKILL
    left = folder / "running.json"
    assert killed.said["app"]["client_secret"] in left.read_text()
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    draft = folder / ".running.json.4711"
    draft.write_text("half of it")
    taken = str(urlsplit(up.said["platform_url"]).port)
    assert ended("up", "--port", taken, "--data", str(folder)).returncode == 1
    assert not left.exists()
    assert not draft.exists()
    assert (folder / "sandbox.json").exists()


def test_it_serves_on_where_nobody_reads_its_line(tmp_path: Path) -> None:
    report = tmp_path / "data" / "running.json"
    # Unbuffered, Python would have nothing left to write, and to stumble over, at its end.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [str(GRANTFLOW), *UP, "--json", "--data", str(report.parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=buffered)
    try:
        assert process.stdout is not None
        process.stdout.close()
        while not report.exists():
            assert process.poll() is None
            time.sleep(0.1)
        url = json.loads(report.read_text())["platform_url"]
        assert httpx2.get(f"{url}/healthz", trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_browser_is_opened_where_that_is_asked_for(tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    with running(tmp_path / "data", *UP, "--open", env={"BROWSER": f"{browser} %s"}) as sandbox:
        for _ in range(600):
            if opened.exists() and opened.read_text():
                break
            time.sleep(0.1)
        assert opened.read_text().strip() == sandbox.said["integration_url"]


TOKEN = f"{'Token0==' * 8}_LG01_0b6f2a30-6d8e-4a37-9d0e-3f1f0f1f2f3f"


def test_w01_s94_at_debug_level_a_whole_grant_leaves_no_secret_in_the_log(tmp_path: Path) -> None:
    with running(tmp_path / "data", *UP, "--debug") as sandbox:
        ada, app = sandbox.said["people"][0], sandbox.said["app"]
        with Person(ada) as person:
            person.open(sandbox.said["integration_url"])
            person.press("Grant")
            person.sign_in()
            assert "You are connected" in person.press("Accept").words
            cookies = [cookie.value for cookie in person._http.cookies.jar]
        in_an_address = "".join(f"%{ord(letter):02X}" for letter in TOKEN)
        httpx2.get(f"{sandbox.said['api_url']}/people/{in_an_address}", trust_env=False)
        sandbox.stop()
        log = sandbox.errors.read_text()
    assert "POST /v1/access_token 200" in log
    assert "GET /v1/people/*** 401" in log
    assert len(cookies) >= 3
    for secret in (ada["password"], app["client_secret"], *cookies):
        assert str(secret) not in log
    assert not re.search(r"[A-Za-z0-9]{64}_LG01_", log)


def test_lifetimes_are_as_they_are_set(tmp_path: Path) -> None:
    refused = ended(*UP, "--access-token-lifetime", "0", "--data", str(tmp_path / "data"))
    assert refused.returncode == 2
    with running(tmp_path / "data", *UP, "--access-token-lifetime", "30") as sandbox:
        assert sandbox.process.poll() is None
