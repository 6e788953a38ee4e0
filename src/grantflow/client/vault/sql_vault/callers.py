"""Programs of another kind that are lent access tokens."""

from typing import Final

from grantflow.client.callers import Caller
from grantflow.client.events import Event
from grantflow.client.vault.records import read_caller, to_seconds, write_caller
from grantflow.client.vault.sql_vault.database import Database
from grantflow.client.vault.sql_vault.events import write_down

_OF_CALLERS: Final = "SELECT integration, name, key_digest, grant_ids, created_at, last_used_at FROM callers"
_CALLERS: Final = f"{_OF_CALLERS} WHERE integration = :integration ORDER BY name"
_CALLER: Final = f"{_OF_CALLERS} WHERE key_digest = :digest AND integration = :integration"
_ADD_CALLER: Final = (
    "INSERT INTO callers (integration, name, key_digest, grant_ids, created_at) "
    "VALUES (:integration, :name, :key_digest, :grant_ids, :created_at) ON CONFLICT DO NOTHING"
)
_REMOVE_CALLER: Final = "DELETE FROM callers WHERE integration = :integration AND name = :name"
_CALLER_WAS_HERE: Final = "UPDATE callers SET last_used_at = :at WHERE integration = :integration AND name = :name"


class Callers(Database):
    """Each is known by the digest of its key."""

    def callers(self, integration: str) -> list[Caller]:
        return [read_caller(row) for row in self._rows(_CALLERS, {"integration": integration})]

    def caller(self, integration: str, *, digest: bytes) -> Caller | None:
        row = self._row(_CALLER, {"integration": integration, "digest": digest})
        return read_caller(row) if row else None

    def add_caller(self, caller: Caller) -> bool:
        return self._write(_ADD_CALLER, write_caller(caller)) == 1

    def remove_caller(self, integration: str, *, name: str) -> bool:
        return self._write(_REMOVE_CALLER, {"integration": integration, "name": name}) == 1

    def record_hand_over(self, event: Event, *, caller: str) -> None:
        at = {"at": to_seconds(event.at), "integration": event.integration, "name": caller}
        with self._transaction() as transaction:
            write_down(transaction, event)
            transaction.execute(_CALLER_WAS_HERE, at)
