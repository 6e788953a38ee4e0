"""What a sandbox begins with: people, rooms and an integration, made up once and remembered with their passwords.

All of it goes through the stores and rules that serve real people. What these keep only hashes of (passwords, the
client secret) and the key of the sample integration's vault lie in ``sandbox.json``, mode 0600.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
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
#: Registers and publishes the sample integration, and may take away what others granted.
ADMIN = "grace@example.com"

APP_NAME = "Space Helper"
APP_DESCRIPTION = "Shows the spaces that you are in, and posts messages there in your name."
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


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a sandbox has and nobody but its owner may know. ``vault_key`` seals the sample integration's grants."""

    people: tuple[Account, ...]
    registration: Registration
    client_secret: Secret
    vault_key: Secret


async def furnish(
    storage: Storage, directory: DataDirectory, *, redirect_uri: str, now: datetime, mint: Mint
) -> Sandbox:
    """See to it that the sandbox has all it begins with; what is there already stays as it is.

    The sample integration's redirect URI follows the port that it is served at.
    """
    known: dict[str, Any] = read_json(directory.sandbox) or {}
    passwords = {each["email"]: Secret(each["password"]) for each in known.get("people", ())}
    owners = await _people(storage, passwords, now=now, mint=mint)
    registration, client_secret = await _app(
        storage, known.get("app"), redirect_uri=redirect_uri, owner_id=owners[ADMIN].id, now=now, mint=mint
    )
    if not known.get("rooms"):
        await _rooms(storage, owners, now=now, mint=mint)
    sandbox = Sandbox(
        people=tuple(Account(owners[email].display_name, email, passwords[email]) for email in PEOPLE),
        registration=registration,
        client_secret=client_secret,
        vault_key=Secret(known.get("vault_key") or KeyRing.new_key()),
    )
    _remember(sandbox, directory, known, redirect_uri=redirect_uri)
    return sandbox


def _remember(sandbox: Sandbox, directory: DataDirectory, known: dict[str, Any], *, redirect_uri: str) -> None:
    record = {
        "people": [
            {"name": each.name, "email": each.email, "password": each.password.reveal()} for each in sandbox.people
        ],
        "app": {
            "client_id": sandbox.registration.client_id,
            "client_secret": sandbox.client_secret.reveal(),
            "redirect_uri": redirect_uri,
        },
        "vault_key": sandbox.vault_key.reveal(),
        "rooms": True,
    }
    if record != known:
        write_private(directory.sandbox, json.dumps(record, indent=2).encode())


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


async def _app(
    storage: Storage, known: dict[str, str] | None, *, redirect_uri: str, owner_id: str, now: datetime, mint: Mint
) -> tuple[Registration, Secret]:
    registrations = storage.registrations
    found = await (registrations.find(known["client_id"]) if known else registrations.find_by_name(APP_NAME))
    if found is None:
        application = Application(
            name=APP_NAME,
            redirect_uris=(redirect_uri,),
            scopes=SCOPES,
            description=APP_DESCRIPTION,
            owner_id=owner_id,
            site_url=_site_url(redirect_uri),
        )
        registered = register(application, now=now, mint=mint, sandbox=True)
        await registrations.add(registered.integration, registered.kept_secret)
        assert registered.secret is not None
        return registered.integration.registration, registered.secret
    client_id = found.registration.client_id
    if known is None:  # the file with the secret was lost
        secret, kept = new_secret(now=now, mint=mint)
        await registrations.add_secret(client_id, kept, others_expire_at=now)
        return found.registration, secret
    if known["redirect_uri"] != redirect_uri:
        await registrations.move(client_id, known["redirect_uri"], to=redirect_uri, site_url=_site_url(redirect_uri))
        found = await registrations.find(client_id)
        assert found is not None
    return found.registration, Secret(known["client_secret"])


def _site_url(redirect_uri: str) -> str:
    return f"{origin(redirect_uri)}/"


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
