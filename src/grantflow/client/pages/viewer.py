"""Who is looking: which person's grant the pages show.

By themselves the pages know a person by one sealed cookie that is set when they come back with a grant. It holds the
person's id at the platform and the grant's and nothing else, goes when the browser closes, and ends after twelve hours,
or with the grant: where it was disconnected and the person has granted anew, another browser stays outside. A host
application that knows its people says who they are instead: `person_of`, or `owner_of` and the grant is looked up.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from grantflow.client.grant import Grant, Status
from grantflow.client.integration import AsyncIntegration
from grantflow.client.pages.sealed import SealedTexts
from grantflow.web.cookies import Cookies

#: Answers the id of whoever sent the request, or None; may be a coroutine function.
AskHost: TypeAlias = Callable[[Request], str | Awaitable[str | None] | None]

log = logging.getLogger("grantflow.pages")

COOKIE = "person"
LIFETIME_SECONDS = 12 * 3_600


@dataclass(frozen=True, slots=True)
class Viewers:
    """`person_of` answers the person's id at the platform, `owner_of` the host application's own user."""

    integration: AsyncIntegration
    cookies: Cookies
    texts: SealedTexts
    person_of: AskHost | None = None
    owner_of: AskHost | None = None

    @property
    def by_host(self) -> bool:
        """Whether the host application says who is looking."""
        return self.person_of is not None or self.owner_of is not None

    async def grant(self, request: Request) -> Grant | None:
        """The grant of whoever is looking, dead or alive; None where there is none or it was disconnected."""
        found = await self._found_by_host(request) if self.by_host else await self._found_by_cookie(request)
        standing = [grant for grant in found if grant is not None and grant.status is not Status.REVOKED]
        return standing[-1] if standing else None

    async def _found_by_host(self, request: Request) -> Sequence[Grant | None]:
        owner = await self.owner(request)
        if self.person_of is None:
            return [] if owner is None else _owned(await self.integration.grants(owner=owner))
        person_id = await _ask(self.person_of, request)
        return [] if person_id is None else [await self.integration.grant(person_id, owner=owner)]

    async def _found_by_cookie(self, request: Request) -> Sequence[Grant | None]:
        known = self.texts.read(self.cookies.read(request, COOKIE), place=COOKIE, seconds=LIFETIME_SECONDS)
        grant = await self.integration.grant(known["id"]) if known else None
        return [grant] if known and grant and known.get("grant") == grant.id else []

    async def owner(self, request: Request) -> str | None:
        return await _ask(self.owner_of, request) if self.owner_of else None

    def welcome(self, response: Response, grant: Grant) -> None:
        """Remember in this browser who has come back with a grant."""
        if not self.by_host:
            self.cookies.set(
                response, COOKIE, self.texts.write({"id": grant.person_id, "grant": grant.id}, place=COOKIE)
            )

    def forget(self, response: Response) -> None:
        self.cookies.clear(response, COOKIE)


def _owned(grants: Sequence[Grant]) -> Sequence[Grant]:
    """Those that came with a user of the host's. Where nobody named one, the person is the owner, and a user who is
    called as a person at the platform must not find that person's grant."""
    owned = [grant for grant in grants if grant.owner != grant.person_id]
    for grant in grants:
        if grant not in owned:
            log.warning(
                "grant %s names no user of the host application, so its pages show it to nobody: adopt its tokens with "
                "an owner, or use person_of where users are called by their ids at the platform",
                grant.id,
            )
    return owned


async def _ask(host: AskHost, request: Request) -> str | None:
    answer = host(request)
    return await answer if inspect.isawaitable(answer) else answer
