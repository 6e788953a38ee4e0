"""Whether an open database file still lies where it was opened; shared by the vault and the platform.

A file that was removed or replaced lives on as long as it is open: SQLite reads and writes it as if nothing had been,
and when the process ends, all of that is gone.
"""

import os
import time
from pathlib import Path

#: Seconds that a finding is believed, so that asking before each statement costs nothing.
_BELIEVED = 1.0


class DatabaseFile:
    """The file at `path`, which is there; made before it is opened, so that nothing can come between unnoticed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = _identity(path)
        self._in_place = True
        self._believed_until = time.monotonic() + _BELIEVED

    def is_in_place(self) -> bool:
        """False once it was removed or another one was put in its place, within a second; True again if it is back."""
        now = time.monotonic()
        if now >= self._believed_until:
            self._believed_until = now + _BELIEVED
            self._in_place = self._opened == _identity(self._path)
        return self._in_place


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:  # a disk that is away and comes back is trouble as well, as long as it lasts
        return None
    return found.st_dev, found.st_ino
