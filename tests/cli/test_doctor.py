"""`grantflow doctor`: what is not well is found and told with what to do, against real servers."""

import os
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from grantflow.cli.checks.finding import Verdict
from grantflow.cli.checks.here import of_key
from grantflow.cli.checks.platform import of_platform
from grantflow.cli.checks.registration import of_authorization, of_client_secret, of_redirect_uri
from grantflow.cli.checks.web import Web
from grantflow.client.configuration import Configuration, configure
from grantflow.client.vault.sqlite import SqliteVault
from grantflow.protocol.scope import read_scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials
from grantflow.sealing import KeyRing
from grantflow.settings import IntegrationSettings
from tests.cli.own import Own, on_a_terminal, registered
from tests.whole.running import up

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = tmp_path_factory.mktemp("doctor")
    with up(folder / "sandbox") as sandbox:
        own = registered(sandbox, folder)
        SqliteVault(own.settings["GRANTFLOW_VAULT"], keys=KeyRing(own.settings["GRANTFLOW_KEY"])).close()
        yield Own(own.up, own.settings | {"GRANTFLOW_ISSUER": sandbox.api_url})


def found(own: Own, *arguments: str, **env: str) -> tuple[int, dict[str, list[tuple[str, str, str]]]]:
    """The exit code, and for each check its verdicts, what was found and what to do."""
    ended = own("doctor", "--json", *arguments, **env)
    by_check: dict[str, list[tuple[str, str, str]]] = {}
    for each in Own.read(ended):
        by_check.setdefault(each["check"], []).append((each["verdict"], each["found"], each["fix"]))
    return ended.returncode, by_check


def test_where_all_is_well_each_check_says_so(own: Own) -> None:
    code, findings = found(own)
    assert code == 0
    checks = "settings, key, scopes, vault, redirect URI, TLS, platform, clock, metadata, authorization, client secret"
    assert list(findings) == checks.split(", ")
    assert {verdict for each in findings.values() for verdict, _, _ in each} == {"OK"}


def test_people_read_a_line_for_each_and_a_sum(own: Own) -> None:
    ended = own("doctor")
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("OK    settings       all are there")
    assert lines[-1] == "11 well, 0 to look at, 0 to mend."
    assert ended.stderr == ""
    code, seen = on_a_terminal(own, "doctor", GRANTFLOW_SCOPES="spark:rooms_read")
    assert code == 1
    assert "\x1b[31mFAIL\x1b[0m  scopes" in seen
    _, plain = on_a_terminal(own, "doctor", NO_COLOR="1")
    assert "\x1b" not in plain


def test_a_wrong_client_secret_is_told_from_a_wrong_code_and_costs_no_grant(own: Own) -> None:
    own.grant(1)
    code, findings = found(own, GRANTFLOW_CLIENT_SECRET="0" * 64)
    assert code == 1
    ((verdict, what, fix),) = findings["client secret"]
    assert verdict == "FAIL"
    assert what.startswith("it is refused: the token endpoint answered 401")
    assert "from the developer portal anew" in fix
    assert "0" * 64 not in what + fix
    assert own.json("whoami")[0]["works"]


def test_while_a_secret_is_replaced_each_is_looked_at_and_one_is_enough(own: Own) -> None:
    right, wrong = own.settings["GRANTFLOW_CLIENT_SECRET"], "0" * 64
    for first, second, verdicts in [(right, wrong, ("OK", "WARN")), (wrong, right, ("WARN", "OK"))]:
        code, findings = found(own, GRANTFLOW_CLIENT_SECRET=first, GRANTFLOW_OTHER_CLIENT_SECRET=second)
        assert code == 0
        assert (findings["client secret"][0][0], findings["other secret"][0][0]) == verdicts


