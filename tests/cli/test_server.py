"""GRANTFLOW_ISSUER alone: the server of one's own integration says the rest, to every command that works on it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow.app import clock
from grantflow.cli.output import Failure
from grantflow.cli.own import own_integration
from grantflow.client.configuration import Configuration
from grantflow.data_directory import DataDirectory
from grantflow.protocol.timestamp import write_timestamp
from grantflow.sealing import KeyRing
from tests.cli.conftest import CommandLine
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Answer, Line, Platform, foreign_platform
from tests.parts import free_port

PLACE = "/.well-known/oauth-authorization-server/v1"
KEY = KeyRing.new_key()


@dataclass
class Server:
    platform: Platform
    issuer: str
    data: Path
    stack: ExitStack

    def say(self, **changed: object) -> None:
        members = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/access_token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            **changed,
        }
        self.platform.documents[PLACE] = Answer(200, json.dumps(members), {"Content-Type": "application/json"})

    def integration(self, **changed: str) -> Configuration:
        """What a command makes of the settings."""
        settings: Mapping[str, str] = {
            "GRANTFLOW_CLIENT_ID": "C1",
            "GRANTFLOW_CLIENT_SECRET": "s" * 64,
            "GRANTFLOW_SCOPES": "openid",
            "GRANTFLOW_KEY": KEY,
            "GRANTFLOW_ISSUER": self.issuer,
            **changed,
        }
        file = self.data.parent / "my.env"
        file.write_text("".join(f"{name}={value!r}\n" for name, value in settings.items()))
        with own_integration(file, data=self.data, create=True) as integration:
            return integration.configuration

    @property
    def asked(self) -> int:
        return self.platform.counts["document"]

    def remember(self, **since: int) -> dict[str, Any]:
        """As if it had been asked so long ago."""
        file = DataDirectory(self.data).server_of(self.issuer)
        kept: dict[str, Any] = json.loads(file.read_text())
        kept["asked_at"] = write_timestamp(clock() - timedelta(**since))
        file.write_text(json.dumps(kept))
        return kept


@pytest.fixture
def server(grantflow: CommandLine, tmp_path: Path) -> Iterator[Server]:
    with ExitStack() as stack:
        platform, issuer = stack.enter_context(foreign_platform())
        server = Server(platform, issuer, tmp_path / "data", stack)
        server.say()
        yield server


def test_the_issuer_alone_is_enough_and_its_server_is_asked_once_an_hour(server: Server) -> None:
    made = server.integration()
    assert made.token_endpoint == f"{server.issuer}/access_token"
    assert made.userinfo_endpoint == f"{server.issuer}/userinfo"
    assert (made.issuer, made.api_url) == (server.issuer, server.issuer)
    assert made.credentials.basic
    assert server.integration() == made
    assert server.asked == 1
    server.remember(minutes=61)
    server.say(token_endpoint=f"{server.issuer}/moved")
    assert server.integration().token_endpoint == f"{server.issuer}/moved"
    assert server.asked == 2


def test_what_is_named_counts_more(server: Server) -> None:
    made = server.integration(
        GRANTFLOW_API_URL="https://api.example.org",
        GRANTFLOW_TOKEN_ENDPOINT="https://id.example.org/token",
        GRANTFLOW_REVOCATION_URL="https://id.example.org/revoke",
        GRANTFLOW_CLIENT_AUTHENTICATION="body",
        GRANTFLOW_AUTHORIZATION_PARAMETERS="prompt=consent&access_type=offline",
    )
    assert (made.api_url, made.token_endpoint) == ("https://api.example.org", "https://id.example.org/token")
    assert made.revocation_url == "https://id.example.org/revoke"
    assert made.authorization_endpoint == f"{server.issuer}/authorize?prompt=consent&access_type=offline"
    assert not made.credentials.basic


def test_where_both_endpoints_are_named_nobody_is_asked_and_iss_is_required(server: Server) -> None:
    made = server.integration(
        GRANTFLOW_AUTHORIZATION_ENDPOINT="https://id.example.org/authorize",
        GRANTFLOW_TOKEN_ENDPOINT="https://id.example.org/token",
    )
    assert (server.asked, made.issuer, made.iss_required) == (0, server.issuer, True)


def test_while_the_server_is_away_what_it_said_before_is_used_and_that_is_told(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    made = server.integration()
    server.remember(days=3)
    server.stack.close()
    assert server.integration() == made
    said = " ".join(capsys.readouterr().err.split())
    assert "warning: The metadata of" in said
    assert "is used instead" in said


def test_a_dry_run_that_begins_no_vault_knows_what_the_server_said_before_and_writes_nothing_there(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    made = server.integration()
    server.remember(days=3)
    server.stack.close()
    (vault,) = server.data.glob("vault-*")
    for file in server.data.glob("vault-*"):
        file.unlink()
    before = {each: each.stat().st_mtime_ns for each in server.data.iterdir()}
    with own_integration(vault.parent.parent / "my.env", data=server.data, create=True, dry_run=True) as integration:
        assert integration.configuration == made
    assert "is used instead" in " ".join(capsys.readouterr().err.split())
    assert {each: each.stat().st_mtime_ns for each in server.data.iterdir()} == before


@pytest.mark.parametrize("spoiled", ["", "{}", "[]", '{"asked_at": 5, "metadata": {}}', "\x00"])
def test_what_was_remembered_and_cannot_be_read_is_asked_for_anew(server: Server, spoiled: str) -> None:
    made = server.integration()
    DataDirectory(server.data).server_of(server.issuer).write_text(spoiled)
    assert server.integration() == made
    assert server.asked == 2


def test_a_remembered_document_of_another_issuer_is_not_believed(server: Server) -> None:
    server.integration()
    kept = server.remember(minutes=1)
    kept["metadata"]["issuer"] = "https://evil.example"
    DataDirectory(server.data).server_of(server.issuer).write_text(json.dumps(kept))
    assert server.integration().issuer == server.issuer
    assert server.asked == 2


def test_a_server_that_says_nothing_is_told_with_what_to_set(server: Server) -> None:
    server.platform.documents[PLACE] = Answer(404, "")
    with pytest.raises(Failure, match=r"could not be found: http.* answered 404") as refused:
        server.integration()
    assert "GRANTFLOW_AUTHORIZATION_ENDPOINT" in refused.value.fix


@pytest.mark.parametrize("name", ["state", "redirect_uri", "code_challenge"])
def test_no_parameter_can_be_set_that_each_request_has_of_its_own(server: Server, name: str) -> None:
    with pytest.raises(Failure, match=f"may not set {name}: each request has its own"):
        server.integration(GRANTFLOW_AUTHORIZATION_PARAMETERS=f"{name}=x")
    with pytest.raises(Failure, match="A setting is missing or wrong") as refused:
        server.integration(GRANTFLOW_AUTHORIZATION_PARAMETERS="prompt")
    assert "like prompt=consent" in dict(refused.value.details)["GRANTFLOW_AUTHORIZATION_PARAMETERS"]


def test_where_no_userinfo_tells_who_grants_commands_go_on_with_the_grants_of_a_program_and_import_needs_a_person(
    server: Server, grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The program finds that out with `identify`; only where a code is exchanged, or a person named, is it needed."""
    server.say(userinfo_endpoint=None)
    line = Line("ada", {"access-of-ada"}, "refresh-of-ada")
    server.platform.lines.append(line)
    settings = {
        "GRANTFLOW_CLIENT_ID": CLIENT_ID,
        "GRANTFLOW_CLIENT_SECRET": CLIENT_SECRET,
        "GRANTFLOW_CLIENT_AUTHENTICATION": "body",
        "GRANTFLOW_SCOPES": "profile",
        "GRANTFLOW_KEY": KEY,
        "GRANTFLOW_REDIRECT_URI": f"http://127.0.0.1:{free_port()}/oauth",
        "GRANTFLOW_ISSUER": server.issuer,
        "GRANTFLOW_DATA": str(server.data),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    tokens = tmp_path / "tokens.json"
    tokens.write_text('[{"refresh_token": "refresh-of-ada", "person_id": "ada", "expires_in": 600}]')
    tokens.chmod(0o600)
    assert grantflow("grants", "import", str(tokens)).code == 0
    for command in ("grants list", "grants explain ada", "grants expiring", "grants keep-alive", "token ada"):
        told = grantflow(*command.split())
        assert told.code == 0, (command, told.err)
    tokens.write_text('[{"refresh_token": "refresh-of-ada-2", "access_token": "access-of-ada"}]')
    told = grantflow("grants", "import", str(tokens))
    assert told.code == 1
    assert "names no userinfo_endpoint" in " ".join(told.err.split())
    assert 'Add "person_id" to it' in " ".join(told.err.split())
    told = grantflow("login")
    assert told.code == 2
    assert "names no userinfo_endpoint" in " ".join(told.err.split())


@pytest.mark.parametrize(
    ("userinfo", "verdict", "told"),
    [
        (True, "OK", "1 is asked for; {issuer}/userinfo tells who has granted"),
        (
            False,
            "WARN",
            "{issuer} names no userinfo_endpoint, so nothing tells grantflow serve and login who has granted",
        ),
    ],
)
def test_doctor_asks_for_webexs_scope_only_where_that_tells_who_has_granted(
    server: Server, grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch, userinfo: bool, verdict: str, told: str
) -> None:
    if not userinfo:
        server.say(userinfo_endpoint=None)
    settings = {
        "GRANTFLOW_CLIENT_ID": CLIENT_ID,
        "GRANTFLOW_CLIENT_SECRET": CLIENT_SECRET,
        "GRANTFLOW_CLIENT_AUTHENTICATION": "body",
        "GRANTFLOW_SCOPES": "profile",
        "GRANTFLOW_KEY": KEY,
        "GRANTFLOW_ISSUER": server.issuer,
        "GRANTFLOW_DATA": str(server.data),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    findings = grantflow("doctor", "--json").json
    (scopes,) = (finding for finding in findings if finding["check"] == "scopes")
    assert (scopes["verdict"], scopes["found"]) == (verdict, told.format(issuer=server.issuer))
    assert "client secret" in {finding["check"] for finding in findings if finding["verdict"] != "SKIP"}
