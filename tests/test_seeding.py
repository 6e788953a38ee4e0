"""What a sandbox begins with is made once, and found again whatever was lost."""

import asyncio
import json
from datetime import UTC, datetime
from os import urandom
from pathlib import Path

from grantflow.app import Storage
from grantflow.authorization_server.client_authentication import authenticate
from grantflow.data_directory import DataDirectory
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials
from grantflow.resource_owner.passwords import is_right
from grantflow.seeding import PEOPLE, ROOMS, Sandbox, furnish
from grantflow.storage.engine import Statement, Work

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HERE, THERE = "http://localhost:8000/oauth", "http://localhost:8123/oauth"


def begin(directory: DataDirectory, *, redirect_uri: str = HERE) -> Sandbox:
    async def work() -> Sandbox:
        storage = Storage.open(directory.database)
        try:
            sandbox = await furnish(storage, directory, redirect_uri=redirect_uri, now=NOW, mint=urandom)
            await check(storage, sandbox)
            return sandbox
        finally:
            await storage.engine.close()

    return asyncio.run(work())


async def check(storage: Storage, sandbox: Sandbox) -> None:
    """Everybody can sign in, the integration can authenticate, and the rooms are there once."""
    for account in sandbox.people:
        credentials = await storage.people.credentials(account.email)
        assert credentials is not None
        assert is_right(account.password, credentials.password_hash)
    client_id = sandbox.registration.client_id
    client, _ = await storage.tokens.code(client_id, Secret("none"))
    authenticate(client, ClientCredentials(client_id, sandbox.client_secret), now=NOW)
    found = await storage.registrations.find(client_id)
    assert found is not None
    assert found.registration == sandbox.registration
    assert found.site_url == sandbox.registration.redirect_uris[0].removesuffix("oauth")
    rooms = await storage.engine.read(Statement("SELECT title FROM rooms ORDER BY title"))
    assert [row["title"] for row in rooms] == sorted(room.title for room in ROOMS)


def test_a_second_start_finds_people_passwords_and_credentials_again(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first = begin(directory)
    assert [account.email for account in first.people] == list(PEOPLE)
    assert begin(directory) == first


def test_the_redirect_uri_follows_the_port(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first, second = begin(directory), begin(directory, redirect_uri=THERE)
    assert second.registration.redirect_uris == (THERE,)
    assert second.registration.client_id == first.registration.client_id


def test_redirect_uris_of_ones_own_stay_when_the_port_changes(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    client_id = begin(directory).registration.client_id

    async def add() -> None:
        storage = Storage.open(directory.database)

        def work() -> Work[None]:
            sql = "INSERT INTO redirect_uris (client_id, position, uri) VALUES (:client_id, 1, 'https://own.example/')"
            yield Statement(sql, {"client_id": client_id})

        await storage.engine.write(work())
        await storage.engine.close()

    asyncio.run(add())
    assert begin(directory, redirect_uri=THERE).registration.redirect_uris == (THERE, "https://own.example/")


def test_a_lost_file_of_credentials_is_made_anew_for_the_same_people_and_integration(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first = begin(directory)
    directory.sandbox.unlink()
    second = begin(directory)
    assert second.registration == first.registration
    assert second.client_secret != first.client_secret
    assert second.people[0].password != first.people[0].password


def test_its_secrets_print_as_stars(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    shown = repr(begin(directory))
    kept = json.loads(directory.sandbox.read_text())
    for secret in (kept["app"]["client_secret"], kept["vault_key"], kept["people"][0]["password"]):
        assert secret not in shown
