"""The pages that say what came of a grant flow; their addresses hold neither code nor state (RFC 9700 4.2.4)."""

import logging
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from grantflow.client.errors import AccessDenied, GrantflowError
from grantflow.client.grant import CompletedGrant, Grant, Status
from grantflow.client.pages.about import in_plain_words
from grantflow.client.pages.endings import ENDINGS, ending_of, particulars
from grantflow.client.pages.mount import DECLINED, GRANTED, LANDING, WENT_WRONG, Mount
from grantflow.web.pages import Message
from grantflow.web.site import Link

log = logging.getLogger("grantflow.pages")

_LIVING: Final = frozenset({Status.ACTIVE, Status.REFRESH_DELAYED})


@dataclass(frozen=True, slots=True)
class Outcomes:
    mount: Mount

    def address_of(self, outcome: CompletedGrant | GrantflowError) -> str:
        """Where the person is sent to read it. A failure is logged under the reference that its page shows."""
        mount = self.mount
        if isinstance(outcome, CompletedGrant):
            whose = {"person": outcome.person_id, "owner": outcome.owner} if mount.viewers.by_host else {}
            return mount.site.url(mount.notes.address(GRANTED, return_to=outcome.return_to, **whose))
        if isinstance(outcome, AccessDenied) and outcome.cookie_name:
            return mount.site.url(mount.notes.address(DECLINED, ending=AccessDenied.code, return_to=outcome.return_to))
        name, reference = ending_of(outcome), mount.new_reference()
        # Only where this browser's cookie vouches for the answer: else any stranger could ring the operator's bell.
        level = logging.ERROR if ENDINGS[name].for_operator and outcome.cookie_name else logging.INFO
        reason = " ".join(str(outcome).split())
        log.log(level, "A grant flow ended without a grant, %s: %s (reference %s)", name, reason, reference)
        told = {"ending": name, "reference": reference, **particulars(outcome)}
        return mount.site.url(mount.notes.address(WENT_WRONG, **told))

    async def granted(self, request: Request) -> Response:
        mount = self.mount
        note = mount.notes.read(request, GRANTED) or {}
        grant = await self._granted(request, note)
        if grant is None or grant.status not in _LIVING:  # by a bookmark or the history; the start page says what is
            return mount.pages.redirect(LANDING)
        return mount.pages.page(
            request,
            "granted.html",
            referrer="no-referrer",
            about=mount.about,
            ends_at_platform=mount.ends_at_platform,
            grant=grant,
            scopes=in_plain_words(grant.scopes),
            missing=in_plain_words(mount.integration.scopes.beyond(grant.scopes)),
            go_on=mount.site.origin + note["return_to"] if "return_to" in note else None,
            home=mount.site.origin + mount.home if mount.home else mount.site.url(LANDING),
            again=mount.connect_address(grant=grant.id),
        )

    async def _granted(self, request: Request, note: dict[str, str]) -> Grant | None:
        """The note says whose grant it was, where the host application may not know the person yet."""
        if "person" in note:
            return await self.mount.integration.grant(note["person"], owner=note["owner"])
        return await self.mount.viewers.grant(request)

    async def declined(self, request: Request) -> Response:
        return self._told(request, DECLINED)

    async def went_wrong(self, request: Request) -> Response:
        return self._told(request, WENT_WRONG)

    def _told(self, request: Request, path: str) -> Response:
        """Without a note nobody was sent here, or long ago: then there is nothing to say."""
        note = self.mount.notes.read(request, path)
        return self._ending(request, note) if note else self.mount.pages.redirect(LANDING)

    def _ending(self, request: Request, note: dict[str, str]) -> Response:
        """The page for one row of `ENDINGS`."""
        mount, ending = self.mount, ENDINGS[note["ending"]]
        about = mount.about
        words = {"integration": about.name, "platform": about.platform, "operator": about.operator, **note}
        grant = note.get("grant")
        again = mount.connect_address(grant=grant, return_to=note.get("return_to"), switch=grant is not None)
        actions = (
            Link(ending.again, again, "secondary" if ending.start_first else "primary"),
            Link("Go to the start page", LANDING, "primary" if ending.start_first else "secondary"),
        )
        message = Message(
            title=ending.title.format_map(words),
            why=ending.why.format_map(words),
            next_step=ending.next_step.format_map(words),
            kind=ending.kind,
            actions=actions[::-1] if ending.start_first else actions,
            reference=note.get("reference", ""),
        )
        headers = {"Retry-After": note["retry_after"]} if "retry_after" in note else None
        return mount.pages.message(request, message, ending.status, referrer="no-referrer", headers=headers)
