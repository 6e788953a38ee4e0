"""Ids on the wire: base64 without padding of ``ciscospark://us/<KIND>/<uuid>``; the store keeps the bare UUID.

Clients treat them as opaque, and some send the UUID itself, so both are read.
"""

import base64
import re
from enum import StrEnum

from grantflow.protocol.bearer import ApiError

MALFORMED_ID = "Expect base64 ID or UUID."

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"ciscospark://[^/]{1,40}/([A-Z_]{1,20})/([^/]{1,80})")
_LONGEST = 200


class Kind(StrEnum):
    PEOPLE = "PEOPLE"
    ROOM = "ROOM"
    MESSAGE = "MESSAGE"
    MEMBERSHIP = "MEMBERSHIP"
    ORGANIZATION = "ORGANIZATION"
    AUTHORIZATION = "AUTHORIZATION"
    APPLICATION = "APPLICATION"


def write_id(kind: Kind, uuid: str) -> str:
    return base64.b64encode(f"ciscospark://us/{kind}/{uuid}".encode()).decode("ascii").rstrip("=")


def read_id(kind: Kind, text: str) -> str:
    """The UUID in an id of this kind, lower case.

    Raises:
        ApiError: 400 where it is none, or one of another kind.
    """
    return _uuid(_name(kind, text))


def write_membership_id(person_id: str, room_id: str) -> str:
    return write_id(Kind.MEMBERSHIP, f"{person_id}:{room_id}")


def read_membership_id(text: str) -> tuple[str, str]:
    """The ids of person and room in the id of a membership.

    Raises:
        ApiError: 400 where it is none.
    """
    person_id, _, room_id = _name(Kind.MEMBERSHIP, text).partition(":")
    return _uuid(person_id), _uuid(room_id)


def _name(kind: Kind, text: str) -> str:
    """What stands after the last slash of the address, or the text itself where it is no base64 of one."""
    address = _ADDRESS.fullmatch(_decode(text))
    if address is None:
        return text
    found, name = address.groups()
    if found != kind:
        raise ApiError(400, f"The id of a {kind} is expected here, and this is the id of a {found}.")
    return name


def _decode(text: str) -> str:
    if len(text) > _LONGEST:
        return ""
    try:
        bare = text.rstrip("=")
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode()
    except ValueError:
        return ""


def _uuid(text: str) -> str:
    lower = text.lower()
    if not _UUID.fullmatch(lower):
        raise ApiError(400, MALFORMED_ID)
    return lower
