"""Hand out an access token that lives, to a program that makes its calls by other means than `client_for`."""

from datetime import datetime

from grantflow.client import rules
from grantflow.client.errors import IntegrationRefused, TransientTokenError
from grantflow.client.events import Event, Kind
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.recording import record
from grantflow.client.flows.refreshing import NO_TOKEN, find_usable, refresh
from grantflow.client.flows.reporting import check_may_report
from grantflow.client.grant import AccessToken, GrantKey, StoredGrant
from grantflow.client.steps import Flow, current_time
from grantflow.protocol.secret import Secret


def hand_out_to(parts: Parts, key: GrantKey, *, rejected: Secret | None, actor: str) -> Flow[AccessToken]:
    """The same, and in the audit log who was given it, before it leaves."""
    handed = yield from hand_out(parts, key, rejected=rejected)
    yield from record(parts, hand_over_of(parts, handed, now=(yield from current_time()), actor=actor))
    return handed


def hand_over_of(parts: Parts, handed: AccessToken, *, now: datetime, actor: str) -> Event:
    return parts.event(Kind.HANDED_OUT, handed.grant, at=now, token=handed.token.fingerprint(), actor=actor)


def hand_out(parts: Parts, key: GrantKey, *, rejected: Secret | None) -> Flow[AccessToken]:
    """The stored token, as long as it is neither the rejected one nor about to end; else the next one. Where new ones
    are rejected again and again, the next one is put off longer and longer.

    Raises ReauthorizationRequired, TransientTokenError, IntegrationRefused.
    """
    stored = yield from find_usable(parts, key)
    now = yield from current_time()
    if stored.access_token is None:
        stored = yield from refresh(parts, key, rejected=NO_TOKEN)
    elif rejected is not None and stored.access_token == rejected:
        check_may_report(parts, stored, now=now)
        stored = yield from refresh(parts, key, rejected=rejected)
    elif rules.is_ending(stored.grant, now=now) and (stored.refresh_token or rules.has_ended(stored.grant, now=now)):
        try:
            stored = yield from refresh(parts, key, rejected=stored.access_token)
        except (TransientTokenError, IntegrationRefused):
            if rules.has_ended(stored.grant, now=now):
                raise
    return _as_handed_out(stored)


def _as_handed_out(stored: StoredGrant) -> AccessToken:
    assert stored.access_token is not None
    return AccessToken(stored.access_token, stored.grant.access_expires_at, stored.grant)