def test_a_vault_that_is_not_there_is_told_and_none_is_made_but_all_else_is_looked_at(own: Own, tmp_path: Path) -> None:
    code, findings = found(own, "--data", str(tmp_path / "data"), GRANTFLOW_VAULT=str(tmp_path / "valut.db"))
    assert code == 0
    ((verdict, what, fix),) = findings.pop("vault")
    assert (verdict, what) == ("WARN", f"there is none at {tmp_path / 'valut.db'}, so no grant of anybody either")
    assert "correct GRANTFLOW_VAULT. If nobody has granted yet" in fix
    assert {verdict for each in findings.values() for verdict, _, _ in each} == {"OK"}
    assert "client secret" in findings
    code, findings = found(own, "--data", str(tmp_path / "data"), GRANTFLOW_VAULT="")
    assert (code, findings["vault"][0][0]) == (0, "WARN")
    assert f"there is none at {tmp_path / 'data' / 'vault-'}" in findings["vault"][0][1]
    assert not list(tmp_path.iterdir()), "not even the folder of the data"


@pytest.mark.parametrize(
    ("env", "check", "what"),
    [
        ({"GRANTFLOW_KEY": ""}, "settings", "GRANTFLOW_KEY"),
        ({"GRANTFLOW_KEY": "horse"}, "key", "GRANTFLOW_KEY"),
        ({"GRANTFLOW_VAULT": "/missing/vault.db"}, "vault", "No such file or directory"),
        ({"GRANTFLOW_SCOPES": "spark:rooms_read"}, "scopes", "spark:people_read is not asked for"),
        ({"GRANTFLOW_API_URL": "http://127.0.0.1:1/v1", "GRANTFLOW_ISSUER": ""}, "platform", "does not answer"),
        ({"GRANTFLOW_REDIRECT_URI": "http://127.0.0.1:1"}, "redirect URI", "has no path"),
        ({"GRANTFLOW_REDIRECT_URI": "https://localhost.invalid/oauth"}, "redirect URI", "Nothing answers at"),
    ],
)
def test_what_has_to_be_mended_is_found_with_its_fix_and_exit_code_1(
    own: Own, env: dict[str, str], check: str, what: str
) -> None:
    code, findings = found(own, **env)
    assert code == 1
    verdict, told, fix = findings[check][0]
    assert verdict == "FAIL"
    assert what in told
    assert fix


@pytest.mark.parametrize(
    ("env", "unseen"),
    [
        (
            {"GRANTFLOW_VAULT": "/missing/vault.db"},
            ["scopes", "redirect URI", "TLS", "platform", "clock", "metadata", "authorization", "client secret"],
        ),
        (
            {"GRANTFLOW_API_URL": "http://127.0.0.1:1/v1", "GRANTFLOW_ISSUER": ""},
            ["clock", "metadata", "authorization", "client secret"],
        ),
    ],
)
def test_what_was_not_looked_at_is_named_where_something_before_it_fails(
    own: Own, env: dict[str, str], unseen: list[str]
) -> None:
    _, findings = found(own, **env)
    assert [check for check, ((verdict, *_), *_) in findings.items() if verdict == "SKIP"] == unseen
    assert {told for each in findings.values() for verdict, told, _ in each if verdict == "SKIP"} == {
        "not looked at, since what is above has to be mended first"
    }
    said = own("doctor", **env).stdout
    assert said.splitlines()[-1].endswith(f"to mend, {len(unseen)} not looked at.")
    (skipped,) = re.findall(r"^SKIP  (.+(?:\n {6}.+)*)", said, re.MULTILINE)
    assert " ".join(skipped.split()) == (
        f"the rest not looked at, since what is above has to be mended first: {', '.join(unseen)}"
    ), "one reason is said once"


def test_a_redirect_uri_that_is_not_registered_is_found_before_anybody_is_sent_there(own: Own) -> None:
    code, findings = found(own, GRANTFLOW_REDIRECT_URI="http://localhost:9999/other")
    ((verdict, what, fix),) = findings["authorization"]
    assert (code, verdict) == (1, "FAIL")
    assert what.startswith("people would see an error page (400): ")
    assert fix.startswith("Register http://localhost:9999/other at the platform to the letter")


