"""Grants and access tokens as an administrator of the organization sees and ends them, through the API."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from grantflow.resource_server.records import Authorization, Ended
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.grants import END_ALL_OF_CLIENT
from grantflow.storage.times import from_milliseconds, milliseconds

#: The most access tokens of one person that are listed, the newest first: an integration may have refreshed a lot.
LISTED_TOKENS = 1_000

_GRANTS = """
SELECT g.id, NULL AS token_hash, g.client_id, i.name, g.person_id, p.email, g.created_at
FROM grants g JOIN integrations i ON i.client_id = g.client_id JOIN people p ON p.id = g.person_id
WHERE g.revoked_at IS NULL
"""
_TOKENS = """
SELECT NULL AS id, t.token_hash, g.client_id, i.name, g.person_id, p.email, t.issued_at AS created_at
FROM access_tokens t JOIN grants g ON g.id = t.grant_id
JOIN integrations i ON i.client_id = g.client_id JOIN people p ON p.id = g.person_id
WHERE t.revoked_at IS NULL AND t.expires_at > :now AND g.revoked_at IS NULL
"""
_GRANTS_OF = f"{_GRANTS} AND g.person_id = :person_id ORDER BY g.client_id"
_TOKENS_OF = f"{_TOKENS} AND g.person_id = :person_id ORDER BY t.issued_at DESC, t.token_hash LIMIT :limit"
_FIND_GRANT = f"{_GRANTS} AND g.id = :id AND p.org_id = :org_id"
_FIND_TOKEN = f"""
{_TOKENS} AND t.token_hash >= :first AND t.token_hash <= :last AND p.org_id = :org_id LIMIT 1
"""
_END_GRANT = "UPDATE grants SET revoked_at = :now, version = version + 1 WHERE id = :id AND revoked_at IS NULL"
_END_TOKEN = "UPDATE access_tokens SET revoked_at = :now WHERE token_hash = :token_hash AND revoked_at IS NULL"
_APP = "SELECT name FROM integrations WHERE client_id = :client_id"


class AuthorizationStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def of(self, person_id: str, *, now: datetime) -> Sequence[Authorization]:
        values = {"person_id": person_id, "now": milliseconds(now), "limit": LISTED_TOKENS}
        grants = await self._engine.read(Statement(_GRANTS_OF, values))
        tokens = await self._engine.read(Statement(_TOKENS_OF, values))
        return [_authorization(row) for row in (*grants, *tokens)]

    async def end(
        self, authorization_id: str, *, org_id: str, now: datetime, rule: Callable[[Authorization | None], None]
    ) -> Authorization:
        def work() -> Work[Authorization]:
            beginning = UUID(authorization_id).bytes
            values = {
                "id": authorization_id,
                "first": beginning + bytes(16),
                "last": beginning + b"\xff" * 16,
                "org_id": org_id,
                "now": milliseconds(now),
            }
            rows = (yield Statement(_FIND_GRANT, values)) or (yield Statement(_FIND_TOKEN, values))
            rule(_authorization(rows[0]) if rows else None)
            found = _authorization(rows[0])
            values["token_hash"] = rows[0]["token_hash"]
            yield Statement(_END_GRANT if found.is_grant else _END_TOKEN, values)
            return found

        return await self._engine.write(work())

    async def end_all_of_client(self, client_id: str, *, org_id: str, now: datetime) -> Ended | None:
        values = {"client_id": client_id, "org_id": org_id, "now": milliseconds(now)}

        def work() -> Work[Ended | None]:
            apps = yield Statement(_APP, values)
            if not apps:
                return None
            return Ended(apps[0]["name"], len((yield Statement(END_ALL_OF_CLIENT, values))))

        return await self._engine.write(work(), is_long=True)


def _authorization(row: Row) -> Authorization:
    """A token has no id of its own: the first half of its hash names it, and gives nothing of it away."""
    token_hash = row["token_hash"]
    return Authorization(
        id=row["id"] if token_hash is None else str(UUID(bytes=bytes(token_hash[:16]))),
        is_grant=token_hash is None,
        client_id=row["client_id"],
        app=row["name"],
        person_id=row["person_id"],
        person_email=row["email"],
        created_at=from_milliseconds(row["created_at"]),
    )
