"""Reads settings for a command, and tells people which of them are missing or wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from grantflow.cli.output import USAGE, Failure
from grantflow.settings import IntegrationSettings, PlatformSettings, SettingsError, read_settings

S = TypeVar("S", PlatformSettings, IntegrationSettings)


def read(kind: type[S], env_file: Path | None = None, /, **flags: object) -> S:
    """From flags (None: not given), environment, ``env_file`` and file.

    Raises:
        Failure: it names each setting that is missing or wrong.
    """
    try:
        return read_settings(kind, env_file, **flags)
    except SettingsError as error:
        raise failure_of(error.problems) from error


def failure_of(problems: Mapping[str, str]) -> Failure:
    """The one form in which people are told of settings: where each is set, and what is wrong with it."""
    return Failure(
        "A setting is missing or wrong." if len(problems) == 1 else f"{len(problems)} settings are missing or wrong.",
        details=problems.items(),
        fix="Set them in the environment or in grantflow.toml; --help lists all.",
        code=USAGE,
    )
