"""Registered integrations with their redirect URIs and the hashes of their secrets."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from grantflow.developer_portal.records import Integration, NewSecret
from grantflow.protocol.registration import ClientType, Profile, Registration
from grantflow.protocol.scope import Scopes
from grantflow.storage.engine import Engine, Row, Statement, Work
from grantflow.storage.times import from_milliseconds, milliseconds

# A name that is taken inserts no row and raises nothing, in either database.
_ADD = """
INSERT INTO integrations
  (client_id, name, description, contact_email, owner_id, site_url, profile, client_type, scopes, created_at)
VALUES
  (:client_id, :name, :description, :contact_email, :owner_id, :site_url, :profile, :client_type, :scopes, :created_at)
ON CONFLICT (name) DO NOTHING
RETURNING client_id
"""
_ADD_REDIRECT_URI = "INSERT INTO redirect_uris (client_id, position, uri) VALUES (:client_id, :position, :uri)"
_ADD_SECRET = """
INSERT INTO client_secrets (client_id, secret_hash, last_four, created_at)
SELECT client_id, :secret_hash, :last_four, :created_at FROM integrations
WHERE client_id = :client_id AND client_type = 'confidential'
RETURNING client_id
"""
_END_OTHER_SECRETS = """
UPDATE client_secrets SET expires_at = :expires_at
WHERE client_id = :client_id AND secret_hash <> :secret_hash AND (expires_at IS NULL OR expires_at > :expires_at)
"""
_SELECT = """
SELECT i.client_id, i.name, i.description, i.contact_email, i.owner_id, i.site_url, i.profile, i.client_type, i.scopes,
       i.created_at, u.uri
FROM integrations i JOIN redirect_uris u ON u.client_id = i.client_id
"""
_FIND = f"{_SELECT} WHERE i.client_id = :client_id ORDER BY u.position"
_FIND_BY_NAME = f"{_SELECT} WHERE i.name = :name ORDER BY u.position"
_NAMES = "SELECT name FROM integrations WHERE name > :after ORDER BY name LIMIT :limit"
_LIST = f"{_SELECT} WHERE i.name IN ({_NAMES}) ORDER BY i.name, u.position"
_MOVE = "UPDATE redirect_uris SET uri = :to WHERE client_id = :client_id AND uri = :redirect_uri RETURNING client_id"
_MOVE_SITE = "UPDATE integrations SET site_url = :site_url, version = version + 1 WHERE client_id = :client_id"


class RegistrationStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, integration: Integration, secret: NewSecret | None) -> bool:
        registration = integration.registration

        def work() -> Work[bool]:
            rows = yield Statement(_ADD, _values(integration))
            if not rows:
                return False
            for position, uri in enumerate(registration.redirect_uris):
                values = {"client_id": registration.client_id, "position": position, "uri": uri}
                yield Statement(_ADD_REDIRECT_URI, values)
            if secret is not None:
                yield _add_secret(registration.client_id, secret)
            return True

        return await self._engine.write(work())

    async def add_secret(self, client_id: str, secret: NewSecret, *, others_expire_at: datetime | None) -> bool:
        def work() -> Work[bool]:
            rows = yield _add_secret(client_id, secret)
            if rows and others_expire_at is not None:
                values = {"client_id": client_id, "secret_hash": secret.digest}
                yield Statement(_END_OTHER_SECRETS, {**values, "expires_at": milliseconds(others_expire_at)})
            return bool(rows)

        return await self._engine.write(work())

    async def find(self, client_id: str) -> Integration | None:
        return _integration(await self._engine.read(Statement(_FIND, {"client_id": client_id})))

    async def find_by_name(self, name: str) -> Integration | None:
        """Upper and lower case alike."""
        return _integration(await self._engine.read(Statement(_FIND_BY_NAME, {"name": name})))

    async def list(self, *, limit: int, after: str = "") -> Sequence[Integration]:
        """Up to `limit` integrations in the order of their names, beginning behind the name `after`."""
        rows = await self._engine.read(Statement(_LIST, {"after": after, "limit": limit}))
        each = [_integration(list(group)) for _, group in groupby(rows, key=lambda row: row["client_id"])]
        return [integration for integration in each if integration is not None]

    async def move(self, client_id: str, redirect_uri: str, *, to: str, site_url: str) -> bool:
        """Where it is served elsewhere: put one redirect URI, checked already, in another's place, and its site.

        False where the old one is not registered; then nothing changes.
        """
        values = {"client_id": client_id, "redirect_uri": redirect_uri, "to": to, "site_url": site_url}

        def work() -> Work[bool]:
            if not (yield Statement(_MOVE, values)):
                return False
            yield Statement(_MOVE_SITE, values)
            return True

        return await self._engine.write(work())


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
        "profile": registration.profile.value,
        "client_type": registration.client_type.value,
        "scopes": str(registration.scopes),
        "created_at": milliseconds(integration.created_at),
    }


def _integration(rows: Sequence[Row]) -> Integration | None:
    """One row for each redirect URI, in their order."""
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
