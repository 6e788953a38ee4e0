"""Numbers and addresses are said in words, and the browser may leave to where the answer goes and nowhere else."""

import pytest

from grantflow.resource_owner.way_out import destination, form_targets
from grantflow.resource_owner.words import duration
from grantflow.web.addresses import web_address, with_query


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (7_776_000, "90 days"),
        (86_400, "1 day"),
        (5_400, "90 minutes"),
        (3_600, "1 hour"),
        (60, "1 minute"),
        (61, "61 seconds"),
        (1, "1 second"),
        (0, "0 seconds"),
    ],
)
def test_a_duration_is_said_in_the_largest_unit_that_is_exact(seconds: int, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("redirect_uri", "words", "targets"),
    [
        ("https://lockbot.example/oauth?a=1", "lockbot.example", ("https:",)),
        ("http://localhost:8000/oauth", "localhost:8000", ("http:", "https:")),
        ("mydemoapp://oauth", "an app on this device (mydemoapp:)", ()),
        ("com.example.app:/oauth", "an app on this device (com.example.app:)", ()),
    ],
)
def test_a_page_says_and_allows_where_its_form_leads(redirect_uri: str, words: str, targets: tuple[str, ...]) -> None:
    assert destination(redirect_uri) == words
    assert form_targets(redirect_uri) == (redirect_uri, *targets)


@pytest.mark.parametrize(
    ("uri", "linked"),
    [
        ("https://lockbot.example/", True),
        ("http://localhost:8000/", True),
        ("javascript:alert(1)", False),
        ("//lockbot.example", False),
        (None, False),
    ],
)
def test_a_link_leads_to_the_web_or_is_none(uri: str | None, linked: bool) -> None:
    assert (web_address(uri) is not None) is linked


def test_what_stands_in_a_query_stays_one_value() -> None:
    assert with_query("/signin", request="a&b=c#d", next=None) == "/signin?request=a%26b%3Dc%23d"
    assert with_query("/signin") == "/signin"
