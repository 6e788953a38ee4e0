"""What is answered with tokens is on disk before: seen in the system calls of a running platform, in their order.

That a live connection asks for it (`PRAGMA synchronous` is FULL, the journal is a write-ahead log) is told in
tests/storage/test_sqlite.py for the platform and tests/client/test_vault.py for the vault.
"""

import sys
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.whole.person import Person
from tests.whole.running import json_of
from tests.whole.traced import Call, traced

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")]
REDIRECT_URI, SCOPES = "http://127.0.0.1:9/oauth", "spark:people_read"


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """Of a person who grants twice, the code exchanges, and one refresh."""
    folder = tmp_path_factory.mktemp("on_disk") / "state"
    where = ("--data", str(folder), "--json")
    email = "ada@sandbox.example"
    account = {"email": email} | json_of("platform", "person", "add", email, "--name", "Ada", *where)
    app = json_of("platform", "app", "add", "App", "--redirect-uri", REDIRECT_URI, "--scopes", SCOPES, *where)
    with traced(folder) as platform, Person(account, stops=(REDIRECT_URI,)) as ada:
        exchange_and_refresh(platform.url, app, ada)
        return platform.calls()


def exchange_and_refresh(url: str, app: dict[str, str], ada: Person) -> None:
    """Two exchanges: with the first one the last use of the client's secret is written too, within a minute no more."""
    sent = {"client_id": app["client_id"], "response_type": "code", "redirect_uri": REDIRECT_URI, "scope": SCOPES}
    own = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    with httpx2.Client(base_url=url, trust_env=False, timeout=30) as http:
        for _ in range(2):
            answered = ada.grant(f"{url}/v1/authorize?{urlencode(sent)}")
            (code,) = parse_qs(urlsplit(answered).query)["code"]
            exchange = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
            tokens = http.post("/v1/access_token", data=own | exchange).raise_for_status().json()
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        http.post("/v1/access_token", data=own | refresh).raise_for_status()


def assert_on_disk_before_the_answer(calls: list[Call], grant_type: str) -> None:
    """Between request and answer the log is written, and synced after the last write that came before the answer."""
    *_, request = [call for call in calls if call.brings(f"grant_type={grant_type}")]
    answer = next(call for call in calls if call.answers(request) and call.began > request.ended)
    between = [call for call in calls if call.began > request.began and call.ended < answer.began]
    written = max((call.ended for call in between if call.writes_the_log), default=None)
    assert written is not None, "nothing was written between the request and its answer"
    assert [call for call in between if call.syncs_the_log and call.began > written and call.text.endswith("= 0")]


def test_a_code_exchange_is_on_disk_before_the_answer_leaves(calls: list[Call]) -> None:
    assert_on_disk_before_the_answer(calls, "authorization_code")


def test_a_refresh_is_on_disk_before_the_answer_leaves(calls: list[Call]) -> None:
    assert_on_disk_before_the_answer(calls, "refresh_token")
