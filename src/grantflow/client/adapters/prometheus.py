"""Metrics for Prometheus: how the grants are, and what becomes of refreshes, calls and exchanges.

`measure(integration)` counts into prometheus-client's registry, which `start_http_server`, `make_asgi_app` or
`make_wsgi_app` of that library expose. No label has a person's id, or anything else without bounds. What each metric
says, what is normal and what is worth an alert: docs/operations.md.
"""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "Metrics need prometheus-client, which is not there. Install it in a clone of Grantflow: "
        'pip install ".[metrics]"',
        name=error.name,
    ) from error

from grantflow.client.errors import BodyNotReplayable, GrantflowError
from grantflow.client.flows.calling import UNAUTHORIZED
from grantflow.client.grant import Overview
from grantflow.client.integration import AsyncIntegration, Integration
from grantflow.client.observing import Activity, Calling, Ending, Exchanging, Outcome, Refreshing, Waiting

AnyIntegration: TypeAlias = Integration | AsyncIntegration

_logger = logging.getLogger("grantflow")

#: Grants that end within this are counted as ending, unless it is told otherwise.
SOON: Final = timedelta(days=7)
#: Where a lease of another process is waited for it takes seconds, up to the deadline of 40 and the lease's 45.
_WAITS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60)
#: Grants are counted anew once that many times the seconds have gone by which counting took.
_REST: Final = 100
_STATUSES: Final = ("2xx", "3xx", "4xx", "5xx", "no_answer", "not_sent")
_RETRIES: Final = ("answered", "refused_again", "not_replayable")


def measure(
    integration: AnyIntegration,
    *,
    registry: CollectorRegistry = REGISTRY,
    name: str | None = None,
    ending_within: timedelta = SOON,
) -> None:
    """Count what this integration does, and have its grants counted whenever the registry is asked.

    `name` is the label `integration` of its metrics, by default the client ID; `ending_within`: which grants count as
    ending. Counting blocks for as long as the vault takes, so let a thread do it where there are many grants.
    """
    name = name or integration.client_id
    families, grants = _of(registry)
    grants.watch(integration, name=name, ending_within=ending_within)
    integration.observe(_Counting(families, name))


def exposition(registry: CollectorRegistry = REGISTRY, *, accept: str = "") -> tuple[bytes, str]:
    """All of the registry, in the format that the header `Accept` asks for, and the content type."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class Grants(Collector):
    """How many grants there are, read in the vault whenever the registry is asked: for a registry of your own, such as
    the one of prometheus-client's multiprocess mode. `measure` has registered one already."""

    def __init__(self) -> None:
        self._integrations: WeakValueDictionary[str, AnyIntegration] = WeakValueDictionary()
        self._ending_within: dict[str, timedelta] = {}
        self._counted: dict[str, tuple[Overview, float]] = {}
        self._counting = threading.Lock()

    def watch(self, integration: AnyIntegration, *, name: str | None = None, ending_within: timedelta = SOON) -> None:
        """For as long as the integration is there; as `measure`."""
        name = name or integration.client_id
        self._integrations[name] = integration
        self._ending_within[name] = ending_within

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Without a look at any vault."""
        return iter(_gauges())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up, grants, ending, brake_on, refused = gauges = _gauges()
        for name, integration in sorted(self._integrations.items()):
            overview = self._overview(name, integration)
            up.add_metric([name], 0 if overview is None else 1)
            if overview is None:
                continue
            for status, number in overview.grants.items():
                grants.add_metric([name, status.value.lower()], number)
            ending.add_metric([name], overview.ending)
            brake_on.add_metric([name], overview.brake.on_since is not None)
            refused.add_metric([name], overview.is_refused)
        return iter(gauges)

    def _overview(self, name: str, integration: AnyIntegration) -> Overview | None:
        """None where the vault cannot be read."""
        with self._counting:
            counted, until = self._counted.get(name, (None, 0.0))
            began = time.monotonic()
            if counted is not None and began < until:
                return counted
            try:
                overview = integration.overview(ending_within=self._ending_within[name])
            except Exception as error:
                _logger.warning("the grants cannot be counted: %s", error)
                return None
            ended = time.monotonic()
            self._counted[name] = overview, ended + _REST * (ended - began)
            return overview


def _gauges() -> list[GaugeMetricFamily]:
    of = ["integration"]
    return [
        GaugeMetricFamily("grantflow_vault_up", "Whether the vault can be read.", labels=of),
        GaugeMetricFamily("grantflow_grants", "Grants in the vault, by status.", labels=[*of, "status"]),
        GaugeMetricFamily(
            "grantflow_grants_ending",
            "Living grants whose refresh token ends soon (7 days, unless told otherwise) or should have ended already.",
            labels=of,
        ),
        GaugeMetricFamily(
            "grantflow_brake_on",
            "1 while so many grants are refused that none is declared dead until an operator has looked.",
            labels=of,
        ),
        GaugeMetricFamily(
            "grantflow_integration_refused", "1 while the platform refuses the integration itself.", labels=of
        ),
    ]


class _Families:
    """The counters of one registry, for all integrations that are measured in it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        of = ["integration"]
        self.refreshes = Counter(
            "grantflow_refreshes",
            "Refreshes and those who shared them, by outcome.",
            [*of, "outcome"],
            registry=registry,
        )
        self.waits = Histogram(
            "grantflow_refresh_wait_seconds",
            "How long callers waited for a new token, each of them.",
            of,
            buckets=_WAITS,
            registry=registry,
        )
        self.calls = Counter(
            "grantflow_calls", "Calls of the API, by class of their last status.", [*of, "status"], registry=registry
        )
        self.retries = Counter(
            "grantflow_calls_retried",
            "Calls that the API refused (401) and that had a new token got for them, by what came of it.",
            [*of, "outcome"],
            registry=registry,
        )
        self.exchanges = Counter(
            "grantflow_exchanges", "Codes exchanged for tokens, by outcome.", [*of, "outcome"], registry=registry
        )


