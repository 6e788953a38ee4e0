"""Times as Webex writes them: UTC, milliseconds, Z (``2016-04-21T19:12:48.920Z``); its SDKs parse nothing else."""

from datetime import UTC, datetime


def write_timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def read_timestamp(text: str) -> datetime:
    """Read an ISO 8601 time with zone.

    Raises:
        ValueError: it is not one.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone: append Z for UTC")
    return moment.astimezone(UTC)
