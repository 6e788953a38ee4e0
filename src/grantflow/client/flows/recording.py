"""Tell of events: in the log at once, and to whoever watches at least once, though the process that saved one may die.

Whoever watches is told when the refresh under way has landed, and so may use the integration.

An event that is saved for watchers is noted as untold beside it; whoever was told has the note removed. Notes that
stay are picked up by whichever process next has something to tell.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from grantflow.client.errors import VaultUnavailable
from grantflow.client.events import Event, Kind
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.steps import Flow, afterwards, current_time, hand_over, load, save
from grantflow.client.vault import Untold

#: An event that is untold for longer than this was left by a process that has died.
_LEFT_AFTER: Final = timedelta(minutes=1)
#: Of those a few at a time: a caller waits for each.
_AT_ONCE: Final = 5
#: An event that is not taken is told again after 1, 2, 4 ... minutes and then every four hours; two weeks in all.
_LONGEST: Final = timedelta(hours=4)
_ENOUGH: Final = 90

#: How loud each is, and in which words. No more than a warning where a person takes a grant back, or forgets it for
#: months: that needs no operator.
_WORDS: Final = {
    Kind.GRANTED: (logging.INFO, "grant {grant_id} given, generation {generation}"),
    Kind.ADOPTED: (logging.INFO, "grant {grant_id} adopted, generation {generation}"),
    Kind.REFRESHED: (logging.INFO, "grant {grant_id} renewed, generation {generation}"),
    Kind.REFRESH_DELAYED: (logging.WARNING, "grant {grant_id} not renewed: {reason} (incident {incident})"),
    Kind.REAUTHORIZATION_REQUIRED: (logging.WARNING, "grant {grant_id} is dead: {reason} (incident {incident})"),
    Kind.OUTCOME_UNKNOWN: (logging.WARNING, "grant {grant_id} is dead: {reason} (incident {incident})"),
    Kind.HELD_BACK: (logging.WARNING, "grant {grant_id} refused and held back: {reason} (incident {incident})"),
    Kind.RETRIED: (logging.INFO, "grant {grant_id}: the refused token is tried again"),
    Kind.REVOKED: (logging.INFO, "grant {grant_id} revoked"),
    Kind.HANDED_OUT: (logging.INFO, "grant {grant_id}: access token handed out to {actor}"),
    Kind.CALLER_ADDED: (logging.INFO, "grant {grant_id}: {actor} may have its access tokens"),
    Kind.CALLER_REMOVED: (logging.INFO, "grant {grant_id}: {actor} may not have its access tokens any more"),
    Kind.SECRET_REFUSED: (logging.WARNING, "client secret {token} is refused, another is tried: {reason}"),
    Kind.INTEGRATION_REFUSED: (logging.ERROR, "the integration is refused: {reason}"),
    Kind.BRAKE_ON: (logging.ERROR, "no grant is declared dead until an operator has looked: {reason}"),
    Kind.BRAKE_RELEASED: (logging.WARNING, "refused grants are declared dead again: {reason}"),
}


def tell(parts: Parts, event: Event) -> Flow[None]:
    """Of an event that has been saved."""
    level, words = _WORDS[event.kind]
    members = event.members()
    if logger.isEnabledFor(level):
        logger.log(level, words.format_map(_Known(members)), extra={"grantflow": members})
    if parts.is_watched:
        yield from afterwards(lambda: _tell_watchers(parts, event))


def record(parts: Parts, event: Event) -> Flow[None]:
    """Save an event that comes with no other change, and tell of it."""
    yield from save(lambda: parts.vault.record(event))
    yield from tell(parts, event)


def _tell_watchers(parts: Parts, event: Event) -> Flow[None]:
    yield from _hand_over(parts, event)
    yield from _tell_what_is_left(parts, now=(yield from current_time()))


def _hand_over(parts: Parts, event: Event) -> Flow[bool]:
    taken = yield from hand_over(event)
    if taken:
        yield from _set_told(parts, event)
    return taken


def _set_told(parts: Parts, event: Event) -> Flow[None]:
    try:
        yield from save(lambda: parts.vault.set_told(event.id))
    except VaultUnavailable as error:
        logger.warning("event %s will be told once more: %s", event.id, error)


def _tell_what_is_left(parts: Parts, *, now: datetime) -> Flow[None]:
    """Seldom: a look is one read of an index that is nearly always empty."""
    last = parts.watch.looked_at
    if last is not None and timedelta(0) <= now - last < _LEFT_AFTER:
        return
    parts.watch.looked_at = now
    integration = parts.configuration.client_id
    try:
        left = yield from load(lambda: parts.vault.untold(integration, left=now - _LEFT_AFTER, now=now, limit=_AT_ONCE))
        for untold in left:
            yield from _tell_again(parts, untold, now=now)
    except VaultUnavailable as error:  # what this process had to tell is saved and told
        logger.warning("events that others left untold are looked for later: %s", error)
        return
    if len(left) == _AT_ONCE:
        parts.watch.looked_at = None  # there may be more: for the next caller


def _tell_again(parts: Parts, untold: Untold, *, now: datetime) -> Flow[None]:
    """Claimed before it is told: no two processes tell of it at once, and one that it kills hides no other."""
    event, tries = untold.event, untold.tries
    again_at = now + min(_LEFT_AFTER * 2 ** min(tries, 10), _LONGEST)
    if not (yield from save(lambda: parts.vault.claim_untold(untold, again_at=again_at))):
        return
    if not (yield from _hand_over(parts, event)) and tries + 1 >= _ENOUGH:
        words = "on_event never took %s of grant %s (event %s) and is not called with it any more, after %s attempts"
        logger.error(words, event.kind, event.grant_id, event.id, tries + 2)
        yield from _set_told(parts, event)


class _Known(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return "?"
