"""Retry: an operator has a refused refresh token tried again, as long as it is kept (30 days)."""

from grantflow.client import rules
from grantflow.client.events import Kind
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.recording import tell
from grantflow.client.flows.refreshing import refresh
from grantflow.client.flows.telling import must_grant_again
from grantflow.client.grant import GrantKey, Status, StoredGrant
from grantflow.client.steps import Flow, current_time, load, save


def retry(parts: Parts, key: GrantKey, *, actor: str | None) -> Flow[StoredGrant]:
    """The grant, alive again. One that was not refused is refreshed as ever.

    Raises ReauthorizationRequired where it is refused once more or there is nothing to try, TransientTokenError,
    IntegrationRefused.
    """
    while True:
        stored = yield from load(lambda: parts.vault.find(key))
        if stored is None or stored.refresh_token is None or stored.grant.status is Status.REVOKED:
            raise must_grant_again(stored.grant if stored else None, configuration=parts.configuration)
        was_refused = stored.grant.is_held_back or stored.grant.status is Status.REAUTHORIZATION_REQUIRED
        if not was_refused or (yield from _reopen(parts, stored, actor=actor)):
            return (yield from refresh(parts, key, rejected=stored.access_token))


def _reopen(parts: Parts, stored: StoredGrant, *, actor: str | None) -> Flow[bool]:
    reopened, generation = rules.reopened(stored), stored.grant.generation
    assert stored.refresh_token is not None
    token, now = stored.refresh_token.fingerprint(), (yield from current_time())
    event = parts.event(Kind.RETRIED, reopened.grant, at=now, token=token, actor=actor)
    saved = yield from save(lambda: parts.vault.save(reopened, generation=generation, event=event))
    if saved:
        yield from tell(parts, event)
    return saved
