"""Rows of clients, codes and tokens as the records that the authorization server's rules decide on."""

from collections.abc import Sequence
from datetime import datetime

from grantflow.authorization_server.records import Client, ClientSecret, Code, RefreshToken, Revocable, Successor
from grantflow.protocol.registration import ClientType, Profile
from grantflow.protocol.secret import Secret
from grantflow.storage.engine import Row
from grantflow.storage.registrations import stored_scopes
from grantflow.storage.sealed_answers import unseal_answer
from grantflow.storage.times import from_milliseconds


def client_of(rows: Sequence[Row]) -> Client | None:
    if not rows:
        return None
    row = rows[0]
    return Client(
        client_id=row["client_id"],
        client_type=ClientType(row["client_type"]),
        profile=Profile(row["profile"]),
        secrets=tuple(_client_secret(each) for each in rows if each["secret_hash"] is not None),
    )


def _client_secret(row: Row) -> ClientSecret:
    return ClientSecret(
        row["secret_hash"],
        expires_at=_moment(row["secret_expires_at"]),
        last_used_at=_moment(row["secret_last_used_at"]),
    )


def code_of(row: Row) -> Code:
    return Code(
        digest=row["code_hash"],
        family=row["family"],
        grant_id=row["grant_id"],
        grant_lives=row["grant_revoked_at"] is None,
        client_id=row["issued_to"],
        person_id=row["person_id"],
        org_id=row["org_id"],
        scopes=stored_scopes(row["scopes"]),
        redirect_uri=row["redirect_uri"],
        redirect_uri_sent=bool(row["redirect_uri_sent"]),
        challenge=row["challenge"],
        expires_at=from_milliseconds(row["expires_at"]),
        spent_at=_moment(row["spent_at"]),
    )


def refresh_token_of(row: Row, *, presented: Secret) -> RefreshToken:
    return RefreshToken(
        digest=row["token_hash"],
        family=row["family"],
        grant_id=row["grant_id"],
        client_id=row["issued_to"],
        person_id=row["person_id"],
        org_id=row["org_id"],
        scopes=stored_scopes(row["scopes"]),
        issued_at=from_milliseconds(row["issued_at"]),
        expires_at=from_milliseconds(row["expires_at"]),
        lives=row["revoked_at"] is None and row["grant_revoked_at"] is None,
        successor=_successor(row, presented=presented) if row["replaced_at"] is not None else None,
    )


def _successor(row: Row, *, presented: Secret) -> Successor:
    sealed = row["sealed_answer"]
    return Successor(
        replaced_at=from_milliseconds(row["replaced_at"]),
        first_used_at=_moment(row["successor_first_used_at"]),
        pair=unseal_answer(sealed, key=presented) if sealed is not None else None,
    )


def revocable_of(row: Row) -> Revocable | None:
    if row["refresh_hash"] is not None:
        return Revocable(row["refresh_hash"], row["refresh_issued_to"], row["refresh_family"], True)
    if row["access_hash"] is not None:
        return Revocable(row["access_hash"], row["access_issued_to"], row["access_family"], False)
    return None


def _moment(count: int | None) -> datetime | None:
    return from_milliseconds(count) if count is not None else None
