"""End at the platform what it knows by some tokens (RFC 7009); the vault is not touched."""

from dataclasses import replace
from typing import Final

from grantflow.client.flows.credentials import in_order
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.grant import Revocation, Status, StoredGrant
from grantflow.client.steps import Flow, Unanswered, load, send
from grantflow.protocol.http import Response, is_page
from grantflow.protocol.revocation import Revocation as RevocationMessage
from grantflow.protocol.revocation import revocation_request
from grantflow.protocol.secret import Secret

#: In seconds: how long somebody waits for it who came for something else.
GOODBYE: Final = 5.0


def end_if_revoked(
    parts: Parts, renewed: StoredGrant, *, sent: Secret | None = None, deadline: float | None = None
) -> Flow[None]:
    """The grant may have been revoked while these tokens were under way or waited to be saved: then whoever revoked it
    knew only the ones before, and a platform that does not count them as one family would let these live on. `sent` is
    the refresh token that they may have known."""
    key = renewed.grant.key
    found = yield from load(lambda: parts.vault.grant(key))
    if found is None or found.status is not Status.REVOKED:
        return
    swapped = renewed.refresh_token != sent
    ending = renewed if swapped else replace(renewed, refresh_token=None)
    revocation = yield from end_at_platform(parts, ending, deadline=deadline)
    if not revocation.at_platform:
        words = "grant %s was revoked while it was renewed, and the new tokens may live on at the platform: %s"
        logger.warning(words, found.id, revocation.reason)


def end_at_platform(parts: Parts, stored: StoredGrant, *, deadline: float | None = None) -> Flow[Revocation]:
    url = parts.configuration.revocation_url
    token, hint = _best_token(stored)
    if token is None:
        return Revocation(at_platform=False, reason="There was no token left to revoke at the platform.")
    if url is None:
        return Revocation(
            at_platform=False,
            reason="No revocation endpoint is configured; the person can end the access on the platform's own pages.",
        )
    try:
        response = yield from _ask(parts, url, token, hint=hint, deadline=deadline or parts.configuration.deadline)
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


def _ask(parts: Parts, url: str, token: Secret, *, hint: str, deadline: float) -> Flow[Response]:
    """Under one client secret after the other, as long as the platform refuses the client (RFC 7009 section 2.2.1)."""
    for chosen in (yield from in_order(parts)):
        message = RevocationMessage(chosen.credentials, token, hint)
        response = yield from send(revocation_request(url, message), deadline=deadline)
        if response.status != 401:
            break
    return response
