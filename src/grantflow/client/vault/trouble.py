"""What keeps a vault's file from being used: the cause, and what to do, for whoever runs the integration."""

import os
from pathlib import Path
from typing import Final

from grantflow.client.errors import VaultNotOpened, VaultUnavailable

#: SQLite's primary result codes (sqlite.org/rescode.html): the cause, what to do, and when to try again, in seconds.
_LOCKED: Final = (
    "another program keeps it locked",
    "Close what has it open (a database browser, a backup, a copy under way)",
    5.0,
)
_READ_ONLY: Final = (
    "it cannot be written",
    "Let the account that the integration runs under write the file and its folder, on a disk that is not read-only",
    60.0,
)
_DAMAGED: Final = (
    "it is damaged, cut short, or no vault at all",
    "Put it back from a backup (grants that are younger must be given again)",
    60.0,
)
_CAUSES: Final = {
    1: _DAMAGED,  # SQLITE_ERROR: a table is not there
    3: _READ_ONLY,  # SQLITE_PERM
    5: _LOCKED,  # SQLITE_BUSY
    6: _LOCKED,  # SQLITE_LOCKED
    8: _READ_ONLY,  # SQLITE_READONLY
    10: ("the disk failed", "Look at the disk and the system's log", 60.0),  # SQLITE_IOERR
    11: _DAMAGED,  # SQLITE_CORRUPT
    13: ("the disk is full", "Make room on it", 60.0),  # SQLITE_FULL
    14: _READ_ONLY,  # SQLITE_CANTOPEN
    26: _DAMAGED,  # SQLITE_NOTADB
}
_UNKNOWN: Final = ("SQLite cannot work with it", "Look at the disk and the system's log", 60.0)

#: What to do where `log_left_alone`.
KEEP_THE_LOG: Final = (
    "Put back the very file that the log belongs to. If that is lost, move the log away; then put the file back from a "
    "backup, or begin anew."
)

BUSY: Final = 5
DAMAGED: Final = 11


def is_damage(code: int | None) -> bool:
    """Whether what was read from the file was no vault, or could not be read."""
    return (code or 0) & 0xFF in {1, 10, DAMAGED, 26}


def is_locked(error: VaultUnavailable) -> bool:
    """Whether waiting alone may mend it: nothing is wrong with the file."""
    return _CAUSES.get(getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF) is _LOCKED


def unavailable(path: Path, *, code: int | None, reason: str) -> VaultUnavailable:
    """`code` is SQLite's own, primary or extended; `reason` are its words."""
    cause, fix, retry_after = _CAUSES.get((code or 0) & 0xFF, _UNKNOWN)
    return VaultUnavailable(
        f"The vault {path} cannot be used just now: {cause} ({reason}). Nothing was changed. {fix}, then try again.",
        retry_after=retry_after,
    )


def replaced(path: Path) -> VaultUnavailable:
    return VaultUnavailable(
        f"The vault {path} or its log ({path.name}-wal, beside it) was removed or replaced while it was open, and what "
        "is written now would be lost. Put it back from a backup, and start again.",
        retry_after=60.0,
    )


def log_left_alone(path: Path) -> str | None:
    """What is to be said of a file that is empty or not there, and whose log is: SQLite takes that for a remnant and
    deletes it, though what was written last may be in it alone."""
    log = Path(f"{os.path.realpath(path)}-wal")
    try:
        is_there = path.exists()
        if log.stat().st_size == 0 or (is_there and path.stat().st_size):
            return None
    except OSError:
        return None
    return (
        f"The vault {path} is {'empty' if is_there else 'not there'}, but its log is: {log}. Whoever opened the vault "
        "now would lose what is in the log. Nothing was changed."
    )


def not_opened(path: Path, error: OSError) -> VaultNotOpened:
    fixes = {
        FileNotFoundError: f"Make the folder {path.parent} first, or name another file",
        NotADirectoryError: "A part of the path is a file; name another one",
        IsADirectoryError: "It is a folder; name a file in it",
        PermissionError: "Let the account that the integration runs under write the file and its folder",
    }
    fix = fixes.get(type(error), "Look at the disk, or name another file")
    return VaultNotOpened(
        f"The vault {path} can be neither opened nor made: {error.strerror or error}. {fix}.", retry_after=60.0
    )
