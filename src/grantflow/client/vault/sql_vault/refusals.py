"""What the platform refused: the integration, one grant, or so many that the brake is on."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from grantflow.client import judging
from grantflow.client.events import REFUSALS, Event, Kind
from grantflow.client.grant import Brake, GrantKey, Standing
from grantflow.client.vault import Refusing
from grantflow.client.vault.records import Row, to_seconds, to_time, write_record
from grantflow.client.vault.sql_vault.database import Database, Parameters, Transaction
from grantflow.client.vault.sql_vault.events import write_down
from grantflow.client.vault.sql_vault.statements import OF_KEY, REPLACE, if_still, of_key

_STANDING: Final = (
    "SELECT refused_at, retry_at, failures, reason, succeeded_at FROM standings "
    "WHERE integration = :integration AND credentials = :credentials"
)
_SET_STANDING: Final = (
    "INSERT INTO standings (integration, credentials, refused_at, retry_at, failures, reason, succeeded_at) "
    "VALUES (:integration, :credentials, :refused_at, :retry_at, :failures, :reason, :succeeded_at) "
    "ON CONFLICT (integration, credentials) DO UPDATE SET refused_at = excluded.refused_at, "
    "retry_at = excluded.retry_at, failures = excluded.failures, reason = excluded.reason, "
    "succeeded_at = excluded.succeeded_at"
)
_BRAKE: Final = "SELECT on_since, released_at, reason FROM brakes WHERE integration = :integration"
_SET_BRAKE: Final = (
    "INSERT INTO brakes (integration, on_since, released_at, reason) "
    "VALUES (:integration, :on_since, :released_at, :reason) ON CONFLICT (integration) DO UPDATE SET "
    "on_since = excluded.on_since, released_at = excluded.released_at, reason = excluded.reason"
)
# The kind stands here in so many letters: it is that of an index.
_LAST_RELEASE: Final = (
    "SELECT MAX(number) AS number FROM events WHERE integration = :integration AND kind = 'brake_released'"
)
# What an operator has looked at does not count: by number and not by time, since whoever released may have another
# clock. With the sign no database looks for it by number, which would be all that has ever happened.
_COUNTED: Final = "integration = :integration AND kind = :kind AND at > :since AND +number > :released"
# A grant without a refresh token cannot be refused one: then there is no fingerprint.
_REFUSED: Final = f"SELECT COUNT(DISTINCT person_id) AS number FROM events WHERE {_COUNTED} AND token IS NOT NULL"
_RENEWED: Final = f"SELECT COUNT(*) AS number FROM events WHERE {_COUNTED}"
# By number and not by time: processes' clocks differ. Renewals alone have credentials, and all of this is in the index.
_SERVED_OTHERS: Final = (
    "SELECT 1 FROM events WHERE integration = :integration AND credentials = :credentials "
    f"AND number > (SELECT MAX(number) FROM events WHERE {OF_KEY} AND kind = :delayed) LIMIT 1"
)
#: Two refusals that do not see one another would both be believed, where only one is to be.
_REFUSALS: Final = "refusals"


class Refusals(Database):
    """A refusal is kept, and held against others before it, in one transaction."""

    def standing(self, integration: str, *, credentials: str) -> Standing:
        row = self._row(_STANDING, {"integration": integration, "credentials": credentials})
        if row is None:
            return Standing()
        return Standing(
            refused_at=to_time(row["refused_at"]),
            retry_at=to_time(row["retry_at"]),
            failures=row["failures"],
            reason=row["reason"],
            succeeded_at=to_time(row["succeeded_at"]),
        )

    def set_standing(
        self, integration: str, *, credentials: str, standing: Standing, event: Event | None = None
    ) -> None:
        values = {
            "integration": integration,
            "credentials": credentials,
            "refused_at": to_seconds(standing.refused_at),
            "retry_at": to_seconds(standing.retry_at),
            "failures": standing.failures,
            "reason": standing.reason,
            "succeeded_at": to_seconds(standing.succeeded_at),
        }
        with self._transaction() as transaction:
            transaction.execute(_SET_STANDING, values)
            if event is not None:
                write_down(transaction, event)

    def brake(self, integration: str) -> Brake:
        return _brake_of(self._row(_BRAKE, {"integration": integration}))

    def set_brake(self, integration: str, brake: Brake, *, event: Event) -> None:
        with self._transaction() as transaction:
            self._queue(transaction, f"{_REFUSALS} {integration}")
            transaction.execute(_SET_BRAKE, _written(integration, brake))
            write_down(transaction, event)

    def refuse(self, refusing: Refusing, *, now: datetime) -> list[Event]:
        integration = refusing.believed.grant.integration
        with self._transaction() as transaction:
            self._queue(transaction, f"{_REFUSALS} {integration}")
            before = _brake_of(transaction.execute(_BRAKE, {"integration": integration}).fetchone())
            brake = _braked(transaction, before, integration=integration, now=now)
            held = brake.on_since is not None
            stored, event = (
                (refusing.held, refusing.held_event) if held else (refusing.believed, refusing.believed_event)
            )
            expected = if_still(refusing.over, holder=refusing.holder, only_holder=True)
            if transaction.execute(REPLACE, {**write_record(stored, self._sealing), **expected}).rowcount != 1:
                return []
            events = [event]
            if brake != before:
                transaction.execute(_SET_BRAKE, _written(integration, brake))
                events.append(replace(refusing.brake_event, reason=brake.reason))
            for each in events:
                write_down(transaction, each)
            return events

    def served_others(self, key: GrantKey, *, credentials: str) -> bool:
        values = {**of_key(key), "credentials": credentials, "delayed": Kind.REFRESH_DELAYED.value}
        return self._row(_SERVED_OTHERS, values) is not None

    def forget_refused(self, *, before: datetime) -> None:
        self._write(
            "UPDATE grants SET tokens = NULL WHERE id IN "
            "(SELECT id FROM grants WHERE refused_at < :before AND tokens IS NOT NULL "
            f"AND status = 'REAUTHORIZATION_REQUIRED'{self._skip_locked})",
            {"before": to_seconds(before)},
        )


def _brake_of(row: Row | None) -> Brake:
    if row is None:
        return Brake()
    return Brake(to_time(row["on_since"]), to_time(row["released_at"]), row["reason"])


def _written(integration: str, brake: Brake) -> Parameters:
    on_since, released_at = to_seconds(brake.on_since), to_seconds(brake.released_at)
    return {"integration": integration, "on_since": on_since, "released_at": released_at, "reason": brake.reason}


def _braked(transaction: Transaction, brake: Brake, *, integration: str, now: datetime) -> Brake:
    if brake.on_since is not None:
        return brake
    since = to_seconds(now - judging.MASS_REFUSAL_WITHIN)
    released = transaction.execute(_LAST_RELEASE, {"integration": integration}).fetchone()["number"] or 0

    def count(statement: str, kind: Kind) -> int:
        values = {"integration": integration, "kind": kind.value, "since": since, "released": released}
        return int(transaction.execute(statement, values).fetchone()["number"])

    refused = sum(count(_REFUSED, kind) for kind in REFUSALS)
    return judging.braked(brake, refused=refused, judged=refused + count(_RENEWED, Kind.REFRESHED), now=now)
