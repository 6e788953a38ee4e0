"""Proof Key for Code Exchange."""

import pytest

from grantflow.protocol.errors import InvalidGrant, InvalidRequest
from grantflow.protocol.pkce import challenge_of, check_challenge, check_verifier
from grantflow.protocol.secret import Secret

# RFC 7636 appendix B
VERIFIER = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_s39_s47_the_vector_of_rfc_7636_appendix_b() -> None:
    assert challenge_of(VERIFIER) == CHALLENGE
    check_verifier(VERIFIER, challenge=CHALLENGE)


@pytest.mark.parametrize(
    ("challenge", "method"),
    [
        (None, "S256"),
        (CHALLENGE, None),
        (CHALLENGE, "plain"),
        (CHALLENGE, "s256"),
        (CHALLENGE[:-1], "S256"),
        (CHALLENGE + "A", "S256"),
        (CHALLENGE[:-1] + "=", "S256"),
    ],
)
def test_s45_s46_s47_a_malformed_challenge_or_another_method_is_an_invalid_request(
    challenge: str | None, method: str | None
) -> None:
    with pytest.raises(InvalidRequest):
        check_challenge(challenge, method)


@pytest.mark.parametrize(
    ("verifier", "challenge"),
    [
        (None, CHALLENGE),
        (VERIFIER, None),
        (Secret("x" * 43), CHALLENGE),
        (Secret("x" * 42), CHALLENGE),
        (Secret("x" * 129), CHALLENGE),
        (Secret("é" * 43), CHALLENGE),
    ],
)
def test_s43_s44_s47_a_verifier_that_does_not_answer_its_challenge_is_an_invalid_grant(
    verifier: Secret | None, challenge: str | None
) -> None:
    with pytest.raises(InvalidGrant):
        check_verifier(verifier, challenge=challenge)


def test_no_challenge_and_no_verifier_is_fine() -> None:
    check_challenge(None, None)
    check_verifier(None, challenge=None)
