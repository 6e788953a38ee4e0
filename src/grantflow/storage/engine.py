"""What every engine offers: reads at once, and units of work that commit together or not at all.

A unit of work is a generator that yields one ``Statement`` at a time and is sent its rows. The engine drives it
inside a transaction, so the same function serves a driver that blocks and one that awaits; raising undoes all that
the unit did.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from grantflow.protocol.errors import TemporarilyUnavailable

Row: TypeAlias = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with ``:name`` placeholders. The values stay out of the repr: they may be personal."""

    sql: str
    values: Mapping[str, object] = field(default_factory=dict, repr=False)


Work: TypeAlias = Generator[Statement, Sequence[Row], T]


class StorageUnavailable(TemporarilyUnavailable):
    """The database cannot take the work now (full disk, locked, gone); nothing of the unit of work was kept.

    It is one of the wire's errors, so a role that answers 503 to TemporarilyUnavailable needs no word of storage.
    ``reason`` is for the log and the operator, ``retry_after`` is in seconds.
    """

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        description = "The service cannot reach its records at the moment; nothing was changed. Try again shortly."
        super().__init__(description, reason=reason, retry_after=retry_after)

    def __str__(self) -> str:
        return self.reason


class StorageReplaced(StorageUnavailable):
    """The database's file, or the log beside it, is not the one any more that was opened; ``FIX`` is what an operator
    does about it.
    """

    FIX = "Put it back, or restore a backup, and start the platform again; until then nothing is written."

    def __init__(self, path: Path) -> None:
        what = f"the database {path} or its log ({path.name}-wal, beside it)"
        super().__init__(f"{what} was removed or replaced while it was open. {self.FIX}", retry_after=60)


class IntegrityError(Exception):
    """A statement broke a constraint (a duplicate, a reference to nothing). It is thrown into the unit of work where it
    stood; the unit must end with an error then, since not every database goes on after one.
    """


class Stale(Exception):
    """What the unit of work was decided on is no longer so. Raised in a unit it undoes it: load and decide again."""


class Engine(Protocol):
    async def read(self, statement: Statement) -> Sequence[Row]:
        """The rows of one SELECT, as of the last commit."""

    async def write(self, work: Work[T], *, is_long: bool = False) -> T:
        """Drive the unit of work in a transaction; answers after its commit is on disk. ``is_long`` says that it may
        touch hundreds of rows: reads and what else the process does go on meanwhile.

        Raises:
            StorageUnavailable: nothing was kept; try again later.
            Whatever the unit raises; nothing was kept of it then.
        """

    async def close(self) -> None: ...
