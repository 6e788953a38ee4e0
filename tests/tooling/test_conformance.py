"""docs/conformance.md says what is so: every statement, and the tests that show it."""

import re

import pytest

from tests.tooling.conformance import PAGE, Statements, all_tests, numbers_of, read_tests, write_page

STATEMENTS, TESTS = Statements.read(), all_tests()
SHOWN = {number for test in TESTS for number in test.numbers if not test.may_be_left_out}


def test_the_page_is_up_to_date() -> None:
    is_up_to_date = PAGE.read_text(encoding="utf-8") == write_page(STATEMENTS, TESTS)
    assert is_up_to_date, "run ./dev conformance and commit docs/conformance.md"


def test_every_number_from_first_to_last_is_a_statement() -> None:
    expected = [f"W{number:02}" for number in range(1, 37)] + [f"S{number:02}" for number in range(1, 111)]
    assert list(STATEMENTS.says) == expected


def test_no_test_carries_a_number_that_there_is_not() -> None:
    assert {number: test.name for test in TESTS for number in test.numbers if number not in STATEMENTS.says} == {}


def test_every_statement_is_shown_by_a_test_that_always_runs_or_says_why_not_yet() -> None:
    assert set(STATEMENTS.says) - SHOWN - set(STATEMENTS.not_yet) == set(), "name a test after each of these"


def test_what_is_shown_is_no_longer_said_to_be_missing() -> None:
    assert SHOWN & set(STATEMENTS.not_yet) == set(), "take these off not_yet in tests/conformance.toml"


def test_each_number_has_its_place_on_the_page_with_its_tests_or_the_reason_why_there_are_none() -> None:
    places = re.split(r"^### ([WS][0-9]+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    texts = dict(zip(places[::2], places[1::2], strict=True))
    assert list(texts) == list(STATEMENTS.says)
    for number, text in texts.items():
        reason = STATEMENTS.not_yet.get(number)
        assert ("\n- [" in text) is (reason is None), number
        assert reason is None or f"**Not shown yet.** {reason}" in text, number


def test_what_does_not_apply_yet_are_these_statements_about_parts_that_are_not_there() -> None:
    assert set(STATEMENTS.not_yet) == {"S58", "S73", "S74"} | {f"S{number}" for number in range(77, 88)}
    assert all(reason.endswith(" yet.") for reason in STATEMENTS.not_yet.values())


def test_each_exception_of_the_webex_profile_is_named_by_number_and_shown_by_a_test_too() -> None:
    assert list(STATEMENTS.webex) == ["W07", "S04", "S07", "S42", "S61"]
    head = PAGE.read_text(encoding="utf-8").partition("### ")[0]
    for number, exception in STATEMENTS.webex.items():
        assert f"- [{number}](#{number.lower()}): {exception}" in head
        assert number in SHOWN


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("test_w07_a_token_lives_14_days", ("W07",)),
        ("test_w04_w29_s99_it_is_posted", ("W04", "W29", "S99")),
        ("test_w22_to_w25_the_story", ("W22", "W23", "W24", "W25")),
        ("test_s100_the_page", ("S100",)),
        ("test_a_promise_about_w07_alone", ()),
        ("test_w3c_says_so", ()),
        ("test_to_w07_leads_nothing", ("W07",)),
    ],
)
def test_numbers_are_read_from_the_front_of_a_name(name: str, numbers: tuple[str, ...]) -> None:
    assert numbers_of(name) == numbers


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("test_w07_one_person_s_grants_and_one_of_the_app_s", "one person's grants and one of the app's"),
        ("test_w07_nobody_elses_and_webexs_lifetimes", "nobody else's and webex's lifetimes"),
        ("test_w07_the_platforms_own_icons_at_its_own_addresses", "the platform's own icons at its own addresses"),
        ("test_w07_two_integrations_and_old_ones", "two integrations and old ones"),
    ],
)
def test_a_promise_is_read_with_its_apostrophes(name: str, promise: str) -> None:
    (test,) = read_tests(f"def {name}(): ...", file="x.py")
    assert test.promise == promise


@pytest.mark.parametrize(
    ("source", "left_out"),
    [
        ("def test_w07_x(): ...", False),
        ("@pytest.mark.slow\ndef test_w07_x(): ...", False),
        ("@pytest.mark.skipif(True, reason='')\ndef test_w07_x(): ...", True),
        ("@pytest.mark.xfail\nasync def test_w07_x(): ...", True),
        ("pytestmark = [pytest.mark.slow, pytest.mark.skip]\ndef test_w07_x(): ...", True),
        ("pytestmark = pytest.mark.slow\ndef test_w07_x(): ...", False),
    ],
)
def test_a_test_that_may_be_left_out_shows_nothing(source: str, left_out: bool) -> None:
    (test,) = read_tests(source, file="tests/test_x.py")
    assert (test.numbers, test.may_be_left_out, test.promise) == (("W07",), left_out, "x")
