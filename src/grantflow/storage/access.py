"""Access tokens as the resource server sees them: found by their hash, with person and grant in one statement."""

from datetime import datetime

from grantflow.protocol.scope import Scopes
from grantflow.resource_server.records import Access
from grantflow.storage.directory import PERSON, person_of
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.times import from_milliseconds, milliseconds
from grantflow.storage.tokens import first_use

_FIND = f"""
SELECT {PERSON}, p.is_admin, t.scopes, t.expires_at, t.revoked_at, t.grant_id, t.client_id,
       g.revoked_at AS grant_revoked_at, g.last_used_at, r.token_hash AS unused_successor
FROM access_tokens t
JOIN people p ON p.id = t.person_id
LEFT JOIN grants g ON g.id = t.grant_id
LEFT JOIN refresh_tokens r ON r.token_hash = t.refresh_hash AND r.first_used_at IS NULL
WHERE t.token_hash = :token_hash
"""
_NOTE_USE = "UPDATE grants SET last_used_at = :now WHERE id = :grant_id AND last_used_at <= :unless_since"


class AccessTokenStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, token_hash: bytes) -> Access | None:
        rows = await self._engine.read(Statement(_FIND, {"token_hash": token_hash}))
        return _access(rows[0]) if rows else None

    async def note_use(self, access: Access, *, now: datetime, unless_since: datetime) -> None:
        def work() -> Work[None]:
            yield Statement(
                _NOTE_USE,
                {
                    "grant_id": access.grant_id,
                    "now": milliseconds(now),
                    "unless_since": milliseconds(unless_since),
                },
            )
            if access.unused_successor is not None:
                yield from first_use(access.unused_successor, now=now)

        await self._engine.write(work())


def _access(row: Row) -> Access:
    last_used_at = row["last_used_at"]
    return Access(
        person=person_of(row),
        scopes=Scopes(tuple(row["scopes"].split())),
        expires_at=from_milliseconds(row["expires_at"]),
        is_revoked=row["revoked_at"] is not None or row["grant_revoked_at"] is not None,
        grant_id=row["grant_id"],
        grant_last_used_at=None if last_used_at is None else from_milliseconds(last_used_at),
        unused_successor=row["unused_successor"],
        client_id=row["client_id"],
        is_admin=bool(row["is_admin"]),
    )
