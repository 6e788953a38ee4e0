"""Lockbot over sockets, against a running `grantflow up`, with several people."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.examples.running import example, settings
from tests.parts import free_port
from tests.whole.person import Page, Person
from tests.whole.running import Up, up

SCOPES = "spark:people_read spark:rooms_read spark:rooms_write"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("lockbot") / "state") as running:
        yield running


@pytest.fixture
def lockbot(platform: Up, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    app = platform.register(f"Lockbot {port}", f"http://127.0.0.1:{port}/oauth", scopes=SCOPES)
    with example("lockbot/lockbot.py", tmp_path, port=port, **settings(app, api_url=platform.api_url)) as said:
        yield f"http://127.0.0.1:{port}"
    assert "code=" not in said.read_text()


@contextmanager
def connected(account: dict[str, str], *, at: str) -> Iterator[Person]:
    with Person(account) as person:
        person.open(at)
        person.press("Grant")
        person.sign_in()
        person.press("Accept")
        assert person.press("Continue").url == f"{at}/spaces"
        assert f"Your spaces, {account['name']}" in person.page.words
        yield person


def press(person: Person, title: str) -> Page:
    """The one button beside the space."""
    items = re.split(r"<li[ >]", person.page.text)[1:]
    (person.page.forms,) = ([form] for form, item in zip(person.page.forms, items, strict=True) if title in item)
    ((words, _),) = person.page.forms[0].buttons
    return person.press(words)


def is_locked(platform: Up, title: str) -> bool:
    return platform.sql("SELECT is_locked FROM rooms WHERE title = ?", title) == [(1,)]


def test_each_of_several_people_locks_and_unlocks_in_their_own_name(platform: Up, lockbot: str) -> None:
    with connected(platform.ada, at=lockbot) as ada, connected(platform.people[3], at=lockbot) as katherine:
        assert "Analytical Engine" in ada.page.words
        assert "Analytical Engine" not in katherine.page.words, "everybody sees their own spaces"

        press(ada, "Lunch")
        assert is_locked(platform, "Lunch")
        katherine.open(f"{lockbot}/spaces")
        press(katherine, "Lunch")
        assert (katherine.page.status, is_locked(platform, "Lunch")) == (403, True)
        assert "Only a moderator of Lunch can unlock it." in katherine.page.words

        platform.expire_access_tokens()
        ada.open(f"{lockbot}/spaces")
        press(ada, "Lunch")
        assert (ada.page.status, is_locked(platform, "Lunch")) == (200, False)


def test_w34_who_took_the_grant_back_is_sent_to_grant_again_and_nobody_else(platform: Up, lockbot: str) -> None:
    with connected(platform.ada, at=lockbot) as ada, connected(platform.people[3], at=lockbot) as katherine:
        ada.open(f"{platform.platform_url}/connected-apps")
        while any(words == "Revoke" for words, _ in ada.page.links):
            ada.press("Revoke")
            ada.press("Revoke")
            ada.open(f"{platform.platform_url}/connected-apps")
        ada.open(f"{lockbot}/spaces")
        ada.press("Accept")
        assert "You are connected, Ada Lovelace" in ada.page.words
        assert katherine.open(f"{lockbot}/spaces").status == 200


def test_a_stranger_sees_no_spaces_and_another_site_locks_none(platform: Up, lockbot: str) -> None:
    with Person() as stranger:
        assert "What you grant" in stranger.open(f"{lockbot}/spaces").words
    with connected(platform.ada, at=lockbot) as ada:
        sent = {"room": ada.page.forms[0].fields["room"], "lock": "yes"}
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in ada._http.cookies.jar)
        headers = {"origin": "https://elsewhere.example", "cookie": cookies}
        answer = httpx2.post(f"{lockbot}/spaces", data=sent, headers=headers, trust_env=False)
        assert answer.status_code == 403


def test_a_form_that_names_no_space_is_refused_before_anything_is_called(platform: Up, lockbot: str) -> None:
    with connected(platform.ada, at=lockbot) as ada:
        room = ada.page.forms[0].fields["room"]
        wrong = [
            {"lock": "no"},
            {"room": room},
            *({"room": r, "lock": "no"} for r in ("../people/me", "x?y#z", "", "/")),
        ]
        for sent in wrong:
            answer = ada._http.post(f"{lockbot}/spaces", data=sent, headers={"origin": lockbot})
            assert (answer.status_code, "Name a space" in answer.text) == (400, True), sent
        kind = "application/x-www-form-urlencoded; charset=punycode"
        headers = {"origin": lockbot, "content-type": kind}
        assert ada._http.post(f"{lockbot}/spaces", content=b"room=a", headers=headers).status_code == 415
        headers["content-type"] = kind.partition(";")[0]
        assert ada._http.post(f"{lockbot}/spaces", content=b"a" * 10_001, headers=headers).status_code == 413
