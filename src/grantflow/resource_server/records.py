"""What the resource server works with, as its ports load and save it. Ids are bare UUIDs, times aware UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, StrEnum

from grantflow.protocol.scope import Scopes


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    email: str
    display_name: str
    first_name: str | None
    last_name: str | None
    nick_name: str | None
    org_id: str
    type: str
    created_at: datetime

    @property
    def is_bot(self) -> bool:
        return self.type == "bot"


@dataclass(frozen=True, slots=True)
class PersonName:
    """Who is meant: an id or an email, one of the two."""

    person_id: str | None
    email: str | None

    def means(self, person: Person) -> bool:
        return self.person_id == person.id or (self.email or "").lower() == person.email.lower()


@dataclass(frozen=True, slots=True)
class Access:
    """An access token with the person it speaks for. Without ``grant_id`` it is a bot's own.

    ``is_revoked`` covers the token and the grant it hangs on. ``unused_successor`` is the hash of the refresh token
    that a rotation issued with this one, as long as neither of the two was used.
    """

    person: Person
    scopes: Scopes
    expires_at: datetime
    is_revoked: bool
    grant_id: str | None = None
    grant_last_used_at: datetime | None = None
    unused_successor: bytes | None = None
    client_id: str | None = None
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Authorization:
    """A person's grant to an integration, or one access token of it. ``id`` is a UUID."""

    id: str
    is_grant: bool
    client_id: str
    app: str
    person_id: str
    person_email: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """How many grants to an integration have ended at once."""

    app: str
    count: int


class RoomType(StrEnum):
    GROUP = "group"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Room:
    """A room as one of its members sees it: nobody else sees it at all.

    The title of a direct room is the other person's name. ``viewer_moderates`` is about the member who looks.
    """

    id: str
    title: str
    type: RoomType
    is_locked: bool
    description: str | None
    creator_id: str
    owner_id: str
    created_at: datetime
    last_activity: datetime
    viewer_id: str
    viewer_moderates: bool

    @property
    def is_direct(self) -> bool:
        return self.type is RoomType.DIRECT


class RoomOrder(StrEnum):
    """The values of ``sortBy``; both times sort newest first."""

    ID = "id"
    LAST_ACTIVITY = "lastactivity"
    CREATED = "created"


@dataclass(frozen=True, slots=True)
class NewRoom:
    id: str
    title: str
    is_locked: bool
    description: str | None
    creator: Person
    now: datetime


@dataclass(frozen=True, slots=True)
class RoomChange:
    """What a room becomes; ``viewer_moderates`` makes the one who changes it a moderator."""

    title: str
    is_locked: bool
    description: str | None
    viewer_moderates: bool


class Deletion(Enum):
    """What a DELETE of a room takes away."""

    ROOM = "the room, with all that is in it"
    OWN_MEMBERSHIP = "nothing but the membership of whoever asks"


@dataclass(frozen=True, slots=True)
class Membership:
    person_id: str
    room_id: str
    person_email: str
    person_display_name: str
    person_org_id: str
    room_type: RoomType
    is_moderator: bool
    is_hidden: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Seat:
    """A membership with its room as the viewer sees it; ``others_moderate``: somebody else does, too."""

    membership: Membership
    room: Room
    others_moderate: bool


@dataclass(frozen=True, slots=True)
class SeatChange:
    is_moderator: bool
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class Message:
    """``edits`` counts how often it was changed; ``updated_at`` is set from the first time on.

    ``mentioned`` are the ids of the people whom it names.
    """

    id: str
    room_id: str
    room_type: RoomType
    person_id: str
    person_email: str
    parent_id: str | None
    text: str
    markdown: str | None
    created_at: datetime
    updated_at: datetime | None
    edits: int
    mentioned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mention:
    """Somebody named in Markdown, ``markup`` as it stands there; whoever reads plain text sees ``shown`` instead,
    or else the name that the person has.
    """

    markup: str
    who: PersonName
    shown: str | None


@dataclass(frozen=True, slots=True)
class Words:
    """What a message says: plain text, and the Markdown it was made of, if any, with whom that mentions."""

    text: str
    markdown: str | None
    mentions: tuple[Mention, ...] = ()

    def with_names(self, names: Mapping[Mention, str]) -> "Words":
        """The text with names in the place of mentions, where it is the Markdown and nobody wrote one of its own."""
        if self.text != self.markdown:
            return self
        text = self.text
        for mention in self.mentions:
            text = text.replace(mention.markup, mention.shown or names.get(mention) or mention.markup)
        return replace(self, text=text)


@dataclass(frozen=True, slots=True)
class NewMessage:
    id: str
    author: Person
    words: Words
    parent_id: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """An item of a sorted list, after which a page begins: its id, and the time or name that the list is sorted by."""

    id: str
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    name: str = ""
