"""W35: the lines of docs/by-hand.md, typed into one bash from top to bottom, against a running `grantflow up`."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts import ROOT, require
from tests.whole.person import Person
from tests.whole.running import Up, environment, up

TEXT = (ROOT / "docs/by-hand.md").read_text(encoding="utf-8")
REDIRECT_URI = "http://localhost:8005/oauth"
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
BETWEEN = "--- the next block ---"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("by-hand") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def said(platform: Up) -> list[str]:
    """What each block printed. Where the shell waits for an address, Ada has accepted at the one that it printed."""
    require("curl")
    lines = ["set -euo pipefail", *(f"{block}\necho '{BETWEEN}'" for block in BLOCKS)]
    env = environment() | {"API_URL": platform.api_url, "GRANTFLOW_DATA": str(platform.folder)}
    with subprocess.Popen(
        ["bash", "-c", "\n".join(lines)],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout is not None
        read = ""
        # To the end of the block that prints the address: what lay read in the buffer, communicate() would lose.
        while not re.search(rf"/authorize\?.*\n{BETWEEN}\n", read) and (line := shell.stdout.readline()):
            read += line
        (begun,) = re.findall(r"\S+/authorize\?\S+", read)
        with Person(platform.ada, stops=(REDIRECT_URI,)) as ada:
            address = ada.grant(begun)
        rest, complaints = shell.communicate(f"{address}\n", timeout=120)
    assert shell.returncode == 0, complaints
    return (read + rest).split(f"{BETWEEN}\n")


def of(said: list[str], heading: str) -> list[str]:
    """What the blocks under a heading printed."""
    numbers, number = [], -1
    for title, text in re.findall(r"^## \d+\. (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE):
        for _ in re.findall(r"```sh\n", text):
            number += 1
            if title == heading:
                numbers.append(number)
    assert numbers, f"no block under {heading!r}"
    return [said[number] for number in numbers]


def answer(printed: str) -> tuple[dict[str, Any], list[str]]:
    """The JSON of the first line, and what was printed after it."""
    first, *others = printed.splitlines()
    members: dict[str, Any] = json.loads(first)
    return members, others


def test_w35_the_code_comes_from_the_address_and_gives_both_tokens(said: list[str]) -> None:
    assert "The state is ours, the code is " in of(said, "Take the code from the address")[0]
    tokens, _ = answer(of(said, "Exchange the code for tokens")[0])
    (shown,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert list(json.loads(shown)) == list(tokens), "the document shows the answer as it is"
    assert [json.loads(shown)[name] for name in ("expires_in", "refresh_token_expires_in", "token_type")] == [
        tokens[name] for name in ("expires_in", "refresh_token_expires_in", "token_type")
    ]


def test_w35_refreshing_gives_new_tokens_that_work(platform: Up, said: list[str]) -> None:
    (before,) = of(said, "Ask who granted")
    refreshed, after = of(said, "Refresh")
    tokens, others = answer(refreshed)
    assert others == ["The access token is a new one."]
    assert tokens["access_token"] not in of(said, "Exchange the code for tokens")[0]
    assert [answer(printed)[0]["displayName"] for printed in (before, after)] == [platform.ada["name"]] * 2


def test_w31_w35_after_revoking_the_token_is_refused(said: list[str]) -> None:
    revoked, refused = of(said, "Revoke")
    assert revoked.strip() == "200"
    error, others = answer(refused)
    assert others == ["401"]
    assert error["message"]


def test_w28_w35_the_used_code_is_refused(said: list[str]) -> None:
    error, others = answer(of(said, "A used code is refused")[0])
    assert (error["error"], others) == ("invalid_grant", ["400"])
    assert "The authorization code was used " in error["error_description"], "and not that the grant was revoked"


def test_w35_at_the_end_the_integration_is_gone_and_the_document_can_be_followed_again(
    platform: Up, said: list[str]
) -> None:
    assert len(of(said, "Clean up")) == 1
    assert "By hand" not in {app["name"] for app in platform.platform("app", "list")}


def test_every_command_of_the_document_is_among_those_that_ran(said: list[str]) -> None:
    assert len(said) == len(BLOCKS) + 1
    fences = re.findall(r"^```(\w*)$", TEXT, re.MULTILINE)
    assert set(fences) == {"sh", "json", ""}


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_every_link_of_the_document_leads_to_a_file(link: str) -> None:
    assert Path(ROOT / "docs" / link).exists()
