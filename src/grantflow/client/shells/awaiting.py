"""The shell for awaiting callers on asyncio: any number of tasks, and of event loops one after another.

Reading a vault in a file takes tens of microseconds and waits for nobody, so it happens on the loop; writing, and
reading what lies behind a network, goes to a thread.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import httpx2

from grantflow.client.events import Event
from grantflow.client.grant import Person
from grantflow.client.shells.repeating import AsyncRepeatingTransport
from grantflow.client.shells.running import Run
from grantflow.client.shells.watching import not_done, not_taken
from grantflow.client.shells.wire import (
    FRESH_EACH_TIME,
    MOMENT,
    NO_USABLE_ANSWER,
    Addresses,
    Remaining,
    check_size,
    incoming,
    outgoing,
    proxy_for,
    silence,
    too_late,
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

#: In seconds: an event loop that comes to something by so much too late was busy with something else, or not at all.
_STOOD_STILL: Final = 0.1
#: Threads for the vault, at most, in each event loop. They are apart from asyncio's own few: else a vault that
#: is locked would stop the look-up of names, and whatever else the host application does there.
VAULT_THREADS: Final = 32


@dataclass(slots=True)
class _Flight:
    """`telling` comes when `task` is done, where there is something to tell."""

    task: "asyncio.Task[Any]"
    telling: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class _Here:
    """What belongs to one event loop."""

    api: httpx2.AsyncBaseTransport
    tokens: httpx2.AsyncBaseTransport
    vault: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(VAULT_THREADS, thread_name_prefix="grantflow-vault")
    )
    flights: dict[Hashable, _Flight] = field(default_factory=dict)
    tellings: set["asyncio.Task[Any]"] = field(default_factory=set)
    meanwhile: dict[Hashable, "asyncio.Task[None]"] = field(default_factory=dict)
    #: What closes the vault, for tellings by whom the integration was closed.
    closing: dict["asyncio.Task[Any]", Callable[[], None]] = field(default_factory=dict)


class AsyncShell:
    """Performs flows in the caller's task. `transport` stands in for the network where it is given; `vault_waits` says
    that reading the vault may wait too."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        addresses: Addresses,
        transport: httpx2.AsyncBaseTransport | None,
        identify: Callable[[Secret], Awaitable[Person]],
        vault_waits: bool = False,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        self._now = now
        self._addresses = addresses
        # Made here, where the application is built, and not on its event loop in the middle of a call.
        self._security = addresses.ssl_context()
        self._transport = transport
        self._identify = identify
        self._vault_waits = vault_waits
        self._on_event = on_event
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, _Here] = WeakKeyDictionary()

    async def perform(self, flow: Flow[T]) -> T:
        return await self._perform(flow, later=None)

    async def advance(self, run: Run[T]) -> None:
        """Perform one step, whichever but `Call`."""
        await self._advance(run, later=None)

    async def _perform(self, flow: Flow[T], *, later: _Later | None) -> T:
        """`later` is that of the flight which the flow is part of."""
        run = Run(flow)
        while run.step is not None:
            await self._advance(run, later=later)
        return run.value

    async def _advance(self, run: Run[T], *, later: _Later | None) -> None:
        try:
            result = await self._do(run.step, later)
        except BaseException as error:
            run.fail(error)
        else:
            run.feed(result)

    async def until_call(self, run: Run[T]) -> Call | None:
        """Perform steps until the HTTP client is to send the caller's request; None where the flow is over."""
        while (step := run.step) is not None:
            if isinstance(step, Call):
                return step
            await self.advance(run)
        return None

    def transport(self) -> httpx2.AsyncBaseTransport:
        """The connections of this event loop to the API, shared by all persons."""
        return self._here().api

    async def landed(self) -> None:
        """Waits for refreshes under way, and for whoever watches."""
        made = self._made.get(asyncio.get_running_loop())
        while made is not None and (under_way := _under_way(made)):
            await asyncio.wait(under_way)

    async def close(self, vault: Callable[[], None]) -> None:
        """And the vault, by that. Where whoever watches is the one who closes, once they have returned: that they were
        told is noted in the vault, which that would open again."""
        made, telling = self._made.get(asyncio.get_running_loop()), asyncio.current_task()
        if made is not None and telling in made.tellings:
            made.closing[telling] = vault
        else:
            await self._close(vault)

    async def _close(self, vault: Callable[[], None]) -> None:
        try:
            await self._end_meanwhile()
            await self.landed()
            made = self._made.pop(asyncio.get_running_loop(), None)
            if made is not None:
                await made.api.aclose()
                await made.tokens.aclose()
                made.vault.shutdown(wait=False)
        finally:
            vault()

    async def _do(self, step: object, later: _Later | None) -> Any:
        match step:
            case Now():
                return self._now()
            case Load(read):
                return await self._in_thread(read) if self._vault_waits else read()
            case Save(write):
                return await _finish(self._in_thread(write))
            case Moment():
                return asyncio.get_running_loop().time()
            case Send(request, deadline, since):
                sending = self._send(request, deadline=deadline, since=since)
                return await (sending if later is None else _insist(sending))
            case Alone():
                return await self._alone(step, later)
            case Afterwards(flow):
                return await self._wait_for(self._afterwards([flow])) if later is None else later.append(flow)
            case Meanwhile():
                return self._meanwhile(step)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Identify(access_token):
                return await self._find_out(access_token)
            case Tell(event):
                return await self._tell(event)
            case _:
                raise TypeError(f"{step!r} is for the HTTP client's own flow")

    def _in_thread(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().run_in_executor(self._here().vault, work)

    async def _send(self, request: Request, *, deadline: float, since: float | None) -> Response:
        clock = asyncio.get_running_loop().time
        remaining = Remaining(deadline, monotonic=clock, since=since, ends_reading=False)
        try:
            async with _ending(remaining.end):
                response = await self._here().tokens.handle_async_request(outgoing(request, timeouts=remaining))
                try:
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        check_size(body)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise too_late(deadline) from None
        except NO_USABLE_ANSWER as error:
            raise silence(error) from error
        return incoming(response, body)

    async def _find_out(self, access_token: Secret) -> Person:
        try:
            return await self._identify(access_token)
        except NO_USABLE_ANSWER as error:
            raise unidentified(error) from error

    async def _tell(self, event: Event) -> bool:
        assert self._on_event is not None
        try:
            taken = self._on_event(event)
            if isinstance(taken, Awaitable):
                await taken
        except Exception as error:
            not_taken(event, error)
            return False
        except asyncio.CancelledError as error:
            telling = asyncio.current_task()
            if telling is None or telling.cancelling():
                raise
            not_taken(event, error)  # not this task: what they waited for was cancelled
            return False
        return True

    async def _alone(self, step: Alone, outer: _Later | None) -> Any:
        flight = self._here().flights.get(step.key)
        if flight is not None:
            return await asyncio.shield(flight.task)
        flight = self._fly(step, outer)
        try:
            return await asyncio.shield(flight.task)
        finally:
            await self._wait_for(flight.telling)

    def _fly(self, step: Alone, outer: _Later | None) -> _Flight:
        # A task of its own: the caller who happened to be first may be cancelled, the refresh is not.
        flights, later = self._here().flights, [] if outer is None else outer
        flight = flights[step.key] = _Flight(asyncio.create_task(self._perform(step.flow(), later=later)))

        def land(landed: "asyncio.Task[Any]") -> None:
            del flights[step.key]
            if not landed.cancelled():
                landed.exception()  # seen, even where every caller has gone
            # One that was cancelled is on an event loop that ends. What it saved is told by whoever looks next.
            if outer is None and later and not landed.cancelling():
                flight.telling = self._afterwards(later)

        flight.task.add_done_callback(land)
        return flight

    def _meanwhile(self, step: Meanwhile) -> None:
        """On this event loop, with which it ends; then whoever comes next, on another, begins it anew."""
        tasks, current = self._here().meanwhile, asyncio.current_task()
        going_on = step.key in tasks and not tasks[step.key].done()
        if going_on or (current is not None and current.cancelling()):  # that may be an event loop that ends
            return

        def forget(done: "asyncio.Task[None]") -> None:
            if tasks.get(step.key) is done:
                del tasks[step.key]

        # It has nothing to do with the caller who happened to be there, nor with what is traced for them.
        task = tasks[step.key] = asyncio.create_task(self._repeat(step), context=Context())
        task.add_done_callback(forget)

    async def _repeat(self, step: Meanwhile) -> None:
        task = asyncio.current_task()
        assert task is not None
        # It may be cancelled while something is sent, which is awaited (`_insist`): then it ends after that.
        while step.wanted() and not task.cancelling():
            await asyncio.sleep(step.seconds)
            later: _Later = []
            try:
                await self._perform(step.flow(), later=later)
            except Exception as error:
                not_done(step.key, error)
            if later and not task.cancelling():  # nobody waits here for whoever watches
                self._afterwards(later)

    async def _end_meanwhile(self) -> None:
        made = self._made.get(asyncio.get_running_loop())
        if made is None or not made.meanwhile:
            return
        tasks = set(made.meanwhile.values())
        for task in tasks:
            task.cancel()
        if asyncio.current_task() not in made.tellings:  # whoever watches may close, and it may wait for them
            await asyncio.wait(tasks)

    def _afterwards(self, flows: _Later) -> "asyncio.Task[None]":
        """In a task of its own, so that whoever watches may use the integration, and no caller's end is theirs."""

        async def tell() -> None:
            try:
                for flow in flows:
                    await self.perform(flow())
            finally:
                if telling in here.closing:
                    await self._close(here.closing.pop(telling))

        here, telling = self._here(), asyncio.create_task(tell())
        here.tellings.add(telling)
        telling.add_done_callback(here.tellings.discard)
        return telling

    async def _wait_for(self, telling: "asyncio.Task[None] | None") -> None:
        """Not from within another: whoever watches is told of what they led to when they have returned."""
        if telling is not None and asyncio.current_task() not in self._here().tellings:
            await asyncio.wait({telling})

    def _here(self) -> _Here:
        loop = asyncio.get_running_loop()
        made = self._made.get(loop)
        if made is None:
            self._forget_ended()
            made = self._made[loop] = self._make()
        return made

    def _forget_ended(self) -> None:
        """Event loops that ended with nobody closing there. Their connections hold on to them, and nothing can
        be closed there now; but their threads can end, and what nothing holds is freed."""
        for known in self._made.keyrefs():
            loop = known()
            ended = self._made.pop(loop, None) if loop is not None and loop.is_closed() else None
            if ended is not None:  # else another thread, with an event loop of its own, has just done so
                ended.vault.shutdown(wait=False)

    def _make(self) -> _Here:
        if self._transport is not None:
            return _Here(self._transport, self._transport)
        context, at = self._security, self._addresses
        return _Here(
            AsyncRepeatingTransport(security=context, proxy=proxy_for(at.api)),
            httpx2.AsyncHTTPTransport(verify=context, limits=FRESH_EACH_TIME, proxy=proxy_for(at.token_endpoint)),
        )


def _under_way(made: _Here) -> set["asyncio.Task[Any]"]:
    flights = {flight.task for flight in made.flights.values()}
    # Whoever watches may close the integration, and then waits for no other that might do so too.
    return flights if asyncio.current_task() in made.tellings else flights | made.tellings


@asynccontextmanager
async def _ending(end: float) -> AsyncIterator[None]:
    """Raises TimeoutError then; but where the event loop has stood still until the time was over, a moment later, so
    that what came meanwhile is read."""
    loop = asyncio.get_running_loop()

    def is_over() -> None:
        now = loop.time()
        limit.reschedule(now + MOMENT if now - end > _STOOD_STILL else now)

    async with asyncio.timeout(None) as limit:
        timer = loop.call_at(end, is_over)
        try:
            yield
        finally:
            timer.cancel()


async def _insist(sending: Coroutine[Any, Any, T]) -> T:
    """What is sent in a flight is awaited though the event loop ends: a platform that swaps refresh tokens has swapped
    this one, and the answer is still to be saved. `asyncio.run` cancels all tasks that it knows of, so not this one."""
    task = asyncio.create_task(sending)
    asyncio.tasks._unregister_task(task)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue
        return task.result()


async def _finish(write: "asyncio.Future[Any]") -> Any:
    """What was begun in a thread is awaited to its end, even by a task that is cancelled meanwhile."""
    try:
        return await asyncio.shield(write)
    except asyncio.CancelledError:
        while not write.done():
            try:
                await asyncio.wait({write})
            except asyncio.CancelledError:
                continue
        raise
