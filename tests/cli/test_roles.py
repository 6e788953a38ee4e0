"""Which roles a process serves and where the others are: what it cannot work without is asked for before it starts."""

from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.whole.running import running

AS, OWNER, API = "--authorization-server-url", "--resource-owner-url", "--resource-server-url"


def serve(*words: str) -> tuple[str, ...]:
    return ("serve", "--port", "0", *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--role", "authorization-server"], [OWNER]),
        (["--role", "resource-server"], [OWNER]),
        (["--role", "resource-owner"], [AS, API]),
        (["--role", "resource-owner", "--role", "resource-server"], [AS]),
    ],
)
def test_w03_a_role_alone_asks_for_the_addresses_that_it_sends_people_to(
    grantflow: CommandLine, words: list[str], told: list[str]
) -> None:
    refused = grantflow.platform(*serve(*words))
    assert refused.code == 2
    assert {flag for flag in (AS, OWNER, API) if flag in refused.err} == set(told)


def test_w03_a_process_answers_at_one_address(grantflow: CommandLine) -> None:
    refused = grantflow.platform(*serve(AS, "https://id.example", OWNER, "https://id.example:8443"))
    assert refused.code == 2
    assert "a process for each address" in refused.err


def test_w03_roles_that_cannot_share_a_session_are_told_so(grantflow: CommandLine) -> None:
    refused = grantflow.platform(*serve("--role", "authorization-server", OWNER, "https://people.example"))
    assert refused.code == 2
    assert "one host name" in " ".join(refused.err.split())


@pytest.mark.parametrize(
    ("words", "api"),
    [
        (["--role", "resource-server", "--public-url", "https://api.example.org", OWNER, "https://id.example"], True),
        (
            ["--role", "authorization-server", "--public-url", "https://id.example:8443", OWNER, "https://id.example"],
            False,
        ),
    ],
)
@pytest.mark.slow
def test_w03_the_api_may_be_at_any_host_and_is_named_by_those_who_know_where(
    tmp_path: Path, words: list[str], api: bool
) -> None:
    with running(tmp_path / "data", "platform", *serve(*words)) as served:
        assert served.said["api_url"] == ("https://api.example.org/v1" if api else None)
        assert served.said["roles"] == [words[1]]


def test_a_role_that_there_is_not_is_named(grantflow: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTFLOW_PLATFORM_ROLE", "janitor")
    refused = grantflow.platform(*serve())
    assert refused.code == 2
    assert "GRANTFLOW_PLATFORM_ROLE" in refused.err
