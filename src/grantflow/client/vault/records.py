"""How a grant is written into a row and read again, whatever the database: times as seconds, tokens sealed.

The tokens are bound to the row's id, integration, owner and person: moved into another row they do not open.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from grantflow.client.callers import Caller
from grantflow.client.events import Event, Kind
from grantflow.client.grant import Grant, Status, StoredGrant
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.sealing import KeyRing, SealingError

CHANGING_COLUMNS: Final = (
    *("display_name", "email", "status", "scopes", "generation", "tokens", "granted_at", "refreshed_at"),
    *("access_expires_at", "refresh_expires_at", "unanswered_since", "overtaken_since", "failures"),
    *("retry_at", "suspected_at", "refused_at", "incident", "reason"),
)
COLUMNS: Final = ("id", "integration", "owner", "person_id", *CHANGING_COLUMNS)


EVENT_COLUMNS: Final = (
    *("id", "at", "kind", "integration", "grant_id", "owner", "person_id", "generation", "incident", "reason"),
    *("token", "new_token", "actor", "credentials"),
)


class Row(Protocol):
    def __getitem__(self, column: str, /) -> Any: ...


def write_record(stored: StoredGrant, keys: KeyRing) -> Mapping[str, Any]:
    """The columns of `COLUMNS`; who holds the lease is the vault's own."""
    grant = stored.grant
    return {
        "id": grant.id,
        "integration": grant.integration,
        "owner": grant.owner,
        "person_id": grant.person_id,
        "display_name": grant.display_name,
        "email": grant.email,
        "status": grant.status.value,
        "scopes": str(grant.scopes),
        "generation": grant.generation,
        "tokens": _seal_tokens(stored, keys),
        "granted_at": to_seconds(grant.granted_at),
        "refreshed_at": to_seconds(grant.refreshed_at),
        "access_expires_at": to_seconds(grant.access_expires_at),
        "refresh_expires_at": to_seconds(grant.refresh_expires_at),
        "unanswered_since": to_seconds(stored.unanswered_since),
        "overtaken_since": to_seconds(stored.overtaken_since),
        "failures": stored.failures,
        "retry_at": to_seconds(grant.retry_at),
        "suspected_at": to_seconds(stored.suspected_at),
        "refused_at": to_seconds(grant.refused_at),
        "incident": grant.incident,
        "reason": grant.reason,
    }


def read_record(row: Row, keys: KeyRing) -> StoredGrant:
    """Raises `WrongKey`, or `Tampered` where the tokens are another row's."""
    grant = read_grant(row)
    access_token, refresh_token = _open_tokens(row["tokens"], keys, grant=grant)
    return StoredGrant(
        grant,
        access_token=access_token,
        refresh_token=refresh_token,
        unanswered_since=to_time(row["unanswered_since"]),
        overtaken_since=to_time(row["overtaken_since"]),
        failures=row["failures"],
        suspected_at=to_time(row["suspected_at"]),
    )


def read_grant(row: Row) -> Grant:
    granted_at = to_time(row["granted_at"])
    assert granted_at is not None
    return Grant(
        id=row["id"],
        integration=row["integration"],
        owner=row["owner"],
        person_id=row["person_id"],
        display_name=row["display_name"],
        email=row["email"],
        status=Status(row["status"]),
        scopes=Scopes.of(*row["scopes"].split()),
        generation=row["generation"],
        granted_at=granted_at,
        refreshed_at=to_time(row["refreshed_at"]),
        access_expires_at=to_time(row["access_expires_at"]),
        refresh_expires_at=to_time(row["refresh_expires_at"]),
        retry_at=to_time(row["retry_at"]),
        refused_at=to_time(row["refused_at"]),
        incident=row["incident"],
        reason=row["reason"],
    )


def write_event(event: Event) -> Mapping[str, Any]:
    """The columns of `EVENT_COLUMNS`."""
    columns = {name: getattr(event, name) for name in EVENT_COLUMNS}
    return {**columns, "at": to_seconds(event.at), "kind": event.kind.value}


def read_event(row: Row) -> Event:
    columns = {name: row[name] for name in EVENT_COLUMNS}
    return Event(**{**columns, "at": to_time(row["at"]), "kind": Kind(row["kind"])})


def reseal_tokens(row: Row, keys: KeyRing) -> bytes:
    """The same tokens in the same row, sealed under the primary key. Raises as `read_record`."""
    context = _context_of(row["id"], row["integration"], row["owner"], row["person_id"])
    return keys.seal(keys.unseal(row["tokens"], context), context)


def _seal_tokens(stored: StoredGrant, keys: KeyRing) -> bytes | None:
    if stored.access_token is None and stored.refresh_token is None:
        return None
    tokens = {
        "access_token": stored.access_token.reveal() if stored.access_token else None,
        "refresh_token": stored.refresh_token.reveal() if stored.refresh_token else None,
    }
    return keys.seal(json.dumps(tokens).encode(), _context(stored.grant))


def _open_tokens(sealed: bytes | None, keys: KeyRing, *, grant: Grant) -> tuple[Secret | None, Secret | None]:
    if sealed is None:
        return None, None
    try:
        tokens = json.loads(keys.unseal(sealed, _context(grant)))
    except SealingError as error:
        error.add_note(f"It is the record of grant {grant.id}.")
        raise
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    return Secret(access) if access else None, Secret(refresh) if refresh else None


def _context(grant: Grant) -> tuple[str, ...]:
    return _context_of(grant.id, grant.integration, grant.owner, grant.person_id)


def _context_of(grant_id: str, integration: str, owner: str, person_id: str) -> tuple[str, ...]:
    return ("grant", grant_id, integration, owner, person_id)


def write_caller(caller: Caller) -> Mapping[str, Any]:
    return {
        "integration": caller.integration,
        "name": caller.name,
        "key_digest": caller.key_digest,
        "grant_ids": " ".join(caller.grant_ids),
        "created_at": to_seconds(caller.created_at),
    }


def read_caller(row: Row) -> Caller:
    created_at = to_time(row["created_at"])
    assert created_at is not None
    return Caller(
        row["integration"],
        row["name"],
        bytes(row["key_digest"]),
        tuple(row["grant_ids"].split()),
        created_at,
        to_time(row["last_used_at"]),
    )


def to_seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def to_time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
