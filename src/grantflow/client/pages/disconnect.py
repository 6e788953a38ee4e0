"""The way out: the grant is forgotten here and ended at the platform where that can be asked (W34, RFC 7009)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from grantflow.client.grant import Grant, Revocation, Status
from grantflow.client.pages.mount import LANDING, Mount
from grantflow.web.forms import read_form


@dataclass(frozen=True, slots=True)
class Disconnect:
    mount: Mount

    async def submitted(self, request: Request) -> Response:
        mount = self.mount
        form = await read_form(request, 4_096)
        grant = mount.own_form(request, form, await mount.viewers.grant(request))
        outcome = await mount.integration.revoke(grant.person_id, owner=grant.owner)
        at_platform = "yes" if outcome.at_platform else None
        over = _why_over(grant, outcome)
        unasked = None if mount.ends_at_platform else "yes"
        said = {
            "told": "disconnected",
            "at_platform": at_platform,
            "over": over,
            "unasked": unasked,
            "reason": outcome.reason,
        }
        note = mount.notes.address(LANDING, **said)
        response = mount.pages.redirect(note)
        mount.viewers.forget(response)
        return response


def _why_over(grant: Grant, outcome: Revocation) -> str | None:
    """Why there was nothing left to end at the platform; `grant` is as it was before."""
    if grant.status is Status.REAUTHORIZATION_REQUIRED:
        return "refused"
    return "forgotten" if outcome.had_ended else None
