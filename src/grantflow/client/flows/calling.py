"""A call of the API: with a living token, and once more with a new one where the API refuses it (W32).

On the way of a call that simply works nothing is unsealed and no row is read, but for a look at the grant's generation
once a second: so a disconnect on another node takes hold within two.
"""

from grantflow.client.errors import BodyNotReplayable
from grantflow.client.flows.parts import LiveToken, Parts, logger
from grantflow.client.flows.refreshing import NO_TOKEN, find_usable, refresh
from grantflow.client.flows.reporting import put_off
from grantflow.client.grant import GrantKey
from grantflow.client.observing import Calling
from grantflow.client.steps import Flow, call_api, current_time, load
from grantflow.protocol.secret import Secret

UNAUTHORIZED = 401


def call(parts: Parts, key: GrantKey, *, replayable: bool) -> Flow[None]:
    """Send the caller's request, at most twice; whatever the API answers last is the caller's answer.

    Raises ReauthorizationRequired, TransientTokenError, IntegrationRefused, and BodyNotReplayable where the body
    would have to be sent again and cannot be.
    """
    calling = Calling(parts.observers, key.integration, key)
    flow = _call(parts, key, calling, replayable=replayable)
    return _observed(calling, flow) if parts.observers else flow


def _observed(calling: Calling, flow: Flow[None]) -> Flow[None]:
    with calling:
        yield from flow


def _call(parts: Parts, key: GrantKey, calling: Calling, *, replayable: bool) -> Flow[None]:
    access_token = yield from _token_for(parts, key, replayable=replayable)
    status = yield from call_api(access_token)
    calling.statuses = (status,)
    if status != UNAUTHORIZED:
        return
    if (yield from _was_renewed_in_vain(parts, key, access_token)):
        return
    stored = yield from refresh(parts, key, rejected=access_token)
    if not replayable:
        raise BodyNotReplayable(
            "The API refused the access token, so the call had no effect. The token has been renewed, but the body "
            "came from a generator or stream that can be read only once. Call again with a fresh body, or give it as "
            "bytes or as a seekable file: then this happens by itself."
        )
    assert stored.access_token is not None
    status = yield from call_api(stored.access_token, again=True)
    calling.statuses = (UNAUTHORIZED, status)
    if status == UNAUTHORIZED:
        logger.warning("grant %s: the API refuses a token that was issued just now", stored.grant.id)
        parts.vain.add(key, generation=stored.grant.generation)
    else:
        parts.vain.end(key)


def _was_renewed_in_vain(parts: Parts, key: GrantKey, refused: Secret) -> Flow[bool]:
    """Whether the API refuses new tokens as well, and the last one is too young to try with yet another: after 1, 2,
    4, ... 60 seconds. Until then its 401 is the caller's answer, and the token endpoint is spared."""
    if parts.vain.count(key) == 0:
        return False
    stored = yield from load(lambda: parts.vault.find(key))
    if stored is None or stored.access_token != refused:
        return False
    return put_off(parts, stored, now=(yield from current_time())) > 0


def _token_for(parts: Parts, key: GrantKey, *, replayable: bool) -> Flow[Secret]:
    live = yield from _living(parts, key)
    # Lifetimes are not trusted (a token may die early), but where the body has one chance only, they are heeded.
    if replayable or not live.has_expired((yield from current_time())):
        return live.access_token
    stored = yield from refresh(parts, key, rejected=live.access_token)
    assert stored.access_token is not None
    return stored.access_token


def _living(parts: Parts, key: GrantKey) -> Flow[LiveToken]:
    now = yield from current_time()
    live = parts.live.get(key)
    if live is not None:
        if live.is_fresh(now):
            return live
        if (yield from load(lambda: parts.vault.generation(key))) == live.generation:
            return parts.live.confirm(key, live, now=now)
    stored = yield from find_usable(parts, key)
    if stored.access_token is None:
        stored = yield from refresh(parts, key, rejected=NO_TOKEN)
    return parts.live.keep(key, stored, now=now)
