"""Reads settings for a command, and tells people which of them are missing or wrong."""

from typing import TypeVar

from grantflow.cli.output import USAGE, Failure
from grantflow.settings import IntegrationSettings, PlatformSettings, SettingsError, read_settings

S = TypeVar("S", PlatformSettings, IntegrationSettings)


def read(kind: type[S], **flags: object) -> S:
    """From flags (None: not given), environment and file.

    Raises:
        Failure: it names each setting that is missing or wrong.
    """
    try:
        return read_settings(kind, **flags)
    except SettingsError as error:
        count = len(error.problems)
        raise Failure(
            "A setting is missing or wrong." if count == 1 else f"{count} settings are missing or wrong.",
            details=error.problems.items(),
            fix="Set them in the environment or in grantflow.toml; --help lists all.",
            code=USAGE,
        ) from error
