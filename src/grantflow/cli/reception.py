"""Waits for the answer to one authorization: at the redirect URI on this machine, and for an address that is pasted.

The listener is on loopback alone, opens when the person is about to be sent away and closes with the answer (RFC 8252
sections 7.3 and 8.3). Code and state leave the address bar before a page is shown.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from ssl import SSLContext
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from grantflow import serving
from grantflow.cli.called import as_called
from grantflow.cli.output import say
from grantflow.client.errors import AuthorizationResponseError, GrantflowError, MissingCode
from grantflow.client.flows.starting import BegunAuthorization
from grantflow.client.grant import CompletedGrant
from grantflow.client.integration import Integration
from grantflow.client.pages.about import About, in_plain_words
from grantflow.client.pages.endings import ENDINGS, ending_of, particulars
from grantflow.serving import Listener
from grantflow.web.pages import Message, Pages
from grantflow.web.site import Site

TEMPLATES = Path(__file__).parent / "templates"
#: Seconds that a browser has to fetch the page, and after it what the page is made of.
_FOR_THE_PAGE, _FOR_ITS_PARTS = 5.0, 0.7
_BACK = "Close this window and go back to the terminal."
_WAITING = Message(
    "Nothing has come here yet",
    why="This address waits for the answer to a grant that was begun in the terminal.",
    next_step="Open the address that the terminal shows.",
)
_SOMEBODY_ELSES = Message(
    "This is not the answer that was asked for",
    why="It belongs to another request: one that was given up, or a link that somebody made. Nothing was exchanged.",
    next_step="The terminal still waits for the right one. Go on where it sent you, or open the address that it shows.",
    kind="warning",
)
#: The same for the terminal.
SOMEBODY_ELSES = "What came is not the answer to this request, and was not used. Still waiting."


class TimeIsOver(Exception):
    """Nobody answered in time."""


@dataclass(slots=True)
class Reception:
    """`about` is what the page calls both sides."""

    integration: Integration
    begun: BegunAuthorization
    about: About
    outcome: CompletedGrant | GrantflowError | None = None
    shown: Message = _WAITING
    _is_late: bool = False
    _one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock)
    _ends: list[int] = field(default_factory=list)

    def wait(self, sockets: Sequence[socket], *, tls: SSLContext | None, seconds: int) -> CompletedGrant:
        """Raises TimeIsOver, KeyboardInterrupt, and what `Integration.complete_authorization` raises. Once an answer is
        being exchanged, neither the time nor Ctrl-C ends it: its outcome is the answer, within the exchange's deadline.
        """
        lifeline, end = os.pipe()
        self._ends = [end]

        def on_ready() -> None:
            loop = asyncio.get_running_loop()
            loop.call_later(seconds, self._be_late)
            _Pasted(self).listen(loop)

        try:
            # It comes back when its threads have ended, so that an exchange under way has set the outcome.
            ended_by = serving.run([Listener(self._app(), sockets, tls)], on_ready=on_ready, lifeline=lifeline)
        finally:
            self._stop()
            os.close(lifeline)
        if self.outcome is None and (ended_by is signal.SIGINT or not self._is_late):
            raise KeyboardInterrupt
        return self.result()

    def result(self) -> CompletedGrant:
        """Raises as `wait`."""
        match self.outcome:
            case CompletedGrant() as grant:
                return grant
            case None:
                raise TimeIsOver
            case error:
                raise error

    async def take(self, answer: str) -> None:
        """What came, from wherever; an answer that is not to this authorization leaves it open."""
        async with self._one_by_one:
            if self.outcome is not None or not self._ends:  # what comes when all is over is not exchanged any more
                return
            try:
                outcome = await asyncio.to_thread(self.settle, answer)
            finally:
                if self._is_late and self.outcome is None:
                    self._stop()
            if is_somebody_elses(outcome):
                say(SOMEBODY_ELSES)
            else:
                asyncio.get_running_loop().call_later(_FOR_THE_PAGE, self._stop)

    def settle(self, answer: str) -> CompletedGrant | GrantflowError:
        """Complete with it, and set the outcome where it is this authorization's. Without an await between, so that it
        is known even where whoever waits for it is cut off."""
        outcome = self.complete(answer)
        self.shown = page_of(outcome, about=self.about)
        if not is_somebody_elses(outcome):
            self.outcome = outcome
        return outcome

    def settle_at_once(self, answer: str) -> bool:
        """The same where nothing is listened at: whether that was the end. Ctrl-C waits until its outcome is known.

        Raises KeyboardInterrupt, where there is none.
        """
        pressed: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
        try:
            self.settle(answer)
        finally:
            signal.signal(signal.SIGINT, before)
        if pressed and self.outcome is None:
            raise KeyboardInterrupt
        return self.outcome is not None

    def complete(self, answer: str) -> CompletedGrant | GrantflowError:
        """What came of it; an error without `cookie_name` where this authorization's own state did not come along."""
        cookie = self.begun.cookie
        try:
            return self.integration.complete_authorization(answer, {cookie.name: cookie.value})
        except GrantflowError as error:
            return error
        except ValueError:  # an address that is none
            return AuthorizationResponseError("What came is no address and no answer.")

    def be_done(self) -> None:
        """Nobody looks at a page."""
        if self.outcome is not None:
            self._stop()

    def _be_late(self) -> None:
        self._is_late = True
        if not self._one_by_one.locked():  # else it ends with what is being exchanged
            self._stop()

    def _stop(self) -> None:
        while self._ends:
            os.close(self._ends.pop())

    # --- the pages ------------------------------------------------------------------------------------------------

    def _app(self) -> Starlette:
        redirect_uri = urlsplit(self.integration.redirect_uri)
        site = Site(self.about.name, f"{redirect_uri.scheme}://{redirect_uri.netloc}", role="integration")
        pages = Pages(site, templates=(TEMPLATES,))
        path = redirect_uri.path or "/"

        async def answered(request: Request) -> Response:
            if not request.query_params.keys() & {"code", "error"}:
                if self.outcome is not None:
                    asyncio.get_running_loop().call_later(_FOR_ITS_PARTS, self._stop)
                return self._page(request, pages)
            await self.take(request.url.query)
            return pages.redirect(path)

        return Starlette(routes=[pages.static.route(), Route(path, answered, methods=["GET"])])

    def _page(self, request: Request, pages: Pages) -> Response:
        grant = self.outcome if isinstance(self.outcome, CompletedGrant) else None
        return pages.page(
            request,
            "answered.html",
            referrer="no-referrer",
            message=self.shown,
            grant=grant,
            scopes=in_plain_words(grant.scopes) if grant else (),
            logout=as_called("grantflow logout"),
        )


