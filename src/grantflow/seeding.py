"""What a sandbox begins with: people, rooms and two integrations, made up once and remembered with their passwords.

One integration is the sample that comes with it, the other is for the code of whoever started it. All of it goes
through the stores and rules that serve real people. What these keep only hashes of (passwords, client secrets) and the
keys of the integrations' vaults lie in ``sandbox.json``, mode 0600.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from grantflow.app import Storage
from grantflow.data_directory import DataDirectory, read_json, write_private
from grantflow.developer_portal.registration import Application, new_secret, register
from grantflow.protocol.redirect_uri import origin
from grantflow.protocol.registration import Registration
from grantflow.protocol.secret import Secret
from grantflow.resource_owner.passwords import hash_password, new_password
from grantflow.resource_owner.people import new_person
from grantflow.resource_owner.records import Person as ResourceOwner
from grantflow.resource_server.records import NewMessage, NewRoom, Person, PersonName, RoomOrder, Words
from grantflow.sealing import KeyRing

Mint = Callable[[int], bytes]

PEOPLE = {
    "ada@example.com": "Ada Lovelace",
    "grace@example.com": "Grace Hopper",
    "alan@example.com": "Alan Turing",
    "katherine@example.com": "Katherine Johnson",
}
#: Registers and publishes the integrations.
ADMIN = "grace@example.com"

APP_NAME = "Space Helper"
APP_DESCRIPTION = "Shows the spaces that you are in, and posts messages there in your name."
#: What the sample asks for: no more than it uses (S108). Registered is all that a visitor may want to try by hand.
APP_SCOPES = "spark:people_read spark:rooms_read spark:messages_write"
OWN_NAME = "My first integration"
OWN_SCOPES = "spark:people_read spark:rooms_read"
SCOPES = (
    "spark:people_read spark:rooms_read spark:rooms_write spark:memberships_read spark:memberships_write "
    "spark:messages_read spark:messages_write"
)


@dataclass(frozen=True, slots=True)
class _Room:
    """``members`` by email, the first of them makes the room; ``messages`` are said in turn, oldest first."""

    title: str
    members: tuple[str, ...]
    messages: tuple[tuple[str, str], ...]
    locked: bool = False


_ADA, _GRACE, _ALAN, _KATHERINE = PEOPLE
ROOMS = (
    _Room(
        "Lunch",
        (_KATHERINE, _ADA, _GRACE, _ALAN),
        ((_KATHERINE, "Noon, as always?"), (_ALAN, "I will run there."), (_ADA, "I will walk.")),
    ),
    _Room(
        "Compilers",
        (_GRACE, _ADA, _ALAN),
        ((_GRACE, "Found the fault in relay 70. It was a moth."), (_ADA, "Keep it. It belongs in the logbook.")),
        locked=True,
    ),
    _Room(
        "Analytical Engine",
        (_ADA, _GRACE, _ALAN),
        (
            (_ADA, "Note G is finished. The engine can now work out Bernoulli numbers."),
            (_ALAN, "Can it do anything that we do not know how to order it to perform?"),
            (_ADA, "It has no pretensions whatever to originate anything."),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    email: str
    password: Secret
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class App:
    """An integration that is registered here. ``redirect_uri`` is the one that we chose and move with the ports;
    ``vault_key`` seals its grants."""

    registration: Registration
    redirect_uri: str
    client_secret: Secret
    vault_key: Secret


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a sandbox has and nobody but its owner may know. ``own`` is for the owner's own code."""

    people: tuple[Account, ...]
    sample: App
    own: App


