"""`grantflow platform app ...`: the integrations that are registered at the platform."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from grantflow.app import Storage, clock, mint
from grantflow.cli.administration import PAGE, is_confirmed, person_called, storage_of
from grantflow.cli.flags import Data, Json, Switch
from grantflow.cli.output import OK, USAGE, Failure, aligned, say, write, write_json, write_table
from grantflow.data_directory import DataDirectory
from grantflow.developer_portal.records import Integration
from grantflow.developer_portal.registration import (
    NAME_TAKEN,
    Application,
    InvalidRegistration,
    Registered,
    read_name,
    register,
)
from grantflow.protocol.redirect_uri import split_redirect_uris
from grantflow.protocol.registration import ClientType, Profile
from grantflow.protocol.timestamp import write_timestamp

_FLAGS = {"redirect_uris": "--redirect-uri", "name": "NAME"}


def add(
    name: str,
    /,
    *,
    redirect_uri: Annotated[tuple[str, ...], Parameter(negative="")],
    scopes: str,
    profile: Literal["webex", "strict"] = "webex",
    public: Switch = False,
    description: str = "",
    contact_email: str = "",
    site_url: str | None = None,
    owner: str | None = None,
    data: Data = None,
    json: Json = False,
) -> None:
    application = Application(
        name=name,
        redirect_uris=tuple(uri for text in redirect_uri for uri in split_redirect_uris(text)),
        scopes=scopes,
        profile=Profile(profile),
        client_type=ClientType.PUBLIC if public else ClientType.CONFIDENTIAL,
        description=description,
        contact_email=contact_email,
        site_url=site_url,
    )
    registered = asyncio.run(_add(DataDirectory.find(data), application, owner))
    for warning in registered.warnings:
        say(f"note: {warning}")
    client_id = registered.integration.registration.client_id
    secret = registered.secret.reveal() if registered.secret else None
    if json:
        write_json({"client_id": client_id, "client_secret": secret} | _as_json(registered.integration))
        return
    say(f"{registered.integration.registration.name} is registered.")
    say("The client secret is shown this one time." if secret else "A public integration has no client secret.")
    rows = [("Client ID", client_id), ("Client secret", secret)]
    write("\n".join(aligned([(label, text) for label, text in rows if text])))


def show(*, data: Data = None, json: Json = False) -> None:
    found = asyncio.run(_all(DataDirectory.find(data)))
    if json:
        write_json([_as_json(integration) for integration in found])
        return
    rows = [(each.registration.name, each.registration.profile, each.registration.client_id) for each in found]
    write_table(("NAME", "PROFILE", "CLIENT ID"), rows, nothing="No integration is registered yet.")


def delete(app: str, /, *, yes: Switch = False, data: Data = None, json: Json = False) -> int:
    directory = DataDirectory.find(data)
    integration, people = asyncio.run(_look_up(directory, app))
    name = integration.registration.name
    grants = "the grant of one person" if people == 1 else f"the grants of {people:,} people"
    loss = f"{name} loses its client ID and secrets for good, and {grants} to it. Its name is free again."
    if not is_confirmed([loss], question="Delete it?", yes=yes):
        return USAGE
    asyncio.run(_delete(directory, integration))
    if json:
        write_json({"deleted": _as_json(integration), "grants_ended": people})
        return OK
    say(f"{name} is deleted, and {grants} to it {'has' if people == 1 else 'have'} ended.")
    return OK


async def _look_up(directory: DataDirectory, app: str) -> tuple[Integration, int]:
    """The integration, and how many people grant it something."""
    async with storage_of(directory) as storage:
        integration = await integration_called(storage, app)
        return integration, await storage.granted.count(integration.registration.client_id)


async def _delete(directory: DataDirectory, integration: Integration) -> None:
    async with storage_of(directory) as storage:
        if not await storage.registrations.delete_anyones(integration.registration.client_id):
            raise no_such_integration(integration.registration.client_id)


async def _add(directory: DataDirectory, application: Application, owner: str | None) -> Registered:
    async with storage_of(directory, create=True) as storage:
        if owner is not None:
            application = replace(application, owner_id=(await person_called(storage, owner)).id)
        try:
            registered = register(application, now=clock(), mint=mint, sandbox=directory.sandbox.exists())
        except InvalidRegistration as error:
            details = [(_FLAGS.get(name, f"--{name.replace('_', '-')}"), why) for name, why in error.problems.items()]
            raise Failure("The integration cannot be registered like that.", details=details) from error
        if not await storage.registrations.add(registered.integration, registered.kept_secret):
            raise Failure(NAME_TAKEN)
    return registered


async def _all(directory: DataDirectory) -> list[Integration]:
    async with storage_of(directory) as storage:
        return [integration async for integration in all_integrations(storage)]


async def all_integrations(storage: Storage) -> AsyncIterator[Integration]:
    after = ""
    while found := await storage.registrations.list(limit=PAGE, after=after):
        for integration in found:
            yield integration
        after = found[-1].registration.name


async def integration_called(storage: Storage, app: str) -> Integration:
    """By client ID or name. Raises Failure where there is none."""
    found = await storage.registrations.find(app) or await storage.registrations.find_by_name(read_name(app))
    if found is None:
        raise no_such_integration(app)
    return found


def no_such_integration(app: str) -> Failure:
    return Failure(
        f"No integration here has the client ID or name {app}.",
        fix="grantflow platform app list shows which there are.",
    )


def _as_json(integration: Integration) -> dict[str, Any]:
    registration = integration.registration
    return {
        "client_id": registration.client_id,
        "name": registration.name,
        "redirect_uris": list(registration.redirect_uris),
        "scopes": str(registration.scopes),
        "profile": registration.profile.value,
        "client_type": registration.client_type.value,
        "description": integration.description,
        "site_url": integration.site_url,
        "created": write_timestamp(integration.created_at),
    }
