"""What tells the address of a database from a path, so that no password in one is taken for a file's name."""

import os
import re
from typing import Final

_SCHEMES: Final = ("postgresql://", "postgres://")
#: A scheme, an account with its password, or a word of libpq's own form. Of several slashes a `Path` leaves one.
_LIKE_AN_ADDRESS: Final = re.compile(r"\s*[a-z][a-z0-9+.-]+:/|(?:^|.*/)[^/:@]+:[^/@]*@|.*\bpassword\s*=", re.I | re.S)


def is_address(where: str) -> bool:
    """Whether that is a database's address, with a password in it perhaps, and not a path."""
    return where.startswith(_SCHEMES)


def refuse_address(path: str | os.PathLike[str]) -> None:
    """Raises ValueError, which does not quote it, where a path was wanted and that looks like an address."""
    if _LIKE_AN_ADDRESS.match(os.fspath(path)):
        raise ValueError(
            "That is no path of a file, and no address of a vault either, for such a one begins with postgresql:// "
            "(open_vault takes it, SqliteVault takes a path alone). It is not repeated here: a password may be in it."
        )
