"""Codes, access tokens and refresh tokens: hashes alone, spent and swapped by one statement each."""

from collections.abc import Sequence
from datetime import datetime

from grantflow.authorization_server.records import (
    Client,
    Code,
    Redemption,
    RefreshToken,
    Renewal,
    Revocable,
    Rotation,
    TokenPair,
)
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.storage.engine import Engine, Row, Stale, Statement, Work
from grantflow.storage.sealed_answers import seal_answer
from grantflow.storage.times import milliseconds
from grantflow.storage.token_rows import client_of, code_of, refresh_token_of, revocable_of

# One row for each secret of the client; what it presents is the same in all of them.
_CLIENT_COLUMNS = """
SELECT i.client_id, i.client_type, i.profile,
       k.secret_hash, k.expires_at AS secret_expires_at, k.last_used_at AS secret_last_used_at
"""
_CLIENT = "FROM integrations i LEFT JOIN client_secrets k ON k.client_id = i.client_id"
_FIND_CODE = f"""
{_CLIENT_COLUMNS}, t.code_hash, t.family, t.grant_id, t.client_id AS issued_to, t.person_id, t.scopes, t.redirect_uri,
       t.redirect_uri_sent, t.challenge, t.expires_at, t.spent_at, g.revoked_at AS grant_revoked_at, p.org_id
{_CLIENT}
LEFT JOIN codes t ON t.code_hash = :presented
LEFT JOIN grants g ON g.id = t.grant_id
LEFT JOIN people p ON p.id = t.person_id
WHERE i.client_id = :client_id
"""
_FIND_REFRESH_TOKEN = f"""
{_CLIENT_COLUMNS}, t.token_hash, t.family, t.grant_id, t.client_id AS issued_to, t.person_id, t.scopes, t.issued_at,
       t.expires_at, t.revoked_at, t.replaced_at, t.sealed_answer, n.first_used_at AS successor_first_used_at,
       g.revoked_at AS grant_revoked_at, p.org_id
{_CLIENT}
LEFT JOIN refresh_tokens t ON t.token_hash = :presented
LEFT JOIN refresh_tokens n ON n.token_hash = t.successor_hash
LEFT JOIN grants g ON g.id = t.grant_id
LEFT JOIN people p ON p.id = t.person_id
WHERE i.client_id = :client_id
"""
_FIND_REVOCABLE = f"""
{_CLIENT_COLUMNS}, r.token_hash AS refresh_hash, r.client_id AS refresh_issued_to, r.family AS refresh_family,
       a.token_hash AS access_hash, a.client_id AS access_issued_to, a.family AS access_family
{_CLIENT}
LEFT JOIN refresh_tokens r ON r.token_hash = :presented
LEFT JOIN access_tokens a ON a.token_hash = :presented
WHERE i.client_id = :client_id
"""
_SPEND_CODE = "UPDATE codes SET spent_at = :now WHERE code_hash = :code_hash AND spent_at IS NULL RETURNING 1"
_LIVING_GRANT = "SELECT last_used_at FROM grants WHERE id = :grant_id AND revoked_at IS NULL"
_USE_GRANT = "UPDATE grants SET last_used_at = :now WHERE id = :grant_id"
_SLIDE = """
UPDATE refresh_tokens SET expires_at = :expires_at
WHERE token_hash = :token_hash AND revoked_at IS NULL AND replaced_at IS NULL
RETURNING 1
"""
_REPLACE = """
UPDATE refresh_tokens
SET replaced_at = :now, successor_hash = :successor_hash, sealed_answer = :sealed_answer,
    first_used_at = COALESCE(first_used_at, :now)
WHERE token_hash = :token_hash AND revoked_at IS NULL AND replaced_at IS NULL
RETURNING 1
"""
_ADD_REFRESH_TOKEN = """
INSERT INTO refresh_tokens (token_hash, family, grant_id, client_id, person_id, scopes, issued_at, expires_at)
VALUES (:token_hash, :family, :grant_id, :client_id, :person_id, :scopes, :issued_at, :expires_at)
"""
_ADD_ACCESS_TOKEN = """
INSERT INTO access_tokens
  (token_hash, family, grant_id, client_id, person_id, scopes, issued_at, expires_at, refresh_hash)
VALUES
  (:token_hash, :family, :grant_id, :client_id, :person_id, :scopes, :issued_at, :expires_at, :refresh_hash)
"""
_FIRST_USE = """
UPDATE refresh_tokens SET first_used_at = :now WHERE token_hash = :token_hash AND first_used_at IS NULL
"""
# Nobody can be answered with it again.
_FORGET_ANSWER = """
UPDATE refresh_tokens SET sealed_answer = NULL WHERE successor_hash = :token_hash AND sealed_answer IS NOT NULL
"""
_REVOKE_REFRESH_TOKENS = """
UPDATE refresh_tokens SET revoked_at = :now, sealed_answer = NULL WHERE family = :family AND revoked_at IS NULL
"""
_REVOKE_ACCESS_TOKENS = "UPDATE access_tokens SET revoked_at = :now WHERE family = :family AND revoked_at IS NULL"
_REVOKE_ACCESS_TOKEN = """
UPDATE access_tokens SET revoked_at = :now WHERE token_hash = :token_hash AND revoked_at IS NULL RETURNING 1
"""
# What could still act under a grant: a code to be spent, a refresh token that was not replaced, an access token.
_END_GRANT = """
UPDATE grants SET revoked_at = :now, version = version + 1
WHERE id = (SELECT grant_id FROM {table} WHERE {key} = :{key} LIMIT 1) AND revoked_at IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM codes t WHERE t.grant_id = grants.id AND t.spent_at IS NULL AND t.expires_at > :now
  )
  AND NOT EXISTS (
    SELECT 1 FROM refresh_tokens t
    WHERE t.grant_id = grants.id AND t.revoked_at IS NULL AND t.replaced_at IS NULL AND t.expires_at > :now
  )
  AND NOT EXISTS (
    SELECT 1 FROM access_tokens t WHERE t.grant_id = grants.id AND t.revoked_at IS NULL AND t.expires_at > :now
  )
"""
_END_GRANT_OF_FAMILY = _END_GRANT.format(table="refresh_tokens", key="family")
_END_GRANT_OF_ACCESS_TOKEN = _END_GRANT.format(table="access_tokens", key="token_hash")
_USE_SECRET = """
UPDATE client_secrets SET last_used_at = :now WHERE client_id = :client_id AND secret_hash = :secret_hash
"""

