"""What the commands on a platform's data share: its storage, who and what they name, and the question before a loss."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from grantflow.app import Storage
from grantflow.cli.output import Failure, say
from grantflow.data_directory import DataDirectory
from grantflow.resource_owner.records import Person

#: Rows that are read at a time where all are shown.
PAGE = 500
NOT_CHANGED = "Nothing was changed."


@asynccontextmanager
async def storage_of(directory: DataDirectory, *, create: bool = False) -> AsyncIterator[Storage]:
    """The platform's storage, also while the platform runs.

    Raises:
        Failure: there is none there, and ``create`` does not ask to begin one.
    """
    if not create and not directory.database.exists():
        raise Failure(
            f"There is no platform in {directory.path} yet.",
            fix="Start one with: grantflow up. If its data lies elsewhere, say where: --data DIR.",
        )
    directory.create()
    storage = Storage.open(directory.database)
    try:
        yield storage
    finally:
        await storage.engine.close()


async def everybody(storage: Storage) -> AsyncIterator[Person]:
    after = ""
    while people := await storage.people.list(limit=PAGE, after=after):
        for person in people:
            yield person
        after = people[-1].email


async def person_called(storage: Storage, email: str) -> Person:
    """Raises Failure where there is nobody with this email."""
    person = await storage.people.find(email)
    if person is None:
        raise Failure(f"Nobody here has the email {email}.", fix="grantflow platform person list shows who is here.")
    return person


def is_confirmed(losses: Sequence[str], *, question: str, yes: bool) -> bool:
    """Scripts, and whoever says ``yes``, have said it by the command; others are told what is lost, and asked."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    for loss in losses:
        say(loss)
    say(f"{question} [y/N] ")
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say(NOT_CHANGED)
    return False
