"""The page with the form of an integration, new or registered already."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal.form import FIELDS, KEPT, PUBLIC, SENT, STRICT, WEBEX, Typed
from grantflow.developer_portal.icons import BYTES_LIMIT, SHORTEST_SIDE, SIDE_LIMIT
from grantflow.developer_portal.portal import Portal
from grantflow.developer_portal.ports import Registrations
from grantflow.developer_portal.records import Icon, Integration, Session
from grantflow.developer_portal.registration import (
    DESCRIPTION_LIMIT,
    EMAIL_LIMIT,
    NAME_LIMIT,
    NAME_TAKEN,
    REDIRECT_URI_LIMIT,
    InvalidRegistration,
    read_name,
)
from grantflow.protocol.scope import FAR_REACHING, KMS, MEANINGS
from grantflow.web.errors import PageError
from grantflow.web.icons import OWN_ICONS

STALE = "This form was opened before you signed in. Nothing was saved; look it through and send it again."

LIMITS = {
    "name": NAME_LIMIT,
    "contact_email": EMAIL_LIMIT,
    "description": DESCRIPTION_LIMIT,
    "redirect_uris": REDIRECT_URI_LIMIT,
    "icon": f"{BYTES_LIMIT // 1024} KB, {SHORTEST_SIDE} to {SIDE_LIMIT} pixels on each side",
}


def form_page(
    portal: Portal,
    request: Request,
    session: Session,
    typed: Typed,
    *,
    action: str,
    hidden: Mapping[str, str],
    known: Integration | None = None,
    people: int = 0,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    """``known`` is what is registered already, and ``people`` how many have granted it something."""
    found = errors or {}
    return portal.page(
        request,
        "integration_form.html",
        session,
        status,
        action=action,
        hidden=hidden,
        typed=typed,
        known=known,
        people=people,
        errors={name: found[name] for name in FIELDS if name in found},
        limits=LIMITS,
        own_icons=OWN_ICONS,
        sent=SENT,
        kept=KEPT,
        kinds=(WEBEX, STRICT, PUBLIC),
        scopes=[(token, words, token in FAR_REACHING) for token, words in MEANINGS.items() if token != KMS],
        sandbox=portal.sandbox,
    )


def is_stale(
    portal: Portal, request: Request, fields: Mapping[str, str], *, session: Session, again: str
) -> str | None:
    """What to say over the form where its token is of another session; what was typed is shown again, and not saved.

    Raises:
        PageError: 403, another site sent the form.
    """
    try:
        portal.check(request, fields, session, again=again)
    except PageError as error:
        if error.status != 400:
            raise
        return STALE
    return None


async def all_problems(
    error: InvalidRegistration, typed: Typed, registrations: Registrations, *, known: Integration | None = None
) -> Mapping[str, str]:
    """With the name that is another's, which storage alone knows: whoever mends the rest mends that too."""
    taken = await registrations.find_by_name(read_name(typed.name))
    is_own = taken is None or (known is not None and taken.registration.client_id == known.registration.client_id)
    return error.problems if is_own else {"name": NAME_TAKEN, **error.problems}


def icon_to_keep(typed: Typed) -> Icon | None:
    return typed.sent if typed.icon == SENT else None
