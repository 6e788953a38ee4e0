"""The sealed answer to a rotated refresh token opens for a holder of that token, in its own row, and nowhere else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from grantflow.authorization_server.records import TokenPair
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.sealing import seal_under
from grantflow.storage.sealed_answers import seal_answer, unseal_answer

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEY, OTHER = Secret("the presented token"), Secret("another token")
PAIR = TokenPair(
    access_token=Secret("access"),
    access_expires_at=NOW + timedelta(days=14),
    refresh_token=Secret("refresh"),
    refresh_expires_at=NOW + timedelta(days=90),
    scopes=Scopes.of("spark:people_read", "spark:kms"),
)


def test_s57_an_answer_opens_whole_for_its_own_token_and_for_no_other() -> None:
    sealed = seal_answer(PAIR, key=KEY)
    assert unseal_answer(sealed, key=KEY) == PAIR
    assert unseal_answer(sealed, key=OTHER) is None


def test_s57_nothing_of_it_is_readable_and_no_two_are_alike() -> None:
    sealed = seal_answer(PAIR, key=KEY)
    for text in (b"access", b"refresh", b"spark"):
        assert text not in sealed
    assert seal_answer(PAIR, key=KEY) != sealed


def test_an_answer_that_was_changed_or_belongs_elsewhere_does_not_open() -> None:
    sealed = seal_answer(replace(PAIR, scopes=Scopes()), key=KEY)
    for damaged in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b""):
        assert unseal_answer(damaged, key=KEY) is None
    elsewhere = seal_under(KEY, b"{}", ("codes", KEY.digest().hex()))
    assert unseal_answer(elsewhere, key=KEY) is None
