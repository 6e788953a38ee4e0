"""Guessing a client's secret over real sockets: slow for the guesser, unnoticed by everybody else."""

import json
import sys
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from tests.whole.running import ended, running

GUESSER, ELSEWHERE = "127.0.0.5", "127.0.0.6"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on loopback")
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_s51_over_real_sockets_a_thousand_wrong_secrets_are_slowed_and_the_right_client_elsewhere_is_not(
    tmp_path: Path, workers: int
) -> None:
    """Each worker counts for itself (docs/operations.md), so two look at twice as many guesses and no more."""
    folder = tmp_path / "data"
    added = ended(
        *("platform", "app", "add", "Lockbot", "--redirect-uri", "https://lockbot.example/oauth"),
        *("--scopes", "spark:people_read", "--json", "--data", str(folder)),
    )
    app = json.loads(added.stdout)
    right = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    asked = {"grant_type": "refresh_token", "refresh_token": "x"}
    with (
        running(folder, "platform", "serve", "--port", "0", "--workers", str(workers)) as served,
        at(GUESSER, served.said["api_url"]) as guesser,
        at(ELSEWHERE, served.said["api_url"]) as elsewhere,
    ):
        answers: Counter[int] = Counter()
        for number in range(1_000):
            answer = guessed(guesser, asked | right, number)
            answers[answer.status_code] += 1
            assert answer.status_code != 429 or int(answer.headers["retry-after"]) >= 1
            if number % 100 == 99:
                known = elsewhere.post("/access_token", data=asked | right)
                assert (known.status_code, known.json()["error"]) == (400, "invalid_grant"), "authenticated at once"
        assert answers.keys() == {401, 429}
        assert answers[401] <= 20 * workers, "ten for nothing, then one more after 1, 2, 4, ... seconds"
        for _ in range(100):  # until no worker's wait ends just now
            if min(seconds_to_wait(guessed(guesser, asked | right, 1_000)) for _ in range(20)) >= 3:
                break
        lucky = [guesser.post("/access_token", data=asked | right).status_code for _ in range(10)]
        assert lucky == [429] * 10, "nor is a lucky guess looked at"


def guessed(guesser: httpx2.Client, fields: dict[str, str], number: int) -> httpx2.Response:
    return guesser.post("/access_token", data=fields | {"client_secret": f"{number:064x}"})


def seconds_to_wait(answer: httpx2.Response) -> int:
    return int(answer.headers.get("retry-after", 0))


def at(address: str, url: str) -> httpx2.Client:
    """A connection for each request, so that every worker is asked."""
    transport = httpx2.HTTPTransport(local_address=address, limits=httpx2.Limits(max_keepalive_connections=0))
    return httpx2.Client(transport=transport, base_url=url, trust_env=False, timeout=30)
