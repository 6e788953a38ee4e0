"""People: added, found and listed; their password hashes are made elsewhere and only kept here."""

from collections.abc import Sequence
from datetime import datetime

from grantflow.resource_owner.records import Credentials, Person
from grantflow.storage.connected_apps import revoke_all_of
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.times import from_milliseconds, milliseconds

# An email that is taken inserts no row and raises nothing, in either database.
_ADD = """
INSERT INTO people
  (id, email, display_name, first_name, last_name, nick_name, org_id, is_admin, password_hash, created_at)
VALUES
  (:id, :email, :display_name, :first_name, :last_name, :nick_name, :org_id, :is_admin, :password_hash, :created_at)
ON CONFLICT (email) DO NOTHING
RETURNING id
"""
#: The columns of a person, to be read by ``person_of``.
PERSON = "id, email, display_name, first_name, last_name, nick_name, org_id, is_admin, created_at"
_SELECT = f"SELECT {PERSON} FROM people WHERE type = 'person'"
_FIND = f"{_SELECT} AND email = :email"
_LIST = f"{_SELECT} AND email > :after ORDER BY email LIMIT :limit"
_CREDENTIALS = "SELECT id, password_hash FROM people WHERE email = :email AND type = 'person'"
_SET_PASSWORD = """
UPDATE people SET password_hash = :password_hash WHERE email = :email AND type = 'person' RETURNING id
"""
_END_SESSIONS = "DELETE FROM sessions WHERE person_id = :person_id"


class EmailTaken(Exception):
    """Somebody else has this email; the message may be shown."""


class NobodyThere(Exception):
    """No person has this email; the message may be shown."""


class PeopleStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, person: Person, *, password_hash: str | None) -> None:
        """Without a password hash the person exists and cannot sign in.

        Raises:
            EmailTaken: the email belongs to another person.
        """

        def work() -> Work[None]:
            rows = yield Statement(_ADD, {**_values(person), "password_hash": password_hash})
            if not rows:
                raise EmailTaken(
                    f"{person.email} belongs to somebody already: choose another email, or set that person's password."
                )

        await self._engine.write(work())

    async def find(self, email: str) -> Person | None:
        rows = await self._engine.read(Statement(_FIND, {"email": _canonical(email)}))
        return person_of(rows[0]) if rows else None

    async def list(self, *, limit: int, after: str = "") -> Sequence[Person]:
        """Up to `limit` people in the order of their emails, beginning behind the email `after`."""
        rows = await self._engine.read(Statement(_LIST, {"after": _canonical(after), "limit": limit}))
        return [person_of(row) for row in rows]

    async def credentials(self, email: str) -> Credentials | None:
        rows = await self._engine.read(Statement(_CREDENTIALS, {"email": _canonical(email)}))
        return Credentials(rows[0]["id"], rows[0]["password_hash"]) if rows else None

    async def set_password(self, email: str, *, password_hash: str, revoke_grants_at: datetime | None = None) -> None:
        """Replace the password and sign the person out everywhere: whoever knew the old one is out too. With
        ``revoke_grants_at``, the time now, what the person granted ends with it.

        Raises:
            NobodyThere: no person has this email.
        """

        def work() -> Work[None]:
            rows = yield Statement(_SET_PASSWORD, {"email": _canonical(email), "password_hash": password_hash})
            if not rows:
                raise NobodyThere(f"Nobody here has the email {email}: add that person first.")
            yield Statement(_END_SESSIONS, {"person_id": rows[0]["id"]})
            if revoke_grants_at is not None:
                yield revoke_all_of(rows[0]["id"], now=revoke_grants_at)

        await self._engine.write(work())


def _canonical(email: str) -> str:
    return email.strip().lower()


def _values(person: Person) -> dict[str, object]:
    return {
        "id": person.id,
        "email": person.email,
        "display_name": person.display_name,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "nick_name": person.nick_name,
        "org_id": person.org_id,
        "is_admin": int(person.is_admin),
        "created_at": milliseconds(person.created_at),
    }


def person_of(row: Row) -> Person:
    return Person(
        id=row["id"],
        email=row["email"],
        display_name=row["display_name"],
        org_id=row["org_id"],
        created_at=from_milliseconds(row["created_at"]),
        first_name=row["first_name"],
        last_name=row["last_name"],
        nick_name=row["nick_name"],
        is_admin=bool(row["is_admin"]),
    )
