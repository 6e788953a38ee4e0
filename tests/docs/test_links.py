"""Links between the documents: each leads to a file that is there, and to a heading that it has."""

import re
from pathlib import Path

import pytest

from tests.docs.test_walkthrough import anchors
from tests.parts import ROOT

FOLDERS = (ROOT, ROOT / "docs", ROOT / "docs/decisions", *(ROOT / "examples").iterdir())
DOCUMENTS = sorted(document for folder in FOLDERS for document in folder.glob("*.md"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)", document.read_text(encoding="utf-8"))
    for path, anchor in links:
        target = document.parent / path if path else document
        assert target.exists(), path
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{path}#{anchor}"
