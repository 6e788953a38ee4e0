"""`grantflow serve` and `grantflow platform serve`, in processes of their own, over real sockets."""

import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest

from grantflow.sealing import KeyRing
from tests.parts import free_port
from tests.whole.running import GRANTFLOW, ended, running

pytestmark = pytest.mark.slow
ENVIRONMENT = {
    "GRANTFLOW_CLIENT_ID": "C" + "0" * 64,
    "GRANTFLOW_CLIENT_SECRET": "1" * 64,
    "GRANTFLOW_SCOPES": "spark:people_read",
    "GRANTFLOW_KEY": KeyRing.new_key(),
}
FREE = ("--port", "0")


def redirect_uri_sent(base_url: str, **options: object) -> str:
    """What the platform is told where to send the person back to, on the click on Grant."""
    answer = httpx2.get(f"{base_url}/connect", trust_env=False, **options)  # type: ignore[arg-type]
    assert answer.status_code in {302, 303, 307}
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == "https://webexapis.com/v1/authorize"
    return parse_qs(location.query)["redirect_uri"][0]


def test_w14_one_command_serves_the_pages_with_a_redirect_uri_of_their_own(tmp_path: Path) -> None:
    with running(tmp_path / "data", "serve", *FREE, env=ENVIRONMENT) as served:
        url = served.said["integration_url"]
        assert urlsplit(url).hostname == "localhost"
        assert served.said == {
            "integration_url": url,
            "redirect_uri": f"{url}/oauth",
            "certificate_authority": None,
        }
        assert httpx2.get(url, trust_env=False, headers={"accept": "text/html"}).status_code == 200
        assert redirect_uri_sent(url) == f"{url}/oauth"
        assert served.stop(signal.SIGTERM) == 0


def test_w04_who_granted_can_post_a_message_where_that_was_asked_for_and_only_there(tmp_path: Path) -> None:
    for flags, known in [((), False), (("--try-it",), True)]:
        with running(tmp_path / "data", "serve", *FREE, *flags, env=ENVIRONMENT) as served:
            answer = httpx2.post(f"{served.said['integration_url']}/messages", data={}, trust_env=False)
            assert (answer.status_code != 404) is known


def test_w04_a_form_that_cannot_post_for_want_of_scopes_is_warned_about_at_the_start(tmp_path: Path) -> None:
    whole = "spark:people_read spark:rooms_read spark:messages_write"
    cases = [
        ("spark:people_read spark:rooms_read", ("--try-it",), 1),
        ("spark:people_read spark:rooms_read", (), 0),
        (whole, ("--try-it",), 0),
        ("spark:all", ("--try-it",), 0),
    ]
    for scopes, flags, count in cases:
        given = {**ENVIRONMENT, "GRANTFLOW_SCOPES": scopes}
        with running(tmp_path / "data", "serve", *FREE, *flags, env=given) as served:
            warnings = served.errors.read_text().splitlines()
        assert len(warnings) == count
        assert all("GRANTFLOW_SCOPES lacks spark:messages_write, without" in warning for warning in warnings)


def test_w15_behind_a_proxy_the_public_url_is_what_the_platform_sees(tmp_path: Path) -> None:
    public = "https://lockbot.example.com"
    with running(tmp_path / "data", "serve", *FREE, "--public-url", public, "--verbose", env=ENVIRONMENT) as served:
        assert served.said["redirect_uri"] == f"{public}/oauth"
        port = local_port(served.process.pid)
        proxied = {"host": "lockbot.example.com", "x-forwarded-proto": "https"}
        assert redirect_uri_sent(f"http://localhost:{port}", headers=proxied) == f"{public}/oauth"
        forged = {"host": "evil.example", "x-forwarded-host": "evil.example"}
        answer = httpx2.get(f"http://localhost:{port}/connect", headers=forged, trust_env=False)
        assert "evil.example" not in answer.headers["location"]


