"""W36, the document's own app: with the library and by hand, against the sandbox and under real Webex's address."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.examples.real_webex import API_URL, Visitor, real_webex
from tests.examples.running import example, settings
from tests.parts import ROOT, free_port
from tests.whole.person import Person
from tests.whole.running import Up, grantflow, up

FOLDER = ROOT / "examples/flask_walkthrough"
SCOPES = "spark:people_read spark:rooms_read"
pytestmark = pytest.mark.slow
both = pytest.mark.parametrize("script", ["app.py", "by_hand.py"])


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("flask") / "state") as running:
        yield running


def register(platform: Up, name: str) -> tuple[dict[str, Any], int]:
    port = free_port()
    return platform.register(name, f"http://127.0.0.1:{port}/oauth", scopes=SCOPES), port


@both
def test_w36_two_people_grant_and_each_sees_their_own_spaces(platform: Up, tmp_path: Path, script: str) -> None:
    app, port = register(platform, f"Two people, {script}")
    env, home = settings(app, api_url=platform.api_url), f"http://127.0.0.1:{port}/"
    with example(f"flask_walkthrough/{script}", tmp_path, port=port, **env) as said:
        with Person(platform.ada) as ada, Person(platform.people[3]) as katherine:
            for person in (ada, katherine):
                person.open(home)
                person.press("Grant")
                person.sign_in()
                page = person.press("Accept")
                assert page.url == f"{home}granted", "the code is gone from the address"
                assert f"Granted, {person.account['name']}" in page.words
            assert "Compilers" in ada.open(f"{home}granted").words
            assert "Compilers" not in katherine.open(f"{home}granted").words

            # W31 to W33: the access tokens die, and nobody notices.
            platform.expire_access_tokens()
            assert "Granted, Ada Lovelace" in ada.open(f"{home}granted").words

            # W34: Ada takes her grant back at the platform, and is asked for it again; Katherine goes on.
            ada.open(f"{platform.platform_url}/connected-apps")
            ada.press("Revoke")
            ada.press("Revoke")
            assert "Accept" in str(ada.open(f"{home}granted").forms)
            assert "Granted, Katherine Johnson" in katherine.open(f"{home}granted").words
            ada.press("Accept")
            assert "Granted, Ada Lovelace" in ada.page.words
        with Person() as stranger:
            assert stranger.open(f"{home}granted").url == home
        assert "code=" not in said.read_text()


@both
def test_w30_an_answer_without_a_usable_code_leads_back_to_the_start_with_the_reason(
    platform: Up, tmp_path: Path, script: str
) -> None:
    app, port = register(platform, f"No usable code, {script}")
    env, home = settings(app, api_url=platform.api_url), f"http://127.0.0.1:{port}/"
    with (
        example(f"flask_walkthrough/{script}", tmp_path, port=port, **env),
        Person(platform.grace) as grace,
        Person() as stranger,
    ):
        grace.open(f"{home}connect")
        grace.sign_in()
        declined = grace.press("Decline")
        assert (declined.status, declined.links) == (400, [("Grant", "/connect")])
        assert re.search("declin|access_denied", declined.words)

        foreign = stranger.open(f"{home}oauth?code=somebody-elses&state=guessed")
        assert (foreign.status, foreign.links) == (400, [("Grant", "/connect")])
        assert "does not belong to" in foreign.words


@both
def test_w36_its_address_settings_alone_switch_to_real_webex(tmp_path: Path, script: str) -> None:
    state, port = tmp_path / "state", free_port()
    ada = json.loads(
        grantflow(
            *("platform", "person", "add", "ada@example.com", "--name", "Ada Lovelace"),
            *("--data", str(state), "--json"),
        ).stdout
    )
    app = json.loads(
        grantflow(
            *("platform", "app", "add", "Walkthrough", "--redirect-uri", f"http://127.0.0.1:{port}/oauth"),
            *("--scopes", SCOPES, "--data", str(state), "--json"),
        ).stdout
    )
    with real_webex(state) as webex:
        env = settings(app, api_url=API_URL) | webex.environment
        with (
            example(f"flask_walkthrough/{script}", tmp_path / "app", port=port, **env),
            Visitor(ada, webex=webex) as visitor,
        ):
            visitor.open(f"http://127.0.0.1:{port}/")
            assert visitor.press("Grant").url.startswith("https://webexapis.com/")
            visitor.sign_in()
            assert "Granted, Ada Lovelace" in visitor.press("Accept").words
        assert set(webex.asked) == {"webexapis.com:443"}


def test_real_webex_is_where_it_goes_without_an_address_setting() -> None:
    for script in ("app.py", "by_hand.py"):
        assert f'environ.get("GRANTFLOW_API_URL", "{API_URL}")' in (FOLDER / script).read_text(encoding="utf-8")


def test_the_readme_tells_how_many_lines_the_library_saves() -> None:
    app, by_hand = (lines_of_code(FOLDER / script) for script in ("app.py", "by_hand.py"))
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"| lines of code | {app} | {by_hand} |" in readme
    assert by_hand - app >= 50


def lines_of_code(file: Path) -> int:
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return sum(1 for line in lines if line and not line.startswith("#"))
