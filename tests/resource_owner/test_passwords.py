"""Passwords are kept as Argon2id alone, and checking one costs the same for nobody's account."""

import asyncio
import re
import secrets
import time

import pytest

from grantflow.protocol.secret import Secret
from grantflow.resource_owner import passwords
from grantflow.resource_owner.passwords import (
    PasswordPool,
    PoolBusy,
    UnfitPassword,
    hash_password,
    is_right,
    new_password,
)
from tests.resource_owner.given import PASSWORD, PASSWORD_HASH


def test_a_password_is_kept_as_argon2id_of_at_least_what_owasp_asks() -> None:
    found = re.fullmatch(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", PASSWORD_HASH)
    assert found
    memory, passes = int(found[1]), int(found[2])
    assert memory >= 47_104
    assert passes >= 1
    assert PASSWORD not in PASSWORD_HASH


def test_the_same_password_is_kept_differently_each_time() -> None:
    assert hash_password(Secret(PASSWORD), mint=secrets.token_bytes) != PASSWORD_HASH


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        (PASSWORD, True),
        (PASSWORD + " ", False),
        (PASSWORD.upper(), False),
        ("", False),
    ],
)
def test_only_the_very_password_is_right(typed: str, right: bool) -> None:
    assert is_right(Secret(typed), PASSWORD_HASH) is right


def test_the_same_letters_are_the_same_password_however_the_keyboard_composes_them() -> None:
    kept = hash_password(Secret("pässwörter"), mint=secrets.token_bytes)
    assert is_right(Secret("pa\u0308sswo\u0308rter"), kept)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "at least 8"),
        ("", "at least 8"),
        ("x" * 1_001, "at most 1,000"),
    ],
)
def test_an_unfit_password_is_refused_with_the_rule_it_breaks(password: str, words: str) -> None:
    with pytest.raises(UnfitPassword, match=words):
        hash_password(Secret(password), mint=secrets.token_bytes)


def test_a_password_of_1000_characters_counts_to_its_last() -> None:
    longest = "x" * 999 + "y"
    kept = hash_password(Secret(longest), mint=secrets.token_bytes)
    assert is_right(Secret(longest), kept)
    assert not is_right(Secret("x" * 1_000), kept)
    assert not is_right(Secret(longest + "z"), kept)


def test_checking_against_nobody_is_never_right_and_costs_what_checking_against_a_person_does() -> None:
    assert not is_right(Secret(PASSWORD), None)
    assert re.match(r"\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$", PASSWORD_HASH)
    assert passwords.NOBODYS.rpartition("p=")[0] == PASSWORD_HASH.rpartition("p=")[0]

    def cost(password_hash: str | None) -> float:
        began = time.thread_time()
        is_right(Secret("wrong password"), password_hash)
        return time.thread_time() - began

    costs = [(cost(None), cost(PASSWORD_HASH)) for _ in range(3)]  # in turn, since what else runs costs both the same
    nobodys, somebodys = map(min, zip(*costs, strict=True))
    assert nobodys > 0.5 * somebodys


def test_a_password_made_up_for_somebody_can_be_read_out_and_is_another_each_time() -> None:
    made = {new_password(mint=secrets.token_bytes).reveal() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"([a-km-z2-9]{4}-){3}[a-km-z2-9]{4}", password) for password in made)


def test_the_pool_checks_few_at_a_time_and_turns_away_whom_it_cannot_serve_soon() -> None:
    async def story() -> None:
        pool = PasswordPool(threads=1, queue=1)
        inside, most, served, turned_away = 0, 0, 0, 0

        async def come() -> None:
            nonlocal inside, most, served, turned_away
            try:
                async with pool.turn():
                    inside += 1
                    most = max(most, inside)
                    await asyncio.sleep(0.01)
                    inside -= 1
                    served += 1
            except PoolBusy:
                turned_away += 1

        await asyncio.gather(*(come() for _ in range(5)))
        assert (most, served, turned_away) == (1, 2, 3)
        await come()
        assert served == 3

    asyncio.run(story())


def test_the_event_loop_goes_on_while_a_password_is_checked() -> None:
    async def story() -> None:
        pool = PasswordPool()
        checking = asyncio.ensure_future(pool.is_right(Secret(PASSWORD), PASSWORD_HASH))
        turns = 0
        while not checking.done():
            turns += 1
            await asyncio.sleep(0.001)
        assert await checking
        assert turns > 2, "it is checked within one where the loop stands still"

    asyncio.run(story())
