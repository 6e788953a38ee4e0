"""What the resource server asks of storage.

Where a call changes something, the port loads, asks the rule that it was handed, and saves, all in one unit of work:
nobody can leave a room, lock it or lose a role between the check and the write. The rule is a pure function; what it
raises undoes the unit and reaches the caller.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from grantflow.resource_server.records import (
    Access,
    Authorization,
    Cursor,
    Deletion,
    Ended,
    Membership,
    Message,
    NewMessage,
    NewRoom,
    Person,
    PersonName,
    Room,
    RoomChange,
    RoomOrder,
    RoomType,
    Seat,
    SeatChange,
    Words,
)


class AccessTokens(Protocol):
    async def find(self, token_hash: bytes) -> Access | None:
        """The token with its person and grant in one statement; dead or alive."""

    async def note_use(self, access: Access, *, now: datetime, unless_since: datetime) -> None:
        """Remember that the grant was used now, unless it was after ``unless_since`` already, and so its successor."""


class Authorizations(Protocol):
    """What has ended is none any more."""

    async def of(self, person_id: str, *, now: datetime) -> Sequence[Authorization]:
        """The person's grants, then their access tokens, the newest first."""

    async def end(
        self, authorization_id: str, *, org_id: str, now: datetime, rule: Callable[[Authorization | None], None]
    ) -> Authorization:
        """End a grant or an access token of somebody in the organization, if the rule lets it; answers what it was."""

    async def end_all_of_client(self, client_id: str, *, org_id: str, now: datetime) -> Ended | None:
        """End what everybody in the organization has granted the client; None where there is no such client."""


class Directory(Protocol):
    """People as one of them may see them: those of the own organization and those of common rooms."""

    async def find(self, person_id: str, *, viewer: Person) -> Person | None: ...

    async def find_all(self, person_ids: Sequence[str], *, viewer: Person) -> Sequence[Person]: ...

    async def find_by_email(self, email: str, *, viewer: Person) -> Person | None: ...

    async def named(self, prefix: str, *, viewer: Person, after: Cursor | None, limit: int) -> Sequence[Person]:
        """Those of the viewer's organization whose name begins so, whatever the case, by name."""


class Rooms(Protocol):
    async def find(self, room_id: str, *, viewer_id: str) -> Room | None: ...

    async def find_direct(self, who: PersonName, *, viewer_id: str) -> Room | None:
        """The direct room of the two."""

    async def of(
        self, viewer_id: str, *, kind: RoomType | None, order: RoomOrder, after: Cursor | None, limit: int
    ) -> Sequence[Room]: ...

    async def open(self, room: NewRoom) -> Room:
        """A room with its creator in it, who moderates it if it is locked."""

    async def change(self, room_id: str, *, viewer_id: str, rule: Callable[[Room | None], RoomChange]) -> Room: ...

    async def delete(self, room_id: str, *, viewer_id: str, rule: Callable[[Room | None], Deletion]) -> None: ...


#: The room, the person to be added, and whether that person is in it already.
MayAdd: TypeAlias = Callable[[Room | None, Person | None, bool], None]


class Memberships(Protocol):
    """To a viewer who is not in the room there is no membership; a room that its last member leaves is gone."""

    async def find(self, person_id: str, *, room_id: str, viewer_id: str) -> Membership | None: ...

    async def of_room(
        self, room_id: str, *, who: PersonName | None, after: Cursor | None, limit: int
    ) -> Sequence[Membership]: ...

    async def of_person(self, person_id: str, *, after: Cursor | None, limit: int) -> Sequence[Membership]: ...

    async def add(
        self, who: PersonName, *, room_id: str, viewer_id: str, is_moderator: bool, now: datetime, rule: MayAdd
    ) -> Membership: ...

    async def change(
        self, person_id: str, *, room_id: str, viewer_id: str, rule: Callable[[Seat | None], SeatChange]
    ) -> Membership: ...

    async def remove(
        self, person_id: str, *, room_id: str, viewer_id: str, rule: Callable[[Seat | None], None]
    ) -> None: ...


#: The room, the message, and the one that it answers; None for what does not exist or is not to be seen.
MayPost: TypeAlias = Callable[[Room | None, NewMessage, Message | None], None]
#: The message and its room, both as the viewer sees them.
MayTouch: TypeAlias = Callable[[Message | None, Room | None], None]


class Messages(Protocol):
    async def find(self, message_id: str, *, viewer_id: str) -> Message | None: ...

    async def of_room(
        self, room_id: str, *, parent_id: str | None, mentioned: str | None, before: Cursor | None, limit: int
    ) -> Sequence[Message]:
        """Newest first; those that answer ``parent_id`` alone, and those that mention that person alone, if given."""

    async def post(self, message: NewMessage, *, room_id: str, rule: MayPost) -> Message: ...

    async def post_directly(self, message: NewMessage, *, to: PersonName, new_room_id: str, rule: MayPost) -> Message:
        """To the direct room of the two, which is made if they have none; no room where there is no such person."""

    async def edit(
        self, message_id: str, *, viewer_id: str, words: Words, now: datetime, rule: MayTouch
    ) -> Message: ...

    async def delete(self, message_id: str, *, viewer_id: str, rule: MayTouch) -> None: ...
