"""`grantflow platform bot ...`: accounts of their own, each with one long-lived token."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grantflow.app import Storage, clock, mint
from grantflow.cli.administration import PAGE, is_confirmed, person_called, storage_of
from grantflow.cli.flags import Data, Json, Switch
from grantflow.cli.output import OK, USAGE, Failure, say, write, write_json, write_table
from grantflow.data_directory import DataDirectory
from grantflow.developer_portal.bots import (
    USERNAME_TAKEN,
    BotApplication,
    RegisteredBot,
    new_bot_token,
    read_username,
    register_bot,
)
from grantflow.developer_portal.records import Bot
from grantflow.developer_portal.registration import InvalidRegistration
from grantflow.protocol.secret import Secret
from grantflow.protocol.timestamp import write_timestamp
from grantflow.resource_server.ids import Kind, write_id

_FLAGS = {"username": "USERNAME"}


def add(
    username: str,
    /,
    *,
    name: str,
    description: str = "",
    owner: str | None = None,
    data: Data = None,
    json: Json = False,
) -> None:
    made = asyncio.run(_add(DataDirectory.find(data), BotApplication(username, name, description), owner))
    _show_token(made.bot, made.token, json=json, what=f"{made.bot.name} is registered as {made.bot.email}.")


def show(*, data: Data = None, json: Json = False) -> None:
    bots = asyncio.run(_all(DataDirectory.find(data)))
    if json:
        write_json([_as_json(bot) for bot in bots])
        return
    rows = [(bot.email, bot.name, bot.description) for bot in bots]
    write_table(("EMAIL", "NAME", "DESCRIPTION"), rows, nothing="There is no bot yet.")


def regenerate(username: str, /, *, yes: Switch = False, data: Data = None, json: Json = False) -> int:
    directory = DataDirectory.find(data)
    bot, _ = asyncio.run(_look_up(directory, username))
    loss = f"The token that {bot.email} uses now stops working at once, wherever it runs."
    if not is_confirmed([loss], question="Make a new one?", yes=yes):
        return USAGE
    token = asyncio.run(_regenerate(directory, bot))
    _show_token(bot, token, json=json, what=f"{bot.email} has a new token; the old one is dead.")
    return OK


def delete(username: str, /, *, yes: Switch = False, data: Data = None, json: Json = False) -> int:
    directory = DataDirectory.find(data)
    bot, rooms = asyncio.run(_look_up(directory, username))
    loss = (
        f"{bot.email} loses its token and leaves its group rooms; it is in {rooms} {'room' if rooms == 1 else 'rooms'}."
        " What it wrote stays. Its username is never given to another."
    )
    if not is_confirmed([loss], question="Delete it?", yes=yes):
        return USAGE
    asyncio.run(_delete(directory, bot))
    if json:
        write_json({"deleted": _as_json(bot)})
        return OK
    say(f"{bot.email} is deleted; its token is dead.")
    return OK


def _show_token(bot: Bot, token: Secret, *, json: bool, what: str) -> None:
    if json:
        write_json(_as_json(bot) | {"access_token": token.reveal()})
        return
    say(what)
    say("The token is shown this one time:")
    write(token.reveal())


async def _add(directory: DataDirectory, application: BotApplication, owner: str | None) -> RegisteredBot:
    async with storage_of(directory) as storage:
        people = [await person_called(storage, owner)] if owner else await storage.people.list(limit=1)
        if not people:
            raise Failure(
                "Nobody is here whose organization the bot could belong to.",
                fix="Add the first person before it: grantflow platform person add EMAIL --name NAME",
            )
        application = BotApplication(
            application.username,
            application.name,
            description=application.description,
            owner_id=people[0].id if owner else None,
        )
        try:
            made = register_bot(application, org_id=people[0].org_id, now=clock(), mint=mint)
        except InvalidRegistration as error:
            details = [(_FLAGS.get(name, f"--{name}"), why) for name, why in error.problems.items()]
            raise Failure("The bot cannot be registered like that.", details=details) from error
        if not await storage.bots.add(made.bot, made.kept_token):
            raise Failure(USERNAME_TAKEN)
    return made


async def _all(directory: DataDirectory) -> list[Bot]:
    async with storage_of(directory) as storage:
        return [bot async for bot in _all_bots(storage)]


async def _all_bots(storage: Storage) -> AsyncIterator[Bot]:
    after = ""
    while found := await storage.bots.list(limit=PAGE, after=after):
        for bot in found:
            yield bot
        after = found[-1].username


async def _look_up(directory: DataDirectory, username: str) -> tuple[Bot, int]:
    """The bot, and in how many rooms it is."""
    async with storage_of(directory) as storage:
        bot = await storage.bots.find(read_username(username))
        if bot is None:
            raise _no_bot(username)
        return bot, await storage.bots.rooms_of(bot.id)


async def _regenerate(directory: DataDirectory, bot: Bot) -> Secret:
    async with storage_of(directory) as storage:
        token, kept = new_bot_token(bot.org_id, now=clock(), mint=mint)
        if not await storage.bots.replace_token(bot.id, kept):
            raise _no_bot(bot.username)
        return token


async def _delete(directory: DataDirectory, bot: Bot) -> None:
    async with storage_of(directory) as storage:
        if not await storage.bots.delete(bot.id, now=clock()):
            raise _no_bot(bot.username)


def _no_bot(username: str) -> Failure:
    return Failure(
        f"No bot here has the username {username}.", fix="grantflow platform bot list shows which there are."
    )


def _as_json(bot: Bot) -> dict[str, Any]:
    return {
        "id": write_id(Kind.PEOPLE, bot.id),
        "username": bot.username,
        "email": bot.email,
        "name": bot.name,
        "description": bot.description,
        "created": write_timestamp(bot.created_at),
    }
