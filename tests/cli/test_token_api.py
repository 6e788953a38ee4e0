"""`grantflow serve --token-api` and `callers`: living tokens over HTTP for programs in any language, over sockets."""

import json
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.canary import record
from tests.cli.own import Own, on_a_terminal, registered
from tests.parts import require
from tests.whole.running import Up, running, up

pytestmark = pytest.mark.slow
SERVE = ("serve", "--port", "0", "--token-api", "--token-api-port", "0")


@dataclass(frozen=True)
class Served:
    own: Own
    url: str

    def add(self, name: str, *people: str) -> str:
        """A caller; its key."""
        added = self.own.json("callers", "add", name, *(word for each in people for word in ("--grant", each)))
        key: str = added["key"]
        return key

    def ask(self, key: str, **fields: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}"}
        answer = httpx2.post(self.url, headers=headers, data=fields, trust_env=False)
        record.learn_all(answer.text, "what the token API says")
        return answer

    def works(self, token: str) -> bool:
        bearer = {"authorization": f"Bearer {token}"}
        return httpx2.get(f"{self.own.up.api_url}/people/me", headers=bearer, trust_env=False).status_code == 200


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("tokens") / "sandbox") as started:
        yield started


@pytest.fixture(scope="module")
def served(sandbox: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Ada and Grace have granted."""
    folder = tmp_path_factory.mktemp("served")
    own = registered(sandbox, folder, redirect_uri="http://127.0.0.1/oauth", name="Served")
    for who in (0, 1):
        assert own.grant(who).returncode == 0
    with running(folder / "serving", *SERVE, env=own.settings | {"GRANTFLOW_REDIRECT_URI": ""}) as serving:
        yield Served(own, serving.said["token_url"])


@pytest.fixture(scope="module")
def adas(served: Served) -> str:
    """The key of a caller that may have Ada's tokens alone."""
    return served.add("of one", "ada@example.com")


def test_a_program_with_a_key_is_handed_a_living_token(served: Served) -> None:
    key = served.add("deploy", "grace@example.com")
    answer = served.ask(key, person="grace@example.com")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert served.works(told["access_token"])
    assert told["token_type"] == "Bearer"
    assert 0 < told["expires_in"] <= 1_209_600
    assert (told["email"], told["scope"]) == (
        "grace@example.com",
        served.own.json("whoami", told["grant_id"])[0]["scopes"],
    )
    again = served.ask(key).json()
    assert again == told | {"expires_in": again["expires_in"]}


def test_the_example_in_the_help_page_works_with_curl(served: Served) -> None:
    key = served.add("curl", "ada@example.com")
    form = [require("curl"), "-s", "-H", f"Authorization: Bearer {key}", "-d", "person=ada@example.com", served.url]
    as_json = [
        *(require("curl"), "-s", "-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"),
        *("-d", '{"person": "ada@example.com"}', served.url),
    ]
    for command in (form, as_json):
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        record.learn_all(ended.stdout, "what the token API says")
        assert served.works(json.loads(ended.stdout)["access_token"])


def test_a_caller_has_no_others_grants_and_learns_of_none(served: Served) -> None:
    key = served.add("narrow", "grace@example.com")
    answers = [served.ask(key, person=person) for person in ("ada@example.com", "nobody@example.com")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json() == answers[1].json()
    both = served.add("wide", "grace@example.com", "ada@example.com")
    assert served.ask(both).status_code == 403
    assert {served.ask(both, person=f"{who}@example.com").json()["email"] for who in ("ada", "grace")} == {
        "ada@example.com",
        "grace@example.com",
    }


def test_a_key_is_dead_with_its_caller_and_was_never_anybody_elses(served: Served) -> None:
    key = served.add("gone", "grace@example.com")
    assert served.ask(key).status_code == 200
    removed = served.own("callers", "remove", "gone")
    assert (removed.returncode, removed.stderr) == (0, "gone is removed; its key is dead.\n")
    for wrong in (key, "gfc_wrong"):
        answer = served.ask(wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    without = httpx2.post(served.url, trust_env=False)
    assert (without.status_code, without.headers["www-authenticate"]) == (401, 'Bearer realm="grantflow token API"')
    assert served.own("callers", "remove", "gone").returncode == 1


def test_s51_whoever_tries_wrong_keys_is_slowed_and_a_right_one_is_still_answered(sandbox: Up, tmp_path: Path) -> None:
    own = registered(sandbox, tmp_path, redirect_uri="http://127.0.0.1/oauth", name="Guessed")
    own.grant(1)
    with running(tmp_path / "serving", *SERVE, env=own.settings | {"GRANTFLOW_REDIRECT_URI": ""}) as serving:
        served = Served(own, serving.said["token_url"])
        key = served.add("deploy", "grace@example.com")
        answers = [served.ask(f"gfc_{number}") for number in range(14)]
        assert [answer.status_code for answer in answers[:10]] == [401] * 10
        assert 429 in {answer.status_code for answer in answers[10:]}
        assert {int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 429} == {True}
        assert served.ask(key).status_code == 200
        assert key not in serving.errors.read_text()


def test_a_token_that_the_api_refuses_is_reported_and_renewed_once_for_all(sandbox: Up, tmp_path: Path) -> None:
    own = registered(sandbox, tmp_path, redirect_uri="http://127.0.0.1/oauth", name="Reported")
    own.grant(1)
    with running(tmp_path / "serving", *SERVE, env=own.settings | {"GRANTFLOW_REDIRECT_URI": ""}) as serving:
        served = Served(own, serving.said["token_url"])
        key = served.add("deploy", "grace@example.com")
        rejected = served.ask(key).json()["access_token"]
        set_age(own, seconds=0)
        too_soon = served.ask(key, rejected=rejected)
        assert (too_soon.status_code, too_soon.json()["error"]) == (503, "token_endpoint_unavailable")
        assert 1 <= int(too_soon.headers["retry-after"]) <= 10
        set_age(own, seconds=60)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: served.ask(key, rejected=rejected), range(8)))
        assert {answer.status_code for answer in answers} == {200}
        (renewed,) = {answer.json()["access_token"] for answer in answers}
        assert renewed != rejected
        assert served.works(renewed)


def set_age(own: Own, *, seconds: int) -> None:
    """Of the grant, so that nobody has to wait until its token may be reported, and no slow machine waits unasked."""
    with closing(sqlite3.connect(own.settings["GRANTFLOW_VAULT"], isolation_level=None)) as vault:
        vault.execute("UPDATE grants SET granted_at = unixepoch('now') - ?", (seconds,))


def test_w34_who_must_grant_again_is_told_with_the_address(sandbox: Up, tmp_path: Path) -> None:
    own = registered(sandbox, tmp_path, redirect_uri="http://127.0.0.1/oauth", name="Dead")
    own.grant(1)
    with running(tmp_path / "serving", *SERVE, env=own.settings | {"GRANTFLOW_REDIRECT_URI": ""}) as serving:
        served = Served(own, serving.said["token_url"])
        key = served.add("deploy", "grace@example.com")
        grant_id, rejected = (served.ask(key).json()[name] for name in ("grant_id", "access_token"))
        set_age(own, seconds=60)
        sandbox.platform("grant", "revoke", "--app", "Dead", "--yes")
        answer = served.ask(key, rejected=rejected)
        assert (answer.status_code, answer.json()["error"]) == (409, "reauthorization_required")
        assert answer.json()["grant_url"] == f"{serving.said['integration_url']}/connect?grant={grant_id}"
        assert answer.json()["incident"].startswith("inc-")


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "status"),
    [
        ("GET", "/token", b"", "", 405),
        ("PUT", "/token", b"", "", 405),
        ("POST", "/other", b"", "", 404),
        ("GET", "/", b"", "", 404),
        ("POST", "/token/", b"", "", 404),
        ("GET", "/healthz/", b"", "", 404),
        ("POST", "/token", b"person=" + b"a" * 100_000, "application/x-www-form-urlencoded", 413),
        ("POST", "/token", b"person=a", "text/plain", 415),
        ("POST", "/token", b"person=a&person=b", "application/x-www-form-urlencoded", 400),
        ("POST", "/token", b"{", "application/json", 400),
        ("POST", "/token", b'{"person": 1}', "application/json", 400),
        ("POST", "/token", b"\xff\xfe", "application/json", 400),
        ("POST", "/token?person=bob@example.com", b"", "", 400),
        ("POST", "/token", b"persn=bob@example.com", "application/x-www-form-urlencoded", 400),
        ("POST", "/token", b"person=", "application/x-www-form-urlencoded", 400),
        ("POST", "/token", b"person", "application/x-www-form-urlencoded", 400),
        ("POST", "/token", b"&", "application/x-www-form-urlencoded", 400),
        ("POST", "/token", b'{"person": "bob@example.com"}', "application/x-www-form-urlencoded", 400),
        ("POST", "/token", b'{"persn": "bob@example.com"}', "application/json", 400),
        ("POST", "/token", b'{"person": ""}', "application/json", 400),
        ("POST", "/token", b"{}", "application/json", 400),
    ],
)
def test_what_cannot_be_read_is_refused_as_json_and_never_kept_whoever_sends_it(
    served: Served, adas: str, method: str, path: str, body: bytes, content_type: str, status: int
) -> None:
    """The caller has one grant, which a request that names somebody else and is misread must not be answered with."""
    headers = {"authorization": f"Bearer {adas}"} | ({"content-type": content_type} if content_type else {})
    url = served.url.removesuffix("/token") + path
    answer = httpx2.request(method, url, content=body, headers=headers, trust_env=False)
    record.learn_all(answer.text, "what the token API says")
    assert answer.status_code == status
    assert answer.json()["error"] == "invalid_request"
    assert answer.headers["cache-control"] == "no-store"


