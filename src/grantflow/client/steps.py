"""What a flow asks of the world: it yields steps, a shell performs them and sends back what came of it.

A flow itself does no I/O, reads no clock and waits for nothing; so one flow serves blocking and awaiting callers.
Each helper below yields one step and gives its result the right type: `now = yield from current_time()`.
"""

from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias, TypeVar, cast

from grantflow.client.events import Event
from grantflow.client.grant import Person
from grantflow.protocol.http import Request, Response
from grantflow.protocol.secret import Secret

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Now:
    """The time, aware UTC."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A reading of the clock that only goes on, in seconds: for `Send`."""


@dataclass(frozen=True, slots=True)
class Load:
    """Read from the vault. Where the vault does not wait for a network (`Vault.waits`), it may run on an event loop."""

    read: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Save:
    """Write to the vault. May wait for a lock and the disk, and once begun it is finished, whoever gives up."""

    write: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Send:
    """Send to the token endpoint and its like; `deadline` is the most it may take in all, in seconds, counted from the
    moment `since` or else from now.

    Raises `Unanswered` into the flow.
    """

    request: Request
    deadline: float
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """Send the caller's own request to the API with this access token; the result is the status of the answer.

    `again` says that it was sent before, so the body must be rewound.
    """

    access_token: Secret
    again: bool = False


@dataclass(frozen=True, slots=True)
class Identify:
    """Let the host application's own callable find out whose token this is."""

    access_token: Secret


@dataclass(frozen=True, slots=True)
class Tell:
    """Call whoever watches; the result is whether they took it. What they raise is theirs, and stops nobody."""

    event: Event


@dataclass(frozen=True, slots=True)
class Afterwards:
    """Perform `flow` once the outermost flight around this step has landed and its callers have their result; outside
    of a flight, now. So it may itself use what the flight was about."""

    flow: Callable[[], "Flow[None]"] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Alone:
    """Perform `flow` once in this process however many ask with the same key at the same time: all get its result
    or its error. A caller that gives up meanwhile does not stop it.

    `apart`: also not one whom a signal handler interrupts. Then the host application is not asked for anything in it,
    since it may be performed in a thread that the application does not know.
    """

    key: Hashable
    flow: Callable[[], "Flow[Any]"] = field(repr=False)
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Perform `flow` beside all callers, every so many seconds as long as it is wanted and the integration is not
    closed. Where one with the same key goes on already, that is the one; nobody waits for it."""

    key: Hashable
    flow: Callable[[], "Flow[None]"] = field(repr=False)
    wanted: Callable[[], bool] = field(repr=False)
    seconds: float


Step: TypeAlias = Now | Moment | Load | Save | Send | Call | Identify | Tell | Afterwards | Pause | Alone | Meanwhile
Flow: TypeAlias = Generator[Step, Any, T]


class Unanswered(Exception):
    """No answer came. `sent` is False only where the request surely never left."""

    def __init__(self, reason: str, *, sent: bool = True) -> None:
        super().__init__(reason)
        self.sent = sent


def current_time() -> Flow[datetime]:
    return cast(datetime, (yield Now()))


def moment() -> Flow[float]:
    return cast(float, (yield Moment()))


def load(read: Callable[[], T]) -> Flow[T]:
    return cast(T, (yield Load(read)))


def save(write: Callable[[], T]) -> Flow[T]:
    return cast(T, (yield Save(write)))


def send(request: Request, *, deadline: float, since: float | None = None) -> Flow[Response]:
    """The answer knows what was asked, so that whoever quotes it leaves out what was secret in that."""
    return replace(cast(Response, (yield Send(request, deadline, since))), request=request)


def call_api(access_token: Secret, *, again: bool = False) -> Flow[int]:
    return cast(int, (yield Call(access_token, again)))


def identify(access_token: Secret) -> Flow[Person]:
    return cast(Person, (yield Identify(access_token)))


def hand_over(event: Event) -> Flow[bool]:
    return cast(bool, (yield Tell(event)))


def afterwards(flow: Callable[[], Flow[None]]) -> Flow[None]:
    yield Afterwards(flow)


def pause(seconds: float) -> Flow[None]:
    yield Pause(seconds)


def alone(key: Hashable, flow: Callable[[], Flow[T]], *, apart: bool = False) -> Flow[T]:
    return cast(T, (yield Alone(key, flow, apart)))


def meanwhile(
    key: Hashable, flow: Callable[[], Flow[None]], *, wanted: Callable[[], bool], seconds: float
) -> Flow[None]:
    yield Meanwhile(key, flow, wanted, seconds)
