"""The rule for a new person (pure); storage keeps the person, and says where the email is taken."""

import re
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from grantflow.resource_owner.records import Person

EMAIL_LIMIT = 254
NAME_LIMIT = 120
_EMAIL = re.compile(r"[^\s@<>\"',;:\\()\[\]]+@[^\s@<>\"',;:\\()\[\]]+")


class UnfitPerson(ValueError):
    """A detail breaks a rule; the message says which and may be shown."""


def new_person(
    email: str,
    display_name: str,
    *,
    org_id: str,
    now: datetime,
    mint: Callable[[int], bytes],
    first_name: str | None = None,
    last_name: str | None = None,
    nick_name: str | None = None,
    is_admin: bool = False,
) -> Person:
    """A person with an id of their own. `org_id` is a UUID.

    Raises:
        UnfitPerson: the email is none, or a name is empty, too long or holds control characters.
    """
    return Person(
        id=str(UUID(bytes=mint(16), version=4)),
        email=canonical_email(email),
        display_name=_name(display_name, "display name"),
        org_id=str(UUID(org_id)),
        created_at=now,
        first_name=_name(first_name, "first name") if first_name else None,
        last_name=_name(last_name, "last name") if last_name else None,
        nick_name=_name(nick_name, "nick name") if nick_name else None,
        is_admin=is_admin,
    )


def canonical_email(email: str) -> str:
    """Lower case, without surrounding space.

    Raises:
        UnfitPerson: it does not look like name@example.com.
    """
    canonical = email.strip().lower()
    if len(canonical) > EMAIL_LIMIT or not _EMAIL.fullmatch(canonical):
        raise UnfitPerson(f"{email!r} is no email address: write it like name@example.com.")
    return canonical


def _name(name: str, what: str) -> str:
    plain = " ".join(name.split())
    if not plain or len(plain) > NAME_LIMIT or not plain.isprintable():
        raise UnfitPerson(f"The {what} {name!r} cannot be used: write 1 to {NAME_LIMIT} printable characters.")
    return plain
