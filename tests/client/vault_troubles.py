"""What happens to the file of a vault, each for as long as a `with` lasts, and what is said of it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from tests.client.conftest import World

Trouble: TypeAlias = Callable[[World], AbstractContextManager[None]]


@contextmanager
def locked_by_another_process(world: World) -> Iterator[None]:
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
    program += "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.readline()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program, world.path], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield
        other.communicate("\n")


@contextmanager
def taken_away(world: World) -> Iterator[None]:
    away = world.path.with_name("away.db")
    world.path.rename(away)
    yield
    away.rename(world.path)


@contextmanager
def taken_away_and_another_put_there(world: World) -> Iterator[None]:
    with taken_away(world):
        shutil.copy(world.path.with_name("away.db"), world.path)
        yield
        world.path.unlink()


@contextmanager
def overwritten(world: World, content: bytes) -> Iterator[None]:
    """In place: the file is the same one, as for whoever restores it by copying into it."""
    sealed = sqlite3.connect(world.path, isolation_level=None)
    sealed.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sealed.close()
    before = world.path.read_bytes()
    world.path.write_bytes(content)
    yield
    world.path.write_bytes(before)


def cut_short(world: World) -> AbstractContextManager[None]:
    return overwritten(world, b"")


def garbage(world: World) -> AbstractContextManager[None]:
    return overwritten(world, os.urandom(8_192))


@contextmanager
def full(world: World) -> Iterator[None]:
    """Not a byte is left on its disk."""
    filler = world.folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4_096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    yield
    filler.unlink()


#: The cause, and what is said of it: what happened, why, what to do.
TROUBLES: dict[str, tuple[Trouble, str]] = {
    "locked": (locked_by_another_process, r"another program keeps it locked .*Nothing was changed\. Close what has it"),
    "away": (taken_away, r"was removed or replaced while it was open.*Put it back"),
    "another": (taken_away_and_another_put_there, r"was removed or replaced while it was open.*Put it back"),
    "cut short": (cut_short, r"it is damaged, cut short.*Nothing was changed\. Put it back from a backup"),
    "garbage": (garbage, r"it is damaged, cut short.*Nothing was changed\. Put it back from a backup"),
}
