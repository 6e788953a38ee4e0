"""What becomes of tokens that are brought in, and what is known of when they end: tables of cases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from grantflow import Adoption, ExistingTokens, Status
from grantflow.client import rules
from grantflow.client.grant import Grant, StoredGrant
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens

NOW = datetime(2026, 11, 26, tzinfo=UTC)
HERE = StoredGrant(
    Grant(
        *("g", "C", "o", "p", None, None),
        Status.ACTIVE,
        Scopes(),
        generation=1,
        granted_at=NOW - timedelta(days=9),
        refreshed_at=NOW - timedelta(days=3),
        access_expires_at=NOW,
    ),
    refresh_token=Secret("mine"),
)


@pytest.mark.parametrize("instead", [False, True])
@pytest.mark.parametrize(
    ("status", "same", "known", "newer", "becomes", "becomes_instead"),
    [
        (Status.ACTIVE, False, False, None, Adoption.KEPT, Adoption.REPLACED),
        (Status.ACTIVE, False, False, False, Adoption.KEPT, Adoption.REPLACED),
        (Status.ACTIVE, False, False, True, Adoption.REPLACED, Adoption.REPLACED),
        (Status.REFRESH_DELAYED, False, False, None, Adoption.KEPT, Adoption.REPLACED),
        (Status.ACTIVE, True, False, True, Adoption.UNCHANGED, Adoption.UNCHANGED),
        (Status.ACTIVE, False, True, True, Adoption.UNCHANGED, Adoption.UNCHANGED),
        (Status.REAUTHORIZATION_REQUIRED, False, False, None, Adoption.REPLACED, Adoption.REPLACED),
        (Status.REAUTHORIZATION_REQUIRED, False, False, False, Adoption.KEPT, Adoption.REPLACED),
        (Status.REAUTHORIZATION_REQUIRED, True, False, None, Adoption.UNCHANGED, Adoption.REPLACED),
        (Status.REAUTHORIZATION_REQUIRED, False, True, None, Adoption.UNCHANGED, Adoption.REPLACED),
        (Status.REVOKED, False, False, True, Adoption.KEPT, Adoption.REPLACED),
        (Status.REVOKED, False, True, None, Adoption.UNCHANGED, Adoption.REPLACED),
    ],
)
def test_what_becomes_of_tokens_where_a_grant_is_here(
    status: Status,
    same: bool,
    known: bool,
    newer: bool | None,
    becomes: Adoption,
    becomes_instead: Adoption,
    instead: bool,
) -> None:
    here = replace(HERE, grant=replace(HERE.grant, status=status))
    issued = {None: None, True: NOW - timedelta(days=1), False: NOW - timedelta(days=4)}[newer]
    tokens = ExistingTokens(refresh_token=Secret("mine" if same else "other"), issued_at=issued)
    assert rules.weigh(tokens, known=known, here=here, instead=instead) is (becomes_instead if instead else becomes)
    assert rules.weigh(tokens, known=False, here=None, instead=instead) is Adoption.ADOPTED


def test_which_tokens_are_newer_is_told_by_issue_else_by_end() -> None:
    tokens = ExistingTokens(refresh_token=Secret("other"))
    assert rules.is_newer(tokens, HERE.grant) is None
    assert rules.is_newer(replace(tokens, refresh_expires_at=NOW), HERE.grant) is None
    assert rules.is_newer(replace(tokens, access_expires_at=NOW + timedelta(1)), HERE.grant) is True
    assert rules.is_newer(replace(tokens, access_expires_at=NOW - timedelta(1)), HERE.grant) is False


STORED = StoredGrant(
    Grant(
        *("g", "C", "o", "p", None, None),
        Status.ACTIVE,
        Scopes(),
        generation=1,
        granted_at=datetime(2026, 1, 1, tzinfo=UTC),
        refresh_expires_at=datetime(2026, 4, 1, tzinfo=UTC),
    ),
    refresh_token=Secret("old"),
)


@pytest.mark.parametrize(
    ("tokens", "ends"),
    [
        (Tokens(Secret("a")), "as before"),
        (Tokens(Secret("a"), refresh_token=Secret("old")), "as before"),
        (Tokens(Secret("a"), refresh_token=Secret("old"), refresh_token_expires_in=60), "anew"),
        (Tokens(Secret("a"), refresh_token_expires_in=60), "anew"),
        (Tokens(Secret("a"), refresh_token=Secret("new"), refresh_token_expires_in=60), "anew"),
        (Tokens(Secret("a"), refresh_token=Secret("new")), "unknown"),
    ],
)
def test_an_end_that_is_not_told_stays_with_its_token_and_is_unknown_of_a_new_one(tokens: Tokens, ends: str) -> None:
    now = datetime(2026, 2, 1, tzinfo=UTC)
    renewed = rules.renewed(STORED, tokens, now=now)
    expected = {"as before": STORED.grant.refresh_expires_at, "anew": now + timedelta(seconds=60), "unknown": None}
    assert renewed.grant.refresh_expires_at == expected[ends]
