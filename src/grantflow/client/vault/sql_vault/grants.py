"""Grants as they are looked for: by key, by id, by who granted, by when they end; and counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from grantflow.client.grant import Grant, GrantKey, Status, StoredGrant
from grantflow.client.vault.records import read_grant, read_record, to_seconds
from grantflow.client.vault.sql_vault.database import Database
from grantflow.client.vault.sql_vault.statements import ALIVE, BY_KEY, OF_KEY, SELECT, of_key

_BY_ID: Final = f"{SELECT} WHERE id = :id"
_GENERATION: Final = f"SELECT generation FROM grants WHERE {OF_KEY} AND {ALIVE}"
_CALLED: Final = (
    f"{SELECT} WHERE id = :who AND integration = :integration "
    f"UNION {SELECT} WHERE integration = :integration AND person_id = :who ORDER BY granted_at, id"
)
_WITH_EMAIL: Final = f"{SELECT} WHERE integration = :integration AND lower(email) = lower(:who) ORDER BY granted_at, id"
_ENDLESS: Final = (
    f"SELECT 1 FROM grants WHERE integration = :integration AND {ALIVE} AND refresh_expires_at IS NULL LIMIT 1"
)
_CENSUS: Final = "SELECT status, COUNT(*) AS number FROM grants WHERE integration = :integration GROUP BY status"
_ENDING: Final = (
    f"SELECT COUNT(*) AS number FROM grants WHERE integration = :integration AND {ALIVE} "
    "AND refresh_expires_at <= :before"
)
_HAS_GRANTED: Final = (
    f"SELECT 1 FROM grants WHERE integration = :integration AND person_id = :person_id AND {ALIVE} LIMIT 1"
)


class Grants(Database):
    """Reads them; what changes one is in `entering`, `leases` and `refusals`."""

    def find(self, key: GrantKey) -> StoredGrant | None:
        row = self._row(BY_KEY, of_key(key))
        return read_record(row, self._sealing) if row else None

    def grant(self, key: GrantKey) -> Grant | None:
        row = self._row(BY_KEY, of_key(key))
        return read_grant(row) if row else None

    def grant_by_id(self, grant_id: str) -> Grant | None:
        row = self._row(_BY_ID, {"id": grant_id})
        return read_grant(row) if row else None

    def generation(self, key: GrantKey) -> int | None:
        row = self._row(_GENERATION, of_key(key))
        return row["generation"] if row else None

    def grants(self, integration: str, *, owner: str | None = None) -> list[Grant]:
        of_owner = "" if owner is None else "AND owner = :owner "
        statement = f"{SELECT} WHERE integration = :integration {of_owner}ORDER BY granted_at, id"
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
        statement = f"{SELECT} WHERE {' AND '.join(wanted)} ORDER BY owner, person_id LIMIT :limit"
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
        wanted = [f"integration = :integration AND {ALIVE} AND refresh_expires_at <= :before"]
        if since:
            wanted.append("refresh_expires_at > :since")
            parameters["since"] = to_seconds(since)
        if after:
            wanted.append("(refresh_expires_at, id) > (:after_end, :after_id)")
            parameters |= {"after_end": to_seconds(after.refresh_expires_at), "after_id": after.id}
        statement = f"{SELECT} WHERE {' AND '.join(wanted)} ORDER BY refresh_expires_at, id"
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
