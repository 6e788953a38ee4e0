"""Registered integrations with their redirect URIs and the hashes of their secrets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from grantflow.developer_portal.records import Amendment, Icon, Integration, NewSecret
from grantflow.protocol.registration import ClientType, Profile, Registration
from grantflow.protocol.scope import Scopes
from grantflow.storage.engine import Engine, IntegrityError, Row, Stale, Statement, Work
from grantflow.storage.portions import in_portions
from grantflow.storage.times import from_milliseconds, milliseconds

# A name that is taken, or a form that made one already, inserts no row and raises nothing, in either database.
_ADD = """
INSERT INTO integrations
  (client_id, name, description, contact_email, owner_id, site_url, icon, profile, client_type, scopes, created_at,
   form_hash)
VALUES
  (:client_id, :name, :description, :contact_email, :owner_id, :site_url, :icon, :profile, :client_type, :scopes,
   :created_at, :form_hash)
ON CONFLICT DO NOTHING
RETURNING client_id
"""
_COUNT = "SELECT count(*) AS total FROM integrations WHERE owner_id = :owner_id"
_MADE_BY = "SELECT client_id FROM integrations WHERE form_hash = :form_hash AND owner_id = :owner_id"
_AMEND = """
UPDATE integrations
SET name = :name, description = :description, contact_email = :contact_email, site_url = :site_url, icon = :icon,
    profile = :profile, scopes = :scopes, version = version + 1
WHERE client_id = :client_id AND version = :version
RETURNING client_id
"""
_DELETE = "DELETE FROM integrations WHERE client_id = :client_id AND owner_id = :owner_id RETURNING icon"
_DELETE_ANYONES = "DELETE FROM integrations WHERE client_id = :client_id RETURNING icon"
_OWNED = "SELECT 1 FROM integrations WHERE client_id = :client_id AND owner_id = :owner_id"
_EXISTS = "SELECT 1 FROM integrations WHERE client_id = :client_id"
# Tokens and codes go with their grant.
_FORGET_GRANTS = """
DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE client_id = :client_id LIMIT :portion) RETURNING 1
"""
_FORGET_REQUESTS = """
DELETE FROM authorization_requests
WHERE id_hash IN (SELECT id_hash FROM authorization_requests WHERE client_id = :client_id LIMIT :portion)
RETURNING 1
"""
_FORGET_REDIRECT_URIS = "DELETE FROM redirect_uris WHERE client_id = :client_id"
_ADD_ICON = "INSERT INTO icons (digest, type, content) VALUES (:digest, :type, :content) ON CONFLICT DO NOTHING"
_ICON_OF = "SELECT icon FROM integrations WHERE client_id = :client_id"
_FORGET_ICON = """
DELETE FROM icons WHERE digest = :icon AND NOT EXISTS (SELECT 1 FROM integrations WHERE icon = :icon)
"""
_ADD_REDIRECT_URI = "INSERT INTO redirect_uris (client_id, position, uri) VALUES (:client_id, :position, :uri)"
_ADD_SECRET = """
INSERT INTO client_secrets (client_id, secret_hash, last_four, created_at)
VALUES (:client_id, :secret_hash, :last_four, :created_at)
"""
_COUNT_SECRET = """
UPDATE integrations SET version = version + 1
WHERE client_id = :client_id AND client_type = 'confidential'
RETURNING version
"""
_FORGET_ENDED_SECRETS = "DELETE FROM client_secrets WHERE client_id = :client_id AND expires_at <= :created_at"
_END_OTHER_SECRETS = """
UPDATE client_secrets SET expires_at = :expires_at
WHERE client_id = :client_id AND secret_hash <> :secret_hash AND (expires_at IS NULL OR expires_at > :expires_at)
"""
_HOLDS_SECRET = """
SELECT 1 FROM client_secrets
WHERE client_id = :client_id AND secret_hash = :secret_hash AND (expires_at IS NULL OR expires_at > :now)
"""
SELECT_INTEGRATION = """
SELECT i.client_id, i.name, i.description, i.contact_email, i.owner_id, i.site_url, i.icon, i.profile, i.client_type,
       i.scopes, i.created_at, i.version, u.uri
