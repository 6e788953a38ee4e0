"""Save late: tokens that came while the vault did not work, as soon as it does.

Nobody may ask for such a grant soon, and another process that does would send the old token when the lease has ended.
So as long as something waits to be saved it is tried again and again beside all callers.
"""

from datetime import datetime
from typing import Final

from grantflow.client.errors import GrantflowError, VaultUnavailable
from grantflow.client.events import Event, Kind
from grantflow.client.flows.ending import end_if_revoked
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.flows.recording import tell
from grantflow.client.grant import GrantKey, Status, StoredGrant
from grantflow.client.steps import Flow, alone, current_time, load, meanwhile, save

#: In seconds: far less than a lease lasts, of which as much has gone by as the vault was away.
_TRY_AGAIN_AFTER: Final = 2.0
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
    return (yield from _save_late(parts, renewed))


def save_what_is_left(parts: Parts) -> Flow[None]:
    """The vault works again: whatever else came while it did not is saved too, though nobody may ask for it soon."""
    for key in parts.unsaved.waiting():
        renewed = parts.unsaved.get(key)
        try:
            if renewed is not None:
                yield from _save_late(parts, renewed)
        except VaultUnavailable as error:
            logger.info("tokens that came earlier are saved later: %s", error)
            return
        except GrantflowError as error:  # of this grant alone
            logger.info("tokens that came earlier are saved later, and others now: %s", error)


def save_before_closing(parts: Parts) -> Flow[None]:
    if not len(parts.unsaved):
        return
    yield from _save_together(parts)
    if len(parts.unsaved):
        words = "the new tokens of %s grants could not be saved: they are lost with this process"
        logger.error(words, len(parts.unsaved))


def _keep_trying(parts: Parts) -> Flow[None]:
    yield from meanwhile(
        _SAVING, lambda: _save_together(parts), wanted=lambda: len(parts.unsaved) > 0, seconds=_TRY_AGAIN_AFTER
    )


def _save_together(parts: Parts) -> Flow[None]:
    """In one flight, so that whoever closes waits for what is just being saved, and it comes to its end."""
    yield from alone(_SAVING, lambda: save_what_is_left(parts))


def _save_late(parts: Parts, renewed: StoredGrant) -> Flow[StoredGrant | None]:
    key = renewed.grant.key
    stored = yield from load(lambda: parts.vault.find(key))
    event = yield from _save(parts, renewed, over=stored)
    if event is None:
        yield from end_if_revoked(parts, renewed, sent=stored.refresh_token if stored else None)
        parts.unsaved.drop(renewed)
        return None
    parts.unsaved.drop(renewed)  # before whoever watches is told: they may take their time, and newer tokens come
    yield from tell(parts, event)
    return renewed


def renewal(
    parts: Parts, renewed: StoredGrant, *, over: StoredGrant, now: datetime, credentials: str | None = None
) -> Event:
    """Of tokens that are saved late it is not kept under which credentials they came; those count for nobody."""
    sent, came = over.refresh_token, renewed.access_token
    return parts.event(
        Kind.REFRESHED,
        renewed.grant,
        at=now,
        token=sent.fingerprint() if sent else None,
        new_token=came.fingerprint() if came else None,
        credentials=credentials,
    )


def _save(parts: Parts, renewed: StoredGrant, *, over: StoredGrant | None) -> Flow[Event | None]:
    """None where they do not follow what is stored."""
    if over is None or not _is_next(renewed, over):
        return None
    event, generation = renewal(parts, renewed, over=over, now=(yield from current_time())), over.grant.generation
    saved = yield from save(lambda: parts.vault.save(renewed, generation=generation, event=event))
    return event if saved else None


def _is_next(renewed: StoredGrant, stored: StoredGrant) -> bool:
    return stored.grant.status is not Status.REVOKED and renewed.grant.generation == stored.grant.generation + 1
