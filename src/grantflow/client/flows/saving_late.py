"""Save late: tokens that came while the vault did not work, as soon as it does.

Nobody may ask for such a grant soon, and another process that does would send the old token when the lease has ended.
So as long as something waits to be saved it is tried again and again beside all callers.
"""

import logging
from datetime import datetime
from typing import Final

from grantflow.client.errors import VaultUnavailable
from grantflow.client.events import Event, Kind
from grantflow.client.flows.ending import GOODBYE, end_if_revoked
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.flows.recording import tell
from grantflow.client.grant import GrantKey, Status, StoredGrant
from grantflow.client.steps import Flow, alone, current_time, load, meanwhile, moment, save

#: In seconds: far less than a lease lasts, of which as much has gone by as the vault was away.
_TRY_AGAIN_AFTER: Final = 2.0
#: So many that cannot be saved one after another are no trouble of their own rows: the vault is away still.
_GIVE_UP_AFTER: Final = 3
_SAVING: Final = "tokens that wait to be saved"


def keep_unsaved(parts: Parts, renewed: StoredGrant) -> Flow[None]:
    parts.unsaved.keep(renewed)
    words = "grant %s: the new tokens stay in this process until they can be saved; do not end it before"
    logger.warning(words, renewed.grant.id)
    yield from _keep_trying(parts)


def save_late(parts: Parts, key: GrantKey) -> Flow[StoredGrant | None]:
    """Save what came for this grant while the vault did not work, whatever was said of the token before it since.
    None where there is no such thing, or the grant has gone on without it; of one that was revoked meanwhile it is
    ended at the platform."""
    renewed = parts.unsaved.get(key)
    if len(parts.unsaved):
        yield from _keep_trying(parts)  # those of others too, though what tried has ended with an event loop or a fork
    if renewed is None:
        return None
    if (yield from _save(parts, renewed)):
        return renewed
    yield from _part_with(parts, renewed)
    return None


def save_together(parts: Parts) -> Flow[list[StoredGrant]]:
    """All that waits. Answers with those that need not be saved any more, since their grants have gone on without them.

    In one flight, so that whoever closes waits for what is just being saved, and it comes to its end."""
    return (yield from alone(_SAVING, lambda: _save_each(parts)))


def _save_each(parts: Parts) -> Flow[list[StoredGrant]]:
    """Nothing waits here for the platform, nor for whoever watches, and no grant's trouble is another's."""
    outlived, failures = [], 0
    for renewed in parts.unsaved.waiting():
        try:
            if not (yield from _save(parts, renewed)):
                outlived.append(renewed)
            failures = 0
        except Exception as error:
            level = logging.INFO if isinstance(error, VaultUnavailable) else logging.WARNING
            words = "grant %s: the tokens that came earlier are saved later: %s: %s"
            logger.log(level, words, renewed.grant.id, type(error).__name__, error)
            failures += 1
            if failures == _GIVE_UP_AFTER:
                break
    return outlived


def save_before_closing(parts: Parts) -> Flow[None]:
    if not len(parts.unsaved):
        return
    outlived, since = (yield from save_together(parts)), (yield from moment())
    for renewed in outlived:
        if (yield from moment()) - since < GOODBYE:
            yield from _part_with(parts, renewed)
    if len(parts.unsaved):
        words = "the new tokens of %s grants could not be saved: they are lost with this process"
        logger.error(words, len(parts.unsaved))


def _keep_trying(parts: Parts) -> Flow[None]:
    yield from meanwhile(
        _SAVING, lambda: _try_again(parts), wanted=lambda: len(parts.unsaved) > 0, seconds=_TRY_AGAIN_AFTER
    )


def _try_again(parts: Parts) -> Flow[None]:
    """One goodbye at a time, since a platform that does not answer must not keep the others waiting."""
    for renewed in (yield from save_together(parts))[:1]:
        yield from _part_with(parts, renewed)


def _save(parts: Parts, renewed: StoredGrant) -> Flow[bool]:
    """Whether these follow what is stored, and are saved now."""
    key = renewed.grant.key
    stored = yield from load(lambda: parts.vault.find(key))
    if stored is None or not _is_next(renewed, stored):
        return False
    event, generation = renewal(parts, renewed, over=stored, now=(yield from current_time())), stored.grant.generation
    if not (yield from save(lambda: parts.vault.save(renewed, generation=generation, event=event))):
        return False
    parts.unsaved.drop(renewed)  # before whoever watches is told: they may take their time, and newer tokens come
    yield from tell(parts, event)
    return True


def _part_with(parts: Parts, outlived: StoredGrant) -> Flow[None]:
    """By one alone, and no longer than a moment."""
    if parts.unsaved.drop(outlived):
        yield from end_if_revoked(parts, outlived, deadline=min(GOODBYE, parts.configuration.deadline))


def renewal(
    parts: Parts, renewed: StoredGrant, *, over: StoredGrant, now: datetime, credentials: str | None = None
) -> Event:
    """Of tokens that are saved late it is not kept under which credentials they came; those count for nobody. Of a new
    refresh token alone, whose access token could not be used, it tells why the grant is delayed."""
    sent, came = over.refresh_token, renewed.access_token if renewed.access_token != over.access_token else None
    return parts.event(
        Kind.REFRESHED if renewed.grant.status is Status.ACTIVE else Kind.REFRESH_DELAYED,
        renewed.grant,
        at=now,
        token=sent.fingerprint() if sent else None,
        new_token=came.fingerprint() if came else None,
        credentials=credentials,
    )


def _is_next(renewed: StoredGrant, stored: StoredGrant) -> bool:
    return stored.grant.status is not Status.REVOKED and renewed.grant.generation == stored.grant.generation + 1
