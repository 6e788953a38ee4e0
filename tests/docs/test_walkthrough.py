"""What docs/walkthrough.md says and shows is so. The story itself is walked in tests/browser/test_walkthrough.py."""

import json
import re
import shlex
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.docs import walkthrough as document
from tests.examples.running import checkout as checkout_in
from tests.parts import ROOT
from tests.whole.person import Person
from tests.whole.running import Up, grantflow, up

PICTURES = ROOT / "docs/images/walkthrough"
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("walkthrough") / "state") as running:
        yield running


def test_every_picture_is_there_with_words_for_who_cannot_see_it_and_no_other() -> None:
    names = [name for _, name in document.PICTURES]
    assert sorted(names) == sorted(file.stem for file in PICTURES.iterdir())
    assert document.TEXT.count("![") == len(names)
    assert all(len(words) > 20 for words, _ in document.PICTURES)


def test_the_pictures_are_no_burden() -> None:
    pictures = [file.read_bytes() for file in sorted(PICTURES.iterdir())]
    assert sum(map(len, pictures)) < 1_500_000
    assert max(struct.unpack(">I", picture[16:20])[0] for picture in pictures) <= 900


@pytest.mark.parametrize("link", re.findall(r"\]\(([^):]+)\)", document.TEXT))
def test_every_link_leads_somewhere(link: str) -> None:
    path, _, part = link.partition("#")
    file = (ROOT / "docs" / path) if path else document.DOCUMENT
    assert file.exists()
    assert not part or part in anchors(file)


def anchors(file: Path) -> set[str]:
    """Of its headings, as they are made where the document is read."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_command_is_among_those_that_run() -> None:
    assert set(re.findall(r"^ *```(\w*)$", document.TEXT, re.MULTILINE)) == {"sh", "json", "text", ""}
    assert "#" not in "".join(re.findall(r"```sh\n(.*?)```", document.TEXT, re.DOTALL)), "zsh takes no comments"


@slow
@pytest.mark.parametrize(
    "address", sorted(set(re.findall(r"http://127\.0\.0\.1:9000(/(?!v1\b)[\w/-]+)", document.TEXT)))
)
def test_every_address_of_the_sandbox_is_served(platform: Up, address: str) -> None:
    assert httpx2.get(f"{platform.platform_url}{address}", trust_env=False, timeout=30).status_code != 404


@slow
@pytest.mark.parametrize(
    ("lines", "scheme", "redirect_uri"),
    [
        (document.SERVE_TLS, "https", "https://localhost:8001/oauth"),
        (document.SERVE_PUBLIC, "http", "https://your.host/oauth"),
    ],
    ids=["over TLS", "behind a proxy"],
)
def test_w13_w14_w15_the_pages_are_served_over_tls_or_behind_a_proxy(
    platform: Up, tmp_path: Path, lines: str, scheme: str, redirect_uri: str
) -> None:
    port = document.own_port(platform.folder)
    checkout = checkout_in(tmp_path / "grantflow")
    app = platform.register(f"Notice Board, {redirect_uri}", f"http://localhost:{port}/oauth")
    downloaded = {f"GRANTFLOW_{name.upper()}": shlex.quote(app[name]) for name in ("client_id", "client_secret")}
    (checkout / "notice-board.env").write_text("".join(f"{name}={value}\n" for name, value in downloaded.items()))
    redirect_uri = redirect_uri.replace(document.PORT, str(port))
    address, host = f"{scheme}://localhost:{port}/connect", {"host": urlsplit(redirect_uri).netloc}
    with document.terminal(document.SET_UP, lines, checkout=checkout, data=platform.folder):
        sent = httpx2.get(address, headers=host, trust_env=False, timeout=30, verify=False).headers["location"]
    asked = parse_qs(urlsplit(sent).query)
    assert (asked["client_id"], asked["redirect_uri"]) == ([app["client_id"]], [redirect_uri])


@slow
def test_w26_w27_w31_the_answers_are_shown_as_they_are(platform: Up) -> None:
    redirect_uri = "http://127.0.0.1:8471/oauth"
    app = platform.register("Shown", redirect_uri)
    asked = {
        "client_id": app["client_id"],
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "scope": app["scopes"],
        "state": "ours",
    }
    assert list(asked) == document.names_of(document.AUTHORIZATION_URL)
    with Person(platform.ada, stops=(redirect_uri,)) as ada:
        answer = ada.grant(str(httpx2.URL(f"{platform.api_url}/authorize", params=asked)))
    assert re.findall(r"[?&](\w+)=", answer) == document.names_of(document.ANSWER)
    form = {
        "grant_type": "authorization_code",
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "code": parse_qs(urlsplit(answer).query)["code"][0],
        "redirect_uri": redirect_uri,
    }
    assert all(f"`{name}`" in document.TEXT for name in form)
    tokens = httpx2.post(f"{platform.api_url}/access_token", data=form, trust_env=False, timeout=30).json()
    shown = json.loads(document.TOKENS)
    assert list(shown) == list(tokens)
    assert {name: tokens[name] for name, value in shown.items() if value != "..."} == {
        name: value for name, value in shown.items() if value != "..."
    }

    platform.expire_access_tokens()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    refused = httpx2.get(f"{platform.api_url}/people/me", headers=headers, trust_env=False, timeout=30)
    shown = json.loads(document.INVALID_TOKEN)
    assert refused.status_code == 401
    assert (shown["message"], list(shown)) == (refused.json()["message"], list(refused.json()))


@slow
def test_w04_the_command_for_bots_is_there() -> None:
    (command,) = re.findall(r"`\./dev (grantflow platform bot --help)`", document.TEXT)
    assert "bot" in grantflow(*command.split()[1:]).stdout
