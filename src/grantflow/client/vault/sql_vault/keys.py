"""The keys that records are sealed under: which are in use, and sealing anew under the primary one."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from grantflow.client.errors import VaultUnavailable
from grantflow.client.vault import Resealed, SealedUnder
from grantflow.client.vault.records import read_record, reseal_tokens, to_time
from grantflow.client.vault.sql_vault.database import Database
from grantflow.client.vault.sql_vault.statements import SELECT
from grantflow.sealing import SealingError, Tampered, WrongKey

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


class Keys(Database):
    """A sealed value says itself under which key it is."""

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

    def _check_keys(self) -> None:
        row = self._row(f"{SELECT} WHERE tokens IS NOT NULL LIMIT 1", {})
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