async def furnish(
    storage: Storage,
    directory: DataDirectory,
    *,
    redirect_uri: str,
    own_redirect_uri: str,
    now: datetime,
    mint: Mint,
) -> Sandbox:
    """See to it that the sandbox has all it begins with; what is there already stays as it is.

    The redirect URIs follow the ports: ``redirect_uri`` is the sample integration's, where its pages are served,
    ``own_redirect_uri`` one on a port that is left to the owner's own code. There is a second one below /webex, for
    pages that are mounted in an app.
    """
    known = _remembered(directory)
    passwords = {each["email"]: Secret(each["password"]) for each in known.get("people", ())}
    owners = await _people(storage, passwords, now=now, mint=mint)
    publisher = owners[ADMIN].id
    sample = _application(APP_NAME, redirect_uri, owner_id=publisher, description=APP_DESCRIPTION)
    own = _application(OWN_NAME, own_redirect_uri, mounted_uri(own_redirect_uri), owner_id=publisher, is_served=False)
    if not known.get("rooms"):
        await _rooms(storage, owners, now=now, mint=mint)
    sandbox = Sandbox(
        people=tuple(
            Account(owners[email].display_name, email, passwords[email], owners[email].is_admin) for email in PEOPLE
        ),
        sample=await _app(storage, sample, known.get("app"), now=now, mint=mint),
        own=await _app(storage, own, known.get("own_app"), now=now, mint=mint),
    )
    record = _record(sandbox)
    if record != known:
        _write(directory.sandbox, record)
    return sandbox


def keep_password(directory: DataDirectory, email: str, password: Secret) -> bool:
    """Remember it for one of the sandbox's people, who are shown with their passwords; answers whether it is one."""
    is_kept = False
    for path in (directory.sandbox, directory.running):
        known: dict[str, Any] = read_json(path) or {}
        for account in known.get("people", ()):
            if account["email"] == email:
                account["password"] = password.reveal()
                _write(path, known)
                is_kept = True
    return is_kept


def keep_secret(directory: DataDirectory, client_id: str, secret: Secret) -> bool:
    """Remember a new secret of one of the sandbox's own integrations; answers whether it is one."""
    is_kept = False
    for path in (directory.sandbox, directory.running):
        known: dict[str, Any] = read_json(path) or {}
        for app in (known.get("app", {}), known.get("own_app", {})):
            if app.get("client_id") == client_id:
                app["client_secret"] = secret.reveal()
                is_kept = True
        environment = known.get("environment", {})
        if environment.get("GRANTFLOW_CLIENT_ID") == client_id:
            environment["GRANTFLOW_CLIENT_SECRET"] = secret.reveal()
        if is_kept and known:
            _write(path, known)
    return is_kept


def _remembered(directory: DataDirectory) -> dict[str, Any]:
    """What sandbox.json holds; empty where there is none."""
    known: dict[str, Any] = read_json(directory.sandbox) or {}
    if "vault_key" in known:  # where it stood before there were two integrations
        known["app"]["vault_key"] = known.pop("vault_key")
    return known


def _write(path: Path, record: dict[str, Any]) -> None:
    write_private(path, json.dumps(record, indent=2).encode())


def _record(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "people": [
            {"name": each.name, "email": each.email, "password": each.password.reveal()} for each in sandbox.people
        ],
        "app": _app_record(sandbox.sample),
        "own_app": _app_record(sandbox.own),
        "rooms": True,
    }


def _app_record(app: App) -> dict[str, str]:
    return {
        "client_id": app.registration.client_id,
        "client_secret": app.client_secret.reveal(),
        "redirect_uri": app.redirect_uri,
        "vault_key": app.vault_key.reveal(),
    }


async def _people(
    storage: Storage, passwords: dict[str, Secret], *, now: datetime, mint: Mint
) -> dict[str, ResourceOwner]:
    """All by their email. ``passwords`` gains those that are new."""
    found = {email: await storage.people.find(email) for email in PEOPLE}
    org_id = next((person.org_id for person in found.values() if person), str(UUID(bytes=mint(16), version=4)))
    people = {}
    for email, name in PEOPLE.items():
        person = found[email]
        if person is None or email not in passwords:  # a file that was lost cannot be told anew: make another password
            passwords.setdefault(email, new_password(mint=mint))
            password_hash = await asyncio.to_thread(hash_password, passwords[email], mint=mint)
            if person is None:
                person = _new_person(email, name, org_id=org_id, now=now, mint=mint)
                await storage.people.add(person, password_hash=password_hash)
            else:
                await storage.people.set_password(email, password_hash=password_hash)
        people[email] = person
    return people


def _new_person(email: str, name: str, *, org_id: str, now: datetime, mint: Mint) -> ResourceOwner:
    first_name, last_name = name.split()
    names = {"first_name": first_name, "last_name": last_name}
    return new_person(email, name, org_id=org_id, now=now, mint=mint, is_admin=email == ADMIN, **names)


