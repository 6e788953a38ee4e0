"""Lend a living access token to a caller with its own key: only of the grants named for it, and each time audited."""

from datetime import datetime, timedelta
from typing import Final

from grantflow.client.callers import AddedCaller, Caller, new_caller
from grantflow.client.errors import CallerExists, GrantGone, NotForCaller, UnknownCaller
from grantflow.client.events import Event, Kind
from grantflow.client.flows.handing_out import hand_out, hand_over_of
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.recording import tell
from grantflow.client.flows.reporting import check_may_report
from grantflow.client.grant import AccessToken, Grant
from grantflow.client.steps import Flow, current_time, load, save
from grantflow.protocol.secret import Secret

#: A token that is reported as rejected so soon after it was issued is not renewed: another would fare no better, and
#: whoever reports in a loop must not become a loop at the token endpoint.
_TOO_YOUNG_TO_REPORT: Final = timedelta(seconds=10)


def add_caller(parts: Parts, name: str, *, grant_ids: tuple[str, ...]) -> Flow[AddedCaller]:
    """Raises ValueError, CallerExists."""
    now = yield from current_time()
    added = new_caller(parts.configuration.client_id, name, grant_ids=grant_ids, now=now, mint=parts.mint)
    events = yield from _events_of(parts, added.caller, Kind.CALLER_ADDED, now=now)
    if not (yield from save(lambda: parts.vault.add_caller(added.caller, events=events))):
        raise CallerExists(f"There is a caller named {name} already. Remove it first, or choose another name.")
    for event in events:
        yield from tell(parts, event)
    return added


def remove_caller(parts: Parts, name: str) -> Flow[bool]:
    """Whether there was one. One that was added anew under that name meanwhile stays: another key, and other grants."""
    callers = yield from load(lambda: parts.vault.callers(parts.configuration.client_id))
    caller = next((each for each in callers if each.name == name), None)
    if caller is None:
        return False
    now = yield from current_time()
    events = yield from _events_of(parts, caller, Kind.CALLER_REMOVED, now=now)
    if not (yield from save(lambda: parts.vault.remove_caller(caller, events=events))):
        return False
    for event in events:
        yield from tell(parts, event)
    return True


def _events_of(parts: Parts, caller: Caller, kind: Kind, *, now: datetime) -> Flow[list[Event]]:
    """One for each of its grants, so that the history of each tells of it."""
    events = []
    for grant_id in caller.grant_ids:
        grant = yield from _grant_of(parts, caller, grant_id)
        events.append(
            parts.event(kind, grant, at=now, grant_id=grant_id, token=caller.key_fingerprint, actor=_as_actor(caller))
        )
    return events


def _as_actor(caller: Caller) -> str:
    return f"caller {caller.name}"


def lend(parts: Parts, key: Secret, *, person: str | None, rejected: Secret | None) -> Flow[AccessToken]:
    """Raises UnknownCaller, NotForCaller, GrantGone, and what handing out raises.

    The hand-over is in the audit log before the token leaves.
    """
    caller = yield from find_caller(parts, key)
    grant = yield from _grant_for(parts, caller, person)
    if rejected is not None:
        yield from _check_may_report(parts, grant, rejected)
    handed = yield from hand_out(parts, grant.key, rejected=rejected)
    now = yield from current_time()
    event = hand_over_of(parts, handed, now=now, actor=_as_actor(caller))
    yield from save(lambda: parts.vault.record_hand_over(event, caller=caller.name))
    yield from tell(parts, event)
    return handed


def find_caller(parts: Parts, key: Secret) -> Flow[Caller]:
    """Raises UnknownCaller."""
    integration, digest = parts.configuration.client_id, key.digest()
    caller = yield from load(lambda: parts.vault.caller(integration, digest=digest))
    if caller is None:
        raise UnknownCaller("The key is no caller's: it was mistyped, or its caller was removed.")
    return caller


def _grant_for(parts: Parts, caller: Caller, person: str | None) -> Flow[Grant]:
    """The one of the caller's grants that is meant; what others there are it does not learn."""
    found = []
    for grant_id in caller.grant_ids:
        if (grant := (yield from _grant_of(parts, caller, grant_id))) is not None:
            found.append(grant)
    meant = [grant for grant in found if person is None or grant.is_called(person)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise NotForCaller("More than one grant may be meant: name the person, or the id of the grant.")
    if (person is None and not found) or (person in caller.grant_ids):
        raise GrantGone(
            "The grant that this caller was given is no longer here: it was disconnected, and given anew under another "
            "id. Give the caller the new one."
        )
    raise NotForCaller("No grant of that person was given to this caller.")


def _grant_of(parts: Parts, caller: Caller, grant_id: str) -> Flow[Grant | None]:
    """None where it is gone, or another integration's over the same vault."""
    grant = yield from load(lambda: parts.vault.grant_by_id(grant_id))
    return grant if grant is not None and grant.integration == caller.integration else None


def _check_may_report(parts: Parts, grant: Grant, rejected: Secret) -> Flow[None]:
    """Raises TransientTokenError."""
    stored = yield from load(lambda: parts.vault.find(grant.key))
    if stored is not None and stored.access_token == rejected:
        check_may_report(parts, stored, now=(yield from current_time()), too_young=_TOO_YOUNG_TO_REPORT)
