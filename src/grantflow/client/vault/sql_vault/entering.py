"""Grants as they come in: from the grant flow, from another program, and under another name than at first."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from grantflow.client.events import Event
from grantflow.client.grant import Grant, GrantKey, Status, StoredGrant
from grantflow.client.vault import Adopting
from grantflow.client.vault.records import COLUMNS, read_record, to_seconds, write_record
from grantflow.client.vault.sql_vault.database import Database, Transaction
from grantflow.client.vault.sql_vault.events import write_down
from grantflow.client.vault.sql_vault.statements import BY_KEY, REPLACE, if_still, of_key

_INSERT: Final = (
    f"INSERT INTO grants ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)}) "
    "ON CONFLICT (integration, owner, person_id) DO NOTHING"
)
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
_FORGET_ADOPTIONS: Final = "DELETE FROM adoptions WHERE grant_id = :id"
_DROP_REFUSED: Final = (
    "DELETE FROM grants WHERE id = :id AND generation = :generation AND incident = :incident "
    "AND status = 'REAUTHORIZATION_REQUIRED'"
)
#: Two who bring the same token with different words for its person would make two grants of it.
_ADOPTIONS: Final = "adoptions"


class _Passed(Exception):
    """What was to be changed has been changed by another; the transaction is given up."""


class Entering(Database):
    """Each key has one grant, and of a token that was brought in it is remembered what became of it."""

    def adopted(self, integration: str, *, digest: bytes) -> StoredGrant | None:
        row = self._row(_ADOPTED, {"integration": integration, "digest": digest})
        return read_record(row, self._sealing) if row else None

    def enter(self, stored: StoredGrant, *, event: Event | None = None) -> StoredGrant:
        with self._transaction() as transaction:
            kept = None
            while kept is None:
                kept = self._enter(transaction, stored)
            if event is not None:
                write_down(transaction, event.of(kept.grant))
            return kept

    def _enter(self, transaction: Transaction, stored: StoredGrant) -> StoredGrant | None:
        """None where another has entered a grant under this key since it was looked for."""
        row = transaction.execute(BY_KEY + self._for_update, of_key(stored.grant.key)).fetchone()
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
        transaction.execute(REPLACE, {**write_record(kept, self._sealing), **if_still(row["generation"])})
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
                write_down(transaction, entry.event.of(kept.grant))
        return kept

    def _generation_at(self, transaction: Transaction, key: GrantKey) -> int | None:
        row = transaction.execute(BY_KEY + self._for_update, of_key(key)).fetchone()
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
                write_down(transaction, event.of(kept.grant))
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
