"""What the form of an integration holds: as typed, so that nothing is lost where something is wrong with it."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from grantflow.developer_portal.icons import BYTES_LIMIT, UnfitIcon, read_icon
from grantflow.developer_portal.records import Icon, Integration
from grantflow.developer_portal.registration import NO_SUCH_ICON, Application
from grantflow.protocol.redirect_uri import split_redirect_uris
from grantflow.protocol.registration import ClientType, Profile
from grantflow.protocol.scope import KMS, MEANINGS
from grantflow.web.forms import Upload
from grantflow.web.icons import OWN_ICONS

#: Bytes of a whole form: an icon as it is chosen, or as it comes back in base64 after something else was wrong.
FORM_LIMIT = 3 * BYTES_LIMIT
#: What can be too large is the icon, as good as always.
IF_TOO_LARGE = (
    f"An icon may have {BYTES_LIMIT // 1024} KB, and most photos have more. Go back, choose a smaller picture and send "
    "the form again."
)
#: The order in which errors are told.
FIELDS = ("", "name", "contact_email", "icon", "description", "site_url", "redirect_uris", "scopes", "kind")

WEBEX, STRICT, PUBLIC = "webex", "strict", "public"
#: What the icon's field says of one that came with the form, and of the one that the integration has already.
SENT, KEPT = "sent", "kept"
_SCOPE = "scope."


@dataclass(frozen=True, slots=True)
class Typed:
    """``redirect_uris`` and ``other_scopes`` are as typed; ``icon`` is empty, the name of one of the platform's own,
    SENT or KEPT. ``sent`` is a picture that came with the form and is sound; ``icon_problem`` says what is wrong else.
    """

    name: str = ""
    contact_email: str = ""
    icon: str = ""
    sent: Icon | None = None
    icon_problem: str | None = None
    description: str = ""
    site_url: str = ""
    redirect_uris: str = ""
    scopes: frozenset[str] = frozenset()
    other_scopes: str = ""
    kind: str = WEBEX
    #: The icon that the integration has, where the form changes one.
    current_icon: str | None = field(default=None, kw_only=True)

    @property
    def preview(self) -> str | None:
        """The sent picture as a data: address."""
        return f"data:{self.sent.type};base64,{self.sent_text}" if self.sent else None

    @property
    def sent_text(self) -> str:
        return base64.b64encode(self.sent.content).decode("ascii") if self.sent else ""

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong with the form itself; the rules of registration find the rest."""
        found = {"icon": self.icon_problem} if self.icon_problem else {}
        if self.icon not in ("", SENT, KEPT, *OWN_ICONS):  # a digest here would name a picture that never came
            found = {"icon": NO_SUCH_ICON}
        return found if self.kind in (WEBEX, STRICT, PUBLIC) else {**found, "kind": "Choose one of these."}

    def application(self, *, owner_id: str) -> Application:
        return Application(
            name=self.name,
            redirect_uris=tuple(split_redirect_uris(self.redirect_uris)),
            scopes=" ".join([*(token for token in MEANINGS if token in self.scopes), *self.other_scopes.split()]),
            profile=Profile.WEBEX if self.kind == WEBEX else Profile.STRICT,
            client_type=ClientType.PUBLIC if self.kind == PUBLIC else ClientType.CONFIDENTIAL,
            description=self.description,
            contact_email=self.contact_email,
            owner_id=owner_id,
            site_url=self.site_url,
            icon=self._icon,
        )

    @property
    def _icon(self) -> str | None:
        if self.icon == SENT:
            return self.sent.digest if self.sent else None
        return self.current_icon if self.icon == KEPT else self.icon or None


def read_typed(fields: Mapping[str, str], files: Mapping[str, Upload], *, current_icon: str | None = None) -> Typed:
    """Read the sent form, or the query of an address that fills it in beforehand."""
    icon, sent, problem = _read_icon(fields, files)
    return Typed(
        name=fields.get("name", ""),
        contact_email=fields.get("contact_email", ""),
        icon=icon,
        sent=sent,
        icon_problem=problem,
        description=fields.get("description", ""),
        site_url=fields.get("site_url", ""),
        redirect_uris=fields.get("redirect_uris", ""),
        scopes=frozenset(name.removeprefix(_SCOPE) for name in fields if name.startswith(_SCOPE)),
        other_scopes=fields.get("other_scopes", ""),
        kind=fields.get("kind", WEBEX),
        current_icon=current_icon,
    )


def typed_of(integration: Integration) -> Typed:
    """The form of what is registered already."""
    registration = integration.registration
    listed = frozenset(token for token in registration.scopes if token in MEANINGS)
    public = registration.client_type is ClientType.PUBLIC
    own = integration.icon in OWN_ICONS
    return Typed(
        name=registration.name,
        contact_email=integration.contact_email,
        icon=(integration.icon or "") if own or not integration.icon else KEPT,
        description=integration.description,
        site_url=integration.site_url or "",
        redirect_uris="\n".join(registration.redirect_uris),
        scopes=listed - {KMS},
        other_scopes=" ".join(token for token in registration.scopes if token not in MEANINGS),
        kind=PUBLIC if public else registration.profile.value,
        current_icon=None if own else integration.icon,
    )


def _read_icon(fields: Mapping[str, str], files: Mapping[str, Upload]) -> tuple[str, Icon | None, str | None]:
    """The choice, the sound picture that came, and what is wrong with one that is not."""
    choice = fields.get("icon", "")
    earlier = _earlier(fields.get("icon_sent", ""))
    chosen = files.get("icon_file")
    if chosen is None:
        return ("" if choice == SENT and earlier is None else choice), earlier, None
    try:
        return SENT, read_icon(chosen.content), None
    except UnfitIcon as error:
        return ("" if choice == SENT and earlier is None else choice), earlier, str(error)


def _earlier(text: str) -> Icon | None:
    """The picture of the form's first try, looked at again: it comes from the browser as everything does."""
    try:
        return read_icon(base64.b64decode(text, validate=True)) if text else None
    except (UnfitIcon, binascii.Error, ValueError):
        return None
