"""A look at logs finds what the rounds must not leave, each once, and takes a refusal for now as none."""

from pathlib import Path

import httpx2
import pytest

from tests.soak.looking import Answers, Logs

TOKEN = "A" * 64 + "_LG01_8b1d7f52-52c5-4f0a-9a3c-0f6f4b1f8c11"
FAULTS = [
    "Traceback (most recent call last):\n  File",
    "12:00:00 ERROR   grantflow.web: GET /signin was answered 500, Something went wrong: a bug (reference 1f)",
    "12:00:00 INFO    grantflow.access: :9000 GET /v1/people/me 500 3.1 ms",
    "12:00:00 INFO    grantflow.access: :9000 GET /v1/people/me 502 3.1 ms",
    f"12:00:00 DEBUG   grantflow.client: it was {TOKEN}",
]
NO_FAULTS = [
    "12:00:00 INFO    grantflow.access: :9000 GET /v1/people/me 503 500.1 ms",
    "12:00:00 ERROR   grantflow.web: GET /signin was answered 503, Come again soon: no database (reference 1f)",
    "12:00:00 INFO    grantflow.access: :9000 GET /v1/rooms 200 500.1 ms",
    "12:00:00 WARNING grantflow.app: expired rows stay for now: locked",
]


@pytest.mark.parametrize("line", FAULTS)
def test_a_fault_in_a_log_is_found_once(tmp_path: Path, line: str) -> None:
    logs = Logs(tmp_path)
    log = tmp_path / "platform.stderr"
    log.write_text("\n".join([*NO_FAULTS, line, ""]))
    with pytest.raises(AssertionError, match=r"platform\.stderr"):
        logs.check()
    logs.check()
    with log.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(AssertionError):
        logs.check()
    log.unlink()  # the scan of what the tests left behind would find that token too


def test_a_log_without_faults_passes(tmp_path: Path) -> None:
    (tmp_path / "platform.stderr").write_text("\n".join([*NO_FAULTS, ""]))
    Logs(tmp_path).check()


@pytest.mark.parametrize(
    ("status", "headers", "is_fault"),
    [
        (500, {}, True),
        (500, {"retry-after": "1"}, True),
        (503, {}, True),
        (503, {"retry-after": "soon"}, True),
        (503, {"retry-after": "1"}, False),
        (429, {}, False),
    ],
)
def test_an_answer_that_blames_the_server_is_a_fault_unless_it_says_when_to_come_again(
    status: int, headers: dict[str, str], is_fault: bool
) -> None:
    answers = Answers()
    answers.see(httpx2.Response(status, headers=headers, request=httpx2.Request("GET", "http://host/x?code=y")))
    assert answers.take() == ([f"GET /x was answered {status}"] if is_fault else [])
    assert answers.take() == []
