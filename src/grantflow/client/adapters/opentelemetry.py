"""Spans for OpenTelemetry: calls, waits, refreshes and exchanges, by its API alone; the application brings the SDK.

`trace(integration)` makes, within whatever span is current:

- `grantflow.call`: a call of the API, as the HTTP library's own spans lie within it: whether it was sent again;
- `grantflow.wait`: a caller who needs a new token, until there is one;
- `grantflow.refresh`: the one refresh that all of them wait for, within the wait of the one who began it, and linked
  with the waits of all others, whichever trace they belong to;
- `grantflow.exchange`: a code becomes tokens.

No attribute holds a token or a code, and none a person's id unless it is asked for. Where the application has set no
tracer provider, nothing is made.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

try:
    from opentelemetry import context
    from opentelemetry import trace as api
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'Spans need opentelemetry-api, which is not there. Install it in a clone of Grantflow: pip install ".[otel]"',
        name=error.name,
    ) from error

from grantflow.client.integration import AsyncIntegration, Integration
from grantflow.client.observing import Activity, Calling, Ending, Exchanging, Refreshing, Waiting


def trace(
    integration: Integration | AsyncIntegration,
    *,
    tracer_provider: api.TracerProvider | None = None,
    calls: bool = True,
    people: bool = False,
) -> None:
    """Have spans made of what this integration does, by the global tracer provider unless one is given.

    `calls`: also of each call of the API, not only of refreshes and exchanges. `people`: with the ids of the person and
    the owner as attributes, which then are wherever the spans are sent.
    """
    tracer = api.get_tracer("grantflow", tracer_provider=tracer_provider)
    integration.observe(_Tracing(tracer, calls=calls, people=people))


@dataclass(slots=True)
class _Flight:
    """A refresh and those who wait for it: each gets a link to the other. It is known as long as `users` are left."""

    users: int = 0
    refresh: api.Span | None = None
    waits: list[api.SpanContext] = field(default_factory=list)


class _Tracing:
    def __init__(self, tracer: api.Tracer, *, calls: bool, people: bool) -> None:
        self._tracer = tracer
        self._calls = calls
        self._people = people
        self._flights: dict[Hashable, _Flight] = {}
        self._lock = threading.Lock()

    def begin(self, activity: Activity) -> Ending | None:
        if isinstance(activity, Calling) and not self._calls:
            return None
        attributes = {"grantflow.integration": activity.integration}
        if self._people and activity.key is not None:
            attributes |= {"grantflow.person_id": activity.key.person_id, "grantflow.owner": activity.key.owner}
        around = api.get_current_span()
        span = self._tracer.start_span(f"grantflow.{activity.name}", attributes=attributes)
        if not span.get_span_context().is_valid:
            return None  # nobody has set a tracer provider
        tell = self._teller(activity, span, around=around)
        token = context.attach(api.set_span_in_context(span))
        return partial(_end, activity, span, token, tell)

    def _teller(self, activity: Activity, span: api.Span, *, around: api.Span) -> Callable[[], None]:
        """Writes what is known of it at its end."""
        match activity:
            case Calling():
                return partial(_tell_of_call, activity, span)
            case Waiting():
                return partial(self._tell_of_wait, activity, span, self._wait(activity.flight, span))
            case Refreshing():
                self._fly(activity.flight, span, led_by=around)
                return partial(self._tell_of_refresh, activity, span)
            case Exchanging():
                return lambda: span.set_attribute("grantflow.outcome", activity.outcome)
        return lambda: None

    # --- who waits for what -------------------------------------------------------------------------------------

    def _wait(self, name: Hashable, span: api.Span) -> _Flight:
        with self._lock:
            flight = self._flights.setdefault(name, _Flight())
            flight.users += 1
            flight.waits.append(span.get_span_context())
            refresh = flight.refresh
        if refresh is not None:
            refresh.add_link(span.get_span_context())
        return flight

    def _fly(self, name: Hashable, span: api.Span, *, led_by: api.Span) -> None:
        with self._lock:
            flight = self._flights.setdefault(name, _Flight())
            flight.users += 1
            flight.refresh = span
            waits = list(flight.waits)
        for wait in waits:
            if wait != led_by.get_span_context():
                span.add_link(wait)

    def _leave(self, name: Hashable) -> None:
        with self._lock:
            flight = self._flights[name]
            flight.users -= 1
            if not flight.users:
                del self._flights[name]

    # --- what is told at the end --------------------------------------------------------------------------------

    def _tell_of_wait(self, waiting: Waiting, span: api.Span, flight: _Flight) -> None:
        self._leave(waiting.flight)
        span.set_attribute("grantflow.joined", not waiting.leads)
        if not waiting.leads and flight.refresh is not None:
            span.add_link(flight.refresh.get_span_context())

    def _tell_of_refresh(self, refreshing: Refreshing, span: api.Span) -> None:
        self._leave(refreshing.flight)
        span.set_attribute("grantflow.outcome", refreshing.outcome.value)
        span.set_attribute("grantflow.waited_seconds", round(refreshing.pauses, 3))
        grant = refreshing.grant or getattr(refreshing.error, "grant", None)
        if grant is not None:
            span.set_attribute("grantflow.generation", grant.generation)


def _tell_of_call(call: Calling, span: api.Span) -> None:
    span.set_attribute("grantflow.retried", len(call.statuses) > 1)
    if call.statuses:
        span.set_attribute("http.response.status_code", call.statuses[-1])


def _end(activity: Activity, span: api.Span, token: Any, tell: Callable[[], None]) -> None:
    """No message of an error: it names the person."""
    context.detach(token)
    try:
        tell()
        if activity.error is not None:
            span.set_attribute("error.type", getattr(activity.error, "code", type(activity.error).__name__))
            span.set_status(api.StatusCode.ERROR)
    finally:
        span.end()
