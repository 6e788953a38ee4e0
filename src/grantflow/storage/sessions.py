"""Sessions of people's browsers: the hash of the cookie's value, and who signed in when."""

from datetime import datetime

from grantflow.resource_owner.records import Session
from grantflow.storage.connected_apps import revoke_all_of
from grantflow.storage.engine import Engine, Statement, Work
from grantflow.storage.times import from_milliseconds, milliseconds

_FIND = """
SELECT s.person_id, p.email, p.display_name, p.org_id, p.is_admin, s.authenticated_at, s.expires_at
FROM sessions s JOIN people p ON p.id = s.person_id
WHERE s.token_hash = :token_hash AND s.expires_at > :now
"""
_BEGIN = """
INSERT INTO sessions (token_hash, person_id, authenticated_at, expires_at)
VALUES (:token_hash, :person_id, :now, :expires_at)
"""
_END = "DELETE FROM sessions WHERE token_hash = :token_hash RETURNING person_id"
_FORGET = "DELETE FROM sessions WHERE expires_at <= :now"


class SessionStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, token_hash: bytes, *, now: datetime) -> Session | None:
        rows = await self._engine.read(Statement(_FIND, {"token_hash": token_hash, "now": milliseconds(now)}))
        if not rows:
            return None
        row = rows[0]
        return Session(
            token_hash,
            person_id=row["person_id"],
            email=row["email"],
            display_name=row["display_name"],
            authenticated_at=from_milliseconds(row["authenticated_at"]),
            expires_at=from_milliseconds(row["expires_at"]),
            org_id=row["org_id"],
            is_admin=bool(row["is_admin"]),
        )

    async def begin(
        self, token_hash: bytes, *, person_id: str, now: datetime, expires_at: datetime, instead_of: bytes | None
    ) -> None:
        """Expired sessions, of whomever, go in the same unit of work: there is no other sweeper."""

        def work() -> Work[None]:
            yield Statement(_FORGET, {"now": milliseconds(now)})
            if instead_of is not None:
                yield Statement(_END, {"token_hash": instead_of})
            yield Statement(
                _BEGIN,
                {
                    "token_hash": token_hash,
                    "person_id": person_id,
                    "now": milliseconds(now),
                    "expires_at": milliseconds(expires_at),
                },
            )

        await self._engine.write(work())

    async def end(self, token_hash: bytes, *, revoke_grants_at: datetime | None = None) -> None:
        def work() -> Work[None]:
            rows = yield Statement(_END, {"token_hash": token_hash})
            if revoke_grants_at is not None and rows:
                yield revoke_all_of(rows[0]["person_id"], now=revoke_grants_at)

        await self._engine.write(work())
