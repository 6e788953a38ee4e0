"""Which help page the arguments ask for."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files

from grantflow.cli.help_texts import COMMANDS
from grantflow.cli.help_texts.grants import GROUP
from grantflow.cli.help_texts.overview import OVERVIEW

#: Words that name no command by themselves, but some that begin with them.
GROUPS = sorted({words[:length] for words in COMMANDS for length in range(len(words))})
#: A group's page is that of each of its commands, one below the other; the largest have one of their own.
PAGES = COMMANDS | {
    group: "\n\n\n".join(text for words, text in COMMANDS.items() if words[: len(group)] == group) for group in GROUPS
}
PAGES |= {(): OVERVIEW, ("platform",): OVERVIEW, ("grants",): GROUP}


def page(arguments: Sequence[str]) -> str | None:
    """The page that these arguments ask for, if they ask for one: by --help, or by naming a group alone."""
    if "--version" in arguments[:1]:
        return versions()
    words = tuple(argument for argument in arguments if not argument.startswith("-"))
    if words[:1] == ("help",):
        return PAGES[command_in(words[1:])]
    if {"--help", "-h"} & set(arguments) or (words in GROUPS and len(words) == len(arguments)):
        return PAGES[command_in(words)]
    return None


def command_in(arguments: Sequence[str]) -> tuple[str, ...]:
    """As many of the first arguments as name a command or a group."""
    length = len(arguments)
    while (words := tuple(arguments[:length])) not in PAGES:
        length -= 1
    return words


def versions() -> str:
    schemas = {
        "platform": files("grantflow.storage") / "sql" / "sqlite",
        "vault": files("grantflow.client") / "vault" / "sql" / "sqlite",
    }
    counted = ", ".join(
        f"{part} schema {sum(1 for file in folder.iterdir() if file.name.endswith('.sql'))}"
        for part, folder in schemas.items()
    )
    return f"grantflow {version('grantflow')} (Python {platform.python_version()}, {counted})"
