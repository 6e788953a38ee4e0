"""What happened, for the audit log, and who has not been told of it yet."""

from datetime import datetime
from typing import Final

from grantflow.client.events import Event, Kind
from grantflow.client.grant import GrantKey
from grantflow.client.vault import Untold
from grantflow.client.vault.records import EVENT_COLUMNS, read_event, to_seconds, write_event
from grantflow.client.vault.sql_vault.database import Database, Transaction
from grantflow.client.vault.sql_vault.statements import OF_KEY, of_key

_INSERT_EVENT: Final = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in EVENT_COLUMNS)}) "
    "RETURNING number"
)
_INSERT_UNTOLD: Final = "INSERT INTO untold_events (id, integration, number) VALUES (:id, :integration, :number)"
_EVENTS: Final = f"SELECT {', '.join(EVENT_COLUMNS)} FROM events WHERE {OF_KEY} ORDER BY number"
_UNTOLD: Final = (
    f"SELECT {', '.join(f'events.{name}' for name in EVENT_COLUMNS)}, untold_events.tries "
    "FROM untold_events JOIN events ON events.number = untold_events.number "
    "WHERE untold_events.integration = :integration AND events.at < :left "
    "AND (again_at IS NULL OR again_at <= :now) "
    "ORDER BY tries, untold_events.number LIMIT :most"
)
_CLAIM_UNTOLD: Final = (
    "UPDATE untold_events SET tries = tries + 1, again_at = :again_at WHERE id = :id AND tries = :tries"
)
#: A newer Grantflow over the same vault may write others: what this one does not know, it leaves to that.
_KNOWN: Final = frozenset(kind.value for kind in Kind)


class Events(Database):
    """An event is written together with what it tells of; here are those that come alone."""

    def events(self, key: GrantKey) -> list[Event]:
        return [read_event(row) for row in self._rows(_EVENTS, of_key(key)) if row["kind"] in _KNOWN]

    def untold(self, integration: str, *, left: datetime, now: datetime, limit: int) -> list[Untold]:
        values = {"integration": integration, "left": to_seconds(left), "now": to_seconds(now), "most": limit}
        rows = self._rows(_UNTOLD, values)
        return [Untold(read_event(row), row["tries"]) for row in rows if row["kind"] in _KNOWN]

    def record(self, event: Event) -> None:
        with self._transaction() as transaction:
            write_down(transaction, event)

    def claim_untold(self, untold: Untold, *, again_at: datetime) -> bool:
        values = {"id": untold.event.id, "tries": untold.tries, "again_at": to_seconds(again_at)}
        return self._write(_CLAIM_UNTOLD, values) == 1

    def set_told(self, event_id: str) -> None:
        self._write("DELETE FROM untold_events WHERE id = :id", {"id": event_id})

    def forget_events(self, *, before: datetime) -> None:
        self._write(
            "DELETE FROM events WHERE at < :before AND number IN "
            f"(SELECT number FROM events ORDER BY number LIMIT 500{self._skip_locked})",
            {"before": to_seconds(before)},
        )


def write_down(transaction: Transaction, event: Event) -> None:
    """In the transaction of what it tells of, so that neither is kept without the other."""
    number = transaction.execute(_INSERT_EVENT, write_event(event)).fetchall()[0]["number"]
    if event.is_to_be_told:
        values = {"id": event.id, "integration": event.integration, "number": number}
        transaction.execute(_INSERT_UNTOLD, values)
