"""What a sandbox begins with is made once, and found again whatever was lost."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from os import urandom
from pathlib import Path

import pytest

from grantflow.app import Storage
from grantflow.authorization_server.client_authentication import authenticate
from grantflow.data_directory import DataDirectory
from grantflow.developer_portal.registration import new_secret
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials
from grantflow.resource_owner.passwords import is_right
from grantflow.sealing import KeyRing
from grantflow.seeding import APP_NAME, PEOPLE, ROOMS, App, Sandbox, furnish, keep_password
from grantflow.storage.engine import Statement, Work

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
pytestmark = pytest.mark.slow  # four passwords are hashed and checked at each start
HERE, THERE = "http://localhost:8000/oauth", "http://localhost:8123/oauth"
OWN_HERE, OWN_THERE = "http://localhost:8001/oauth", "http://localhost:8124/oauth"


def begin(directory: DataDirectory, *, redirect_uri: str = HERE, own_redirect_uri: str = OWN_HERE) -> Sandbox:
    async def work() -> Sandbox:
        storage = Storage.open(directory.database)
        try:
            sandbox = await furnish(
                storage,
                directory,
                redirect_uri=redirect_uri,
                own_redirect_uri=own_redirect_uri,
                now=NOW,
                mint=urandom,
            )
            await check(storage, sandbox)
            return sandbox
        finally:
            await storage.engine.close()

    return asyncio.run(work())


async def check(storage: Storage, sandbox: Sandbox) -> None:
    """Everybody can sign in, the integrations can authenticate, and the rooms are there once."""
    for account in sandbox.people:
        credentials = await storage.people.credentials(account.email)
        assert credentials is not None
        assert is_right(account.password, credentials.password_hash)
    for app in (sandbox.sample, sandbox.own):
        await check_app(storage, app)
    rooms = await storage.engine.read(Statement("SELECT title FROM rooms ORDER BY title"))
    assert [row["title"] for row in rooms] == sorted(room.title for room in ROOMS)


async def check_app(storage: Storage, app: App) -> None:
    client_id = app.registration.client_id
    client, _ = await storage.tokens.code(client_id, Secret("none"))
    authenticate(client, ClientCredentials(client_id, app.client_secret), now=NOW)
    found = await storage.registrations.find(client_id)
    assert found is not None
    assert found.registration == app.registration
    assert app.redirect_uri in app.registration.redirect_uris
    KeyRing(app.vault_key.reveal())


def test_a_second_start_finds_people_passwords_and_credentials_again(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first = begin(directory)
    assert [account.email for account in first.people] == list(PEOPLE)
    assert begin(directory) == first


def test_the_app_hub_lists_what_is_served_and_nothing_that_would_lead_nowhere(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)

    async def listed() -> list[tuple[str, str]]:
        storage = Storage.open(directory.database)
        found = await storage.app_hub.page(search="", page=1, size=10)
        await storage.engine.close()
        return [(entry.name, entry.site_url) for entry in found.shown]

    begin(directory)
    assert asyncio.run(listed()) == [(APP_NAME, "http://localhost:8000/")]
    begin(directory, redirect_uri=THERE, own_redirect_uri=OWN_THERE)
    assert asyncio.run(listed()) == [(APP_NAME, "http://localhost:8123/")]


def test_the_redirect_uris_follow_the_ports(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first, second = begin(directory), begin(directory, redirect_uri=THERE, own_redirect_uri=OWN_THERE)
    assert second.sample.registration.redirect_uris == (THERE,)
    assert second.own.registration.redirect_uris == (OWN_THERE, "http://localhost:8124/webex/oauth")
    assert second.sample.registration.client_id == first.sample.registration.client_id


def test_a_sandbox_of_before_there_were_two_integrations_keeps_its_sample_and_gains_the_other(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first = begin(directory)
    kept = json.loads(directory.sandbox.read_text())
    del kept["own_app"]
    kept["vault_key"] = kept["app"].pop("vault_key")
    directory.sandbox.write_text(json.dumps(kept))
    second = begin(directory)
    assert second.sample == first.sample
    assert second.own.registration == first.own.registration
    assert begin(directory) == second


def test_another_password_of_one_of_its_people_is_remembered_and_nobody_elses(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    email = begin(directory).people[0].email
    assert keep_password(directory, email, Secret("correct horse battery"))
    kept = json.loads(directory.sandbox.read_text())["people"]
    assert [each["password"] == "correct horse battery" for each in kept] == [True, False, False, False]
    assert not keep_password(directory, "nobody@example.com", Secret("correct horse battery"))


def test_redirect_uris_of_ones_own_stay_when_the_port_changes(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    client_id = begin(directory).sample.registration.client_id

    async def add() -> None:
        storage = Storage.open(directory.database)

        def work() -> Work[None]:
            sql = "INSERT INTO redirect_uris (client_id, position, uri) VALUES (:client_id, 1, 'https://own.example/')"
            yield Statement(sql, {"client_id": client_id})

        await storage.engine.write(work())
        await storage.engine.close()

    asyncio.run(add())
    moved = begin(directory, redirect_uri=THERE).sample
    assert moved.registration.redirect_uris == (THERE, "https://own.example/")


def test_a_lost_file_of_credentials_is_made_anew_for_the_same_people_and_integrations(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first = begin(directory)
    directory.sandbox.unlink()
    second = begin(directory, redirect_uri=THERE)
    assert second.sample.registration.client_id == first.sample.registration.client_id
    assert second.sample.client_secret != first.sample.client_secret
    assert second.own.registration == first.own.registration
    assert second.own.client_secret != first.own.client_secret
    assert second.people[0].password != first.people[0].password


def test_its_secrets_print_as_stars(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    shown = repr(begin(directory))
    kept = json.loads(directory.sandbox.read_text())
    secrets = [kept[app][name] for app in ("app", "own_app") for name in ("client_secret", "vault_key")]
    for secret in (*secrets, kept["people"][0]["password"]):
        assert secret not in shown


def test_w19_a_start_makes_another_secret_where_the_kept_one_was_regenerated_and_ends_nobodys(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first = begin(directory)
    theirs, kept = new_secret(now=NOW, mint=urandom)

    async def regenerate_and_come_back() -> None:
        storage = Storage.open(directory.database)
        for app in (first.sample, first.own):
            client_id = app.registration.client_id
            _, another = new_secret(now=NOW, mint=urandom)
            mine = kept if app is first.own else another
            assert await storage.registrations.add_secret(client_id, mine, others_expire_at=NOW)
        await storage.engine.close()

    asyncio.run(regenerate_and_come_back())
    second = begin(directory)  # which sees that both can authenticate
    assert second.own.client_secret not in (first.own.client_secret, theirs)
    assert second.sample.vault_key == first.sample.vault_key
    assert begin(directory) == second

    async def check_theirs() -> None:
        storage = Storage.open(directory.database)
        await check_app(storage, replace(second.own, client_secret=theirs))
        await storage.engine.close()

    asyncio.run(check_theirs())
