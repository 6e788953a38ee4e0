"""Authorization requests on their way: what each meets, how it waits for a person, and the code it ends in."""

from collections.abc import Callable, Sequence
from datetime import datetime

from grantflow.authorization_server.records import (
    Decision,
    Grant,
    GrantChange,
    NewCode,
    NewPendingRequest,
    OpenRequests,
    PendingRequest,
    Session,
    Situation,
)
from grantflow.storage.engine import Engine, IntegrityError, Row, Stale, Statement, Work
from grantflow.storage.registrations import registration_of, stored_scopes
from grantflow.storage.times import from_milliseconds, milliseconds

_COLUMNS = """
SELECT i.client_id, i.name, i.scopes, i.profile, i.client_type, i.owner_id, u.uri,
       s.person_id, s.authenticated_at, s.expires_at AS session_expires_at, p.org_id,
       g.id AS grant_id, g.scopes AS grant_scopes, g.remembered, g.version AS grant_version
"""
_PENDING_COLUMNS = """,
       r.query, r.created_at AS request_created_at, r.expires_at AS request_expires_at, r.decision, r.decided_by,
       r.remember, r.answered_at
"""
_JOINS = """
JOIN redirect_uris u ON u.client_id = i.client_id
LEFT JOIN sessions s ON s.token_hash = :session
LEFT JOIN people p ON p.id = s.person_id
LEFT JOIN grants g ON g.person_id = s.person_id AND g.client_id = i.client_id AND g.revoked_at IS NULL
"""
_SITUATION = f"{_COLUMNS} FROM integrations i {_JOINS} WHERE i.client_id = :client_id ORDER BY u.position"
_PENDING = f"""
{_COLUMNS} {_PENDING_COLUMNS}
FROM authorization_requests r JOIN integrations i ON i.client_id = r.client_id {_JOINS}
WHERE r.id_hash = :id_hash ORDER BY u.position
"""
_SAVE = """
INSERT INTO authorization_requests
  (id_hash, query, scopes, redirect_uri, login_hint, client_id, address, created_at, expires_at)
VALUES
  (:id_hash, :query, :scopes, :redirect_uri, :login_hint, :client_id, :address, :created_at, :expires_at)
"""
_COUNT_OPEN = """
SELECT count(*) AS in_all FROM authorization_requests WHERE expires_at > :now AND answered_at IS NULL
"""
_COUNT_OPEN_OF_ADDRESS = """
SELECT count(*) AS of_address FROM authorization_requests
WHERE address = :address AND expires_at > :now AND answered_at IS NULL
"""
# A request counts once: of two tabs that come back at the same time, one finds no row.
_ANSWER = """
UPDATE authorization_requests SET answered_at = :now
WHERE id_hash = :id_hash AND answered_at IS NULL AND expires_at > :now
RETURNING 1
"""
_ADD_GRANT = """
INSERT INTO grants (id, person_id, client_id, scopes, remembered, created_at, last_used_at)
VALUES (:id, :person_id, :client_id, :scopes, :remembered, :now, :now)
ON CONFLICT DO NOTHING
RETURNING id
"""
_CHANGE_GRANT = """
UPDATE grants SET scopes = :scopes, remembered = :remembered, last_used_at = :now, version = version + 1
WHERE id = :id AND version = :version AND revoked_at IS NULL
RETURNING id
"""
# Many codes under one remembered grant at once change nothing in it, so they must not make one another stale.
_USE_GRANT = """
UPDATE grants SET last_used_at = :now WHERE id = :id AND version = :version AND revoked_at IS NULL RETURNING id
"""
_ADD_CODE = """
INSERT INTO codes
  (code_hash, family, grant_id, client_id, person_id, scopes, redirect_uri, redirect_uri_sent, challenge,
   created_at, expires_at)
VALUES
  (:code_hash, :family, :grant_id, :client_id, :person_id, :scopes, :redirect_uri, :redirect_uri_sent, :challenge,
   :created_at, :expires_at)
"""


class AuthorizationRequestStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def situation(self, client_id: str, *, session: bytes | None) -> Situation:
        return _situation(await self._engine.read(Statement(_SITUATION, {"client_id": client_id, "session": session})))

    async def pending(self, request: bytes, *, session: bytes | None) -> Situation:
        rows = await self._engine.read(Statement(_PENDING, {"id_hash": request, "session": session}))
        return _situation(rows, request=request)

    async def save(self, request: NewPendingRequest, *, check_room: Callable[[OpenRequests], None]) -> None:
        values = {
            "id_hash": request.digest,
            "query": request.query,
            "scopes": str(request.scopes),
            "redirect_uri": request.redirect_uri,
            "login_hint": request.login_hint,
            "client_id": request.client_id,
            "address": request.address,
            "created_at": milliseconds(request.created_at),
            "expires_at": milliseconds(request.expires_at),
        }

        def work() -> Work[None]:
            now = {"now": values["created_at"]}
            (all_open,) = yield Statement(_COUNT_OPEN, now)
            (of_address,) = yield Statement(_COUNT_OPEN_OF_ADDRESS, now | {"address": request.address})
            check_room(OpenRequests(all_open["in_all"], of_address["of_address"]))
            yield Statement(_SAVE, values)

        await self._engine.write(work())

    async def answer(self, request: bytes, *, now: datetime) -> bool:
        def work() -> Work[bool]:
            rows = yield Statement(_ANSWER, {"id_hash": request, "now": milliseconds(now)})
            return bool(rows)

        return await self._engine.write(work())

    async def issue(self, code: NewCode) -> bool:
        try:
            await self._engine.write(_issue(code))
        except Stale:
            return False
        return True


def _issue(code: NewCode) -> Work[None]:
    now = milliseconds(code.created_at)
    if code.answers is not None and not (yield Statement(_ANSWER, {"id_hash": code.answers, "now": now})):
        raise Stale
    try:
        if not (yield _keep_grant(code.grant, now=now)):
            raise Stale
        yield Statement(_ADD_CODE, _code_values(code))
    except IntegrityError as error:  # person or integration were deleted meanwhile
        raise Stale from error


def _keep_grant(grant: GrantChange, *, now: int) -> Statement:
    values = {"id": grant.id, "now": now}
    loaded = grant.loaded
    if loaded is not None and not grant.changes:
        return Statement(_USE_GRANT, {**values, "version": loaded.version})
    values |= {"scopes": str(grant.scopes), "remembered": int(grant.remembered)}
    if loaded is not None:
        return Statement(_CHANGE_GRANT, {**values, "version": loaded.version})
    return Statement(_ADD_GRANT, {**values, "person_id": grant.person_id, "client_id": grant.client_id})


def _code_values(code: NewCode) -> dict[str, object]:
    return {
        "code_hash": code.digest,
        "family": code.family,
        "grant_id": code.grant.id,
        "client_id": code.grant.client_id,
        "person_id": code.grant.person_id,
        "scopes": str(code.scopes),
        "redirect_uri": code.redirect_uri,
        "redirect_uri_sent": int(code.redirect_uri_sent),
        "challenge": code.challenge,
        "created_at": milliseconds(code.created_at),
        "expires_at": milliseconds(code.expires_at),
    }


def _situation(rows: Sequence[Row], *, request: bytes | None = None) -> Situation:
    """One row for each redirect URI."""
    if not rows:
        return Situation()
    row = rows[0]
    return Situation(
        registration=registration_of(rows),
        owner_id=row["owner_id"],
        session=_session(row) if row["person_id"] is not None else None,
        grant=_grant(row) if row["grant_id"] is not None else None,
        pending=_pending(row, request=request) if request is not None else None,
    )


def _session(row: Row) -> Session:
    return Session(
        person_id=row["person_id"],
        org_id=row["org_id"],
        authenticated_at=from_milliseconds(row["authenticated_at"]),
        expires_at=from_milliseconds(row["session_expires_at"]),
    )


def _grant(row: Row) -> Grant:
    return Grant(
        id=row["grant_id"],
        scopes=stored_scopes(row["grant_scopes"]),
        remembered=bool(row["remembered"]),
        version=row["grant_version"],
    )


def _pending(row: Row, *, request: bytes) -> PendingRequest:
    answered_at = row["answered_at"]
    return PendingRequest(
        digest=request,
        query=row["query"],
        created_at=from_milliseconds(row["request_created_at"]),
        expires_at=from_milliseconds(row["request_expires_at"]),
        decision=Decision(row["decision"]) if row["decision"] else None,
        decided_by=row["decided_by"],
        remember=bool(row["remember"]),
        answered_at=from_milliseconds(answered_at) if answered_at is not None else None,
    )
