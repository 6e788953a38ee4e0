"""Keep alive: renew the grants that would die of not being used, one at a time, and no others.

Two nodes may do it at once: each grant is renewed under its lease, by the one who comes first, and left alone by the
other. It stops politely where the platform says slow down, refuses the integration, or is out of order.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from grantflow.client.errors import IntegrationRefused, ReauthorizationRequired, RefusalHeldBack, TransientTokenError
from grantflow.client.flows import brake
from grantflow.client.flows.parts import Parts, logger
from grantflow.client.flows.refreshing import NO_TOKEN, refresh
from grantflow.client.grant import Grant, KeptAlive, Status
from grantflow.client.steps import Flow, current_time, load
from grantflow.sealing import SealingError

_TOGETHER: Final = 200
#: So many in a row that the platform did not help with: it is out of order.
_ENOUGH: Final = 5
#: Clocks and rounding: an end that moves by less has not moved.
_MOVED: Final = timedelta(seconds=60)
_HELD_BACK: Final = "The platform has refused many grants at the same time, so an operator must look first."


@dataclass(slots=True)
class _Row:
    """What has come of it so far, and how many in a row the platform did not help with."""

    kept: KeptAlive = field(default_factory=KeptAlive)
    away: int = 0

    def add(self, **counts: int) -> None:
        self.kept = replace(self.kept, **{name: getattr(self.kept, name) + count for name, count in counts.items()})

    def delay(self, why: str) -> None:
        self.kept = replace(self.kept, delayed=self.kept.delayed + 1, delayed_by=self.kept.delayed_by or why)

    def pass_over(self, unreadable: Grant) -> None:
        self.kept = replace(self.kept, unreadable=(*self.kept.unreadable, unreadable.id))

    def stop(self, why: str) -> None:
        self.kept = replace(self.kept, stopped=why)


def keep_alive(parts: Parts, *, within: timedelta) -> Flow[KeptAlive]:
    """Those whose refresh token ends within that time; one that has ended already is left for its next call."""
    now = yield from current_time()
    row, after = _Row(), None
    while True:
        page = yield from load(lambda: _page(parts, now, within=within, after=after))  # noqa: B023  performed here
        for grant in page:
            try:
                yield from _keep(parts, grant, row)
            except SealingError as error:  # its own trouble: the others are not to die of it
                logger.error("grant %s is not kept alive: %s", grant.id, error)
                row.pass_over(grant)
            if row.kept.stopped:
                return row.kept
        if len(page) < _TOGETHER:
            return row.kept
        after = page[-1]


def _page(parts: Parts, now: datetime, *, within: timedelta, after: Grant | None) -> list[Grant]:
    client_id = parts.configuration.client_id
    return list(
        parts.vault.expiring(client_id, since=now, before=now + within, limit=_TOGETHER, after=after),
    )


def _keep(parts: Parts, grant: Grant, row: _Row) -> Flow[None]:
    stored = yield from load(lambda: parts.vault.find(grant.key))
    works = stored is not None and stored.grant.status in {Status.ACTIVE, Status.REFRESH_DELAYED}
    if stored is None or not works or stored.grant.generation != grant.generation:
        row.add(unneeded=1)  # somebody was here since the page was read
        return
    if stored.grant.is_held_back and (yield from brake.is_on(parts)):
        row.delay(_HELD_BACK)  # it is not asked for until an operator has looked; the others are
        return
    rejected = NO_TOKEN if stored.access_token is None else stored.access_token
    try:
        renewed = yield from refresh(parts, grant.key, rejected=rejected)
    except RefusalHeldBack as error:
        _put_off(row, why=str(error), enough=str(error))
    except ReauthorizationRequired:
        row.add(refused=1)
    except IntegrationRefused as error:
        row.stop(str(error))
    except TransientTokenError as error:
        _put_off(row, why=str(error), enough="The platform is out of order.")
        if error.status == 429:
            row.stop(f"The platform says slow down; ask it again in {error.retry_after:.0f} s.")
    else:
        row.away = 0
        _count(renewed.grant, row, before=stored.grant)


def _put_off(row: _Row, *, why: str, enough: str) -> None:
    """`enough`: why the rest is left alone, where it has been so often enough."""
    row.delay(why)
    row.away += 1
    if row.away == _ENOUGH:
        row.stop(enough)


def _count(renewed: Grant, row: _Row, *, before: Grant) -> None:
    ends, was = renewed.refresh_expires_at, before.refresh_expires_at
    since = before.refreshed_at or before.granted_at
    # One that is as young as that cannot have an end that moves by more.
    is_too_young = renewed.refreshed_at is not None and renewed.refreshed_at - since <= _MOVED
    # It goes on with the others all the same: Webex has been seen to count down in its answers what slides in truth.
    moved = ends is None or was is None or is_too_young or ends > was + _MOVED
    row.add(**{"prolonged" if moved else "in_vain": 1})
