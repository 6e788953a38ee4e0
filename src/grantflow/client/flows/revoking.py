"""Revoke: forget the grant here in every case, and ask the platform to end it where it can be asked (RFC 7009)."""

from dataclasses import replace

from grantflow.client import rules
from grantflow.client.events import Event, Kind
from grantflow.client.flows.ending import end_at_platform
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.recording import tell
from grantflow.client.flows.saving_late import save_late
from grantflow.client.grant import Grant, GrantKey, Revocation, Status, StoredGrant
from grantflow.client.steps import Flow, current_time, load, save
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
    """With the newest tokens: what lives at the platform is what is to be ended there."""
    try:
        yield from save_late(parts, key)
        return (yield from load(lambda: parts.vault.find(key)))
    except SealingError:
        # The tokens cannot be read, but they can be forgotten.
        grant = yield from load(lambda: parts.vault.grant(key))
        return StoredGrant(grant) if grant else None


def _forget(parts: Parts, grant: Grant, *, event: Event) -> Flow[bool]:
    return (yield from save(lambda: parts.vault.save(rules.revoked(grant), generation=grant.generation, event=event)))
