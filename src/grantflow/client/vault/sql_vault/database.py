"""What the statements stand on: a database, which each engine's module brings, and the keys."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol, TypeAlias

from grantflow.client.vault.records import Row
from grantflow.sealing import KeyRing

Parameters: TypeAlias = Mapping[str, Any]


class Result(Protocol):
    """What came of a statement."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class Transaction(Protocol):
    """A transaction under way, in which each statement sees what was committed before it began."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Result: ...


class Database(ABC):
    """Reads and writes one statement, or several as one; opens what was sealed."""

    #: Whether reading may wait for a network, so that it does not belong on an event loop.
    waits: ClassVar[bool]
    #: Seconds since 1970 on the clock that all users of this database share.
    _clock: ClassVar[str]
    #: Whether all who use this database share a machine, and so the time since it was started.
    _on_one_machine: ClassVar[bool] = False
    #: What keeps a row that was read from others until the transaction ends, where a transaction does not by itself.
    _for_update: ClassVar[str] = ""
    #: The same, passing over rows that others have: who tidies up waits for nobody, and nobody for one another.
    _skip_locked: ClassVar[str] = ""

    keys: KeyRing
    _sealing: KeyRing

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the vault is, in words that hold no secret."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _rows(self, statement: str, parameters: Parameters) -> Sequence[Any]:
        """Read, in one statement."""

    @abstractmethod
    def _write(self, statement: str, parameters: Parameters) -> int:
        """Write, in one statement; the number of rows that it changed."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Transaction]:
        """Several statements as one: all of what they write is kept, or nothing."""

    @abstractmethod
    def _queue(self, transaction: Transaction, what: str) -> None:
        """Until the transaction ends, nobody else is past this with the same word: for what no row stands for that
        could be kept from others."""

    def _rows_at_leisure(self, statement: str, parameters: Parameters) -> Sequence[Any]:
        """The same for what takes long, so that nobody else waits for it."""
        return self._rows(statement, parameters)

    def _row(self, statement: str, parameters: Parameters) -> Row | None:
        rows = self._rows(statement, parameters)
        return rows[0] if rows else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r}, keys={self.keys!r})"