#: A grant's last use is noted when the note is older than this, in milliseconds: two index entries less to move.
NOTE_EVERY = 60_000


class TokenStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def code(self, client_id: str, code: Secret) -> tuple[Client | None, Code | None]:
        rows = await self._find(_FIND_CODE, client_id, code)
        return client_of(rows), code_of(rows[0]) if rows and rows[0]["code_hash"] is not None else None

    async def refresh_token(self, client_id: str, token: Secret) -> tuple[Client | None, RefreshToken | None]:
        rows = await self._find(_FIND_REFRESH_TOKEN, client_id, token)
        found = rows and rows[0]["token_hash"] is not None
        return client_of(rows), refresh_token_of(rows[0], presented=token) if found else None

    async def revocable(self, client_id: str, token: Secret) -> tuple[Client | None, Revocable | None]:
        rows = await self._find(_FIND_REVOCABLE, client_id, token)
        return client_of(rows), revocable_of(rows[0]) if rows else None

    async def redeem(self, redemption: Redemption) -> bool:
        return await self._save(_redeem(redemption))

    async def renew(self, renewal: Renewal) -> bool:
        return await self._save(_renew(renewal))

    async def rotate(self, rotation: Rotation) -> bool:
        sealed = seal_answer(rotation.pair, key=rotation.key)  # here, not in the thread that holds the lock
        return await self._save(_rotate(rotation, sealed))

    async def revoke_family(self, family: str, *, now: datetime) -> None:
        values = {"family": family, "now": milliseconds(now)}

        def work() -> Work[None]:
            yield Statement(_REVOKE_REFRESH_TOKENS, values)
            yield Statement(_REVOKE_ACCESS_TOKENS, values)
            yield Statement(_END_GRANT_OF_FAMILY, values)

        await self._engine.write(work(), is_long=True)

    async def revoke_access_token(self, token: bytes, *, now: datetime) -> None:
        values = {"token_hash": token, "now": milliseconds(now)}

        def work() -> Work[None]:
            if (yield Statement(_REVOKE_ACCESS_TOKEN, values)):
                yield Statement(_END_GRANT_OF_ACCESS_TOKEN, values)

        await self._engine.write(work(), is_long=True)

    async def note_use_of_secret(self, client_id: str, secret: bytes, *, now: datetime) -> None:
        values = {"client_id": client_id, "secret_hash": secret, "now": milliseconds(now)}
        await self._run(Statement(_USE_SECRET, values))

    # --- how -------------------------------------------------------------------------------------------------------

    async def _find(self, sql: str, client_id: str, presented: Secret) -> Sequence[Row]:
        return await self._engine.read(Statement(sql, {"client_id": client_id, "presented": presented.digest()}))

    async def _run(self, statement: Statement) -> None:
        def work() -> Work[None]:
            yield statement

        await self._engine.write(work())

    async def _save(self, work: Work[None]) -> bool:
        try:
            await self._engine.write(work)
        except Stale:
            return False
        return True


