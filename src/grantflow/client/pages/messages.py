"""The sample of what a grant is good for: a message posted in the person's name (W04)."""

from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from grantflow.client.errors import IntegrationRefused, ReauthorizationRequired, TransientTokenError
from grantflow.client.grant import Grant
from grantflow.client.pages.landing import Draft, Landing
from grantflow.client.pages.mount import LANDING, Mount
from grantflow.client.pages.notices import SENT_TWICE
from grantflow.client.pages.webex_calls import MESSAGE_LIMIT, CallFailed, WebexCalls
from grantflow.web.csrf import VISITOR_SECONDS
from grantflow.web.forms import read_form

_FORM_LIMIT = 32_768
_EXCERPT = 120
_GONE = {"space": "Choose another space: you are no longer in that one."}


@dataclass(frozen=True, slots=True)
class Messages:
    mount: Mount
    landing: Landing

    async def post(self, request: Request) -> Response:
        mount = self.mount
        form = await read_form(request, _FORM_LIMIT)
        grant = mount.own_form(request, form, await mount.viewers.grant(request))
        draft = _read(form)
        if draft.errors:
            return await self.landing.connected(request, grant, draft=draft)
        calls = WebexCalls(mount.integration.client_for(grant.person_id, owner=grant.owner))
        try:
            titles = {space.id: space.title for space in await calls.spaces()}
            if draft.space not in titles:
                return await self.landing.connected(request, grant, draft=replace(draft, errors=_GONE))
            if not await self._is_first(form, grant):
                return await self.landing.connected(request, grant, notice=SENT_TWICE, draft=draft)
            message = await calls.post(draft.space, text=draft.text)
        except ReauthorizationRequired as error:
            return self.landing.ended(request, error.grant or grant, unsent=draft.text)
        except (TransientTokenError, IntegrationRefused, CallFailed) as error:
            return await self.landing.connected(request, grant, notice=self.landing.trouble(error), draft=draft)
        space, text = _excerpt(titles[draft.space]), _excerpt(draft.text)
        return mount.pages.redirect(mount.notes.address(LANDING, told="posted", space=space, text=text, id=message))

    async def _is_first(self, form: dict[str, str], grant: Grant) -> bool:
        """Asked just before the message leaves, so that of two clicks one posts, wherever they arrive."""
        form_id = form.get("form_id")
        is_first = self.mount.integration.is_first
        return not form_id or await is_first(f"{grant.id} {form_id}", seconds=VISITOR_SECONDS)


def _read(form: dict[str, str]) -> Draft:
    space, text = form.get("space", ""), form.get("text", "").strip()
    errors = {}
    if not space:
        errors["space"] = "Choose the space to post to."
    if not text:
        errors["text"] = "Write a message first."
    elif (over := len(text.encode()) - MESSAGE_LIMIT) > 0:
        errors["text"] = f"Shorten the message by {over} bytes: it may hold {MESSAGE_LIMIT}."
    return Draft(space, text, errors)


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
