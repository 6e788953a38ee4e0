"""What the server of one's own integration says of itself (RFC 8414, OpenID Connect Discovery), remembered for an hour:
a command for each call of an API is not to ask twice as much, and what is here goes on where the server is away."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from grantflow.app import clock
from grantflow.cli.output import Failure, say
from grantflow.client.errors import DiscoveryFailed
from grantflow.client.integration import server_at
from grantflow.data_directory import BrokenFile, DataDirectory, read_json, write_private
from grantflow.protocol.errors import OAuthError
from grantflow.protocol.metadata import ServerMetadata, read_metadata, write_metadata
from grantflow.protocol.timestamp import read_timestamp, write_timestamp
from grantflow.settings import IntegrationSettings

_LIFETIME: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Remembered:
    server: ServerMetadata
    asked_at: datetime


def server_of(settings: IntegrationSettings, directory: DataDirectory) -> ServerMetadata | None:
    """None where every address is named, or is Webex's way.

    Raises:
        Failure: its metadata cannot be had or used, and none is remembered.
    """
    issuer = settings.issuer
    if issuer is None or not settings.discovers:
        return None
    now, remembered = clock(), _recall(directory, issuer)
    if remembered is not None and timedelta(0) <= now - remembered.asked_at < _LIFETIME:
        return remembered.server
    try:
        server = server_at(issuer)
    except DiscoveryFailed as error:
        if remembered is None:
            raise Failure(
                str(error),
                fix="Correct GRANTFLOW_ISSUER, or name GRANTFLOW_AUTHORIZATION_ENDPOINT and "
                "GRANTFLOW_TOKEN_ENDPOINT beside it.",
            ) from error
        say(f"warning: {error} What it said at {write_timestamp(remembered.asked_at)} is used instead.")
        return remembered.server
    _remember(directory, _Remembered(server, now))
    return server


def bring_along(settings: IntegrationSettings, *, known: DataDirectory, to: DataDirectory) -> None:
    """What `known` remembers, for a directory that is gone at the end: so nothing changes where it is kept."""
    if settings.issuer and (remembered := _recall(known, settings.issuer)):
        _remember(to, remembered)


def _recall(directory: DataDirectory, issuer: str) -> _Remembered | None:
    """What cannot be read is asked for anew."""
    try:
        kept = read_json(directory.server_of(issuer))
        return _Remembered(read_metadata(kept["metadata"], issuer=issuer), read_timestamp(kept["asked_at"]))
    except (BrokenFile, OSError, OAuthError, KeyError, TypeError, ValueError):
        return None


def _remember(directory: DataDirectory, remembered: _Remembered) -> None:
    kept = {"asked_at": write_timestamp(remembered.asked_at), "metadata": write_metadata(remembered.server)}
    write_private(directory.server_of(remembered.server.issuer), json.dumps(kept).encode())
