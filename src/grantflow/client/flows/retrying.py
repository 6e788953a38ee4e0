"""Retry: an operator has a refused refresh token tried again, as long as it is kept (30 days)."""

from typing import Final

from grantflow.client import rules
from grantflow.client.events import Kind
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.recording import tell
from grantflow.client.flows.refreshing import NO_TOKEN, refresh
from grantflow.client.flows.telling import must_grant_again
from grantflow.client.grant import GrantKey, Status, StoredGrant
from grantflow.client.steps import Flow, current_time, load, pause, save

_LOOK_AGAIN_SECONDS: Final = 0.1


def retry(parts: Parts, key: GrantKey, *, actor: str | None) -> Flow[StoredGrant]:
    """The grant, alive again. One that was not refused is refreshed as ever.

    What is held back may be asked for by a caller too, once refusals count again: then its token is under way, and
    what comes of that is waited for. Raises ReauthorizationRequired where it is refused once more or there is nothing
    to try, TransientTokenError, IntegrationRefused.
    """
    rejected = None
    while True:
        stored = yield from load(lambda: parts.vault.find(key))
        if stored is None or stored.refresh_token is None or stored.grant.status is Status.REVOKED:
            raise must_grant_again(stored.grant if stored else None, configuration=parts.configuration)
        if rejected is None:  # that of the first look: should another renew it meanwhile, there is nothing to ask for
            rejected = stored.access_token or NO_TOKEN
        was_refused = stored.grant.is_held_back or stored.grant.status is Status.REAUTHORIZATION_REQUIRED
        if not was_refused or (yield from _reopen(parts, stored, actor=actor)):
            return (yield from refresh(parts, key, rejected=rejected))
        yield from pause(_LOOK_AGAIN_SECONDS)


def _reopen(parts: Parts, stored: StoredGrant, *, actor: str | None) -> Flow[bool]:
    refused, reopened = stored.grant, rules.reopened(stored).grant
    assert stored.refresh_token is not None
    token, now = stored.refresh_token.fingerprint(), (yield from current_time())
    event = parts.event(Kind.RETRIED, reopened, at=now, token=token, actor=actor)
    is_reopened = yield from save(lambda: parts.vault.reopen(refused, event=event))
    if is_reopened:
        yield from tell(parts, event)
    return is_reopened
