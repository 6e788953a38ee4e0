"""Revoke: forget the grant here in every case, and ask the platform to end it where it can be asked (RFC 7009)."""

from dataclasses import replace

from grantflow.client import rules
from grantflow.client.events import Event, Kind
from grantflow.client.flows.credentials import in_order
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.recording import tell
from grantflow.client.grant import Grant, GrantKey, Revocation, Status, StoredGrant
from grantflow.client.steps import Flow, Unanswered, current_time, load, save, send
from grantflow.protocol.http import Response, is_page
from grantflow.protocol.revocation import Revocation as RevocationMessage
from grantflow.protocol.revocation import revocation_request
from grantflow.protocol.secret import Secret
from grantflow.sealing import SealingError


def revoke(parts: Parts, key: GrantKey, *, actor: str | None = None) -> Flow[Revocation]:
    """Here first, so that no crash and no silence of the platform leaves a grant that was to be forgotten."""
    while True:
        stored = yield from _find(parts, key)
        if stored is None or stored.grant.status is Status.REVOKED:
            reason = "There was no grant to revoke."
            return Revocation(at_platform=False, reason=reason, had_ended=stored is not None)
        now = yield from current_time()
        event = parts.event(Kind.REVOKED, rules.revoked(stored.grant).grant, at=now, actor=actor)
        if (yield from _forget(parts, stored.grant, event=event)):
            break
    parts.live.drop(key)
    done = yield from end_at_platform(parts, stored)
    yield from tell(parts, event)
    return replace(done, had_ended=_was_over(stored))


def _was_over(stored: StoredGrant) -> bool:
    is_refused = stored.grant.status is Status.REAUTHORIZATION_REQUIRED
    return is_refused and stored.refresh_token is None and stored.access_token is None


def _find(parts: Parts, key: GrantKey) -> Flow[StoredGrant | None]:
    try:
        return (yield from load(lambda: parts.vault.find(key)))
    except SealingError:
        # The tokens cannot be read, but they can be forgotten.
        grant = yield from load(lambda: parts.vault.grant(key))
        return StoredGrant(grant) if grant else None


def _forget(parts: Parts, grant: Grant, *, event: Event) -> Flow[bool]:
    return (yield from save(lambda: parts.vault.save(rules.revoked(grant), generation=grant.generation, event=event)))


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
