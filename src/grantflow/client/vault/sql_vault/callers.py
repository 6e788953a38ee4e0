"""Programs of another kind that are lent access tokens."""

from collections.abc import Sequence
from typing import Final

from grantflow.client.callers import Caller
from grantflow.client.events import Event
from grantflow.client.vault.records import read_caller, to_seconds, write_caller
from grantflow.client.vault.sql_vault.database import Database, Parameters
from grantflow.client.vault.sql_vault.events import write_down

_OF_CALLERS: Final = "SELECT integration, name, key_digest, grant_ids, created_at, last_used_at FROM callers"
_CALLERS: Final = f"{_OF_CALLERS} WHERE integration = :integration ORDER BY name"
_CALLER: Final = f"{_OF_CALLERS} WHERE key_digest = :digest AND integration = :integration"
_ADD_CALLER: Final = (
    "INSERT INTO callers (integration, name, key_digest, grant_ids, created_at) "
    "VALUES (:integration, :name, :key_digest, :grant_ids, :created_at) ON CONFLICT DO NOTHING"
)
_REMOVE_CALLER: Final = "DELETE FROM callers WHERE integration = :integration AND name = :name AND key_digest = :digest"
_CALLER_WAS_HERE: Final = "UPDATE callers SET last_used_at = :at WHERE integration = :integration AND name = :name"


class Callers(Database):
    """Each is known by the digest of its key."""

    def callers(self, integration: str) -> list[Caller]:
        return [read_caller(row) for row in self._rows(_CALLERS, {"integration": integration})]

    def caller(self, integration: str, *, digest: bytes) -> Caller | None:
        row = self._row(_CALLER, {"integration": integration, "digest": digest})
        return read_caller(row) if row else None

    def add_caller(self, caller: Caller, *, events: Sequence[Event] = ()) -> bool:
        return self._change(_ADD_CALLER, write_caller(caller), events=events)

    def remove_caller(self, caller: Caller, *, events: Sequence[Event] = ()) -> bool:
        values = {"integration": caller.integration, "name": caller.name, "digest": caller.key_digest}
        return self._change(_REMOVE_CALLER, values, events=events)

    def _change(self, statement: str, values: Parameters, *, events: Sequence[Event]) -> bool:
        with self._transaction() as transaction:
            is_changed = transaction.execute(statement, values).rowcount == 1
            for event in events if is_changed else ():
                write_down(transaction, event)
        return is_changed

    def record_hand_over(self, event: Event, *, caller: str) -> None:
        at = {"at": to_seconds(event.at), "integration": event.integration, "name": caller}
        with self._transaction() as transaction:
            write_down(transaction, event)
            transaction.execute(_CALLER_WAS_HERE, at)
