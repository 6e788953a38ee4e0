"""Takes away what has expired, a little at a time, so that nobody waits long for the writer."""

from datetime import datetime, timedelta

from grantflow.storage.engine import Engine, Statement, Work
from grantflow.storage.times import milliseconds

#: How long a row outlives its expiry: so long its late use is still told from one that never was.
KEPT = timedelta(days=1)
#: Rows that one unit of work takes away at the most.
PORTION = 500

_TABLES = {
    "authorization_requests": "id_hash",
    "codes": "code_hash",
    "access_tokens": "token_hash",
    "refresh_tokens": "token_hash",
    "sessions": "token_hash",
}


class Housekeeping:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def sweep(self, *, now: datetime) -> int:
        """Delete all that expired more than a day ago; answers how many rows."""
        before = milliseconds(now - KEPT)
        return sum([await self._sweep(table, key, before) for table, key in _TABLES.items()])

    async def _sweep(self, table: str, key: str, before: int) -> int:
        # Table and key are names of this module.
        expired = f"SELECT {key} FROM {table} WHERE expires_at <= :before ORDER BY expires_at LIMIT {PORTION}"  # noqa: S608
        delete = f"DELETE FROM {table} WHERE {key} IN ({expired}) RETURNING 1"  # noqa: S608

        def work() -> Work[int]:
            return len((yield Statement(delete, {"before": before})))

        total = 0
        while (gone := await self._engine.write(work())) == PORTION:
            total += gone
        return total + gone
