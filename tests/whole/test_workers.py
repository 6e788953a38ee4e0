"""`grantflow platform serve --workers`: several processes, one store."""

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.whole.person import Person
from tests.whole.running import GRANTFLOW, environment, grantflow, json_of

pytestmark = pytest.mark.slow
REDIRECT_URI, SCOPES = "http://127.0.0.1:9/oauth", "spark:people_read"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """At this address, by two processes that end well in the end."""
    command = [str(GRANTFLOW), "platform", "serve", "--workers", "2", "--port", "0", "--json", "--data", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["platform_url"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()


def test_s33_a_code_serves_one_request_also_where_two_processes_are_asked_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    where = ("--data", str(folder), "--json")
    account = {"email": "ada@example.com"} | json_of(
        "platform", "person", "add", "ada@example.com", "--name", "A", *where
    )
    app = json_of("platform", "app", "add", "App", "--redirect-uri", REDIRECT_URI, "--scopes", SCOPES, *where)
    sent = {"client_id": app["client_id"], "response_type": "code", "redirect_uri": REDIRECT_URI, "scope": SCOPES}
    with served(folder) as url, Person(account, stops=(REDIRECT_URI,)) as ada, ThreadPoolExecutor(16) as many:
        (code,) = parse_qs(urlsplit(ada.grant(f"{url}/v1/authorize?{urlencode(sent)}")).query)["code"]
        form = {"client_id": app["client_id"], "client_secret": app["client_secret"], "redirect_uri": REDIRECT_URI}
        form |= {"grant_type": "authorization_code", "code": code}
        posted = [
            many.submit(httpx2.post, f"{url}/v1/access_token", data=form, trust_env=False, timeout=30)
            for _ in range(16)
        ]
        assert Counter(each.result().status_code for each in posted)[200] == 1


def test_a_number_of_workers_that_cannot_be_is_refused() -> None:
    refused = grantflow("platform", "serve", "--workers", "0", check=False)
    assert refused.returncode == 2
    assert "--workers" in refused.stderr