def test_w15_a_redirect_uri_deeper_than_the_public_url_sends_nobody_to_pages_that_are_not_there(tmp_path: Path) -> None:
    deeper = {**ENVIRONMENT, "GRANTFLOW_REDIRECT_URI": "https://lockbot.example.com/back/oauth"}
    with running(tmp_path, "serve", *FREE, "--public-url", "https://lockbot.example.com", env=deeper) as served:
        assert served.errors.read_text() == ""


def local_port(process: int) -> int:
    """Where it listens: behind a proxy it tells its public address alone."""
    inodes = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            kind, _, inode = os.readlink(link).partition(":")
            inodes |= {inode.strip("[]")} if kind == "socket" else set()
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return next(int(line[1].partition(":")[2], 16) for line in lines if line[3] == "0A" and line[9] in inodes)


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("tls") / "data"
    with running(folder, "serve", *FREE, "--tls", env=ENVIRONMENT) as served:
        yield served.said["integration_url"], served.said["certificate_authority"]


def get_over(version: ssl.TLSVersion, url: str, authority: str) -> httpx2.Response:
    context = ssl.create_default_context(cafile=authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that the server alone refuses old versions
    context.minimum_version = context.maximum_version = version
    return httpx2.get(url, verify=context, trust_env=False, headers={"accept": "text/html"})


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_w13_the_redirect_uri_is_served_over_tls_1_2_or_higher(
    over_tls: tuple[str, str], version: ssl.TLSVersion
) -> None:
    url, authority = over_tls
    assert url.startswith("https://localhost:")
    assert get_over(version, f"{url}/oauth", authority).status_code in {200, 303, 400}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_w13_older_tls_is_refused(over_tls: tuple[str, str], version: ssl.TLSVersion) -> None:
    with pytest.raises(httpx2.ConnectError):
        get_over(version, *over_tls)


def test_w13_cookies_over_tls_are_secure_and_of_this_host_alone(over_tls: tuple[str, str]) -> None:
    url, authority = over_tls
    context = ssl.create_default_context(cafile=authority)
    cookie = httpx2.get(f"{url}/connect", verify=context, trust_env=False).headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie


def test_a_redirect_uri_on_this_machine_where_nothing_is_served_is_warned_about(tmp_path: Path) -> None:
    elsewhere = {**ENVIRONMENT, "GRANTFLOW_REDIRECT_URI": "http://localhost:1/oauth"}
    with running(tmp_path / "data", "serve", *FREE, env=elsewhere) as served:
        (warning,) = served.errors.read_text().splitlines()
    assert warning.startswith("warning: The pages are served at http://localhost:")
    assert "people come back to http://localhost:1/oauth" in warning
    assert "To serve them there, give it --port 1. To stay here, register http://localhost:" in warning
    assert warning.endswith("/oauth at the platform, and set GRANTFLOW_REDIRECT_URI to it.")
    behind = {**elsewhere, "GRANTFLOW_PUBLIC_URL": "http://localhost:1"}
    with running(tmp_path / "data", "serve", *FREE, env=behind) as served:
        assert served.errors.read_text() == "", "a proxy answers there"


@pytest.mark.parametrize(
    ("scheme", "flags", "advice"),
    [("https", (), "To serve them there, add --tls. "), ("http", ("--tls",), "To serve them there, leave out --tls. ")],
)
def test_where_only_the_scheme_differs_the_advice_is_not_another_port(
    tmp_path: Path, scheme: str, flags: tuple[str, ...], advice: str
) -> None:
    redirect_uri = f"{scheme}://localhost:{free_port()}/oauth"
    env = {**ENVIRONMENT, "GRANTFLOW_REDIRECT_URI": redirect_uri}
    with running(tmp_path / "data", "serve", *flags, env=env) as served:
        (warning,) = served.errors.read_text().splitlines()
        authority = served.said["certificate_authority"]
        trusting = ssl.create_default_context(cafile=authority) if authority else True
        landing = served.said["integration_url"]
        assert httpx2.get(landing, trust_env=False, verify=trusting, headers={"accept": "text/html"}).status_code == 200
        assert served.said["redirect_uri"] == redirect_uri
    assert advice in warning
    assert "--port" not in warning


def test_a_taken_port_that_people_come_back_to_is_not_left_without_moving_the_redirect_uri(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {**ENVIRONMENT, "GRANTFLOW_REDIRECT_URI": f"http://127.0.0.1:{port}/oauth"}
        refused = ended("serve", "--data", str(tmp_path / "data"), **env)
    moved = f"http://127.0.0.1:{port + 1}/oauth"
    said = " ".join(refused.stderr.split())
    assert f"Port {port} on 127.0.0.1 is taken by" in said
    assert f"register {moved} at the platform too, set GRANTFLOW_REDIRECT_URI to it, and add --port {port + 1}." in said


def test_w14_pages_are_served_below_the_folder_of_a_redirect_uri_on_this_machine(tmp_path: Path) -> None:
    """And at its port, without being told: what the portal's .env says is enough."""
    home = f"http://localhost:{free_port()}/webex"
    env = {**ENVIRONMENT, "GRANTFLOW_REDIRECT_URI": f"{home}/callback"}
    with running(tmp_path / "data", "serve", env=env) as served:
        assert served.errors.read_text() == ""
        assert served.said["integration_url"] == home
        for address in (home, home.removesuffix("/webex")):
            landing = httpx2.get(address, trust_env=False, follow_redirects=True, headers={"accept": "text/html"})
            assert (landing.status_code, str(landing.url)) == (200, f"{home}/")
        (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', landing.text)
        assert httpx2.get(urljoin(f"{home}/", style), trust_env=False).status_code == 200
        assert redirect_uri_sent(home) == f"{home}/callback"


def test_the_portals_file_is_all_that_serve_needs_but_the_key(tmp_path: Path) -> None:
    home = f"http://127.0.0.1:{free_port()}"
    given = {
        "GRANTFLOW_CLIENT_ID": "C1",
        "GRANTFLOW_CLIENT_SECRET": "it's secret",
        "GRANTFLOW_REDIRECT_URI": f"{home}/oauth",
        "GRANTFLOW_SCOPES": "spark:people_read spark:rooms_read",
    }
    file = tmp_path / "portal.env"
    file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items()))
    key = {"GRANTFLOW_KEY": KeyRing.new_key()}
    with running(tmp_path / "data", "serve", "--env-file", str(file), env=key) as served:
        assert served.errors.read_text() == ""
        assert served.said["integration_url"] == home
        assert redirect_uri_sent(home) == f"{home}/oauth"
    refused = ended("serve", "--env-file", str(file), "--data", str(tmp_path / "data"))
    said = " ".join(refused.stderr.split())
    assert refused.returncode == 2
    assert "grantflow keys new --out grantflow.key export GRANTFLOW_KEY_FILE=grantflow.key" in said


def test_w30_scopes_that_do_not_tell_who_has_granted_are_warned_about_at_the_start(tmp_path: Path) -> None:
    for scopes, count in [("spark:rooms_read", 1), ("spark:rooms_read spark:people_read", 0), ("spark:all", 0)]:
        with running(tmp_path / "data", "serve", *FREE, env={**ENVIRONMENT, "GRANTFLOW_SCOPES": scopes}) as served:
            warnings = served.errors.read_text().splitlines()
        assert len(warnings) == count
        assert all("GRANTFLOW_SCOPES lacks spark:people_read" in warning for warning in warnings)


def test_the_pages_call_the_platform_by_its_name_and_lead_to_its_connected_apps(tmp_path: Path) -> None:
    named = {"GRANTFLOW_PLATFORM": "Horse", "GRANTFLOW_CONNECTED_APPS_URL": "https://horse.example/apps"}
    for more, platform in [({}, "Webex"), (named, "Horse")]:
        with running(tmp_path / "data", "serve", *FREE, env=ENVIRONMENT | more) as served:
            page = httpx2.get(served.said["integration_url"], trust_env=False, headers={"accept": "text/html"}).text
        assert f"Connect My integration with {platform}" in page
        assert ("https://horse.example/apps" in page) is (platform == "Horse")


def test_serving_begins_with_how_to_stop_it_and_ends_with_a_word(tmp_path: Path) -> None:
    command = [str(GRANTFLOW), "serve", *FREE, "--data", str(tmp_path / "data")]
    serving = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT
    )
    assert serving.stdout is not None
    shown = [serving.stdout.readline() for _ in range(4)]
    serving.send_signal(signal.SIGINT)
    _, said = serving.communicate(timeout=60)
    assert serving.returncode == 130
    assert [line.split()[0] for line in shown] == ["Landing", "Redirect", "API", "Vault"]
    assert said.startswith("The pages of My integration. Ctrl-C stops them.\n")
    assert said.endswith("\nStopped.\n")