@pytest.mark.parametrize(
    ("status", "location", "verdict"),
    [
        (302, "http://127.0.0.1/oauth?error=invalid_scope&error_description=No&state=s", Verdict.FAIL),
        (302, "/sign-in?request=1", Verdict.OK),
        (302, "https://idbroker.example/login", Verdict.WARN),
        (200, None, Verdict.WARN),
        (400, None, Verdict.FAIL),
        (503, None, Verdict.WARN),
    ],
)
def test_an_authorization_request_is_judged_by_its_answer_alone(
    status: int, location: str | None, verdict: Verdict
) -> None:
    with server(status, location=location) as url, Web(lambda: datetime.now(UTC)) as web:
        assert of_authorization(f"{url}/authorize?client_id=C", configuration(url), web).verdict is verdict


def test_a_broken_key_is_named_as_the_key_and_as_nothing_else(own: Own) -> None:
    code, findings = found(own, GRANTFLOW_KEY="gfk_AAAA")
    ((verdict, where, what),) = findings["key"]
    assert (code, verdict, where) == (1, "FAIL", "GRANTFLOW_KEY")
    assert what.startswith("A key is 32 bytes; this one has 3.")
    assert findings["vault"][0][0] == "SKIP", "what is wrong with it cannot be told without a key"


def test_a_wrong_address_of_the_vault_is_told_by_the_setting_that_names_it(own: Own) -> None:
    _, findings = found(own, GRANTFLOW_VAULT="postgresql://ada:se@cret@host/db")
    ((verdict, where, what),) = findings["vault"]
    assert (verdict, where) == ("FAIL", "GRANTFLOW_VAULT")
    assert "falls into the wrong parts" in what
    assert "cret" not in what


def test_what_the_platform_says_of_itself_is_compared_with_the_settings(own: Own) -> None:
    code, findings = found(own, GRANTFLOW_ISSUER="", GRANTFLOW_REVOCATION_URL="")
    assert code == 0
    assert [(verdict, fix) for verdict, _, fix in findings["metadata"]] == [
        ("WARN", f"export GRANTFLOW_REVOCATION_URL={own.up.api_url}/revoke"),
        ("WARN", f"export GRANTFLOW_ISSUER={own.up.api_url}"),
    ]
    code, findings = found(own, GRANTFLOW_TOKEN_ENDPOINT=f"{own.up.api_url}/token")
    assert code == 1
    assert findings["metadata"][0][0] == "FAIL"
    assert findings["metadata"][0][2] == f"export GRANTFLOW_TOKEN_ENDPOINT={own.up.api_url}/access_token"


def test_files_with_secrets_are_for_their_owner_alone(own: Own, tmp_path: Path) -> None:
    key, env_file = tmp_path / "grantflow.key", tmp_path / "mine.env"
    key.write_text(own.settings["GRANTFLOW_KEY"])
    env_file.write_text("GRANTFLOW_NAME=Mine\n")
    key.chmod(0o644)
    env_file.chmod(0o640)
    named = {"GRANTFLOW_KEY": "", "GRANTFLOW_KEY_FILE": str(key)}
    code, findings = found(own, "--env-file", str(env_file), **named)
    assert code == 0
    assert findings["key"] == [("WARN", f"{key} can be read by others (mode 0644)", f"chmod 600 {key}")]
    assert findings["env file"][0][0] == "WARN"
    key.chmod(0o600)
    assert found(own, **named)[1]["key"][0][0] == "OK"


def test_an_old_key_is_named(tmp_path: Path) -> None:
    key = tmp_path / "grantflow.key"
    key.write_text(KeyRing.new_key())
    key.chmod(0o600)
    now = datetime.now(UTC)
    os.utime(key, ((now - timedelta(days=400)).timestamp(),) * 2)
    settings = IntegrationSettings(client_id="C", client_secret="s", scopes="a", key_file=key)  # type: ignore[call-arg,arg-type]
    finding = of_key(settings, now=now)
    assert (finding.verdict, finding.found) == (Verdict.WARN, f"{key} is 400 days old")


