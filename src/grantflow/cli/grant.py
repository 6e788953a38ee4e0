"""`grantflow platform grant ...`: what people have granted, and revoking it."""

import asyncio
from datetime import datetime
from typing import Any

from grantflow.app import Storage, clock
from grantflow.cli.administration import NOT_CHANGED, PAGE, everybody, is_confirmed, person_called, storage_of
from grantflow.cli.flags import Data, Json, Switch
from grantflow.cli.integration import integration_called
from grantflow.cli.output import OK, USAGE, Failure, say, write_json, write_table
from grantflow.data_directory import DataDirectory
from grantflow.protocol.timestamp import write_timestamp
from grantflow.resource_owner.records import ConnectedApp, Person

Given = tuple[Person, ConnectedApp]

#: How many losses are named one by one before a question.
SHOWN = 20


def show(*, person: str | None = None, app: str | None = None, data: Data = None, json: Json = False) -> None:
    given = asyncio.run(_find(DataDirectory.find(data), person=person, app=app))
    if json:
        write_json([_as_json(each) for each in given])
        return
    rows = [(who.email, grant.app, _day(grant.since), _day(grant.last_used_at)) for who, grant in given]
    nothing = "Nothing of that kind is granted." if person or app else "Nobody has granted anything yet."
    write_table(("PERSON", "INTEGRATION", "SINCE", "LAST USED"), rows, nothing=nothing)


def revoke(
    *,
    person: str | None = None,
    app: str | None = None,
    dry_run: Switch = False,
    yes: Switch = False,
    data: Data = None,
    json: Json = False,
) -> int:
    if person is None and app is None:
        raise Failure(
            "Whose grants, or to which integration?", fix="Say --person EMAIL, --app APP, or both.", code=USAGE
        )
    directory = DataDirectory.find(data)
    given = asyncio.run(_find(directory, person=person, app=app))
    if dry_run:
        return _show_losses(given, json=json)
    if given and not is_confirmed(_losses(given), question="Revoke?", yes=yes):
        return USAGE
    ended = asyncio.run(_revoke(directory, given))
    if json:
        write_json({"revoked": [_as_json(each) for each in ended]})
        return OK
    for who, grant in ended:
        say(f"{grant.app} can no longer act for {who.email}; its tokens are dead.")
    if not ended:
        say("Nothing of that kind is granted; there was nothing to revoke.")
    return OK


def _show_losses(given: list[Given], *, json: bool) -> int:
    if json:
        write_json({"would_revoke": [_as_json(each) for each in given]})
        return OK
    for loss in _losses(given):
        say(loss)
    say(NOT_CHANGED)
    return OK


async def _find(directory: DataDirectory, *, person: str | None, app: str | None) -> list[Given]:
    async with storage_of(directory) as storage:
        client_id = (await integration_called(storage, app)).registration.client_id if app else None
        people = [await person_called(storage, person)] if person else [each async for each in everybody(storage)]
        return [
            (who, grant)
            for who in people
            for grant in await _granted_by(storage, who)
            if client_id in (None, grant.client_id)
        ]


async def _granted_by(storage: Storage, person: Person) -> list[ConnectedApp]:
    found: list[ConnectedApp] = []
    page = 1
    while shown := (await storage.connected_apps.connected(person.id, page=page, size=PAGE)).shown:
        found += shown
        page += 1
    return found


async def _revoke(directory: DataDirectory, given: list[Given]) -> list[Given]:
    """Those that lived until now."""
    async with storage_of(directory) as storage:
        now = clock()
        return [
            (who, grant)
            for who, grant in given
            if await storage.connected_apps.revoke(grant.grant_id, person_id=who.id, now=now)
        ]


def _losses(given: list[Given]) -> list[str]:
    """A line each, as long as people read them, and what it comes to."""
    each = [f"{grant.app} loses access to the account of {who.email}." for who, grant in given]
    people, apps = len({who.id for who, _ in given}), len({grant.client_id for _, grant in given})
    more = [f"... and {len(each) - SHOWN:,} more."] if len(each) > SHOWN else []
    must_grant = f"{people:,} {'person' if people == 1 else 'people'} must grant again"
    return [*each[:SHOWN], *more, f"{must_grant}, to {apps:,} {'integration' if apps == 1 else 'integrations'}."]


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _as_json(given: Given) -> dict[str, Any]:
    who, grant = given
    return {
        "id": grant.grant_id,
        "person": who.email,
        "client_id": grant.client_id,
        "app": grant.app,
        "scopes": str(grant.scopes),
        "since": write_timestamp(grant.since),
        "last_used": write_timestamp(grant.last_used_at),
    }
