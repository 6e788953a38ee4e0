"""Proof Key for Code Exchange (RFC 7636), S256 alone: ``plain`` protects nobody."""

import base64
import hashlib
import hmac
import re

from grantflow.protocol.errors import InvalidGrant, InvalidRequest
from grantflow.protocol.secret import Secret

S256 = "S256"
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}")


def challenge_of(verifier: Secret) -> str:
    """BASE64URL(SHA256(verifier)) without padding: 43 characters."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.reveal().encode("ascii")).digest()).rstrip(b"=").decode()


def check_challenge(challenge: str | None, method: str | None) -> None:
    """Check what an authorization request carries.

    Raises:
        InvalidRequest: a method without challenge, a method other than S256, or a malformed challenge.
    """
    if challenge is None:
        if method is not None:
            raise InvalidRequest("code_challenge_method was sent without code_challenge; send both.")
        return
    if method != S256:
        raise InvalidRequest("code_challenge_method must be S256; plain is not supported (RFC 7636).")
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest(
            "code_challenge is malformed; it must be the 43 base64url characters of a SHA-256 (RFC 7636 4.2)."
        )


def check_verifier(verifier: Secret | None, *, challenge: str | None) -> None:
    """Hold the verifier of a token request against the challenge kept with the code.

    Raises:
        InvalidGrant: the one does not answer the other, or one of the two is missing (RFC 9700 section 4.8.2).
    """
    if challenge is None:
        if verifier is not None:
            raise InvalidGrant("code_verifier was sent, but the authorization request had no code_challenge.")
        return
    if verifier is None:
        raise InvalidGrant("code_verifier is missing; the authorization request carried a code_challenge.")
    if not _VERIFIER.fullmatch(verifier.reveal()):
        raise InvalidGrant("code_verifier must have 43 to 128 of the characters A-Z a-z 0-9 - . _ ~.")
    if not hmac.compare_digest(challenge_of(verifier), challenge):
        raise InvalidGrant("code_verifier does not match the code_challenge of the authorization request.")
