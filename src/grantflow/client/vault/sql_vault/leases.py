"""Who refreshes a grant, and what came of it: a lease, which ends by itself."""

from datetime import datetime

from grantflow.client import rules
from grantflow.client.events import Event
from grantflow.client.grant import Grant, StoredGrant
from grantflow.client.vault.process import is_gone, seconds_left, this_process_for
from grantflow.client.vault.records import COLUMNS, Row, read_grant, read_record, to_seconds, write_record
from grantflow.client.vault.sql_vault.database import Database
from grantflow.client.vault.sql_vault.events import write_down
from grantflow.client.vault.sql_vault.statements import ALIVE, REPLACE, if_still


class Leases(Database):
    """Of all threads, processes and machines, one has the lease of a grant."""

    def lease_left(self, grant_id: str, *, holder: str) -> float:
        row = self._row(
            f"SELECT lease_until - {self._clock} AS seconds, lease_process FROM grants "
            "WHERE id = :id AND lease_holder = :holder",
            {"id": grant_id, "holder": holder},
        )
        return self._left(row) if row else 0.0

    def _left(self, row: Row) -> float:
        """For how many more seconds somebody has the lease: by the time since their machine was started, where all
        share one, for there the clock is each process's own; else on the database's clock."""
        if row["seconds"] is None:
            return 0.0
        left = seconds_left(row["lease_process"]) if self._on_one_machine else None
        return max(0.0, row["seconds"] if left is None else left)

    @property
    def _with_lease(self) -> str:
        return f"SELECT {', '.join(COLUMNS)}, lease_process, lease_until - {self._clock} AS seconds FROM grants"

    def _is_leased(self, row: Row) -> bool:
        return self._left(row) > 0 and not is_gone(row["lease_process"])

    def take_lease(self, grant_id: str, *, generation: int, holder: str, seconds: float) -> StoredGrant | None:
        with self._transaction() as transaction:
            row = transaction.execute(
                f"{self._with_lease} WHERE id = :id AND generation = :generation AND {ALIVE}{self._for_update}",
                {"id": grant_id, "generation": generation},
            ).fetchone()
            if row is None or self._is_leased(row):
                return None
            transaction.execute(
                "UPDATE grants SET lease_holder = :holder, lease_process = :process, "
                f"lease_until = {self._clock} + :seconds, "
                f"unanswered_since = COALESCE(unanswered_since, {self._clock}) WHERE id = :id",
                {"holder": holder, "process": this_process_for(seconds), "seconds": float(seconds), "id": grant_id},
            )
        return read_record(row, self._sealing)

    def release(self, grant_id: str, *, holder: str, unanswered_since: datetime | None) -> None:
        self._write(
            "UPDATE grants SET lease_holder = NULL, lease_until = NULL, unanswered_since = :since "
            "WHERE id = :id AND lease_holder = :holder",
            {"since": to_seconds(unanswered_since), "id": grant_id, "holder": holder},
        )

    def save(
        self,
        stored: StoredGrant,
        *,
        generation: int,
        holder: str | None = None,
        only_holder: bool = False,
        event: Event | None = None,
    ) -> bool:
        expected = if_still(generation, holder=holder, only_holder=only_holder)
        values = {**write_record(stored, self._sealing), **expected}
        if event is None:
            return self._write(REPLACE, values) == 1
        with self._transaction() as transaction:
            is_replaced = transaction.execute(REPLACE, values).rowcount == 1
            if is_replaced:
                write_down(transaction, event)
            return is_replaced

    def reopen(self, refused: Grant, *, event: Event) -> bool:
        with self._transaction() as transaction:
            row = transaction.execute(
                f"{self._with_lease} WHERE id = :id{self._for_update}", {"id": refused.id}
            ).fetchone()
            if row is None or read_grant(row) != refused or self._is_leased(row):
                return False
            # As the row has it: a request whose answer was lost may have been noted since the grant was looked at.
            reopened = rules.reopened(read_record(row, self._sealing))
            values = {**write_record(reopened, self._sealing), **if_still(refused.generation)}
            transaction.execute(REPLACE, values)
            write_down(transaction, event)
            return True
