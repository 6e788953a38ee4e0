"""States and forms that have served, so that none serves twice."""

from datetime import datetime

from grantflow.client.vault.records import to_seconds
from grantflow.client.vault.sql_vault.database import Database


class SpentStates(Database):
    """Remembered until they are worth nothing any more."""

    def spend(self, state_digest: bytes, *, now: datetime, until: datetime) -> bool:
        with self._transaction() as transaction:
            transaction.execute(
                "DELETE FROM spent_states WHERE digest IN "
                f"(SELECT digest FROM spent_states WHERE until < :now{self._skip_locked})",
                {"now": to_seconds(now)},
            )
            inserted = transaction.execute(
                "INSERT INTO spent_states (digest, until) VALUES (:digest, :until) ON CONFLICT DO NOTHING",
                {"digest": state_digest, "until": to_seconds(until)},
            )
            return inserted.rowcount == 1