def test_callers_are_listed_with_whose_grants_they_have_and_when_they_were_here(sandbox: Up, tmp_path: Path) -> None:
    own = registered(sandbox, tmp_path, redirect_uri="http://127.0.0.1/oauth", name="Listed")
    own.grant(1)
    none_yet = own("callers", "list")
    assert (none_yet.stdout, none_yet.stderr) == ("", "No program has a key yet.\n")
    ended = own("callers", "add", "deploy", "--grant", "grace@example.com")
    assert ended.returncode == 0
    assert ended.stdout.startswith("gfc_")
    assert ended.stderr == (
        "deploy may have access tokens of Grace Hopper from grantflow serve --token-api.\n"
        "The key is shown this one time:\n"
    )
    (row,) = own("callers", "list").stdout.splitlines()
    assert row.split("\t")[:2] == ["deploy", "grace@example.com"]
    assert row.split("\t")[3] == "never"
    (told,) = own.json("callers", "list")
    assert told["last_used"] is None
    assert "key" not in told
    again = own("callers", "add", "deploy", "--grant", "grace@example.com")
    assert again.returncode == 1
    assert "There is a caller named deploy already." in again.stderr
    nobody = own("callers", "add", "other", "--grant", "nobody@example.com")
    assert nobody.returncode == 4
    own("logout")
    own.grant(1)
    assert "(gone)" in own("callers", "list").stdout
    code, seen = on_a_terminal(own, "callers", "list")
    assert code == 0
    assert "GRANTS OF" in seen


def test_s88_beyond_this_machine_keys_travel_over_tls_alone(served: Served, tmp_path: Path) -> None:
    refused = served.own("serve", "--token-api", "--token-api-host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "others could read the token API's keys and tokens on the way" in " ".join(refused.stderr.split())
    env = served.own.settings | {"GRANTFLOW_REDIRECT_URI": ""}
    with running(tmp_path / "tls", *SERVE, "--tls", env=env) as serving:
        url = serving.said["token_url"]
        assert url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=serving.said["certificate_authority"])
        key = served.add("over tls", "ada@example.com")
        headers = {"authorization": f"Bearer {key}"}
        answer: Any = httpx2.post(url, headers=headers, verify=context, trust_env=False)
        record.learn_all(answer.text, "what the token API says")
        assert answer.status_code == 200


def test_where_it_is_not_wanted_there_is_none(served: Served, tmp_path: Path) -> None:
    env = served.own.settings | {"GRANTFLOW_REDIRECT_URI": ""}
    with running(tmp_path / "without", "serve", "--port", "0", env=env) as serving:
        assert "token_url" not in serving.said
        answer = httpx2.post(f"{serving.said['integration_url']}/token", trust_env=False)
        assert answer.status_code in {404, 405}
