"""The vault's statements, once for every database: what is read, what is written, and what must happen as one.

They are the SQL that SQLite and PostgreSQL share, with parameters written `:name`. What differs is the engine's own
module: connections, the clock, how a row is kept from others, and what an error means.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Final, Protocol, TypeAlias

from grantflow.client import rules
from grantflow.client.callers import Caller
from grantflow.client.errors import VaultUnavailable
from grantflow.client.events import REFUSALS, Event, Kind
from grantflow.client.grant import Brake, Grant, GrantKey, Standing, Status, StoredGrant
from grantflow.client.vault import Adopting, Refusing, Resealed, SealedUnder, Untold
from grantflow.client.vault.process import is_gone, seconds_left, this_process_for
from grantflow.client.vault.records import (
    CHANGING_COLUMNS,
    COLUMNS,
    EVENT_COLUMNS,
    Row,
    read_caller,
    read_event,
    read_grant,
    read_record,
    reseal_tokens,
    to_seconds,
    to_time,
    write_caller,
    write_event,
    write_record,
)
from grantflow.sealing import KeyRing, SealingError, Tampered, WrongKey

Parameters: TypeAlias = Mapping[str, Any]

# Calls may be made on it.
_ALIVE: Final = "status IN ('ACTIVE', 'REFRESH_DELAYED')"
_OF_KEY: Final = "integration = :integration AND owner = :owner AND person_id = :person_id"

_INSERT: Final = (
    f"INSERT INTO grants ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)}) "
    "ON CONFLICT (integration, owner, person_id) DO NOTHING"
)
# The casts tell PostgreSQL what a parameter is that stands beside no column.
_HOLDER: Final = "CAST(:holder AS TEXT)"
_REPLACE: Final = (
    f"UPDATE grants SET {', '.join(f'{name} = :{name}' for name in CHANGING_COLUMNS)}, "
    f"lease_until = CASE WHEN {_HOLDER} IS NULL OR lease_holder = {_HOLDER} THEN NULL ELSE lease_until END, "
    f"lease_holder = CASE WHEN {_HOLDER} IS NULL OR lease_holder = {_HOLDER} THEN NULL ELSE lease_holder END "
    f"WHERE id = :id AND generation = :read AND (NOT :only_holder OR lease_holder = {_HOLDER})"
)
# Named one by one: a server that has prepared `SELECT *` refuses it once an upgrade has added a column.
_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM grants"
_BY_KEY: Final = f"{_SELECT} WHERE {_OF_KEY}"
_BY_ID: Final = f"{_SELECT} WHERE id = :id"
_ADOPTED: Final = (
    f"SELECT {', '.join(f'grants.{name}' for name in COLUMNS)} "
    "FROM adoptions JOIN grants ON grants.id = adoptions.grant_id "
    "WHERE adoptions.integration = :integration AND adoptions.digest = :digest"
)
_NOTE_ADOPTION: Final = (
    "INSERT INTO adoptions (integration, digest, grant_id, at) VALUES (:integration, :digest, :grant_id, :at) "
    "ON CONFLICT (integration, digest) DO UPDATE SET grant_id = excluded.grant_id"
)
_MOVE_ADOPTIONS: Final = "UPDATE adoptions SET grant_id = :new WHERE grant_id = :old"
_FORGET: Final = "DELETE FROM grants WHERE id = :id AND generation = :generation AND lease_holder = :holder"
_DROP_REFUSED: Final = (
    "DELETE FROM grants WHERE id = :id AND generation = :generation AND incident = :incident "
    "AND status = 'REAUTHORIZATION_REQUIRED'"
)
_FORGET_ADOPTIONS: Final = "DELETE FROM adoptions WHERE grant_id = :id"
_GENERATION: Final = f"SELECT generation FROM grants WHERE {_OF_KEY} AND {_ALIVE}"
_HAS_GRANTED: Final = (
    f"SELECT 1 FROM grants WHERE integration = :integration AND person_id = :person_id AND {_ALIVE} LIMIT 1"
)
_CALLED: Final = (
    f"{_SELECT} WHERE id = :who AND integration = :integration "
    f"UNION {_SELECT} WHERE integration = :integration AND person_id = :who ORDER BY granted_at, id"
)
_WITH_EMAIL: Final = (
    f"{_SELECT} WHERE integration = :integration AND lower(email) = lower(:who) ORDER BY granted_at, id"
)
_ENDLESS: Final = (
    f"SELECT 1 FROM grants WHERE integration = :integration AND {_ALIVE} AND refresh_expires_at IS NULL LIMIT 1"
)
_STANDING: Final = (
    "SELECT refused_at, retry_at, failures, reason, succeeded_at FROM standings "
    "WHERE integration = :integration AND credentials = :credentials"
)
_CENSUS: Final = "SELECT status, COUNT(*) AS number FROM grants WHERE integration = :integration GROUP BY status"
_ENDING: Final = (
    f"SELECT COUNT(*) AS number FROM grants WHERE integration = :integration AND {_ALIVE} "
    "AND refresh_expires_at <= :before"
)
_SET_STANDING: Final = (
    "INSERT INTO standings (integration, credentials, refused_at, retry_at, failures, reason, succeeded_at) "
    "VALUES (:integration, :credentials, :refused_at, :retry_at, :failures, :reason, :succeeded_at) "
    "ON CONFLICT (integration, credentials) DO UPDATE SET refused_at = excluded.refused_at, "
    "retry_at = excluded.retry_at, failures = excluded.failures, reason = excluded.reason, "
    "succeeded_at = excluded.succeeded_at"
)
_INSERT_EVENT: Final = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in EVENT_COLUMNS)}) "
    "RETURNING number"
)
_INSERT_UNTOLD: Final = "INSERT INTO untold_events (id, integration, number) VALUES (:id, :integration, :number)"
_EVENTS: Final = f"SELECT {', '.join(EVENT_COLUMNS)} FROM events WHERE {_OF_KEY} ORDER BY number"
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
# A grant without a refresh token cannot be refused one: then there is no fingerprint.
_REFUSED: Final = (
    "SELECT COUNT(DISTINCT person_id) AS number FROM events "
    "WHERE integration = :integration AND kind = :kind AND at > :since AND token IS NOT NULL"
)
_RENEWED: Final = (
    "SELECT COUNT(*) AS number FROM events WHERE integration = :integration AND kind = :kind AND at > :since"
)
# By number and not by time: processes' clocks differ.
_SERVED_OTHERS: Final = (
    "SELECT 1 FROM events WHERE integration = :integration AND kind = :renewed AND at > :since AND number > "
    f"(SELECT MAX(number) FROM events WHERE {_OF_KEY} AND kind = :delayed) LIMIT 1"
)
_OF_CALLERS: Final = "SELECT integration, name, key_digest, grant_ids, created_at, last_used_at FROM callers"
_CALLERS: Final = f"{_OF_CALLERS} WHERE integration = :integration ORDER BY name"
_CALLER: Final = f"{_OF_CALLERS} WHERE key_digest = :digest AND integration = :integration"
_ADD_CALLER: Final = (
    "INSERT INTO callers (integration, name, key_digest, grant_ids, created_at) "
    "VALUES (:integration, :name, :key_digest, :grant_ids, :created_at) ON CONFLICT DO NOTHING"
)
_REMOVE_CALLER: Final = "DELETE FROM callers WHERE integration = :integration AND name = :name"
_CALLER_WAS_HERE: Final = "UPDATE callers SET last_used_at = :at WHERE integration = :integration AND name = :name"
_BRAKE: Final = "SELECT on_since, released_at, reason FROM brakes WHERE integration = :integration"
_SET_BRAKE: Final = (
    "INSERT INTO brakes (integration, on_since, released_at, reason) "
    "VALUES (:integration, :on_since, :released_at, :reason) ON CONFLICT (integration) DO UPDATE SET "
    "on_since = excluded.on_since, released_at = excluded.released_at, reason = excluded.reason"
)


# A sealed value begins with a version of one byte and the key's id of eight (`sealing`).
_KEY_ID: Final = "substr(tokens, 2, 8)"
_KEYS: Final = (
    f"SELECT {_KEY_ID} AS key_id, count(*) AS records FROM grants WHERE tokens IS NOT NULL GROUP BY {_KEY_ID}"
)
_SINCE: Final = "SELECT key_id, since FROM keys"
_TO_RESEAL: Final = (
    "SELECT id, integration, owner, person_id, "
    f"CASE WHEN {_KEY_ID} = :primary THEN NULL ELSE tokens END AS tokens "
    "FROM grants WHERE id > :after AND tokens IS NOT NULL ORDER BY id LIMIT :limit"
)

#: Two who bring the same token with different words for its person would make two grants of it.
_ADOPTIONS: Final = "adoptions"
#: Two refusals that do not see one another would both be believed, where only one is to be.
_REFUSALS: Final = "refusals"


class _Passed(Exception):
    """What was to be changed has been changed by another; the transaction is given up."""


class Result(Protocol):
    """What came of a statement."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class Transaction(Protocol):
    """A transaction under way, in which each statement sees what was committed before it began."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Result: ...


class SqlVault(ABC):
    """A `Vault` over SQL; see there for what each function promises."""

    #: Whether reading may wait for a network, so that it does not belong on an event loop.
    waits: ClassVar[bool]
    #: Seconds since 1970 on the clock that all users of this database share.
    _clock: ClassVar[str]
    #: Whether all who use this database share a machine, and so the time since it was started.
    _on_one_machine: ClassVar[bool] = False
    #: What keeps a row that was read from others until the transaction ends, where a transaction does not by itself.
    _for_update: ClassVar[str] = ""
    #: The same, passing over rows that others have: who tidies up waits for nobody, and nobody for one another.
    _skip_locked: ClassVar[str] = ""

    keys: KeyRing
    _sealing: KeyRing

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the vault is, in words that hold no secret."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _rows(self, statement: str, parameters: Parameters) -> Sequence[Any]:
        """Read, in one statement."""

    @abstractmethod
    def _write(self, statement: str, parameters: Parameters) -> int:
        """Write, in one statement; the number of rows that it changed."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Transaction]:
        """Several statements as one: all of what they write is kept, or nothing."""

    @abstractmethod
    def _queue(self, transaction: Transaction, what: str) -> None:
        """Until the transaction ends, nobody else is past this with the same word: for what no row stands for that
        could be kept from others."""

    def _rows_at_leisure(self, statement: str, parameters: Parameters) -> Sequence[Any]:
        """The same for what takes long, so that nobody else waits for it."""
        return self._rows(statement, parameters)

    def _row(self, statement: str, parameters: Parameters) -> Row | None:
        rows = self._rows(statement, parameters)
        return rows[0] if rows else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r}, keys={self.keys!r})"

    # --- reading ------------------------------------------------------------------------------------------------

    def find(self, key: GrantKey) -> StoredGrant | None:
        row = self._row(_BY_KEY, _named(key))
        return read_record(row, self._sealing) if row else None

    def grant(self, key: GrantKey) -> Grant | None:
        row = self._row(_BY_KEY, _named(key))
        return read_grant(row) if row else None

    def grant_by_id(self, grant_id: str) -> Grant | None:
        row = self._row(_BY_ID, {"id": grant_id})
        return read_grant(row) if row else None

    def generation(self, key: GrantKey) -> int | None:
        row = self._row(_GENERATION, _named(key))
        return row["generation"] if row else None

    def grants(self, integration: str, *, owner: str | None = None) -> list[Grant]:
        of_owner = "" if owner is None else "AND owner = :owner "
        statement = f"{_SELECT} WHERE integration = :integration {of_owner}ORDER BY granted_at, id"
        return [read_grant(row) for row in self._rows(statement, {"integration": integration, "owner": owner})]

    def page_of_grants(
        self,
        integration: str,
        *,
        limit: int,
        owner: str | None = None,
        statuses: Sequence[Status] = (),
        after: Grant | None = None,
    ) -> list[Grant]:
        named = {f"status_{number}": status.value for number, status in enumerate(statuses)}
        wanted = [
            "integration = :integration",
            *(["owner = :owner"] if owner is not None else []),
            *([f"status IN ({', '.join(f':{name}' for name in named)})"] if named else []),
            *(["(owner, person_id) > (:after_owner, :after_person)"] if after else []),
        ]
        statement = f"{_SELECT} WHERE {' AND '.join(wanted)} ORDER BY owner, person_id LIMIT :limit"
        parameters = {"integration": integration, "owner": owner, "limit": limit, **named}
        if after:
            parameters |= {"after_owner": after.owner, "after_person": after.person_id}
        return [read_grant(row) for row in self._rows(statement, parameters)]

    def grants_called(self, integration: str, who: str) -> list[Grant]:
        named = {"integration": integration, "who": who}
        rows = self._rows(_CALLED, named) or ("@" in who and self._rows(_WITH_EMAIL, named)) or ()
        return [read_grant(row) for row in rows]

    def expiring(
        self,
        integration: str,
        *,
        before: datetime,
        since: datetime | None = None,
        limit: int | None = None,
        after: Grant | None = None,
    ) -> list[Grant]:
        parameters: dict[str, Any] = {"integration": integration, "before": to_seconds(before)}
        wanted = [f"integration = :integration AND {_ALIVE} AND refresh_expires_at <= :before"]
        if since:
            wanted.append("refresh_expires_at > :since")
            parameters["since"] = to_seconds(since)
        if after:
            wanted.append("(refresh_expires_at, id) > (:after_end, :after_id)")
            parameters |= {"after_end": to_seconds(after.refresh_expires_at), "after_id": after.id}
        statement = f"{_SELECT} WHERE {' AND '.join(wanted)} ORDER BY refresh_expires_at, id"
        if limit is not None:
            statement += " LIMIT :limit"
            parameters["limit"] = limit
        return [read_grant(row) for row in self._rows(statement, parameters)]

    def has_endless(self, integration: str) -> bool:
        return self._row(_ENDLESS, {"integration": integration}) is not None

    def census(self, integration: str, *, ending_before: datetime) -> tuple[Mapping[Status, int], int]:
        rows = self._rows_at_leisure(_CENSUS, {"integration": integration})
        by_status = {Status(row["status"]): int(row["number"]) for row in rows}
        ending = {"integration": integration, "before": to_seconds(ending_before)}
        (row,) = self._rows_at_leisure(_ENDING, ending)
        return {status: by_status.get(status, 0) for status in Status}, int(row["number"])

    def has_granted(self, integration: str, *, person_id: str) -> bool:
        return self._row(_HAS_GRANTED, {"integration": integration, "person_id": person_id}) is not None

    def adopted(self, integration: str, *, digest: bytes) -> StoredGrant | None:
        row = self._row(_ADOPTED, {"integration": integration, "digest": digest})
        return read_record(row, self._sealing) if row else None

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

    def brake(self, integration: str) -> Brake:
        return _brake_of(self._row(_BRAKE, {"integration": integration}))

    def served_others(self, key: GrantKey, *, since: datetime) -> bool:
        kinds = {"renewed": Kind.REFRESHED.value, "delayed": Kind.REFRESH_DELAYED.value}
        return self._row(_SERVED_OTHERS, {**_named(key), **kinds, "since": to_seconds(since)}) is not None

    def events(self, key: GrantKey) -> list[Event]:
        return [read_event(row) for row in self._rows(_EVENTS, _named(key))]

    def untold(self, integration: str, *, left: datetime, now: datetime, limit: int) -> list[Untold]:
        values = {"integration": integration, "left": to_seconds(left), "now": to_seconds(now), "most": limit}
        return [Untold(read_event(row), row["tries"]) for row in self._rows(_UNTOLD, values)]

    def callers(self, integration: str) -> list[Caller]:
        return [read_caller(row) for row in self._rows(_CALLERS, {"integration": integration})]

    def caller(self, integration: str, *, digest: bytes) -> Caller | None:
        row = self._row(_CALLER, {"integration": integration, "digest": digest})
        return read_caller(row) if row else None

    # --- writing ------------------------------------------------------------------------------------------------

    def enter(self, stored: StoredGrant, *, event: Event | None = None) -> StoredGrant:
        with self._transaction() as transaction:
            kept = None
            while kept is None:
                kept = self._enter(transaction, stored)
            if event is not None:
                _record(transaction, event.of(kept.grant))
            return kept

    def _enter(self, transaction: Transaction, stored: StoredGrant) -> StoredGrant | None:
        """None where another has entered a grant under this key since it was looked for."""
        row = transaction.execute(_BY_KEY + self._for_update, _named(stored.grant.key)).fetchone()
        if row is None:
            inserted = transaction.execute(_INSERT, write_record(stored, self._sealing))
            return stored if inserted.rowcount == 1 else None
        was_revoked = row["status"] == Status.REVOKED
        grant_id = stored.grant.id if was_revoked else row["id"]
        kept = replace(stored, grant=replace(stored.grant, id=grant_id, generation=row["generation"] + 1))
        if was_revoked:
            transaction.execute("DELETE FROM grants WHERE id = :id", {"id": row["id"]})
            transaction.execute(_MOVE_ADOPTIONS, {"old": row["id"], "new": kept.grant.id})
            inserted = transaction.execute(_INSERT, write_record(kept, self._sealing))
            return kept if inserted.rowcount == 1 else None
        transaction.execute(_REPLACE, {**write_record(kept, self._sealing), **_over(row["generation"])})
        return kept

    def adopt(self, batch: Sequence[Adopting], *, at: datetime) -> list[StoredGrant | None]:
        kept: dict[int, StoredGrant | None] = {}
        # In one order, so that two who bring the same tokens never wait for one another crosswise.
        in_order = sorted(range(len(batch)), key=lambda number: batch[number].digest)
        with self._transaction() as transaction:
            self._queue(transaction, _ADOPTIONS)
            for number in in_order:
                kept[number] = self._adopt(transaction, batch[number], at=at)
        return [kept[number] for number in range(len(batch))]

    def _adopt(self, transaction: Transaction, entry: Adopting, *, at: datetime) -> StoredGrant | None:
        of = {"integration": entry.stored.grant.integration, "digest": entry.digest}
        known = transaction.execute(_ADOPTED, of).fetchone() is not None
        if known != entry.known or self._generation_at(transaction, entry.stored.grant.key) != entry.over:
            return None
        kept = self._enter(transaction, entry.stored)
        if kept is not None:
            transaction.execute(_NOTE_ADOPTION, {**of, "grant_id": kept.grant.id, "at": to_seconds(at)})
            if entry.event is not None:
                _record(transaction, entry.event.of(kept.grant))
        return kept

    def _generation_at(self, transaction: Transaction, key: GrantKey) -> int | None:
        row = transaction.execute(_BY_KEY + self._for_update, _named(key)).fetchone()
        return row["generation"] if row else None

    def rename(
        self, nameless: Grant, *, to: StoredGrant, over: int | None, holder: str, event: Event | None = None
    ) -> StoredGrant | None:
        with suppress(_Passed), self._transaction() as transaction:
            self._queue(transaction, _ADOPTIONS)
            self._forget(transaction, nameless, holder=holder)
            if self._generation_at(transaction, to.grant.key) != over:
                raise _Passed
            kept = self._enter(transaction, to)
            if kept is None:
                raise _Passed
            transaction.execute(_MOVE_ADOPTIONS, {"old": nameless.id, "new": kept.grant.id})
            if event is not None:
                _record(transaction, event.of(kept.grant))
            return kept
        return None

    def merge(self, nameless: Grant, *, into: str, holder: str, remember: bool) -> bool:
        with suppress(_Passed), self._transaction() as transaction:
            self._queue(transaction, _ADOPTIONS)
            self._forget(transaction, nameless, holder=holder)
            if remember:
                transaction.execute(_MOVE_ADOPTIONS, {"old": nameless.id, "new": into})
            else:
                transaction.execute(_FORGET_ADOPTIONS, {"id": nameless.id})
            return True
        return False

    def drop_refused(self, nameless: Grant) -> bool:
        seen = {"id": nameless.id, "generation": nameless.generation, "incident": nameless.incident}
        with self._transaction() as transaction:
            self._queue(transaction, _ADOPTIONS)
            is_dropped = transaction.execute(_DROP_REFUSED, seen).rowcount == 1
            if is_dropped:
                transaction.execute(_FORGET_ADOPTIONS, {"id": nameless.id})
            return is_dropped

    def _forget(self, transaction: Transaction, grant: Grant, *, holder: str) -> None:
        held = {"id": grant.id, "generation": grant.generation, "holder": holder}
        if transaction.execute(_FORGET, held).rowcount != 1:
            raise _Passed

    def take_lease(self, grant_id: str, *, generation: int, holder: str, seconds: float) -> StoredGrant | None:
        with self._transaction() as transaction:
            row = transaction.execute(
                f"SELECT {', '.join(COLUMNS)}, lease_process, lease_until - {self._clock} AS seconds FROM grants "
                f"WHERE id = :id AND generation = :generation AND {_ALIVE}{self._for_update}",
                {"id": grant_id, "generation": generation},
            ).fetchone()
            if row is None or (self._left(row) > 0 and not is_gone(row["lease_process"])):
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
        expected = _over(generation, holder=holder, only_holder=only_holder)
        values = {**write_record(stored, self._sealing), **expected}
        if event is None:
            return self._write(_REPLACE, values) == 1
        with self._transaction() as transaction:
            is_replaced = transaction.execute(_REPLACE, values).rowcount == 1
            if is_replaced:
                _record(transaction, event)
            return is_replaced

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
                _record(transaction, event)

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
            expected = _over(refusing.over, holder=refusing.holder, only_holder=True)
            if transaction.execute(_REPLACE, {**write_record(stored, self._sealing), **expected}).rowcount != 1:
                return []
            events = [event]
            if brake != before:
                transaction.execute(_SET_BRAKE, _written(integration, brake))
                events.append(replace(refusing.brake_event, reason=brake.reason))
            for each in events:
                _record(transaction, each)
            return events

    def set_brake(self, integration: str, brake: Brake, *, event: Event) -> None:
        with self._transaction() as transaction:
            self._queue(transaction, f"{_REFUSALS} {integration}")
            transaction.execute(_SET_BRAKE, _written(integration, brake))
            _record(transaction, event)

    def record(self, event: Event) -> None:
        with self._transaction() as transaction:
            _record(transaction, event)

    def add_caller(self, caller: Caller) -> bool:
        return self._write(_ADD_CALLER, write_caller(caller)) == 1

    def remove_caller(self, integration: str, *, name: str) -> bool:
        return self._write(_REMOVE_CALLER, {"integration": integration, "name": name}) == 1

    def record_hand_over(self, event: Event, *, caller: str) -> None:
        at = {"at": to_seconds(event.at), "integration": event.integration, "name": caller}
        with self._transaction() as transaction:
            _record(transaction, event)
            transaction.execute(_CALLER_WAS_HERE, at)

    def claim_untold(self, untold: Untold, *, again_at: datetime) -> bool:
        values = {"id": untold.event.id, "tries": untold.tries, "again_at": to_seconds(again_at)}
        return self._write(_CLAIM_UNTOLD, values) == 1

    def set_told(self, event_id: str) -> None:
        self._write("DELETE FROM untold_events WHERE id = :id", {"id": event_id})

    def forget_refused(self, *, before: datetime) -> None:
        self._write(
            "UPDATE grants SET tokens = NULL WHERE id IN "
            "(SELECT id FROM grants WHERE refused_at < :before AND tokens IS NOT NULL "
            f"AND status = 'REAUTHORIZATION_REQUIRED'{self._skip_locked})",
            {"before": to_seconds(before)},
        )

    def forget_events(self, *, before: datetime) -> None:
        self._write(
            "DELETE FROM events WHERE at < :before AND number IN "
            f"(SELECT number FROM events ORDER BY number LIMIT 500{self._skip_locked})",
            {"before": to_seconds(before)},
        )

    # --- keys ---------------------------------------------------------------------------------------------------

    def keys_in_use(self) -> list[SealedUnder]:
        sealed = {bytes(row["key_id"]).hex(): int(row["records"]) for row in self._rows(_KEYS, {})}
        since = {row["key_id"]: to_time(row["since"]) for row in self._rows(_SINCE, {})}
        ids = dict.fromkeys([*since, *sealed])
        return [SealedUnder(key_id, sealed.get(key_id, 0), since.get(key_id)) for key_id in ids]

    def reseal(self, *, after: str, limit: int) -> Resealed:
        primary = bytes.fromhex(self._sealing.key_id)
        rows = self._rows(_TO_RESEAL, {"primary": primary, "after": after, "limit": limit})
        fresh, unopened = {}, []
        for row in rows:
            try:
                if row["tokens"] is not None:
                    fresh[row["id"]] = (row["tokens"], reseal_tokens(row, self._sealing))
            except SealingError:
                unopened.append(row["id"])
        done = self._put_resealed(fresh) if fresh else 0
        last = rows[-1]["id"] if len(rows) == limit else None
        return Resealed(last, seen=len(rows), resealed=done, passed=len(fresh) - done, unopened=unopened)

    def _put_resealed(self, fresh: Mapping[str, tuple[bytes, bytes]]) -> int:
        """Each over the very value that it was made of, so that a refresh meanwhile stands; and nobody is waited for
        with rows in hand, so that two who change several never wait for one another crosswise."""
        statement = (
            "UPDATE grants SET tokens = :fresh WHERE tokens = :old AND id IN "
            f"(SELECT id FROM grants WHERE id = :id AND tokens = :old{self._skip_locked})"
        )
        with self._transaction() as transaction:
            return sum(
                transaction.execute(statement, {"id": grant_id, "old": old, "fresh": new}).rowcount
                for grant_id, (old, new) in fresh.items()
            )

    # --- opening ------------------------------------------------------------------------------------------------

    def _check_keys(self) -> None:
        row = self._row(f"{_SELECT} WHERE tokens IS NOT NULL LIMIT 1", {})
        try:
            if row is not None:
                read_record(row, self._sealing)
        except WrongKey as error:
            raise WrongKey(error.key_id, known=error.known, vault=self.place) from None
        except Tampered:
            return  # that record's own trouble, told to whoever needs it; all others are well

    def _note_key(self) -> None:
        """That the primary key is in use from now on, unless that is known; of one before all notes it is not."""
        of = {"key_id": self._sealing.key_id}
        if self._row("SELECT 1 FROM keys WHERE key_id = :key_id", of) is not None:
            return
        with suppress(VaultUnavailable):  # it is noted another time
            self._write(
                "INSERT INTO keys (key_id, since) SELECT CAST(:key_id AS TEXT), CASE WHEN EXISTS (SELECT 1 FROM keys) "
                f"OR NOT EXISTS (SELECT 1 FROM grants) THEN {self._clock} END ON CONFLICT (key_id) DO NOTHING",
                of,
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
    since = to_seconds(rules.counted_since(brake, now=now))

    def count(statement: str, kind: Kind) -> int:
        values = {"integration": integration, "kind": kind.value, "since": since}
        return int(transaction.execute(statement, values).fetchone()["number"])

    refused = sum(count(_REFUSED, kind) for kind in REFUSALS)
    return rules.braked(brake, refused=refused, judged=refused + count(_RENEWED, Kind.REFRESHED), now=now)


def _record(transaction: Transaction, event: Event) -> None:
    number = transaction.execute(_INSERT_EVENT, write_event(event)).fetchall()[0]["number"]
    if event.is_to_be_told:
        values = {"id": event.id, "integration": event.integration, "number": number}
        transaction.execute(_INSERT_UNTOLD, values)


def _named(key: GrantKey) -> Parameters:
    return {"integration": key.integration, "owner": key.owner, "person_id": key.person_id}


def _over(generation: int, *, holder: str | None = None, only_holder: bool = False) -> Parameters:
    """What `_REPLACE` expects to find."""
    return {"read": generation, "holder": holder, "only_holder": only_holder}
