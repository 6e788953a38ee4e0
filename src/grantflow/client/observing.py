"""What takes time or is done twice, told in passing to whoever observes: metrics, traces.

A flow wraps what it does in an activity, and writes into it what there is to tell; an observer is called when that
begins, and again when it has ended. Nothing here does I/O, and what an observer raises is the observer's own.
"""

import logging
from collections.abc import Callable, Hashable
from enum import StrEnum
from types import TracebackType
from typing import ClassVar, Final, Protocol, Self, TypeAlias

from grantflow.client.grant import Grant, GrantKey

_logger = logging.getLogger("grantflow")


class Outcome(StrEnum):
    """How a refresh ended, for one that led it or waited for it."""

    RENEWED = "renewed"
    """New tokens came and are kept."""
    DELAYED = "delayed"
    """The platform did not help this time; nothing is harmed."""
    REFUSED = "refused"
    """It refused the refresh token for good: the person must grant again."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """It refused it after an answer was lost on the way."""
    HELD_BACK = "held_back"
    """It refused it while it refuses many: not believed until an operator has looked."""
    INTEGRATION_REFUSED = "integration_refused"
    """It refused the integration itself."""
    WAITED = "waited"
    """Another process had the lease, and its new token served here too."""
    FOUND = "found"
    """Somebody had renewed it already."""
    JOINED = "joined"
    """A caller who shared the refresh of another one in this process, whatever came of it."""
    NOT_ASKED = "not_asked"
    """The platform was not asked: the grant is dead, or it is too early for the next try."""
    FAILED = "failed"
    """It came to no end: the vault was unavailable, the caller was interrupted."""


#: By the code of the error that a refresh ended with, once the platform had been asked.
_OUTCOMES: Final = {
    "token_endpoint_unavailable": Outcome.DELAYED,
    "reauthorization_required": Outcome.REFUSED,
    "refresh_outcome_unknown": Outcome.OUTCOME_UNKNOWN,
    "refusal_held_back": Outcome.HELD_BACK,
    "integration_refused": Outcome.INTEGRATION_REFUSED,
}

#: Called when the activity has ended.
Ending: TypeAlias = Callable[[], None]


class Observer(Protocol):
    """Told of each activity in the caller's thread or task, within its context, so it must be quick."""

    def begin(self, activity: "Activity") -> Ending | None:
        """Called when it begins, with its names; what is returned is called when it has ended, with the rest."""


class Observers:
    """Those of one integration. One that fails is named in the log, once for each kind of error, and stops nothing."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()
        self._named: set[tuple[str, type[Exception]]] = set()

    def __bool__(self) -> bool:
        return bool(self._observers)

    def add(self, observer: Observer) -> None:
        self._observers = (*self._observers, observer)

    def begin(self, activity: "Activity") -> list[tuple[Observer, Ending]]:
        endings = []
        for observer in self._observers:
            try:
                ending = observer.begin(activity)
            except Exception as error:
                self._name(observer, error)
            else:
                if ending is not None:
                    endings.append((observer, ending))
        return endings

    def end(self, endings: list[tuple[Observer, Ending]]) -> None:
        for observer, ending in reversed(endings):
            try:
                ending()
            except Exception as error:
                self._name(observer, error)

    def _name(self, observer: Observer, error: Exception) -> None:
        name, kind = type(observer).__name__, type(error)
        if (name, kind) not in self._named:
            self._named.add((name, kind))
            _logger.error("the observer %s failed, which is not told again: %s: %s", name, kind.__name__, error)


class Activity:
    """`error` is what ended it, None where it came to its end; GeneratorExit where it was given up."""

    __slots__ = ("_endings", "_observers", "error", "integration", "key")

    name: ClassVar[str]

    def __init__(self, observers: Observers, integration: str, key: GrantKey | None = None) -> None:
        self._observers = observers
        self.integration = integration
        self.key = key
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._endings = self._observers.begin(self) if self._observers else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._endings:
            self.error = error
            self._observers.end(self._endings)


class Calling(Activity):
    """A call of the API in somebody's name. `statuses` are those of the answers: two where it was sent again."""

    __slots__ = ("statuses",)
    name = "call"

    def __init__(self, observers: Observers, integration: str, key: GrantKey) -> None:
        super().__init__(observers, integration, key)
        self.statuses: tuple[int, ...] = ()


class Waiting(Activity):
    """A caller who needs a new token, until there is one or an error. `flight` names the refresh that is shared in this
    process; `leads`: whether this caller is the one that all others of the flight wait for."""

    __slots__ = ("flight", "leads")
    name = "wait"

    def __init__(self, observers: Observers, integration: str, key: GrantKey, *, flight: Hashable) -> None:
        super().__init__(observers, integration, key)
        self.flight = flight
        self.leads = False


class Refreshing(Activity):
    """The one refresh of a flight. `pauses` are seconds spent waiting for another process; `is_decided`: what comes is
    the platform's answer, or its silence; `renewed`: the tokens are ours; `grant` is as it was left, where known."""

    __slots__ = ("flight", "grant", "is_decided", "pauses", "renewed")
    name = "refresh"

    def __init__(self, observers: Observers, integration: str, key: GrantKey, *, flight: Hashable) -> None:
        super().__init__(observers, integration, key)
        self.flight = flight
        self.pauses = 0.0
        self.is_decided = False
        self.renewed = False
        self.grant: Grant | None = None

    @property
    def outcome(self) -> Outcome:
        if self.error is None:
            if self.renewed:
                return Outcome.RENEWED
            return Outcome.WAITED if self.pauses else Outcome.FOUND
        outcome = _OUTCOMES.get(getattr(self.error, "code", ""), Outcome.FAILED)
        return outcome if self.is_decided or outcome is Outcome.FAILED else Outcome.NOT_ASKED


class Exchanging(Activity):
    """A code is exchanged for tokens."""

    __slots__ = ()
    name = "exchange"

    @property
    def outcome(self) -> str:
        """`exchanged`, or what it failed with: the code of the error."""
        return "exchanged" if self.error is None else str(getattr(self.error, "code", Outcome.FAILED))