_known: "WeakKeyDictionary[CollectorRegistry, tuple[_Families, Grants]]" = WeakKeyDictionary()
_making = threading.Lock()


def _of(registry: CollectorRegistry) -> tuple[_Families, Grants]:
    with _making:
        if registry not in _known:
            grants = Grants()
            registry.register(grants)
            _known[registry] = _Families(registry), grants
        return _known[registry]


class _Counting:
    """The observer of one integration. Its labels are looked up once, so that a call costs two additions."""

    def __init__(self, families: _Families, name: str) -> None:
        self._refreshes = {each: families.refreshes.labels(name, each.value) for each in Outcome}
        self._waits = families.waits.labels(name)
        self._calls = {each: families.calls.labels(name, each) for each in _STATUSES}
        self._retries = {each: families.retries.labels(name, each) for each in _RETRIES}
        self._exchanged = partial(families.exchanges.labels, name)
        self._exchanged("exchanged")

    def begin(self, activity: Activity) -> Ending | None:
        match activity:
            case Calling():
                return partial(self._called, activity)
            case Waiting():
                return partial(self._waited, activity, time.perf_counter())
            case Refreshing():
                return partial(self._refreshed, activity)
            case Exchanging():
                return partial(self._exchange_ended, activity)
        return None

    def _called(self, call: Calling) -> None:
        self._calls[_status(call)].inc()
        if len(call.statuses) > 1:
            self._retries["refused_again" if call.statuses[-1] == UNAUTHORIZED else "answered"].inc()
        elif isinstance(call.error, BodyNotReplayable):
            self._retries["not_replayable"].inc()

    def _refreshed(self, refreshing: Refreshing) -> None:
        self._refreshes[refreshing.outcome].inc()

    def _exchange_ended(self, exchanging: Exchanging) -> None:
        self._exchanged(exchanging.outcome).inc()

    def _waited(self, waiting: Waiting, began: float) -> None:
        self._waits.observe(time.perf_counter() - began)
        if not waiting.leads:
            self._refreshes[Outcome.JOINED].inc()


def _status(call: Calling) -> str:
    if call.statuses:
        return f"{call.statuses[-1] // 100}xx"
    return "not_sent" if isinstance(call.error, GrantflowError) else "no_answer"
