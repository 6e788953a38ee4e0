"""`grantflow platform person ...`: the people who can sign in."""

import asyncio
import getpass
import sys
from uuid import UUID

from grantflow.app import Storage, clock, mint
from grantflow.cli.administration import everybody, person_called, storage_of
from grantflow.cli.configured import read
from grantflow.cli.flags import Data, Json, Switch
from grantflow.cli.output import USAGE, Failure, say, write, write_json, write_table
from grantflow.data_directory import DataDirectory
from grantflow.protocol.secret import Secret
from grantflow.protocol.timestamp import write_timestamp
from grantflow.resource_owner.passwords import UnfitPassword, hash_password, new_password
from grantflow.resource_owner.people import UnfitPerson, canonical_email, new_person
from grantflow.resource_owner.records import Person
from grantflow.resource_server.ids import Kind, write_id
from grantflow.seeding import keep_password
from grantflow.settings import PlatformSettings
from grantflow.storage.people import EmailTaken, NobodyThere


def add(
    email: str,
    /,
    *,
    name: str,
    admin: Switch = False,
    password_stdin: Switch = False,
    data: Data = None,
    json: Json = False,
) -> None:
    try:
        email = canonical_email(email)  # before anybody thinks of a password
    except UnfitPerson as error:
        raise Failure(str(error)) from error
    chosen, generated = _read_password(from_stdin=password_stdin), new_password(mint=mint)
    person = asyncio.run(_add(DataDirectory.find(data), email, name, chosen or generated, admin=admin))
    if json:
        write_json(_as_json(person) | ({} if chosen else {"password": generated.reveal()}))
        return
    say(f"{person.display_name} can sign in as {person.email}.")
    if not chosen:
        say("The password is shown this one time:")
        write(generated.reveal())


def show(*, data: Data = None, json: Json = False) -> None:
    people = asyncio.run(_everybody(DataDirectory.find(data)))
    if json:
        write_json([_as_json(person) for person in people])
        return
    rows = [(person.email, person.display_name, "admin" if person.is_admin else "") for person in people]
    write_table(("EMAIL", "NAME", ""), rows, nothing="Nobody can sign in yet.")


def password(email: str, /, *, password_stdin: Switch = False, data: Data = None, json: Json = False) -> None:
    directory = DataDirectory.find(data)
    person = asyncio.run(_person(directory, email))  # before anybody thinks of a password
    chosen, generated = _read_password(from_stdin=password_stdin), new_password(mint=mint)
    revoke = read(PlatformSettings).revoke_on_password_change
    asyncio.run(_set_password(directory, person.email, chosen or generated, revoke=revoke))
    is_shown = keep_password(directory, person.email, chosen or generated)
    if json:
        write_json(_as_json(person) | ({} if chosen else {"password": generated.reveal()}))
        return
    granted = "has ended" if revoke else "stays"
    say(f"{person.display_name} has another password, and is signed out everywhere. What they granted {granted}.")
    if is_shown:
        say("grantflow up and grantflow status show it, as they do for the sandbox's people.")
    if not chosen:
        say("The password is shown this one time:" if not is_shown else "The password:")
        write(generated.reveal())


async def _person(directory: DataDirectory, email: str) -> Person:
    async with storage_of(directory) as storage:
        return await person_called(storage, email)


async def _set_password(directory: DataDirectory, email: str, password: Secret, *, revoke: bool) -> None:
    async with storage_of(directory) as storage:
        try:
            hashed = hash_password(password, mint=mint)
            await storage.people.set_password(email, password_hash=hashed, revoke_grants_at=clock() if revoke else None)
        except (UnfitPassword, NobodyThere) as error:
            raise Failure(str(error)) from error


async def _add(directory: DataDirectory, email: str, name: str, password: Secret, *, admin: bool) -> Person:
    async with storage_of(directory, create=True) as storage:
        try:
            person = new_person(
                email, name, org_id=await _organization(storage), now=clock(), mint=mint, is_admin=admin
            )
            await storage.people.add(person, password_hash=hash_password(password, mint=mint))
        except EmailTaken as error:
            raise Failure(str(error), fix=f"grantflow platform person password {email} sets it.") from error
        except (UnfitPerson, UnfitPassword) as error:
            raise Failure(str(error)) from error
    return person


async def _everybody(directory: DataDirectory) -> list[Person]:
    async with storage_of(directory) as storage:
        return [person async for person in everybody(storage)]


async def _organization(storage: Storage) -> str:
    """All people of one platform belong to one organization; the first one begins it."""
    first = await storage.people.list(limit=1)
    return first[0].org_id if first else str(UUID(bytes=mint(16), version=4))


def _read_password(*, from_stdin: bool) -> Secret | None:
    """From standard input or the terminal; None where one shall be made up."""
    if from_stdin:
        if password := sys.stdin.readline().rstrip("\r\n"):
            return Secret(password)
        raise Failure("Standard input holds no password.", fix="Send it as the first line.", code=USAGE)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    password = getpass.getpass("Password (empty: make one up): ", sys.stderr)
    if password and getpass.getpass("The same again: ", sys.stderr) != password:
        raise Failure("The two passwords differ.", fix="Run the command again.", code=USAGE)
    return Secret(password) if password else None


def _as_json(person: Person) -> dict[str, object]:
    return {
        "id": write_id(Kind.PEOPLE, person.id),
        "name": person.display_name,
        "email": person.email,
        "admin": person.is_admin,
        "created": write_timestamp(person.created_at),
    }