def is_somebody_elses(outcome: CompletedGrant | GrantflowError) -> bool:
    """Whether it is no answer to this authorization: whoever opens the address by chance or malice ends nothing.

    Only the platform and this browser know the state, so what comes without it is not believed, whatever it says; a
    platform repeats the state in its errors too (RFC 6749 section 4.1.2.1).
    """
    if isinstance(outcome, AuthorizationResponseError):
        return outcome.cookie_name is None or isinstance(outcome, MissingCode)
    return False


def page_of(outcome: CompletedGrant | GrantflowError, *, about: About) -> Message:
    if isinstance(outcome, CompletedGrant):
        return Message(
            f"You have granted, {outcome.called}",
            why=f"{about.name} may now act in your name at {about.platform}.",
            next_step=_BACK,
            kind="success",
        )
    if is_somebody_elses(outcome):
        return _SOMEBODY_ELSES
    ending = ENDINGS[ending_of(outcome)]
    words = {"integration": about.name, "platform": about.platform, "operator": about.operator, **particulars(outcome)}
    return Message(ending.title.format_map(words), why=ending.why.format_map(words), next_step=_BACK, kind=ending.kind)


@dataclass(slots=True)
class _Pasted:
    """Lines of stdin, where it can be watched: a terminal or a pipe."""

    reception: Reception
    rest: bytes = b""
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            stdin = sys.stdin.fileno()
            loop.add_reader(stdin, self._read, loop, stdin)
        except (AttributeError, OSError, ValueError):  # there is none, or it is a file
            return

    def _read(self, loop: asyncio.AbstractEventLoop, stdin: int) -> None:
        came = os.read(stdin, 65_536)
        if not came:
            loop.remove_reader(stdin)
        *lines, self.rest = (self.rest + (came or b"\n")).split(b"\n")
        for line in filter(None, map(bytes.strip, lines)):
            task = loop.create_task(self._take(line.decode(errors="replace")))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _take(self, line: str) -> None:
        await self.reception.take(line)
        self.reception.be_done()
