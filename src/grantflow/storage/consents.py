"""What integrations ask people, and what people decide: the resource owner's side of authorization requests."""

from datetime import datetime

from grantflow.protocol.scope import read_scopes
from grantflow.resource_owner.records import Decision, Question
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.times import from_milliseconds, milliseconds

_FIND = """
SELECT r.client_id, i.name, i.icon, p.display_name AS publisher, i.site_url, r.scopes, r.redirect_uri, r.login_hint,
       r.created_at, r.expires_at, r.decision, r.decided_by, r.answered_at, g.scopes AS allowed
FROM authorization_requests r
JOIN integrations i ON i.client_id = r.client_id
LEFT JOIN people p ON p.id = i.owner_id
LEFT JOIN grants g ON g.person_id = :person_id AND g.client_id = r.client_id AND g.revoked_at IS NULL
WHERE r.id_hash = :id_hash
"""
# The first decision counts: a second click, or another account in the same browser, finds no row.
_DECIDE = """
UPDATE authorization_requests SET decision = :decision, decided_by = :person_id, remember = :remember
WHERE id_hash = :id_hash AND decision IS NULL AND answered_at IS NULL AND expires_at > :now
RETURNING 1
"""


class ConsentStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, id_hash: bytes, *, person_id: str | None) -> Question | None:
        rows = await self._engine.read(Statement(_FIND, {"id_hash": id_hash, "person_id": person_id}))
        return _question(rows[0]) if rows else None

    async def decide(
        self, id_hash: bytes, *, person_id: str, decision: Decision, remember: bool, now: datetime
    ) -> bool:
        def work() -> Work[bool]:
            rows = yield Statement(
                _DECIDE,
                {
                    "id_hash": id_hash,
                    "person_id": person_id,
                    "decision": decision.value,
                    "remember": int(remember),
                    "now": milliseconds(now),
                },
            )
            return bool(rows)

        return await self._engine.write(work())


def _question(row: Row) -> Question:
    answered_at = row["answered_at"]
    return Question(
        client_id=row["client_id"],
        app=row["name"],
        publisher=row["publisher"],
        site_url=row["site_url"],
        scopes=read_scopes(row["scopes"]),
        redirect_uri=row["redirect_uri"],
        login_hint=row["login_hint"],
        created_at=from_milliseconds(row["created_at"]),
        expires_at=from_milliseconds(row["expires_at"]),
        allowed=read_scopes(row["allowed"] or ""),
        decision=Decision(row["decision"]) if row["decision"] else None,
        decided_by=row["decided_by"],
        answered_at=from_milliseconds(answered_at) if answered_at is not None else None,
        icon=row["icon"],
    )
