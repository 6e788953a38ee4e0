"""The programs that the portal shows run as they are shown."""

import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from grantflow import KeyRing
from tests.developer_portal.given import House, code_of, run, text_of
from tests.whole.person import Page, Person
from tests.whole.running import Up, environment, up

LABELS = ["Python, with Grantflow", "Python, with requests", "curl"]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("samples") / "state") as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("label", LABELS)
def test_w26_w29_w36_each_program_on_an_integrations_page_gets_tokens_with_its_own_ids(
    platform: Up, tmp_path: Path, label: str
) -> None:
    with Person(platform.grace) as grace:
        grace.open(f"{platform.portal_url}/{platform.app['client_id']}")
        program = shown(grace.sign_in(), label)
        assert platform.app["client_secret"] not in grace.page.text
        assert dict(grace.page.links)["Try it"] == f"{platform.integration_url}/"
    (redirect_uri,) = platform.app["redirect_uris"]
    command = ["sh", "-euc", program] if label == "curl" else [sys.executable, "-c", program]
    secrets = {"GRANTFLOW_CLIENT_SECRET": platform.app["client_secret"], "GRANTFLOW_KEY": KeyRing.new_key()}
    with Person(platform.ada, stops=(redirect_uri,)) as ada:
        answer = ada.grant(platform.app["authorization_url"])
        (code,) = parse_qs(urlsplit(answer).query)["code"]
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment() | secrets | {"CODE": code},
        )
        assert child.stdout is not None
        with child:
            asked = child.stdout.readline() if "Grantflow" in label else ""
            typed = ada.grant(asked.rpartition(" ")[2].strip()) if asked else code
            said, _ = child.communicate(f"{typed}\n", timeout=60)
    assert child.returncode == 0
    assert ("access_token" if label == "curl" else "Ada Lovelace") in said


def test_w29_the_program_with_our_library_says_that_it_needs_a_key(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        page = await browser.open(f"/my-apps/{await browser.created()}")
        assert "GRANTFLOW_KEY : grantflow keys new makes one" in text_of(page)
        programs.append(code_of(page, LABELS[0]))

    programs: list[str] = []
    run(tmp_path, story)
    command = [sys.executable, "-c", programs[0]]
    env = environment() | {"GRANTFLOW_CLIENT_SECRET": "x"}
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "GRANTFLOW_KEY is not set" in ended.stderr.splitlines()[-1]


def shown(page: Page, label: str) -> str:
    block = page.text.partition(f"<figcaption>{label}")[2]
    return unescape(block.partition("<code>")[2].partition("</code>")[0])


@pytest.mark.parametrize(
    ("kind", "labels", "named", "missing"),
    [
        ("strict", [LABELS[0], LABELS[2]], ["code_verifier", "GRANTFLOW_CLIENT_SECRET"], []),
        ("public", [LABELS[0], LABELS[2]], ["code_verifier"], ["GRANTFLOW_CLIENT_SECRET"]),
    ],
)
def test_s10_s39_the_programs_are_those_of_the_integrations_kind(
    tmp_path: Path, kind: str, labels: list[str], named: list[str], missing: list[str]
) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created(kind=kind, redirect_uris="https://lockbot.example/o?a='$(x)")
        page = await browser.open(f"/my-apps/{client_id}")
        programs = {label: code_of(page, label) for label in LABELS}
        assert [label for label, program in programs.items() if program] == labels
        compile(programs[LABELS[0]], "sample", "exec")
        assert "'redirect_uri=https://lockbot.example/o?a='\"'\"'$(x)'" in programs["curl"]
        assert all(word in programs["curl"] for word in named)
        assert not [word for word in missing if word in "".join(programs.values())]
        assert "Try it" not in text_of(page)

    run(tmp_path, story)
