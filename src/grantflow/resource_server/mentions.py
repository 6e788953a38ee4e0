"""Mentions: whom a message names (``<@personEmail:lockbot@webex.bot|LockBot>``), and what a bot may read (W04)."""

import re

from grantflow.protocol.bearer import ApiError
from grantflow.resource_server.fields import EMAIL_LIMIT
from grantflow.resource_server.ids import Kind, read_id
from grantflow.resource_server.records import Mention, Message, Person, PersonName, RoomType

#: The most people that one message mentions; whoever else it names stays as it is written.
MENTIONS_LIMIT = 50

_MENTION = re.compile(rf"<@(personEmail|personId):([^<>|\s]{{1,{EMAIL_LIMIT}}})(?:\|([^<>|]*))?>")


def read_mentions(markdown: str | None) -> tuple[Mention, ...]:
    """In the order of the text, each once. What looks like a mention and names nobody is left to be plain words."""
    found: dict[str, Mention] = {}
    for match in _MENTION.finditer(markdown or ""):
        who = _who(match[1], match[2])
        if who is not None and len(found) < MENTIONS_LIMIT:
            found.setdefault(match[0], Mention(match[0], who, (match[3] or "").strip() or None))
    return tuple(found.values())


def _who(kind: str, text: str) -> PersonName | None:
    if kind == "personEmail":
        return PersonName(None, text)
    try:
        return PersonName(read_id(Kind.PEOPLE, text), None)
    except ApiError:
        return None


def may_read(message: Message, viewer: Person) -> bool:
    """In a group room a bot sees what it wrote and where it is mentioned; a person sees all of a room."""
    seen_by_all = not viewer.is_bot or message.room_type is RoomType.DIRECT
    return seen_by_all or viewer.id == message.person_id or viewer.id in message.mentioned


def read_mentioned(text: str | None, viewer: Person, *, room_type: RoomType) -> str | None:
    """Of ``mentionedPeople``: whose mentions are listed, the viewer's alone; None for all messages.

    Raises:
        ApiError: 400 for anybody else, 403 for a bot that asks for all of a group room.
    """
    if text is None:
        if viewer.is_bot and room_type is RoomType.GROUP:
            raise ApiError(403, "In a group room a bot sees the messages that mention it: add mentionedPeople=me.")
        return None
    if text != "me" and read_id(Kind.PEOPLE, text) != viewer.id:
        raise ApiError(400, "The parameter 'mentionedPeople' must be 'me', or the caller's own id.")
    return viewer.id