def test_a_platform_on_this_machine_that_does_not_answer_is_warned_about(tmp_path: Path) -> None:
    away = {**ENVIRONMENT, "GRANTFLOW_API_URL": "http://127.0.0.1:1/v1"}
    with running(tmp_path / "data", "serve", *FREE, env=away) as served:
        (warning,) = served.errors.read_text().splitlines()
    assert warning.startswith("warning: Nothing answers at http://127.0.0.1:1/v1")


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1" * 64)
    named = {**ENVIRONMENT, "GRANTFLOW_CLIENT_SECRET_FILE": str(tmp_path / "secret")}
    del named["GRANTFLOW_CLIENT_SECRET"]
    with running(tmp_path / "data", "serve", *FREE, env=named) as served:
        assert served.said["redirect_uri"]


ROLES = ["authorization-server", "resource-owner", "resource-server", "developer-portal"]


def test_a_platform_is_served_alone_with_the_settings_of_flags_and_environment(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    environment = {"GRANTFLOW_PLATFORM_ERROR_BODY": "webex", "GRANTFLOW_PLATFORM_SANDBOX": "false"}
    added = ended("platform", "person", "add", "ada@example.com", "--name", "Ada", "--json", "--data", str(folder))
    assert added.returncode == 0
    with running(folder, "platform", "serve", *FREE, env=environment) as served:
        url = served.said["platform_url"]
        assert served.said == {"platform_url": url, "api_url": f"{url}/v1", "roles": ROLES, "sandbox": False}
        refused = httpx2.post(f"{url}/v1/access_token", data={"grant_type": "password"}, trust_env=False)
        assert refused.status_code == 400
        assert "error" not in refused.json()
        page = httpx2.get(url, trust_env=False, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert "Sample people" not in page.text
        assert served.errors.read_text() == ""
        assert served.stop() == 130


def test_up_and_a_platform_at_another_address_do_not_serve_one_directory(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    up = ("up", "--port", "0", "--integration-port", "0")
    with running(tmp_path / "data", *up):
        refused = ended("platform", "serve", *FREE, "--data", folder)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "Another grantflow up runs on" in refused.stderr
    with running(tmp_path / "data", "platform", "serve", *FREE):
        refused = ended(*up, "--data", folder)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "A grantflow platform serve runs on" in refused.stderr
        assert ended("status", "--data", folder).returncode == 1
        with running(tmp_path / "data", "platform", "serve", *FREE) as second:
            assert second.process.poll() is None
            assert (
                "warning: Another process issues tokens from this data as http://127.0.0.1:"
                in second.errors.read_text()
            )


def test_a_platform_without_people_says_how_to_add_the_first(tmp_path: Path) -> None:
    with running(tmp_path / "data", "platform", "serve", *FREE) as served:
        served.stop()
        assert "grantflow platform person add" in served.errors.read_text()


def test_w15_a_platform_behind_a_proxy_names_its_public_url_alone(tmp_path: Path) -> None:
    public = "https://id.example.com"
    with running(tmp_path / "data", "platform", "serve", *FREE, "--public-url", public) as served:
        port = local_port(served.process.pid)
        metadata = httpx2.get(f"http://127.0.0.1:{port}/.well-known/oauth-authorization-server/v1", trust_env=False)
        assert metadata.json()["issuer"] == f"{public}/v1"
        assert metadata.json()["token_endpoint"] == f"{public}/v1/access_token"
