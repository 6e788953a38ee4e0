"""The start page: what is granted and a Grant button; once connected, as whom, and a proof that it works."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from grantflow.client.errors import IntegrationRefused, ReauthorizationRequired, RefusalHeldBack, TransientTokenError
from grantflow.client.grant import Grant, Status
from grantflow.client.pages.about import in_plain_words
from grantflow.client.pages.mount import LANDING, Mount
from grantflow.client.pages.notices import Notice, Trouble, delayed, told, trouble
from grantflow.client.pages.webex_calls import CODE, MESSAGE_LIMIT, CallFailed, Space, WebexCalls

log = logging.getLogger("grantflow.pages")


@dataclass(frozen=True, slots=True)
class Draft:
    """What the person wrote, and what is wrong with it: field name to message."""

    space: str = ""
    text: str = ""
    errors: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Landing:
    mount: Mount

    async def page(self, request: Request) -> Response:
        note = self.mount.notes.read(request, LANDING)
        notice = told(note, about=self.mount.about) if note else None
        grant = await self.mount.viewers.grant(request)
        if grant is None:
            return self._welcome(request, notice)
        if grant.status is Status.REAUTHORIZATION_REQUIRED:
            return self.ended(request, grant)
        return await self.connected(request, grant, notice=notice)

    def _welcome(self, request: Request, notice: Notice | None) -> Response:
        mount = self.mount
        return mount.pages.page(
            request,
            "landing.html",
            about=mount.about,
            ends_at_platform=mount.ends_at_platform,
            scopes=in_plain_words(mount.integration.scopes),
            notice=notice,
            connect=mount.connect_address(return_to=request.query_params.get("return_to")),
        )

    async def connected(
        self, request: Request, grant: Grant, *, notice: Notice | None = None, draft: Draft | None = None
    ) -> Response:
        """The page of a person whose grant lives. With a `draft` it answers the form that the draft came with."""
        mount, draft = self.mount, draft or Draft()
        name, spaces = grant.called, None
        if mount.try_it:
            calls = WebexCalls(mount.integration.client_for(grant.person_id, owner=grant.owner))
            try:
                name, spaces = await calls.display_name() or name, await calls.spaces()
            except ReauthorizationRequired as error:
                return self.ended(request, error.grant or grant)
            except (TransientTokenError, IntegrationRefused, CallFailed) as error:
                notice = notice or self.trouble(error)
                grant = error.grant if isinstance(error, RefusalHeldBack) else grant
        elif grant.status is Status.REFRESH_DELAYED:
            notice = notice or delayed(grant, about=mount.about, now=mount.integration.now())
        return self._connected(request, grant, name=name, spaces=spaces, notice=notice, draft=draft)

    def _connected(
        self,
        request: Request,
        grant: Grant,
        *,
        name: str,
        spaces: Sequence[Space] | None,
        notice: Notice | None,
        draft: Draft,
    ) -> Response:
        mount = self.mount
        visitor, form_token = mount.form_token(request, grant)
        status = 400 if draft.errors else notice.status if notice else 200
        answer = mount.pages.page(
            request,
            "connected.html",
            status if request.method == "POST" else 200,
            headers={"Retry-After": str(notice.retry_after)} if notice and notice.retry_after else None,
            about=mount.about,
            ends_at_platform=mount.ends_at_platform,
            name=name,
            grant=grant,
            again=mount.connect_address(grant=grant.id, return_to=mount.site.url(LANDING)),
            scopes=in_plain_words(grant.scopes),
            notice=notice,
            spaces=spaces,
            draft=draft,
            message_limit=MESSAGE_LIMIT,
            code=CODE,
            errors=draft.errors or {},
            form_id=mount.integration.mint(16),
            form_token=form_token,
        )
        return mount.guard.remember(answer, visitor)

    def ended(self, request: Request, grant: Grant, *, unsent: str = "") -> Response:
        """The grant is dead and the person must grant again. `unsent` is what they wrote meanwhile, to be copied."""
        mount = self.mount
        visitor, form_token = mount.form_token(request, grant)
        answer = mount.pages.page(
            request,
            "ended.html",
            409 if request.method == "POST" else 200,
            about=mount.about,
            grant=grant,
            unsent=unsent,
            again=mount.connect_address(grant=grant.id, return_to=mount.site.url(LANDING)),
            form_token=form_token,
        )
        return mount.guard.remember(answer, visitor)

    def trouble(self, error: Trouble) -> Notice:
        reference = self.mount.new_reference()
        level = logging.ERROR if isinstance(error, IntegrationRefused) else logging.WARNING
        log.log(level, "A call in a person's name failed: %s (reference %s)", error, reference)
        return trouble(error, about=self.mount.about, reference=reference)