# --- servers that are not well -----------------------------------------------------------------------------------


@contextmanager
def server(
    status: int = 404, body: bytes = b"", *, tls: ssl.SSLContext | None = None, location: str | None = None
) -> Iterator[str]:
    """Answers all alike; its address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            if location:
                self.send_header("location", location)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        served.socket = tls.wrap_socket(served.socket, server_side=True)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{served.server_port}"
    finally:
        served.shutdown()
        served.server_close()
        thread.join()


def configuration(url: str) -> Configuration:
    return configure(
        ClientCredentials("C", Secret("s")),
        redirect_uri="http://127.0.0.1/oauth",
        scopes=read_scopes("spark:people_read"),
        api_url=f"{url}/v1",
    )


@pytest.mark.parametrize(
    ("ours", "verdict", "told"),
    [
        (0, Verdict.OK, "within a few seconds"),
        (30, Verdict.WARN, r"(29|3\d) s ahead of the platform's"),
        (-30, Verdict.WARN, r"(2\d|30|31) s behind the platform's"),
        (300, Verdict.FAIL, r"(299|30\d) s ahead of the platform's"),
    ],
)
def test_a_clock_that_is_wrong_is_found_by_the_platforms(ours: int, verdict: Verdict, told: str) -> None:
    with server() as url, Web(lambda: datetime.now(UTC) + timedelta(seconds=ours, milliseconds=200)) as web:
        (clock,) = (finding for finding in of_platform(configuration(url), web) if finding.check == "clock")
    assert clock.verdict is verdict
    assert re.search(told, clock.found)


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (400, b'{"error": "invalid_grant"}', Verdict.OK),
        (400, b'{"message": "The request could not be understood", "trackingId": "ROUTERGW_1"}', Verdict.OK),
        (400, b'{"error": "invalid_client"}', Verdict.FAIL),
        (401, b'{"message": "Invalid client", "trackingId": "ROUTERGW_1"}', Verdict.FAIL),
        (400, b'{"error": "unauthorized_client"}', Verdict.FAIL),
        (400, b'{"error": "invalid_request"}', Verdict.WARN),
        (503, b"", Verdict.WARN),
        (200, b'{"access_token": "abc", "token_type": "Bearer"}', Verdict.FAIL),
    ],
)
def test_the_client_secret_is_judged_by_how_a_code_of_nobody_is_refused(
    status: int, body: bytes, verdict: Verdict
) -> None:
    with server(status, body) as url, Web(lambda: datetime.now(UTC)) as web:
        finding = of_client_secret(configuration(url), configuration(url).credentials, web)
    assert finding.verdict is verdict


@pytest.mark.parametrize(
    ("status", "verdict"), [(400, Verdict.OK), (303, Verdict.OK), (404, Verdict.FAIL), (502, Verdict.FAIL)]
)
def test_a_redirect_uri_that_answers_is_judged_by_its_status(status: int, verdict: Verdict) -> None:
    with server(status) as url, Web(lambda: datetime.now(UTC)) as web:
        assert of_redirect_uri(f"{url}/oauth", web).verdict is verdict


@pytest.mark.parametrize(
    ("days", "trusted", "verdict", "told"),
    [
        (90, True, "OK", "trusted, for another 89 days"),
        (5, True, "WARN", "its certificate ends in 4 days"),
        (90, False, "FAIL", "certificate"),
    ],
)
def test_certificates_are_checked_and_their_days_counted(
    own: Own, tmp_path: Path, days: int, trusted: bool, verdict: str, told: str
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=days)).configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    trust = {"SSL_CERT_FILE": str(tmp_path / "authority.pem")} if trusted else {}
    with server(303, tls=context) as url:
        _, findings = found(own, GRANTFLOW_REDIRECT_URI=f"{url}/oauth", **trust)
    ((told_verdict, what, _),) = findings["TLS"]
    assert told_verdict == verdict
    assert told in what
