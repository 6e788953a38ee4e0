"""Both kinds of integration by one set of names, so that a test shows its promise in either."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import httpx2

from grantflow import (
    AdoptedGrant,
    AsyncIntegration,
    BegunAuthorization,
    CompletedGrant,
    Grant,
    Integration,
    KeptAlive,
    Revocation,
)
from grantflow.client.observing import Activity, Waiting

if TYPE_CHECKING:
    from tests.client.conftest import World


class Either(Protocol):
    @property
    def integration(self) -> Integration | AsyncIntegration: ...

    def begin(self, **asked: Any) -> BegunAuthorization: ...
    def complete(self, answer: str | Mapping[str, str], cookies: Mapping[str, str]) -> CompletedGrant: ...
    def complete_at_once(self, answer: str, cookies: Mapping[str, str], *, times: int) -> list[object]: ...
    def complete_all(self, answers: Sequence[tuple[str, Mapping[str, str]]]) -> list[object]: ...
    def get(self, url: str, *, person: str = "id-ada", **options: Any) -> httpx2.Response: ...
    def read(self, url: str) -> int: ...
    def refresh(self, person: str = "id-ada") -> Grant: ...
    def revoke(self, person: str = "id-ada") -> Revocation: ...
    def grants(self) -> Sequence[Grant]: ...
    def adopt(self, refresh_token: str, **known: Any) -> AdoptedGrant: ...
    def page_of_grants(self, **wanted: Any) -> Sequence[Grant]: ...
    def find_grants(self, who: str) -> Sequence[Grant]: ...
    def expiring(self, within: timedelta) -> Sequence[Grant]: ...
    def keep_alive(self, within: timedelta) -> KeptAlive: ...


class Blocking:
    def __init__(self, integration: Integration) -> None:
        self.integration = integration

    def begin(self, **asked: Any) -> BegunAuthorization:
        return self.integration.authorization_request(**asked)

    def complete(self, answer: str | Mapping[str, str], cookies: Mapping[str, str]) -> CompletedGrant:
        return self.integration.complete_authorization(answer, cookies)

    def complete_at_once(self, answer: str, cookies: Mapping[str, str], *, times: int) -> list[object]:
        """What comes of each: the grant, or the error."""
        return self.complete_all([(answer, cookies)] * times)

    def complete_all(self, answers: Sequence[tuple[str, Mapping[str, str]]]) -> list[object]:
        async def story() -> list[object]:
            each = (asyncio.to_thread(self.complete, answer, cookies) for answer, cookies in answers)
            return await asyncio.gather(*each, return_exceptions=True)

        return asyncio.run(story())

    def get(self, url: str, *, person: str = "id-ada", **options: Any) -> httpx2.Response:
        with self.integration.client_for(person) as client:
            return client.get(url, **options)

    def read(self, url: str) -> int:
        """The length of an answer that is read piece by piece."""
        with self.integration.client_for("id-ada") as client, client.stream("GET", url) as answer:
            return sum(len(chunk) for chunk in answer.iter_bytes())

    def refresh(self, person: str = "id-ada") -> Grant:
        return self.integration.refresh(person)

    def revoke(self, person: str = "id-ada") -> Revocation:
        return self.integration.revoke(person)

    def grants(self) -> Sequence[Grant]:
        return self.integration.grants()

    def adopt(self, refresh_token: str, **known: Any) -> AdoptedGrant:
        return self.integration.adopt(refresh_token, **known)

    def page_of_grants(self, **wanted: Any) -> Sequence[Grant]:
        return self.integration.page_of_grants(**wanted)

    def find_grants(self, who: str) -> Sequence[Grant]:
        return self.integration.find_grants(who)

    def expiring(self, within: timedelta) -> Sequence[Grant]:
        return self.integration.expiring(within)

    def keep_alive(self, within: timedelta) -> KeptAlive:
        return self.integration.keep_alive(within)


class Awaiting:
    """On one event loop from its first use to its last."""

    def __init__(self, integration: AsyncIntegration, runner: asyncio.Runner) -> None:
        self.integration = integration
        self._run = runner.run

    def begin(self, **asked: Any) -> BegunAuthorization:
        return self._run(self.integration.authorization_request(**asked))

    def complete(self, answer: str | Mapping[str, str], cookies: Mapping[str, str]) -> CompletedGrant:
        return self._run(self.integration.complete_authorization(answer, cookies))

    def complete_at_once(self, answer: str, cookies: Mapping[str, str], *, times: int) -> list[object]:
        return self.complete_all([(answer, cookies)] * times)

    def complete_all(self, answers: Sequence[tuple[str, Mapping[str, str]]]) -> list[object]:
        async def story() -> list[object]:
            each = (self.integration.complete_authorization(answer, cookies) for answer, cookies in answers)
            return await asyncio.gather(*each, return_exceptions=True)

        return self._run(story())

    def get(self, url: str, *, person: str = "id-ada", **options: Any) -> httpx2.Response:
        return self._run(self.integration.client_for(person).get(url, **options))

    def read(self, url: str) -> int:
        async def story() -> int:
            async with self.integration.client_for("id-ada").stream("GET", url) as answer:
                return sum([len(chunk) async for chunk in answer.aiter_bytes()])

        return self._run(story())

    def refresh(self, person: str = "id-ada") -> Grant:
        return self._run(self.integration.refresh(person))

    def revoke(self, person: str = "id-ada") -> Revocation:
        return self._run(self.integration.revoke(person))

    def grants(self) -> Sequence[Grant]:
        return self._run(self.integration.grants())

    def adopt(self, refresh_token: str, **known: Any) -> AdoptedGrant:
        return self._run(self.integration.adopt(refresh_token, **known))

    def page_of_grants(self, **wanted: Any) -> Sequence[Grant]:
        return self._run(self.integration.page_of_grants(**wanted))

    def find_grants(self, who: str) -> Sequence[Grant]:
        return self._run(self.integration.find_grants(who))

    def expiring(self, within: timedelta) -> Sequence[Grant]:
        return self._run(self.integration.expiring(within))

    def keep_alive(self, within: timedelta) -> KeptAlive:
        return self._run(self.integration.keep_alive(within))


class Kinds:
    """Makes the kind that a test was given: `either` of the fixture in conftest."""

    def __init__(self, world: "World", *, awaits: bool, runner: asyncio.Runner) -> None:
        self.world = world
        self._awaits = awaits
        self._runner = runner
        self._made: list[AsyncIntegration] = []

    def __call__(self, **options: Any) -> Either:
        if not self._awaits:
            return Blocking(self.world.integration(**options))
        self._made.append(self.world.async_integration(**options))
        return Awaiting(self._made[-1], self._runner)

    def rest(self, seconds: float) -> None:
        """Nobody calls meanwhile; the event loop, where there is one, goes on."""
        if self._awaits:
            self._runner.run(asyncio.sleep(seconds))
        else:
            time.sleep(seconds)

    def close(self) -> None:
        for integration in self._made:
            self._runner.run(integration.close())


class Gathering:
    """An observer that counts who waits for a new token: so a platform can answer once all of them do."""

    def __init__(self) -> None:
        self._waiting = threading.Semaphore(0)

    def begin(self, activity: Activity) -> None:
        if isinstance(activity, Waiting):
            self._waiting.release()

    def wait_for(self, callers: int) -> None:
        for _ in range(callers):
            assert self._waiting.acquire(timeout=30), "fewer than that ever waited"


def noticed(of: object, method: str) -> threading.Event:
    """Set as soon as somebody has called it."""
    real, called = getattr(of, method), threading.Event()

    def watched(*arguments: Any, **options: Any) -> Any:
        try:
            return real(*arguments, **options)
        finally:
            called.set()

    setattr(of, method, watched)
    return called


def jar(begun: BegunAuthorization) -> dict[str, str]:
    return {begun.cookie.name: begun.cookie.value}


def granted(either: Either, world: "World", *, person: str = "ada", **asked: Any) -> CompletedGrant:
    """The person walks through the flow in one browser."""
    begun = either.begin(**asked)
    return either.complete(world.platform.accept(begun.url, person=person), jar(begun))
