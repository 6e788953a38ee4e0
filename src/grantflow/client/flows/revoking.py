"""Revoke: forget the grant here in every case, and ask the platform to end it where it can be asked (RFC 7009)."""

from grantflow.client import rules
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.grant import Grant, GrantKey, Revocation, Status, StoredGrant
from grantflow.client.steps import Flow, Unanswered, load, save, send
from grantflow.protocol.http import is_page
from grantflow.protocol.revocation import Revocation as RevocationMessage
from grantflow.protocol.revocation import revocation_request
from grantflow.protocol.secret import Secret
from grantflow.sealing import SealingError


def revoke(parts: Parts, key: GrantKey) -> Flow[Revocation]:
    """Here first, so that no crash and no silence of the platform leaves a grant that was to be forgotten."""
    while True:
        stored = yield from _find(parts, key)
        if stored is None or stored.grant.status is Status.REVOKED:
            return Revocation(at_platform=False, reason="There was no grant to revoke.")
        generation = stored.grant.generation
        if (yield from _forget(parts, stored.grant, generation=generation)):
            break
    parts.live.drop(key)
    logger.info("grant %s revoked", stored.grant.id)
    return (yield from end_at_platform(parts, stored))


def _find(parts: Parts, key: GrantKey) -> Flow[StoredGrant | None]:
    try:
        return (yield from load(lambda: parts.vault.find(key)))
    except SealingError:
        # The tokens cannot be read, but they can be forgotten.
        grant = yield from load(lambda: parts.vault.grant(key))
        return StoredGrant(grant) if grant else None


def _forget(parts: Parts, grant: Grant, *, generation: int) -> Flow[bool]:
    return (yield from save(lambda: parts.vault.save(rules.revoked(grant), generation=generation)))


def end_at_platform(parts: Parts, stored: StoredGrant, *, deadline: float | None = None) -> Flow[Revocation]:
    """Ask the platform to end what it knows by these tokens; the vault is not touched."""
    url = parts.configuration.revocation_url
    token, hint = _best_token(stored)
    if token is None:
        return Revocation(at_platform=False, reason="There was no token left to revoke at the platform.")
    if url is None:
        return Revocation(
            at_platform=False,
            reason="No revocation endpoint is configured; the person can end the access on the platform's own pages.",
        )
    message = RevocationMessage(parts.configuration.credentials, token, hint)
    try:
        response = yield from send(revocation_request(url, message), deadline=deadline or parts.configuration.deadline)
    except Unanswered as silence:
        return Revocation(at_platform=False, reason=f"The platform did not answer: {silence}.")
    if is_page(response):
        return Revocation(
            at_platform=False,
            reason=f"A web page came in place of the platform's answer ({response.status}), as a proxy or a login wall "
            "on the way shows.",
        )
    if 200 <= response.status < 300:
        return Revocation(at_platform=True)
    return Revocation(at_platform=False, reason=f"The platform answered {response.status} to the revocation.")


def _best_token(stored: StoredGrant) -> tuple[Secret | None, str]:
    # With the refresh token the whole grant ends (RFC 7009 section 2.1).
    if stored.refresh_token is not None:
        return stored.refresh_token, "refresh_token"
    return stored.access_token, "access_token"
