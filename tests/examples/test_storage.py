"""W04 as the document tells it: files and comments of two people become messages in each one's own name."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.examples.running import PATIENCE, example, settings
from tests.parts import free_port
from tests.whole.person import Person
from tests.whole.running import Up, up

SCOPES = "spark:people_read spark:rooms_read spark:messages_write"
SPACE = "Analytical Engine"
pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Shelf:
    url: str
    folder: Path
    platform: Up

    @contextmanager
    def connected(self, account: dict[str, str]) -> Iterator[Person]:
        with Person(account) as person:
            person.open(self.url)
            person.press("Grant")
            person.sign_in()
            person.press("Accept")
            assert person.press("Continue").url == f"{self.url}/files"
            yield person

    def told(self, *, by: dict[str, str], at_least: int) -> list[str]:
        """What that person has said in the space since the example runs, as soon as it is so much."""
        end = time.monotonic() + PATIENCE
        while len(said := self._told(by)) < at_least and time.monotonic() < end:
            time.sleep(0.1)
        return said

    def _told(self, by: dict[str, str]) -> list[str]:
        said = self.platform.sql(
            "SELECT text FROM messages JOIN people ON people.id = person_id JOIN rooms ON rooms.id = room_id "
            "WHERE email = ? AND title = ? AND (text LIKE 'I stored %' OR text LIKE 'On %: %') "
            "ORDER BY messages.created_at",
            by["email"],
            SPACE,
        )
        return [text for (text,) in said]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    port, folder = free_port(), tmp_path / "shelf"
    with up(tmp_path / "state") as platform:
        app = platform.register("Shelf", f"http://127.0.0.1:{port}/oauth", scopes=SCOPES)
        env = settings(app, api_url=platform.api_url) | {"STORAGE_SPACE": SPACE}
        with example("storage/storage.py", folder, port=port, **env) as said:
            yield Shelf(f"http://127.0.0.1:{port}", folder, platform)
        assert "code=" not in said.read_text()


def test_w04_files_and_comments_of_two_people_are_told_in_each_ones_own_name(shelf: Shelf) -> None:
    ada, grace = shelf.platform.ada, shelf.platform.grace
    with shelf.connected(ada) as adas, shelf.connected(grace) as graces:
        store(adas, shelf, name="note-g.txt")
        adas_folder = shelf.folder / folder_shown_to(adas, shelf)
        adas.open(f"{shelf.url}/files")
        adas.press("Comment", comment="Now with Bernoulli numbers")
        graces_folder = shelf.folder / folder_shown_to(graces, shelf)
        (graces_folder / "moth.png").write_bytes(b"a moth")
        assert shelf.told(by=ada, at_least=2) == ["I stored note-g.txt.", "On note-g.txt: Now with Bernoulli numbers"]
        assert shelf.told(by=grace, at_least=1) == ["I stored moth.png."]
        assert "moth.png" in graces.open(f"{shelf.url}/files").words
        assert "moth.png" not in adas.open(f"{shelf.url}/files").words

        # W34: what happens while Ada's grant is gone is told when she has granted again, once.
        shelf.platform.expire_access_tokens()
        adas.open(f"{shelf.platform.platform_url}/connected-apps")
        adas.press("Revoke")
        adas.press("Revoke")
        (adas_folder / "note-h.txt").write_text("later")
        (graces_folder / "moth.png.comments").write_text("Keep it\n")
        assert shelf.told(by=grace, at_least=2) == ["I stored moth.png.", "On moth.png: Keep it"]
        while "Grant again" not in adas.open(f"{shelf.url}/files").text:
            time.sleep(0.1)
        adas.press("Grant again")
        adas.press("Accept")
        assert shelf.told(by=ada, at_least=3)[2:] == ["I stored note-h.txt."]


def test_while_the_vault_cannot_be_read_the_watcher_says_so_and_then_goes_on(shelf: Shelf) -> None:
    with shelf.connected(shelf.platform.ada) as ada:
        folder = shelf.folder / folder_shown_to(ada, shelf)
        vault, away, said = shelf.folder / "storage.db", shelf.folder / "away.db", shelf.folder / "said.txt"
        vault.rename(away)
        end = time.monotonic() + PATIENCE
        while "Nobody's news can be told: The vault" not in said.read_text() and time.monotonic() < end:
            time.sleep(0.1)
        (folder / "meanwhile.txt").write_text("new")
        away.rename(vault)
        assert shelf.told(by=shelf.platform.ada, at_least=1) == ["I stored meanwhile.txt."]
        assert "Nobody's news can be told: The vault" in said.read_text()


def folder_shown_to(person: Person, shelf: Shelf) -> str:
    (folder,) = re.findall("<code>(.+)</code>", person.open(f"{shelf.url}/files").text)
    return str(folder)


def store(person: Person, shelf: Shelf, *, name: str, origin: str | None = None) -> httpx2.Response:
    """Choose a file and press Store, as a browser sends it."""
    return person._http.post(
        f"{shelf.url}/files", files={"file": (name, b"content")}, headers={"origin": origin or shelf.url}
    )


def test_nothing_is_stored_for_another_site_for_a_stranger_or_outside_the_persons_own_folder(shelf: Shelf) -> None:
    with Person() as stranger:
        assert store(stranger, shelf, name="a.txt").headers["location"] == "/"
    with shelf.connected(shelf.platform.ada) as ada:
        assert store(ada, shelf, name="a.txt", origin="https://elsewhere.example").status_code == 403
        elsewhere = ("../a.txt", "..", f"x/../../{folder_shown_to(ada, shelf)}/a.txt", str(shelf.folder / "a.txt"))
        for name in (*elsewhere, ".hidden", "a.txt.comments"):
            assert store(ada, shelf, name=name).status_code == 400, name
        slow = {"origin": shelf.url, "content-type": "multipart/form-data; boundary=BB; Charset=punycode"}
        assert ada._http.post(f"{shelf.url}/files", content=b"--BB--\r\n", headers=slow).status_code == 415
        form = {"name": "../../shelf/said.txt", "comment": "hello"}
        ada._http.post(f"{shelf.url}/files", data=form, headers={"origin": shelf.url})
    assert [file for file in (shelf.folder / "files").rglob("*") if file.is_file()] == []
    assert [file.name for file in shelf.folder.glob("*.txt*")] == ["said.txt"]


def test_a_file_that_cannot_be_named_in_a_message_is_refused_and_one_put_there_by_hand_holds_up_nobody(
    shelf: Shelf,
) -> None:
    with shelf.connected(shelf.platform.ada) as ada:
        for name in ("a\u2028b.txt", "a\x85b.txt", "\u202etxt.a", "a" * 101, "\u00e4" * 60):
            assert store(ada, shelf, name=name).status_code == 400, name
        folder = shelf.folder / folder_shown_to(ada, shelf)
        for raw in (b"z\x80", "a\u2028b.txt".encode(), b"a\nb"):
            (folder / os.fsdecode(raw)).write_bytes(b"x")
        (folder / "later.txt").write_bytes(b"x")
        (folder / "later.txt.comments").write_bytes(b"\x80 is no UTF-8\none\xe2\x80\xa8line\n")
        said = ["I stored later.txt.", "On later.txt: \ufffd is no UTF-8", "On later.txt: one\u2028line"]
        assert shelf.told(by=shelf.platform.ada, at_least=3) == said
        time.sleep(2.5)
        assert shelf.told(by=shelf.platform.ada, at_least=3) == said, "once"
        assert ada.open(f"{shelf.url}/files").status == 200


def test_what_is_sent_is_bounded_and_in_utf_8(shelf: Shelf) -> None:
    with shelf.connected(shelf.platform.ada) as ada:

        def status(content: bytes, kind: str) -> int:
            headers = {"origin": shelf.url, "content-type": kind}
            return ada._http.post(f"{shelf.url}/files", content=content, headers=headers).status_code

        form = "application/x-www-form-urlencoded"
        assert status(b"name=a&comment=b", form) == 303
        assert status(b"name=a&comment=b", f"{form}; charset=punycode") == 415
        assert status(b"name=a&comment=" + b"b" * 1001, form) == 303
        assert status(b"b" * 10_000_001, form) == 413