# --- units of work -----------------------------------------------------------------------------------------------


def _redeem(redemption: Redemption) -> Work[None]:
    code, pair, now = redemption.code, redemption.pair, milliseconds(redemption.now)
    if not (yield Statement(_SPEND_CODE, {"code_hash": code.digest, "now": now})):
        raise Stale
    yield from _use_grant(code.grant_id, now=now)
    yield _add_refresh_token(code, pair, scopes=code.scopes, now=now)
    yield _add_access_token(code, pair, now=now, successor=None)


def _renew(renewal: Renewal) -> Work[None]:
    token, pair, now = renewal.presented, renewal.pair, milliseconds(renewal.now)
    values = {"token_hash": token.digest, "expires_at": milliseconds(pair.refresh_expires_at)}
    if not (yield Statement(_SLIDE, values)):
        raise Stale
    yield from _use_grant(token.grant_id, now=now)
    yield _add_access_token(token, pair, now=now, successor=None)


def _rotate(rotation: Rotation, sealed: bytes) -> Work[None]:
    token, pair, now = rotation.presented, rotation.pair, milliseconds(rotation.now)
    values = {
        "token_hash": token.digest,
        "successor_hash": pair.refresh_token.digest(),
        "sealed_answer": sealed,
        "now": now,
    }
    if not (yield Statement(_REPLACE, values)):
        raise Stale
    yield from _use_grant(token.grant_id, now=now)
    yield Statement(_FORGET_ANSWER, {"token_hash": token.digest})
    yield _add_refresh_token(token, pair, scopes=token.scopes, now=now)
    yield _add_access_token(token, pair, now=now, successor=pair.refresh_token.digest())


def first_use(successor: bytes, *, now: datetime) -> Work[None]:
    """What to run when an access token with this ``refresh_hash`` is used at the API: its client has got the answer, so
    the answer is no longer kept for whoever holds the old refresh token.
    """
    yield Statement(_FIRST_USE, {"token_hash": successor, "now": milliseconds(now)})
    yield Statement(_FORGET_ANSWER, {"token_hash": successor})


def _use_grant(grant_id: str, *, now: int) -> Work[None]:
    """Whoever revokes a grant marks it alone; a token that was loaded before that must not be saved after it."""
    living = yield Statement(_LIVING_GRANT, {"grant_id": grant_id})
    if not living:
        raise Stale
    if now - living[0]["last_used_at"] >= NOTE_EVERY:
        yield Statement(_USE_GRANT, {"grant_id": grant_id, "now": now})


def _add_refresh_token(of: Code | RefreshToken, pair: TokenPair, *, scopes: Scopes, now: int) -> Statement:
    values = _belongings(of) | {"token_hash": pair.refresh_token.digest(), "scopes": str(scopes), "issued_at": now}
    return Statement(_ADD_REFRESH_TOKEN, values | {"expires_at": milliseconds(pair.refresh_expires_at)})


def _add_access_token(of: Code | RefreshToken, pair: TokenPair, *, now: int, successor: bytes | None) -> Statement:
    values = _belongings(of) | {"token_hash": pair.access_token.digest(), "scopes": str(pair.scopes), "issued_at": now}
    values |= {"expires_at": milliseconds(pair.access_expires_at), "refresh_hash": successor}
    return Statement(_ADD_ACCESS_TOKEN, values)


def _belongings(of: Code | RefreshToken) -> dict[str, object]:
    return {"family": of.family, "grant_id": of.grant_id, "client_id": of.client_id, "person_id": of.person_id}
