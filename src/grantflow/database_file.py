"""Whether an open database still lies where it was opened; shared by the vault and the platform.

A file that was removed or replaced lives on as long as it is open: SQLite reads and writes it as if nothing had been,
and when the process ends, all of that is gone. The log beside it (``PATH-wal``) holds what was committed last, and
while anybody has the database open SQLite neither removes nor replaces it.
"""

import os
import time
from pathlib import Path
from typing import TypeAlias

#: Seconds that a finding is believed, so that asking before each statement costs nothing.
_BELIEVED = 1.0

_Identity: TypeAlias = tuple[int, int]


class DatabaseFile:
    """The file at `path`, which is there; made before it is opened, so that nothing can come between unnoticed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log_path = Path(f"{os.path.realpath(path)}-wal")  # as SQLite has it, also behind a link
        self._opened = _identity(path)
        self._log: _Identity | None = None
        self._in_place = True
        self._believed_until = 0.0

    def is_in_place(self) -> bool:
        """False once it or its log was removed or another one was put in its place, within a second; True again if
        it is back. To be asked while the database is open: what is no one's may go.
        """
        now = time.monotonic()
        if now >= self._believed_until:
            self._believed_until = now + _BELIEVED
            self._in_place = self._opened == _identity(self._path) and self._has_its_log()
        return self._in_place

    def _has_its_log(self) -> bool:
        # The first one seen is the one that was opened: there is none before, and where there never is, none is missed.
        found = _identity(self._log_path)
        self._log = self._log or found
        return self._log == found


def _identity(path: Path) -> _Identity | None:
    try:
        found = os.stat(path)
    except OSError:  # a disk that is away and comes back is trouble as well, as long as it lasts
        return None
    return found.st_dev, found.st_ino
