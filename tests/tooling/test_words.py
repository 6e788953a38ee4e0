"""One word for each thing that befalls a grant, wherever people read of it."""

import ast
import re
from pathlib import Path

import pytest

from tests.parts import ROOT, committed_files

#: A person grants; at the platform a grant is revoked; at an integration one disconnects.
OTHER_WORDS = re.compile(
    r"(?i)\b(?:tak(?:e|es|en|ing)|took)\s+(?:\S+\s+){0,4}?(?:back|away)\b|\bremove \{\{ about|\ballowed (?:all|before)"
)
READ_BY_PEOPLE = [
    path
    for path in committed_files()
    if path.is_relative_to(ROOT / "src/grantflow")
    and (path.suffix == ".html" or {"cli", "pages", "resource_owner", "developer_portal"} & set(path.parts))
    and path.suffix in {".html", ".py"}
] + [ROOT / "README.md"]


@pytest.mark.parametrize("path", READ_BY_PEOPLE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_grant_is_granted_revoked_or_disconnected_and_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert OTHER_WORDS.findall(texts_in(text) if path.suffix == ".py" else text) == []


def texts_in(source: str) -> str:
    """What a module may show: its text, but neither comments nor docstrings."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in alone]
    return "\n".join(node.value for node in constants if isinstance(node.value, str))
