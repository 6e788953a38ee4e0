"""Which client secret to authenticate with: while one is replaced there are several, and each has its own standing.

The one that the platform does not refuse is preferred, so the working one is remembered, by all processes over one
vault: what is held against the others lies there.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from grantflow.client import judging
from grantflow.client.configuration import name_of
from grantflow.client.events import Event, Kind
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.recording import tell
from grantflow.client.grant import Standing
from grantflow.client.steps import Flow, current_time, load, save
from grantflow.protocol.token import ClientCredentials, TokenRefusal

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Chosen:
    credentials: ClientCredentials
    standing: Standing

    @property
    def name(self) -> str:
        return name_of(self.credentials)

    def may_ask(self, now: datetime) -> bool:
        return not judging.waits_for_all(self.standing.retry_at, now=now)


def in_order(parts: Parts) -> Flow[list[Chosen]]:
    """Those that the platform does not refuse as they were given, then the others as they may be tried again."""
    integration = parts.configuration.client_id
    known = []
    for credentials in parts.configuration.all_credentials:
        name = name_of(credentials)
        standing = yield from load(lambda name=name: parts.vault.standing(integration, credentials=name))  # type: ignore[misc]
        known.append(Chosen(credentials, standing))
    return sorted(known, key=lambda chosen: chosen.standing.retry_at or _LONG_AGO)


def choose(parts: Parts) -> Flow[Chosen]:
    return (yield from in_order(parts))[0]


def mark_refused(parts: Parts, chosen: Chosen, refusal: TokenRefusal) -> Flow[Standing]:
    """The platform refuses the integration under this secret, which waits; an operator is told where it is the last."""
    now = yield from current_time()
    others = [other for other in (yield from in_order(parts)) if other.name != chosen.name]
    # One that worked is refused: the platform has changed its mind, and what it said of the others is out of date.
    anew = others if chosen.standing.works else []
    is_last = not anew and not any(other.may_ask(now) for other in others)
    marked = judging.integration_refused(chosen.standing, reason=str(refusal), retry_after=refusal.retry_after, now=now)
    kind = Kind.INTEGRATION_REFUSED if is_last else Kind.SECRET_REFUSED
    event = parts.event(kind, at=now, reason=str(refusal), incident=parts.incident(), token=chosen.name)
    yield from _set(parts, chosen, marked, event=event)
    yield from tell(parts, event)
    for other in anew:
        if not other.may_ask(now):
            yield from _set(parts, other, replace(other.standing, retry_at=now))
    return marked


def clear(parts: Parts, chosen: Chosen) -> Flow[None]:
    """The secret has served, so what was held against it is over; written only where that is news."""
    if chosen.standing.works:
        return
    yield from _set(parts, chosen, Standing(succeeded_at=(yield from current_time())))


def _set(parts: Parts, chosen: Chosen, standing: Standing, *, event: Event | None = None) -> Flow[None]:
    integration = parts.configuration.client_id
    yield from save(
        lambda: parts.vault.set_standing(integration, credentials=chosen.name, standing=standing, event=event)
    )
