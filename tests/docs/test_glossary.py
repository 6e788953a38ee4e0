"""docs/glossary.md: every word is told in one sentence, and what it points at is there."""

import re

import pytest

from tests.parts import ROOT

TEXT = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)
PLACES = re.findall(r"\[(.+?)\]\((.+?)\)", TEXT)


def test_every_row_can_be_read_and_no_word_is_told_twice() -> None:
    assert len(ROWS) == TEXT.count("| **")
    words = [word for word, *_ in ROWS]
    assert sorted(set(words)) == sorted(words)


@pytest.mark.parametrize(("word", "told", "source"), [row[:3] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_word_is_one_sentence_with_its_rfc_or_is_ours(word: str, told: str, source: str) -> None:
    assert told.endswith(".")
    assert told.count(". ") == 0
    assert source == "ours" or re.fullmatch(r"RFC \d{4}(, [\d.]+( and [\d.]+)?)?(; RFC \d{4}(, [\d.]+)?)?", source)


@pytest.mark.parametrize(("name", "path"), sorted(set(PLACES)))
def test_what_a_word_points_at_is_there(name: str, path: str) -> None:
    file = ROOT / "docs" / path
    assert file.is_file()
    if name.startswith("`"):
        defined = rf"^ *(class|(async )?def) {name.strip('`')}\b|^{name.strip('`')}\b.* = "
        assert re.search(defined, file.read_text(encoding="utf-8"), re.MULTILINE), f"{path} defines no {name}"
    else:
        assert path.removesuffix("__init__.py").endswith(name)


def test_the_words_that_design_and_pages_are_built_on_are_all_told() -> None:
    words = {word for word, *_ in ROWS}
    assert words >= {
        *("integration", "person", "owner", "grant", "platform", "landing page", "redirect URI", "vault"),
        *("authorization code", "access token", "refresh token", "scope", "state", "profile", "lease", "generation"),
    }
