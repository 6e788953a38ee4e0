"""`grantflow login` and `logout`, against a sandbox over sockets, with people who grant in a browser of their own."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from grantflow.cli.login import has_display
from tests.cli.own import PATIENCE, Own, registered
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Platform, foreign_platform
from tests.parts import free_port
from tests.whole.person import Person
from tests.whole.running import Up, up

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("login") / "sandbox") as started:
        yield started


@pytest.fixture
def own(sandbox: Up, tmp_path: Path) -> Own:
    return registered(sandbox, tmp_path, name=f"Mine {tmp_path.name}")


def parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_the_answer_comes_to_the_redirect_uri_and_the_command_ends_with_who_granted(own: Own) -> None:
    with own.login("--json") as begun:
        asked = parameters(begun.url)
        assert asked["redirect_uri"] == own.settings["GRANTFLOW_REDIRECT_URI"]
        assert asked["code_challenge_method"] == "S256"
        waiting = begun.said.partition(begun.url)[2]
        assert max(map(len, waiting.splitlines())) <= 80
        browser = begun.accept(own.up.grace)
        ended = begun.end()
    assert ended.returncode == 0
    assert '"email": "grace@example.com"' in ended.stdout
    assert browser.page.status == 200
    assert "You have granted, Grace Hopper" in browser.page.words
    assert "Close this window and go back to the terminal" in browser.page.words
    assert own.json("whoami")[0]["works"]


def test_s100_code_and_state_leave_the_address_bar_and_the_page_leads_nowhere(own: Own) -> None:
    with own.login() as begun:
        browser = begun.accept(own.up.grace)
        assert browser.page.url == own.settings["GRANTFLOW_REDIRECT_URI"]
        assert browser.page.links == []
        assert begun.end().returncode == 0


def test_people_read_who_granted_and_where_the_tokens_lie(own: Own) -> None:
    ended = own.grant(1)
    assert (ended.returncode, ended.stdout) == (0, "")
    kept_in = own.settings["GRANTFLOW_VAULT"]
    told = f"Grace Hopper <grace@example.com> has granted access. The tokens are kept, sealed, in {kept_in}"
    assert told in ended.stderr


def test_s110_it_listens_on_loopback_alone_and_no_longer_than_needed(own: Own) -> None:
    port = urlsplit(own.settings["GRANTFLOW_REDIRECT_URI"]).port
    with own.login() as begun:
        addresses = {line.split()[1].partition(":")[0] for line in listening(port)}
        assert addresses == {"0100007F"}
        begun.accept(own.up.grace)
        assert begun.end().returncode == 0
    assert list(listening(port)) == []


def listening(port: int | None) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                yield line


def test_over_ssh_the_address_that_the_browser_could_not_open_is_pasted(own: Own) -> None:
    redirect_uri = own.settings["GRANTFLOW_REDIRECT_URI"]
    with own.login() as begun:
        answer = begun.answer_of(own.up.grace, redirect_uri)
        begun.paste("")
        begun.paste(f"  {answer}  ")
        ended = begun.end()
    assert ended.returncode == 0
    assert "Grace Hopper <grace@example.com> has granted access." in ended.stderr


def test_a_redirect_uri_elsewhere_is_answered_by_pasting_alone(sandbox: Up, tmp_path: Path) -> None:
    own = registered(sandbox, tmp_path, redirect_uri="https://app.example/oauth", name="Elsewhere")
    with own.login() as begun:
        assert "Afterwards paste here the address" in begun.said
        begun.paste("https://app.example/oauth?code=1&state=wrong")
        assert begun.until("(Still waiting)")
        begun.paste(begun.answer_of(own.up.grace, "https://app.example/"))
        assert begun.end().returncode == 0
    with own.login() as begun:
        ended = begun.end()  # and closes its input
    assert ended.returncode == 4


def test_any_port_of_a_loopback_address_will_do_where_the_redirect_uri_names_none(sandbox: Up, tmp_path: Path) -> None:
    own = registered(sandbox, tmp_path, redirect_uri="http://127.0.0.1/oauth", name="Portless")
    with own.login() as begun:
        port = urlsplit(parameters(begun.url)["redirect_uri"]).port
        assert port not in (None, 0, 80)
        begun.accept(own.up.grace)
        assert begun.end().returncode == 0


def test_a_public_client_has_no_secret_and_everything_goes_on_without(sandbox: Up, tmp_path: Path) -> None:
    own = registered(sandbox, tmp_path, name="Public", public=True)
    assert own.grant(1).returncode == 0
    assert own.json("grants", "refresh", own.up.grace["email"])
    assert own("api", "GET", "people/me").returncode == 0
    doctor = own("doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "at the platform too" in own("logout").stderr + own("logout").stdout or own("whoami").returncode == 4


def test_another_port_is_listened_at_where_that_is_said(own: Own) -> None:
    port = free_port()
    with own.login("--port", str(port)) as begun:
        assert parameters(begun.url)["redirect_uri"] == f"http://127.0.0.1:{port}/oauth"
        begun.accept(own.up.grace)
        assert begun.end().returncode == 0


def test_who_declines_is_told_so_in_the_browser_and_in_the_terminal(own: Own) -> None:
    with own.login() as begun, Person(own.up.grace) as browser:
        browser.decline(begun.url)
        ended = begun.end()
    assert "You declined" in browser.page.words
    assert ended.returncode == 4
    assert "error: The person declined; nothing was granted." in ended.stderr
    assert own("whoami").returncode == 4


def test_s95_an_answer_of_somebody_else_ends_nothing(own: Own) -> None:
    redirect_uri = own.settings["GRANTFLOW_REDIRECT_URI"]
    with own.login() as begun, httpx2.Client(trust_env=False, follow_redirects=True) as stranger:
        for query in ({"code": "x", "state": "forged"}, {"code": "x"}, {"error": "access_denied", "state": "forged"}):
            page = stranger.get(f"{redirect_uri}?{urlencode(query)}").text
            assert "This is not the answer that was asked for" in page
            begun.until("(Still waiting)")
        assert "granted" not in stranger.get(redirect_uri).text
        assert stranger.get(f"{redirect_uri}/other").status_code == 404
        begun.accept(own.up.grace)
        assert begun.end().returncode == 0


@pytest.mark.parametrize(
    "query",
    [
        "error=access_denied",
        "error=server_error&error_description=Call+evil.example",
        "code=a&code=b&state=c",
        "error=%FF&state=c",
        "//[?&error=x",
    ],
)
def test_s95_what_comes_without_this_logins_own_state_ends_nothing_and_says_nothing(own: Own, query: str) -> None:
    with own.login() as begun, httpx2.Client(trust_env=False, follow_redirects=True) as stranger:
        page = stranger.get(f"{own.settings['GRANTFLOW_REDIRECT_URI']}?{query}")
        assert "This is not the answer that was asked for" in page.text
        begun.until("(Still waiting)")
        begun.paste(f"http://[?{query}")
        begun.until("(Still waiting)")
        begun.accept(own.up.grace)
        ended = begun.end()
    assert ended.returncode == 0
    assert "evil" not in ended.stderr


def test_before_anything_has_come_the_address_says_what_it_is_for(own: Own) -> None:
    with own.login() as begun:
        answer = httpx2.get(own.settings["GRANTFLOW_REDIRECT_URI"], trust_env=False)
        assert "Nothing has come here yet" in answer.text
        begun.process.send_signal(signal.SIGINT)
        begun.end()


def test_ctrl_c_gives_up_and_says_that_nothing_was_granted(own: Own) -> None:
    with own.login() as begun:
        begun.process.send_signal(signal.SIGINT)
        ended = begun.end()
    assert ended.returncode == 130
    assert ended.stderr.endswith("Given up; nothing was granted.\n")


def test_nobody_is_waited_for_longer_than_asked(own: Own) -> None:
    with own.login("--timeout", "1") as begun:
        began = time.monotonic()
        ended = begun.end()
    assert time.monotonic() - began < 30, "it would wait for minutes"
    assert ended.returncode == 4
    assert "Nobody answered within 1 second; nothing was granted." in ended.stderr


@dataclass(frozen=True)
class Slow:
    """A platform whose exchange of a code takes as long as it is told."""

    platform: Platform
    settings: dict[str, str]
    has_begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.has_begun.set()
        assert self.may_end.wait(PATIENCE)
        return Platform.token(self.platform, form)

    def end_in(self, seconds: float) -> None:
        assert self.has_begun.wait(PATIENCE)
        time.sleep(seconds)
        self.may_end.set()


@pytest.fixture
def slow() -> Iterator[Slow]:
    with foreign_platform() as (platform, api_url):
        settings = {
            "GRANTFLOW_API_URL": api_url,
            "GRANTFLOW_CLIENT_ID": CLIENT_ID,
            "GRANTFLOW_CLIENT_SECRET": CLIENT_SECRET,
        }
        made = Slow(platform, settings)
        platform.token = made.token  # type: ignore[method-assign]
        yield made
        made.may_end.set()


def seen_at(url: str) -> str:
    try:
        return httpx2.get(url, follow_redirects=True, timeout=PATIENCE, trust_env=False).text
    except httpx2.TransportError:
        return ""


def test_an_exchange_that_outlasts_the_time_is_waited_for_and_its_outcome_told(own: Own, slow: Slow) -> None:
    with own.login("--timeout", "6", **slow.settings) as begun, ThreadPoolExecutor() as threads:
        page = threads.submit(seen_at, slow.platform.accept(begun.url))
        slow.end_in(6.5)
        ended = begun.end()
    assert "has granted access" in ended.stderr
    assert ended.returncode == 0
    assert "You have granted" in page.result()


@pytest.mark.parametrize("comes", ["to the redirect URI", "pasted", "pasted alone"])
def test_ctrl_c_during_an_exchange_waits_for_its_outcome(own: Own, slow: Slow, comes: str) -> None:
    elsewhere = {"GRANTFLOW_REDIRECT_URI": "https://app.example/oauth"} if comes == "pasted alone" else {}
    with own.login(**slow.settings | elsewhere) as begun, ThreadPoolExecutor() as threads:
        answer = slow.platform.accept(begun.url)
        if comes == "to the redirect URI":
            threads.submit(seen_at, answer)
        else:
            begun.paste(answer)
        assert slow.has_begun.wait(PATIENCE)
        for _ in range(2):
            begun.process.send_signal(signal.SIGINT)
            time.sleep(1.5)  # longer than requests under way have when a server ends
        slow.may_end.set()
        ended = begun.end()
    assert "nothing was granted" not in ended.stderr
    assert "has granted access" in ended.stderr
    assert ended.returncode == 0


def test_what_an_exchange_that_outlasts_the_time_is_refused_for_is_told(own: Own, slow: Slow) -> None:
    with own.login("--timeout", "6", **slow.settings) as begun:
        begun.paste(slow.platform.accept(begun.url))
        assert slow.has_begun.wait(PATIENCE)
        slow.platform.codes.clear()
        slow.platform.client_secret = "another"
        slow.end_in(6.5)
        ended = begun.end()
    assert "Nobody answered" not in ended.stderr
    assert "refused" in ended.stderr
    assert ended.returncode not in (0, 130)


def test_a_taken_port_is_told_with_who_has_it_and_where_else_to_go(own: Own) -> None:
    port = urlsplit(own.settings["GRANTFLOW_REDIRECT_URI"]).port
    with socket.create_server(("127.0.0.1", port or 0)):
        ended = own("login")
    said = " ".join(ended.stderr.split())
    assert ended.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken by" in said
    assert f"Stop it, or if it is grantflow serve, grant on its pages: http://127.0.0.1:{port}" in said
    assert "add --port 0." in said


def test_a_grant_is_renewed_by_its_own_person_alone(own: Own) -> None:
    own.grant(1)
    (before,) = own.json("whoami")
    with own.login("grace@example.com") as begun:
        begun.accept(own.up.ada)
        ended = begun.end()
    assert ended.returncode == 4, "as the help has it: nothing was granted"
    assert "Sign in at the platform as Grace Hopper" in " ".join(ended.stderr.split())
    assert own.json("whoami") == [before]
    assert own.grant(1, "grace@example.com").returncode == 0
    assert [each["grant_id"] for each in own.json("whoami")] == [before["grant_id"]]


def test_logout_revokes_at_the_platform_and_says_so(own: Own) -> None:
    own.grant(1)
    token = own("token").stdout.strip()
    ended = own("logout")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == "The grant of Grace Hopper is revoked at the platform and forgotten here.\n"
    bearer = {"authorization": f"Bearer {token}"}
    assert httpx2.get(f"{own.up.api_url}/people/me", headers=bearer, trust_env=False).status_code == 401
    for command in ("whoami", "logout"):
        again = own(command)
        assert again.returncode == 4
        assert "No grant is left here: all were disconnected." in again.stderr


def test_logout_says_where_the_platform_was_not_told(own: Own) -> None:
    own.grant(1)
    away = own("logout", "--json", GRANTFLOW_REVOCATION_URL="http://127.0.0.1:1/revoke")
    assert away.returncode == 5
    assert '"at_platform": false' in away.stdout
    own.grant(1)
    unknown = own("logout", GRANTFLOW_REVOCATION_URL="")
    assert unknown.returncode == 0
    assert "is forgotten here, but not revoked at the platform. No revocation endpoint is configured" in unknown.stderr
    assert "set GRANTFLOW_REVOCATION_URL to it" in unknown.stderr


@pytest.mark.parametrize(
    ("environ", "platform", "shown"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_TTY": "/dev/ttys1"}, "darwin", False),
    ],
)
def test_a_browser_is_opened_only_where_it_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], platform: str, shown: bool
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert has_display(environ) is shown
