"""Reads settings for a command, and tells people which of them are missing or wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from grantflow.cli.output import USAGE, Failure, commands, say
from grantflow.settings import (
    CONFIG_VARIABLE,
    IntegrationSettings,
    PlatformSettings,
    SettingsError,
    overruled,
    read_settings,
)

S = TypeVar("S", PlatformSettings, IntegrationSettings)


def read(kind: type[S], env_file: Path | None = None, /, **flags: object) -> S:
    """From flags (None: not given), environment, ``env_file`` and file; warns where the environment overrules
    ``env_file``.

    Raises:
        Failure: it names each setting that is missing or wrong.
    """
    try:
        settings = read_settings(kind, env_file, **flags)
        names = overruled(kind, env_file, **flags) if env_file else []
    except SettingsError as error:
        raise failure_of(error.problems) from error
    if names:
        say(
            f"warning: The environment says otherwise than {env_file}, and it counts: {', '.join(names)}. "
            f"If that is not meant, use a new terminal, or first: unset {' '.join(names)}"
        )
    return settings


def failure_of(problems: Mapping[str, str]) -> Failure:
    """The one form in which people are told of settings: where each is set, and what is wrong with it."""
    if not any(map(_is_variable, problems)):
        return Failure("The settings cannot be read.", details=problems.items(), code=USAGE)
    return Failure(
        "A setting is missing or wrong." if len(problems) == 1 else f"{len(problems)} settings are missing or wrong.",
        details=problems.items(),
        fix=_where_to_set(problems),
        code=USAGE,
    )


def _where_to_set(problems: Mapping[str, str]) -> str:
    """No other command lists what all of them take."""
    if any(where.startswith("GRANTFLOW_PLATFORM_") for where in problems):
        return "Set them in the environment or in grantflow.toml; grantflow platform serve --help lists all."
    fix = (
        "Set them in the environment, in grantflow.toml or in a file that --env-file names; grantflow serve --help "
        "lists all."
    )
    beside_up = " Beside a grantflow up there are some to try with:" + commands('eval "$(grantflow status -o env)"')
    return fix + beside_up if "GRANTFLOW_CLIENT_ID" in problems else fix


def _is_variable(where: str) -> bool:
    """And neither a file that could not be read nor a line of it, where it says itself what to do."""
    return where.startswith("GRANTFLOW_") and where != CONFIG_VARIABLE
