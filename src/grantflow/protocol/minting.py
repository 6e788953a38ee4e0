"""The texts of codes, tokens and identifiers, made of randomness that is handed in: one shape, whoever issues them."""

import base64
from collections.abc import Callable
from uuid import UUID

from grantflow.protocol.secret import Secret

#: ``mint(n)`` answers n unguessable bytes.
Mint = Callable[[int], bytes]

#: Stands where Webex names the cluster (PF84); its SDK splits a token at the underscores and wants three parts.
CLUSTER = "LG01"
_TOKEN_BYTES = 36
_REQUEST_ID_BYTES = 32


def mint_token(mint: Mint, *, org_id: str) -> Secret:
    """An access token, refresh token or code: 288 bits as 64 characters, then cluster and organization (a UUID).

    Base64 of base64url holds neither ``+`` nor ``/``, so that clients which do not percent-encode it lose nothing.
    """
    text = base64.b64encode(base64.urlsafe_b64encode(mint(_TOKEN_BYTES))).decode("ascii")
    return Secret(f"{text}_{CLUSTER}_{org_id}")


def mint_request_id(mint: Mint) -> Secret:
    """The name of a pending authorization request: 43 base64url characters."""
    return Secret(base64.urlsafe_b64encode(mint(_REQUEST_ID_BYTES)).rstrip(b"=").decode("ascii"))


def mint_uuid(mint: Mint) -> UUID:
    return UUID(bytes=mint(16), version=4)
