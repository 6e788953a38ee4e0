"""Takes away what has expired, a little at a time, so that nobody waits long for the writer."""

from datetime import datetime, timedelta

from grantflow.storage.engine import Engine
from grantflow.storage.portions import PORTION, in_portions
from grantflow.storage.times import milliseconds

#: How long a row outlives its expiry: so long its late use is still told from one that never was. A spent code that
#: comes back within that time ends what it led to (S34).
KEPT = timedelta(days=1)
#: The same for an authorization request that nobody answered: anybody can have one kept, so a flood must drain soon.
UNANSWERED_KEPT = timedelta(minutes=10)
#: How long the answer to a rotated refresh token can be fetched again at the most; nothing sealed outlives that.
ANSWERS_KEPT = timedelta(days=1)

_TABLES = {
    "authorization_requests": "id_hash",
    "codes": "code_hash",
    "access_tokens": "token_hash",
    "refresh_tokens": "token_hash",
    "sessions": "token_hash",
}
_FORGET_UNANSWERED = """
DELETE FROM authorization_requests
WHERE id_hash IN (
  SELECT id_hash FROM authorization_requests
  WHERE answered_at IS NULL AND expires_at <= :before ORDER BY expires_at LIMIT :portion
)
RETURNING 1
"""
_FORGET_ANSWERS = """
UPDATE refresh_tokens SET sealed_answer = NULL
WHERE token_hash IN (
  SELECT token_hash FROM refresh_tokens
  WHERE sealed_answer IS NOT NULL AND replaced_at <= :before ORDER BY replaced_at LIMIT :portion
)
RETURNING 1
"""


class Housekeeping:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def sweep(self, *, now: datetime) -> int:
        """Delete all that expired more than a day ago, requests that nobody answered sooner, and sealed answers of
        that age; answers how many rows.
        """
        before = milliseconds(now - KEPT)
        unanswered = milliseconds(now - UNANSWERED_KEPT)
        deleted = await self._repeat(_FORGET_UNANSWERED, unanswered)
        deleted += sum([await self._repeat(_delete(table, key), before) for table, key in _TABLES.items()])
        return deleted + await self._repeat(_FORGET_ANSWERS, milliseconds(now - ANSWERS_KEPT))

    async def _repeat(self, sql: str, before: int) -> int:
        return await in_portions(self._engine, sql, {"before": before}, portion=PORTION)


def _delete(table: str, key: str) -> str:
    # Table and key are names of this module.
    expired = f"SELECT {key} FROM {table} WHERE expires_at <= :before ORDER BY expires_at LIMIT :portion"
    return f"DELETE FROM {table} WHERE {key} IN ({expired}) RETURNING 1"
