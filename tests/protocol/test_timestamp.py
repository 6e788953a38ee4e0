"""Times on the wire: what Webex's SDKs parse, and nothing else."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from grantflow.protocol.timestamp import read_timestamp, write_timestamp

MOMENT = datetime(2016, 4, 21, 19, 12, 48, 920_000, UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (MOMENT, "2016-04-21T19:12:48.920Z"),
        (MOMENT.replace(microsecond=0), "2016-04-21T19:12:48.000Z"),
        (MOMENT.replace(microsecond=999_999), "2016-04-21T19:12:48.999Z"),
        (MOMENT.astimezone(timezone(timedelta(hours=-5, minutes=-30))), "2016-04-21T19:12:48.920Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds_cut_not_rounded(moment: datetime, text: str) -> None:
    assert write_timestamp(moment) == text


@pytest.mark.parametrize(
    "text", ["2016-04-21T19:12:48.920Z", "2016-04-21T19:12:48.920+00:00", "2016-04-21T21:12:48.920000+02:00"]
)
def test_a_time_is_read_from_any_zone(text: str) -> None:
    assert read_timestamp(text) == MOMENT


@pytest.mark.parametrize("text", ["", "now", "2016-04-21", "2016-04-21T19:12:48", "2016-13-01T00:00:00Z"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_timestamp(text)
