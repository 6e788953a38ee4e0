"""The answer that a rotated refresh token was given, readable by none but a holder of that token.

It is sealed under a key derived from the token itself, of which the database knows the hash alone (see refresh.py of
the authorization server for what it is kept for).
"""

import json

from grantflow.authorization_server.records import TokenPair
from grantflow.protocol.secret import Secret
from grantflow.sealing import Tampered, seal_under, unseal_under
from grantflow.storage.registrations import stored_scopes
from grantflow.storage.times import from_milliseconds, milliseconds


def seal_answer(pair: TokenPair, *, key: Secret) -> bytes:
    members = {
        "access_token": pair.access_token.reveal(),
        "access_expires_at": milliseconds(pair.access_expires_at),
        "refresh_token": pair.refresh_token.reveal(),
        "refresh_expires_at": milliseconds(pair.refresh_expires_at),
        "scopes": str(pair.scopes),
    }
    return seal_under(key, json.dumps(members).encode(), _context(key))


def unseal_answer(sealed: bytes, *, key: Secret) -> TokenPair | None:
    """None where it does not open: the presented token is then refused, as one whose answer is gone."""
    try:
        members = json.loads(unseal_under(key, sealed, _context(key)))
    except Tampered:
        return None
    return TokenPair(
        access_token=Secret(members["access_token"]),
        access_expires_at=from_milliseconds(members["access_expires_at"]),
        refresh_token=Secret(members["refresh_token"]),
        refresh_expires_at=from_milliseconds(members["refresh_expires_at"]),
        scopes=stored_scopes(members["scopes"]),
    )


def _context(key: Secret) -> tuple[str, ...]:
    """Bound to its row: moved to another it does not open."""
    return ("refresh_tokens", key.digest().hex())
