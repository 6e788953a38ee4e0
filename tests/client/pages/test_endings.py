"""The table of endings is whole, and each of its rows can be read out."""

from string import Formatter

import pytest

from grantflow import Tampered, VaultNotOpened, VaultUnavailable
from grantflow.client import errors
from grantflow.client.errors import AuthorizationResponseError, GrantflowError, TokenEndpointError
from grantflow.client.pages.endings import ENDINGS, ending_of, masked

KNOWN = {"integration", "platform", "operator", "expected", "came"}


def kinds_of(base: type[GrantflowError]) -> list[type[GrantflowError]]:
    return [base, *(kind for below in base.__subclasses__() for kind in kinds_of(below))]


#: A refusal is held back where a grant is renewed, never where one is given.
OF_A_GRANT_FLOW: set[type[GrantflowError]] = {*kinds_of(AuthorizationResponseError), *kinds_of(TokenEndpointError)} - {
    errors.RefusalHeldBack
}


@pytest.mark.parametrize("kind", sorted(OF_A_GRANT_FLOW, key=str))
def test_every_error_of_a_grant_flow_has_its_page(kind: type[GrantflowError]) -> None:
    assert kind.code in ENDINGS
    assert kind.__module__ == errors.__name__


@pytest.mark.parametrize("name", ENDINGS)
def test_every_row_says_what_happened_why_and_what_to_do(name: str) -> None:
    ending = ENDINGS[name]
    for text in (ending.title, ending.why, ending.next_step, ending.again):
        assert text
        assert {field for _, field, _, _ in Formatter().parse(text) if field} <= KNOWN
    assert ending.status in {200, 400, 409, 502, 503}


def test_an_error_that_nobody_knows_has_a_page_too() -> None:
    assert ENDINGS[ending_of(AuthorizationResponseError("", error="constructor"))].status == 400
    assert ENDINGS[ending_of(GrantflowError(""))].status == 400


@pytest.mark.parametrize("error", [Tampered(), VaultNotOpened("", retry_after=1), VaultUnavailable("", retry_after=1)])
def test_records_that_do_not_work_are_not_blamed_on_the_platform(error: GrantflowError) -> None:
    assert "Its own records do not work" in ENDINGS[ending_of(error)].why


@pytest.mark.parametrize(
    ("account", "shown"),
    [
        ("ada@example.com", "a•••@example.com"),
        ("a@example.com", "a•••@example.com"),
        ("@example.com", "•••@example.com"),
        ("Ada Lovelace", "A•••"),
        ("", "•••"),
    ],
)
def test_an_account_is_shown_to_its_owner_alone(account: str, shown: str) -> None:
    assert masked(account) == shown