FROM integrations i JOIN redirect_uris u ON u.client_id = i.client_id
"""
_FIND = f"{SELECT_INTEGRATION} WHERE i.client_id = :client_id ORDER BY u.position"
_FIND_BY_NAME = f"{SELECT_INTEGRATION} WHERE i.name = :name ORDER BY u.position"
_NAMES = "SELECT name FROM integrations WHERE name > :after ORDER BY name LIMIT :limit"
_LIST = f"{SELECT_INTEGRATION} WHERE i.name IN ({_NAMES}) ORDER BY i.name, u.position"
_MOVE = "UPDATE redirect_uris SET uri = :to WHERE client_id = :client_id AND uri = :redirect_uri RETURNING client_id"
_MOVE_SITE = "UPDATE integrations SET site_url = :site_url, version = version + 1 WHERE client_id = :client_id"


class RegistrationStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(
        self, integration: Integration, secret: NewSecret | None, *, icon: Icon | None = None, form: bytes | None = None
    ) -> bool:
        registration = integration.registration

        def work() -> Work[bool]:
            rows = yield Statement(_ADD, _values(integration) | {"form_hash": form})
            if not rows:
                return False
            yield from _add_redirect_uris(registration)
            yield from _add_icon(icon)
            if secret is not None:
                yield _add_secret(registration.client_id, secret)
            return True

        return await self._engine.write(work())

    async def count(self, owner_id: str) -> int:
        (row,) = await self._engine.read(Statement(_COUNT, {"owner_id": owner_id}))
        return int(row["total"])

    async def made_by(self, form: bytes, *, owner_id: str) -> str | None:
        rows = await self._engine.read(Statement(_MADE_BY, {"form_hash": form, "owner_id": owner_id}))
        return rows[0]["client_id"] if rows else None

    async def add_secret(
        self, client_id: str, secret: NewSecret, *, others_expire_at: datetime | None, version: int | None = None
    ) -> bool:
        def work() -> Work[None]:
            rows = yield Statement(_COUNT_SECRET, {"client_id": client_id})
            if not rows or version not in (None, rows[0]["version"] - 1):
                raise Stale
            yield _add_secret(client_id, secret)
            if others_expire_at is not None:
                values = {"client_id": client_id, "secret_hash": secret.digest}
                yield Statement(_END_OTHER_SECRETS, {**values, "expires_at": milliseconds(others_expire_at)})
            ended_before = milliseconds(secret.created_at)
            yield Statement(_FORGET_ENDED_SECRETS, {"client_id": client_id, "created_at": ended_before})

        try:
            await self._engine.write(work())
        except Stale:
            return False
        return True

    async def holds_secret(self, client_id: str, digest: bytes, *, now: datetime) -> bool:
        """Whether the integration can authenticate with the secret of this digest."""
        values = {"client_id": client_id, "secret_hash": digest, "now": milliseconds(now)}
        return bool(await self._engine.read(Statement(_HOLDS_SECRET, values)))

    async def amend(self, integration: Integration, *, icon: Icon | None = None) -> Amendment:
        registration = integration.registration
        named = {"client_id": registration.client_id}

        def work() -> Work[Amendment]:
            before = yield Statement(_ICON_OF, named)
            if not (yield Statement(_AMEND, _values(integration) | {"version": integration.version})):
                return Amendment.STALE
            yield Statement(_FORGET_REDIRECT_URIS, named)
            yield from _add_redirect_uris(registration)
            yield from _add_icon(icon)
            if before[0]["icon"] != integration.icon:
                yield Statement(_FORGET_ICON, {"icon": before[0]["icon"]})
            return Amendment.SAVED

        try:
            return await self._engine.write(work())
        except IntegrityError:  # of all that is checked here only the name can be somebody else's
            return Amendment.NAME_TAKEN

    async def delete(self, client_id: str, *, owner_id: str) -> bool:
        return await self._delete(_DELETE, {"client_id": client_id, "owner_id": owner_id}, if_any=_OWNED)

    async def delete_anyones(self, client_id: str) -> bool:
        """Whoever owns it: for those who run the platform."""
        return await self._delete(_DELETE_ANYONES, {"client_id": client_id}, if_any=_EXISTS)

    async def _delete(self, sql: str, values: Mapping[str, object], *, if_any: str) -> bool:
        """In portions: of 100,000 grants nobody could wait for the last. Where it is interrupted, the integration is
        still there and can be deleted again; what is granted meanwhile goes with its row.
        """
        if not await self._engine.read(Statement(if_any, values)):
            return False
        for forget in (_FORGET_GRANTS, _FORGET_REQUESTS):
            await in_portions(self._engine, forget, {"client_id": values["client_id"]})

        def work() -> Work[bool]:
            rows = yield Statement(sql, values)
            if rows and rows[0]["icon"] is not None:
                yield Statement(_FORGET_ICON, {"icon": rows[0]["icon"]})
            return bool(rows)

        return await self._engine.write(work(), is_long=True)

    async def find(self, client_id: str) -> Integration | None:
        return integration_of(await self._engine.read(Statement(_FIND, {"client_id": client_id})))

    async def find_by_name(self, name: str) -> Integration | None:
        """Upper and lower case alike."""
        return integration_of(await self._engine.read(Statement(_FIND_BY_NAME, {"name": name})))

    async def list(self, *, limit: int, after: str = "") -> Sequence[Integration]:
        """Up to `limit` integrations in the order of their names, beginning behind the name `after`."""
        rows = await self._engine.read(Statement(_LIST, {"after": after, "limit": limit}))
        each = [integration_of(list(group)) for _, group in groupby(rows, key=lambda row: row["client_id"])]
        return [integration for integration in each if integration is not None]

    async def move(self, client_id: str, redirect_uri: str, *, to: str, site_url: str | None) -> bool:
        """Where it is served elsewhere: put one redirect URI, checked already, in another's place, and its site too.

        False where the old one is not registered; then nothing changes.
        """
        values = {"client_id": client_id, "redirect_uri": redirect_uri, "to": to, "site_url": site_url}

        def work() -> Work[bool]:
            if not (yield Statement(_MOVE, values)):
                return False
            if site_url is not None:
                yield Statement(_MOVE_SITE, values)
            return True

        return await self._engine.write(work())


def _add_redirect_uris(registration: Registration) -> Work[None]:
    for position, uri in enumerate(registration.redirect_uris):
        values = {"client_id": registration.client_id, "position": position, "uri": uri}
        yield Statement(_ADD_REDIRECT_URI, values)


def _add_icon(icon: Icon | None) -> Work[None]:
    if icon is not None:
        values = {"digest": icon.digest, "type": icon.type, "content": icon.content}
        yield Statement(_ADD_ICON, values)


def _add_secret(client_id: str, secret: NewSecret) -> Statement:
    return Statement(
        _ADD_SECRET,
        {
            "client_id": client_id,
            "secret_hash": secret.digest,
            "last_four": secret.last_four,
            "created_at": milliseconds(secret.created_at),
        },
    )


def _values(integration: Integration) -> dict[str, object]:
    registration = integration.registration
    return {
        "client_id": registration.client_id,
        "name": registration.name,
        "description": integration.description,
        "contact_email": integration.contact_email,
        "owner_id": integration.owner_id,
        "site_url": integration.site_url,
        "icon": integration.icon,
        "profile": registration.profile.value,
        "client_type": registration.client_type.value,
        "scopes": str(registration.scopes),
        "created_at": milliseconds(integration.created_at),
    }


def integration_of(rows: Sequence[Row]) -> Integration | None:
    """Of ``SELECT_INTEGRATION``: one row for each redirect URI, in their order."""
    if not rows:
        return None
    row = rows[0]
    return Integration(
        registration_of(rows),
        created_at=from_milliseconds(row["created_at"]),
        description=row["description"],
        contact_email=row["contact_email"],
        owner_id=row["owner_id"],
        site_url=row["site_url"],
        icon=row["icon"],
        version=row["version"],
    )


def registration_of(rows: Sequence[Row]) -> Registration:
    """Of rows with the integration's client_id, name, scopes, profile, client_type, and one redirect ``uri`` each."""
    row = rows[0]
    return Registration(
        client_id=row["client_id"],
        name=row["name"],
        redirect_uris=tuple(each["uri"] for each in rows),
        scopes=stored_scopes(row["scopes"]),
        profile=Profile(row["profile"]),
        client_type=ClientType(row["client_type"]),
    )


def stored_scopes(text: str) -> Scopes:
    """They were checked before they were stored; doing it again would be much of what a refresh costs."""
    return Scopes(tuple(text.split()))
