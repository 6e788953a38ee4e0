"""One person's calls of the API, whichever HTTP library sends them.

Every client and adapter is a few lines around this::

    with closing(calls.begin(scheme, host, port, replayable=True)) as run:
        while call := calls.shell.until_call(run):  # awaited, where the integration is
            response = ...  # send with `call.access_token`; where `call.again`, rewind the body first
            run.feed(response.status_code)
"""

import ipaddress
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

import httpx2

from grantflow.client.errors import ForeignOrigin
from grantflow.client.shells.awaiting import AsyncShell
from grantflow.client.shells.blocking import Shell
from grantflow.client.shells.running import Run
from grantflow.client.steps import Flow

S = TypeVar("S", Shell, AsyncShell)

#: Makes the flow of one call; the argument says whether its body can be sent again.
Conversation: TypeAlias = Callable[[bool], Flow[None]]

#: Scheme, host in lower case and ASCII, port.
_Origin: TypeAlias = tuple[str, str, int | None]

#: The most that the body of a 401 may hold, in bytes: it is read whole before the call is sent again, so it is not to
#: be endless.
REFUSAL_LIMIT: Final = 64 * 1024
TOO_LONG_A_REFUSAL: Final = f"The API refused the token (401) with more than {REFUSAL_LIMIT} bytes; try again."
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origins:
    """Where tokens may go."""

    origins: frozenset[_Origin]

    @classmethod
    def of(cls, *urls: str) -> "Origins":
        parsed = (httpx2.URL(url) for url in urls)
        return cls(frozenset(_origin(url.scheme, url.raw_host.decode("ascii"), url.port) for url in parsed))

    def check(self, scheme: str, host: str, port: int | None) -> None:
        """`host` as the HTTP library will connect to it, without brackets. Raises ForeignOrigin."""
        if (scheme, host, port or _DEFAULT_PORTS.get(scheme)) in self.origins:
            return
        if _origin(scheme, host, port) not in self.origins:
            raise ForeignOrigin(
                f"{_written(scheme, host, port)} is not the API of this integration, so nothing was sent there: "
                "whoever gets an access token can use it. If it belongs to the API, name it in "
                "Integration(api_origins=[...])."
            )


def _origin(scheme: str, host: str, port: int | None) -> _Origin:
    with suppress(ValueError):  # one IPv6 address can be written in several ways
        host = str(ipaddress.IPv6Address(host)) if ":" in host else host
    return scheme, host, port or _DEFAULT_PORTS.get(scheme)


def _written(scheme: str, host: str, port: int | None) -> str:
    """As a person writes it: no port that goes without saying."""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{scheme}://{bracketed}" + ("" if port in (None, _DEFAULT_PORTS.get(scheme)) else f":{port}")


@dataclass(frozen=True, slots=True)
class Calls(Generic[S]):
    """`shell` is the integration's own, blocking or awaiting."""

    conversation: Conversation
    shell: S
    origins: Origins

    def begin(self, scheme: str, host: str, port: int | None, *, replayable: bool) -> Run[None]:
        """A call to there; `replayable`: whether its body can be sent again. Raises ForeignOrigin."""
        self.origins.check(scheme, host, port)
        return Run(self.conversation(replayable))
