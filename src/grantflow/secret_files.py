"""A secret as a setting: in a variable, or in a file of its own that ``..._FILE`` names; never in both."""

from pathlib import Path

__all__ = ["Unreadable", "not_both", "read_text"]


class Unreadable(Exception):
    """The message says which file, and why; nothing of what it holds."""


def not_both(variable: str) -> str:
    """What is told where the variable is set, and the one that names a file too: no guess at which is meant."""
    return f"set it, or {variable}_FILE, not both"


def read_text(path: Path) -> str:
    """Without the white space around it. Raises Unreadable."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Unreadable(f"{path} cannot be read: {reason}") from None