def mounted_uri(redirect_uri: str) -> str:
    """The redirect URI of the same server's pages when they are mounted in an app, as the README does."""
    return f"{origin(redirect_uri)}/webex/oauth"


def _application(
    name: str, *redirect_uris: str, owner_id: str, description: str = "", is_served: bool = True
) -> Application:
    """With a landing page, and so in the App Hub, where something answers there."""
    return Application(
        name=name,
        redirect_uris=redirect_uris,
        scopes=SCOPES,
        description=description,
        owner_id=owner_id,
        site_url=f"{origin(redirect_uris[0])}/" if is_served else None,
    )


async def _app(
    storage: Storage, wanted: Application, known: dict[str, str] | None, *, now: datetime, mint: Mint
) -> App:
    """The integration as it is registered, or registered now; its redirect URI is moved where another is wanted."""
    registrations, redirect_uri = storage.registrations, wanted.redirect_uris[0]
    found = await (registrations.find(known["client_id"]) if known else registrations.find_by_name(wanted.name))
    vault_key = Secret(known["vault_key"] if known else KeyRing.new_key())
    if found is None:
        registered = register(wanted, now=now, mint=mint, sandbox=True)
        await registrations.add(registered.integration, registered.kept_secret)
        assert registered.secret is not None
        return App(registered.integration.registration, redirect_uri, registered.secret, vault_key)
    client_id = found.registration.client_id
    if redirect_uri not in found.registration.redirect_uris:
        before = known["redirect_uri"] if known else found.registration.redirect_uris[0]
        for old, new in [(before, redirect_uri), (mounted_uri(before), mounted_uri(redirect_uri))]:
            if new not in found.registration.redirect_uris:
                await registrations.move(client_id, old, to=new, site_url=wanted.site_url)
        found = await registrations.find(client_id)
        assert found is not None
    secret = Secret(known["client_secret"]) if known else None
    if secret is None or not await registrations.holds_secret(client_id, secret.digest(), now=now):
        # The file that held it was lost; or it was regenerated, and the owner's own code may live by the new one.
        secret, kept = new_secret(now=now, mint=mint)
        await registrations.add_secret(client_id, kept, others_expire_at=None if known else now)
    return App(found.registration, redirect_uri, secret, vault_key)


async def _rooms(storage: Storage, owners: dict[str, ResourceOwner], *, now: datetime, mint: Mint) -> None:
    if await storage.rooms.of(owners[_ADA].id, kind=None, order=RoomOrder.ID, after=None, limit=1):
        return  # they are there, only the file that said so was lost
    people = {email: _as_the_api_sees(owner) for email, owner in owners.items()}
    began = now - timedelta(hours=len(ROOMS))
    for number, room in enumerate(ROOMS):
        await _room(storage, room, people, began=began + timedelta(hours=number), mint=mint)


async def _room(storage: Storage, room: _Room, people: dict[str, Person], *, began: datetime, mint: Mint) -> None:
    def mint_id() -> str:
        return str(UUID(bytes=mint(16), version=4))

    creator = people[room.members[0]]
    opened = await storage.rooms.open(NewRoom(mint_id(), room.title, room.locked, None, creator, began))
    for email in room.members[1:]:
        await storage.memberships.add(
            PersonName(None, email),
            room_id=opened.id,
            viewer_id=creator.id,
            is_moderator=False,
            now=began,
            rule=lambda *_: None,
        )
    for minutes, (email, text) in enumerate(room.messages, start=1):
        message = NewMessage(mint_id(), people[email], Words(text, None), None, began + timedelta(minutes=minutes))
        await storage.messages.post(message, room_id=opened.id, rule=lambda *_: None)


def _as_the_api_sees(owner: ResourceOwner) -> Person:
    return Person(
        id=owner.id,
        email=owner.email,
        display_name=owner.display_name,
        first_name=owner.first_name,
        last_name=owner.last_name,
        nick_name=owner.nick_name,
        org_id=owner.org_id,
        type="person",
        created_at=owner.created_at,
    )
