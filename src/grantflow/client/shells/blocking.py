"""The shell for blocking callers: any number of threads, and processes that fork."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

import httpx2

from grantflow.client.events import Event
from grantflow.client.grant import Person
from grantflow.client.shells.flights import Flight, LeaderGaveUp, land, land_here, lines_held, write_lines
from grantflow.client.shells.punctual import PunctualTransport
from grantflow.client.shells.repeating import RepeatingTransport
from grantflow.client.shells.running import Run
from grantflow.client.shells.watching import not_done, not_taken
from grantflow.client.shells.wire import (
    NO_USABLE_ANSWER,
    Addresses,
    Remaining,
    check_size,
    incoming,
    outgoing,
    proxy_for,
    silence,
    unidentified,
)
from grantflow.client.steps import (
    Afterwards,
    Alone,
    Call,
    Flow,
    Identify,
    Load,
    Meanwhile,
    Moment,
    Now,
    Pause,
    Save,
    Send,
    Tell,
)
from grantflow.protocol.http import Request, Response
from grantflow.protocol.secret import Secret

T = TypeVar("T")

#: What is to be done once a flight has landed.
_Later: TypeAlias = list[Callable[[], Flow[None]]]


#: The most that closing waits for what is done meanwhile, in seconds: it may be at a slow watcher's.
_END_OF_MEANWHILE: Final = 5.0


@dataclass(slots=True)
class _Here:
    """What belongs to one process: connections and flows under way do not survive a fork."""

    api: httpx2.BaseTransport
    tokens: httpx2.BaseTransport
    flights: dict[Hashable, Flight] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    meanwhile: dict[Hashable, threading.Thread] = field(default_factory=dict)
    closed: threading.Event = field(default_factory=threading.Event)
    #: The threads in which flights are, or are told of.
    apart: set[threading.Thread] = field(default_factory=set)


class Shell:
    """Performs flows in the caller's thread. `transport` stands in for the network where it is given."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        addresses: Addresses,
        transport: httpx2.BaseTransport | None,
        identify: Callable[[Secret], Person],
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._addresses = addresses
        # Made here, where the application is built: it takes tens of milliseconds, and every process may have it.
        self._security = addresses.ssl_context()
        self._transport = transport
        self._identify = identify
        self._on_event = on_event
        self._made: dict[int, _Here] = {}
        self._telling = threading.local()

    def perform(self, flow: Flow[T]) -> T:
        return self._perform(flow, later=None)

    def advance(self, run: Run[T]) -> None:
        """Perform one step, whichever but `Call`."""
        self._advance(run, later=None)

    def _perform(self, flow: Flow[T], *, later: _Later | None) -> T:
        """`later` is that of the flight which the flow is part of."""
        run = Run(flow)
        while run.step is not None:
            self._advance(run, later=later)
        return run.value

    def _advance(self, run: Run[T], *, later: _Later | None) -> None:
        try:
            result = self._do(run.step, later)
        except BaseException as error:
            run.fail(error)
        else:
            run.feed(result)

    def until_call(self, run: Run[T]) -> Call | None:
        """Perform steps until the HTTP client is to send the caller's request; None where the flow is over."""
        while (step := run.step) is not None:
            if isinstance(step, Call):
                return step
            self.advance(run)
        return None

    def transport(self) -> httpx2.BaseTransport:
        """The connections to the API, shared by all persons."""
        return self._here().api

    def landed(self) -> None:
        """Waits for the refreshes that their callers have left, interrupted, and for whoever watches; but whoever
        watches may be the one who waits, and then waits for no other that might do so too."""
        made = self._made.get(os.getpid())
        if made is None:
            return
        watches = getattr(self._telling, "queue", None) is not None
        apart = [flight.thread for flight in list(made.flights.values())] if watches else list(made.apart)
        for thread in apart:
            if thread is not None and thread is not threading.current_thread():
                thread.join()

    def close(self, vault: Callable[[], None]) -> None:
        """And the vault, by that. Where whoever watches is the one who closes, once they have returned: that they were
        told is noted in the vault, which that would open again."""
        if getattr(self._telling, "queue", None) is not None:
            self._telling.vault = vault
            return
        try:
            made = self._made.pop(os.getpid(), None)
            if made is not None:
                _end_meanwhile(made)
                made.api.close()
                made.tokens.close()
        finally:
            vault()

    def _do(self, step: object, later: _Later | None) -> Any:
        match step:
            case Now():
                return self._now()
            case Load(read):
                return read()
            case Save(write):
                return write()
            case Moment():
                return self._monotonic()
            case Send(request, deadline, since):
                return self._send(request, deadline=deadline, since=since)
            case Alone():
                return self._alone(step, later)
            case Afterwards(flow):
                return self._afterwards([flow]) if later is None else later.append(flow)
            case Meanwhile():
                return self._meanwhile(step)
            case Pause(seconds):
                return time.sleep(seconds)
            case Identify(access_token):
                return self._find_out(access_token)
            case Tell(event):
                return self._tell(event)
            case _:
                raise TypeError(f"{step!r} is for the HTTP client's own flow")

    def _send(self, request: Request, *, deadline: float, since: float | None) -> Response:
        remaining = Remaining(deadline, monotonic=self._monotonic, since=since)
        try:
            response = self._here().tokens.handle_request(outgoing(request, timeouts=remaining))
            try:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    check_size(body)
                    remaining.to_read()  # a transport that was given may keep no time itself
            finally:
                response.close()
        except NO_USABLE_ANSWER as error:
            raise silence(error) from error
        return incoming(response, body)

    def _find_out(self, access_token: Secret) -> Person:
        try:
            return self._identify(access_token)
        except NO_USABLE_ANSWER as error:
            raise unidentified(error) from error

    def _tell(self, event: Event) -> bool:
        assert self._on_event is not None
        try:
            self._on_event(event)
        except Exception as error:
            not_taken(event, error)
            return False
        return True

    def _afterwards(self, flows: Iterable[Callable[[], Flow[None]]]) -> None:
        """In the thread of whoever led the flight. Whoever watches may use the integration meanwhile, and what that
        leads to follows when they have returned."""
        queue: deque[Callable[[], Flow[None]]] | None = getattr(self._telling, "queue", None)
        if queue is not None:
            queue.extend(flows)
            return
        queue = self._telling.queue = deque(flows)
        try:
            while queue:
                self.perform(queue.popleft()())
        finally:
            self._telling.queue = None
            vault, self._telling.vault = getattr(self._telling, "vault", None), None
            if vault is not None:
                self.close(vault)

    def _meanwhile(self, step: Meanwhile) -> None:
        here = self._here()
        with here.lock:
            if step.key in here.meanwhile:
                return
            # One that a program does not wait for when it ends.
            thread = threading.Thread(target=self._repeat, args=(here, step), name="grantflow-meanwhile", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # there are too many, or the program ends: whoever comes next may try
                not_done(step.key, error)
            else:
                here.meanwhile[step.key] = thread

    def _repeat(self, here: _Here, step: Meanwhile) -> None:
        while not here.closed.wait(step.seconds):
            later: _Later = []
            try:
                self._perform(step.flow(), later=later)
            except BaseException as error:  # in a thread of our own, so nothing else is stopped by it
                not_done(step.key, error)
            if later:  # apart, since whoever watches may take their time
                threading.Thread(target=self._afterwards, args=(later,), name="grantflow-telling", daemon=True).start()
            with here.lock:  # whoever wants it from now on finds it gone
                if not step.wanted():
                    del here.meanwhile[step.key]
                    return

    def _alone(self, step: Alone, later: _Later | None) -> Any:
        flights = self._here().flights
        while True:
            flight = self._lead(flights, step, later)
            try:
                return flight.wait()
            except LeaderGaveUp:
                continue

    def _lead(self, flights: dict[Hashable, Flight], step: Alone, outer: _Later | None) -> Flight:
        """The flight under way; where there is none, ours, which has landed then. Raises the error of ours."""
        mine, later = Flight(), [] if outer is None else outer
        apart = step.apart and outer is None and threading.current_thread() is threading.main_thread()
        try:
            return self._fly(flights, step, mine, later, apart=apart)
        finally:
            mine.is_left = mine.thread is not None and not mine.has_landed
            if not mine.is_left or mine.has_landed:  # it may have landed just now, and told nobody
                write_lines(mine)
                if outer is None:
                    self._afterwards(later)

    def _fly(self, flights: dict[Hashable, Flight], step: Alone, mine: Flight, later: _Later, *, apart: bool) -> Flight:
        try:
            try:
                flight = flights.setdefault(step.key, mine)
                if flight is mine and not (apart and self._fly_apart(flights, step, mine, later)):
                    self._perform_for_all(step, mine, later)
                return flight
            finally:
                land_here(flights, step.key, mine)
        finally:  # once more: a signal handler may have raised in the middle of it, and many would wait for ever
            land_here(flights, step.key, mine)

    def _fly_apart(self, flights: dict[Hashable, Flight], step: Alone, mine: Flight, later: _Later) -> bool:
        """In a thread of its own, since signal handlers raise in the main one: an interrupt, a time limit. A platform
        that swaps refresh tokens may have swapped this one by then, and the answer is still to be saved. A program that
        ends waits for it. False where there can be no further thread."""

        def fly() -> None:
            mine.thread = thread
            if mine.has_landed:  # given up before it began
                return
            try:
                self._perform_for_all(step, mine, later)
            except BaseException as error:
                mine.end = error
            finally:
                land(flights, step.key, mine)
            if mine.is_left:
                write_lines(mine)
                self._afterwards(later)

        def fly_and_go() -> None:
            here.apart.add(thread)
            try:
                fly()
            finally:
                here.apart.discard(thread)

        here = self._here()
        thread = threading.Thread(target=copy_context().run, args=(fly_and_go,), name="grantflow-flight")
        try:
            thread.start()
        except RuntimeError:
            return False
        try:
            mine.wait()
        except LeaderGaveUp:
            assert mine.end is not None
            raise mine.end from None
        return True

    def _perform_for_all(self, step: Alone, flight: Flight, later: _Later) -> None:
        try:
            with lines_held(flight):
                flight.result = self._perform(step.flow(), later=later)
        except Exception as error:
            flight.error = error
            raise
        flight.error = None

    def _here(self) -> _Here:
        """Without a lock, which a fork might leave locked for ever: of several threads that come first, all get the one
        that was put there first."""
        process = os.getpid()
        made = self._made.get(process)
        if made is None:
            made = self._made.setdefault(process, self._make())
            for inherited in [each for each in list(self._made) if each != process]:
                self._made.pop(inherited, None)
        return made

    def _make(self) -> _Here:
        if self._transport is not None:
            return _Here(self._transport, self._transport)
        context, at = self._security, self._addresses
        return _Here(
            RepeatingTransport(security=context, proxy=proxy_for(at.api)),
            PunctualTransport(security=context, proxy=proxy_for(at.token_endpoint)),
        )


def _end_meanwhile(here: _Here) -> None:
    here.closed.set()
    with here.lock:
        threads = list(here.meanwhile.values())
    for thread in threads:
        if thread is not threading.current_thread():  # whoever watches may close the integration
            thread.join(_END_OF_MEANWHILE)
