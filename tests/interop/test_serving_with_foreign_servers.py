"""The pages and the commands with a server that is not ours, which they are told by its issuer alone."""

from pathlib import Path

import pytest

from grantflow.sealing import KeyRing
from tests.interop.servers.running import authlib, oidc_provider
from tests.parts import free_port
from tests.whole.person import Person
from tests.whole.running import ended, running

pytestmark = pytest.mark.slow


def test_the_pages_take_a_person_through_an_openid_provider_and_the_commands_go_on(tmp_path: Path) -> None:
    url = f"http://localhost:{free_port()}"
    data = tmp_path / "data"
    with oidc_provider(tmp_path, redirect_uri=f"{url}/oauth") as server:
        env = {
            "GRANTFLOW_ISSUER": server.issuer,
            "GRANTFLOW_CLIENT_ID": server.client["client_id"],
            "GRANTFLOW_CLIENT_SECRET": server.client["client_secret"],
            "GRANTFLOW_SCOPES": server.scopes,
            "GRANTFLOW_AUTHORIZATION_PARAMETERS": "prompt=consent",
            "GRANTFLOW_KEY": KeyRing.new_key(),
            "GRANTFLOW_REDIRECT_URI": f"{url}/oauth",
            "GRANTFLOW_API_URL": f"{server.url}/api",
        }
        with running(data, "serve", env=env) as served, Person() as ada:
            ada.open(f"{url}/connect")
            server.walk(ada, person="ada")
            assert ada.page.url == f"{url}/granted"
            assert "Ada" in ada.page.words
            assert served.errors.read_text() == ""
        server.expire()
        called = ended("api", "GET", "anything", "--data", str(data), **env)
        assert (called.returncode, called.stdout.strip()) == (0, '{"person":"ada"}')
        who = ended("whoami", "--data", str(data), **env)
        assert (who.returncode, "Ada <ada@example.org>" in who.stdout) == (0, True)
        assert server.counts["refresh"] == 1
        gone = ended("logout", "--data", str(data), **env)
        assert (gone.returncode, server.counts["revoke"]) == (0, 1), gone.stderr


def test_a_server_that_cannot_say_who_grants_is_told_before_anybody_is_sent_there(tmp_path: Path) -> None:
    with authlib(tmp_path) as server:
        env = {
            "GRANTFLOW_ISSUER": server.issuer,
            "GRANTFLOW_CLIENT_ID": "C1",
            "GRANTFLOW_CLIENT_SECRET": "s" * 40,
            "GRANTFLOW_SCOPES": server.scopes,
            "GRANTFLOW_KEY": KeyRing.new_key(),
        }
        refused = ended("serve", "--port", "0", "--data", str(tmp_path / "data"), **env)
    assert refused.returncode == 2
    assert "names no userinfo_endpoint" in " ".join(refused.stderr.split())
