"""The spans of an integration, as the real SDK exports them."""

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span

from grantflow import IntegrationRefused, ReauthorizationRequired, TokenEndpointError, TransientTokenError
from grantflow.client.adapters.opentelemetry import trace
from grantflow.client.integration.making import Made
from tests.client.adapters.senders import LIBRARIES
from tests.client.conftest import World
from tests.client.foreign import CLIENT_SECRET, Answer
from tests.client.shells import Gathering, Kinds, granted, noticed

pytestmark = pytest.mark.slow


class Spans:
    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("the host application")

    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == f"grantflow.{name}"]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def forget(self) -> None:
        self._exporter.clear()

    def trace(self, integration: Any, **options: Any) -> None:
        trace(integration, tracer_provider=self.provider, **options)


def told(span: ReadableSpan) -> dict[str, Any]:
    return {name.removeprefix("grantflow."): value for name, value in (span.attributes or {}).items()}


def ids(spans: Sequence[ReadableSpan]) -> set[int]:
    return {span.context.span_id for span in spans if span.context}


def links(span: ReadableSpan) -> set[int]:
    return {link.context.span_id for link in span.links}


@pytest.fixture
def spans() -> Spans:
    return Spans()


def test_a_call_that_is_sent_again_holds_the_wait_and_the_refresh_in_it(
    either: Kinds, world: World, spans: Spans
) -> None:
    integration = either()
    spans.trace(integration.integration)
    granted(integration, world)
    assert told(spans.one("exchange")) == {"integration": "Cforeign", "outcome": "exchanged"}
    spans.forget()
    world.platform.expire_access_tokens()
    integration.get("people/me")
    refresh, wait, call = spans.all()
    assert [refresh.name, wait.name, call.name] == ["grantflow.refresh", "grantflow.wait", "grantflow.call"]
    for child, parent in [(refresh, wait), (wait, call)]:
        assert child.parent
        assert child.parent.span_id in ids([parent])
    assert told(refresh) == {"integration": "Cforeign", "outcome": "renewed", "generation": 2, "waited_seconds": 0.0}
    assert told(wait) == {"integration": "Cforeign", "joined": False}
    assert told(call) == {"integration": "Cforeign", "retried": True, "http.response.status_code": 200}
    assert not refresh.links
    spans.forget()
    integration.get("people/me")
    assert told(spans.one("call"))["retried"] is False
    assert len(spans.all()) == 1


def test_no_span_stays_current_when_its_call_is_over(either: Kinds, world: World, spans: Spans) -> None:
    integration = either()
    spans.trace(integration.integration)
    granted(integration, world)
    world.platform.api_answers += [Answer(200), Answer(0), Answer(0)]
    integration.get("people/me")
    assert not get_current_span().get_span_context().is_valid
    with pytest.raises(Exception, match="disconnected"):
        integration.get("people/me")
    assert not get_current_span().get_span_context().is_valid
    gone = spans.named("call")[-1]
    assert gone.status.status_code is StatusCode.ERROR
    assert "http.response.status_code" not in (gone.attributes or {})


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_in_every_http_library_a_call_that_fails_on_the_way_ends_its_span_at_once(
    library: Any, world: World, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    world.grant(world.integration())
    with ExitStack() as stack:
        integration = library.integration(**world.options())
        spans.trace(integration)
        send = library.open(world, stack, integration)
        world.platform.api_answers += [Answer(0)] * 4
        before = world.platform.counts["call"]
        with pytest.raises(Exception) as caught:
            send("GET", f"{world.api_url}/people/me")
        tries = world.platform.counts["call"] - before  # aiohttp tries a connection that broke once more
        assert len(spans.named("call")) == tries, "while the error is still held"
        world.platform.api_answers.clear()
        assert send("GET", f"{world.api_url}/people/me").status == 200
        assert {span.parent for span in spans.named("call")} == {None}
        assert caught.value
    assert "detach" not in caplog.text


def test_each_way_in_which_a_refresh_ends_is_told(either: Kinds, world: World, spans: Spans) -> None:
    integration = either()
    spans.trace(integration.integration)
    granted(integration, world)
    world.platform.answers.append(Answer(503))
    with pytest.raises(TransientTokenError):
        integration.refresh()
    world.clock.advance(minutes=1)
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        integration.refresh()
    granted(integration, world)
    world.platform.client_secret = "another"
    with pytest.raises(IntegrationRefused):
        integration.refresh()
    refreshes = spans.named("refresh")
    assert [told(span)["outcome"] for span in refreshes] == ["delayed", "outcome_unknown", "integration_refused"]
    assert {span.status.status_code for span in refreshes} == {StatusCode.ERROR}
    assert told(refreshes[0])["error.type"] == "token_endpoint_unavailable"
    assert told(refreshes[0])["generation"] == 1


def test_a_code_that_is_refused_is_an_exchange_that_failed(either: Kinds, world: World, spans: Spans) -> None:
    integration = either()
    spans.trace(integration.integration)
    world.platform.answers.append(Answer(400, '{"error": "invalid_grant"}', {"Content-Type": "application/json"}))
    with pytest.raises(TokenEndpointError):
        granted(integration, world)
    assert told(spans.one("exchange"))["outcome"] == "token_endpoint_refused"
    assert spans.one("exchange").status.status_code is StatusCode.ERROR


def check_that_all_are_linked(spans: Spans) -> None:
    """One refresh, in the trace of the caller who began it, and linked both ways with the nineteen others."""
    refresh, waits = spans.one("refresh"), spans.named("wait")
    assert len(waits) == 20
    (leader,) = (wait for wait in waits if not told(wait)["joined"])
    joined = [wait for wait in waits if told(wait)["joined"]]
    assert refresh.parent
    assert refresh.parent.span_id in ids([leader])
    assert links(refresh) == ids(joined)
    for wait in joined:
        assert links(wait) == ids([refresh])
    assert not leader.links
    traces = {span.context.trace_id for span in waits if span.context}
    assert len(traces) == 20, "each caller has a trace of its own"


def test_threads_that_share_a_refresh_are_linked_with_it(world: World, spans: Spans) -> None:
    integration, callers = world.integration(), Gathering()
    spans.trace(integration)
    integration.observe(callers)
    world.grant(integration)
    world.platform.on_refresh = lambda: callers.wait_for(20)
    world.platform.wait = 0.3
    old, _ = world.stored_tokens(integration)

    def call(number: int) -> None:
        with spans.tracer.start_as_current_span(f"caller {number}"):
            integration.refresh("id-ada", rejected=old)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(call, range(20)))
    check_that_all_are_linked(spans)


def test_tasks_that_share_a_refresh_are_linked_with_it_though_it_has_a_task_of_its_own(
    world: World, spans: Spans
) -> None:
    world.grant(world.integration())
    world.platform.wait = 0.2

    async def story() -> None:
        async with world.async_integration() as integration:
            spans.trace(integration)
            old, _ = world.stored_tokens(integration)

            async def call(number: int) -> None:
                with spans.tracer.start_as_current_span(f"caller {number}"):
                    await integration.refresh("id-ada", rejected=old)

            await asyncio.gather(*(call(number) for number in range(20)))

    asyncio.run(story())
    check_that_all_are_linked(spans)


def test_a_caller_that_is_cancelled_ends_its_own_spans_and_not_the_refresh(
    world: World, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.grant(world.integration())
    world.platform.expire_access_tokens()
    asked, given_up = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        given_up.wait(30)

    world.platform.on_refresh = hold

    async def story() -> None:
        async with world.async_integration() as integration:
            spans.trace(integration)
            calling = asyncio.create_task(integration.client_for("id-ada").get("people/me"))
            assert await asyncio.to_thread(asked.wait, 30)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            assert told(spans.one("wait"))["error.type"] == "CancelledError"
            assert spans.one("call").status.status_code is StatusCode.ERROR
            assert not spans.named("refresh")
            given_up.set()
            grant = await integration.refresh("id-ada", rejected=None)
            assert grant.generation >= 2

    asyncio.run(story())
    outcomes = {told(each)["outcome"] for each in spans.named("refresh")}
    assert "renewed" in outcomes, "whichever of both ended first"
    assert "detach" not in caplog.text


def test_without_calls_only_refreshes_and_exchanges_have_spans(either: Kinds, world: World, spans: Spans) -> None:
    integration = either()
    spans.trace(integration.integration, calls=False)
    granted(integration, world)
    world.platform.expire_access_tokens()
    integration.get("people/me")
    assert [span.name for span in spans.all()] == ["grantflow.exchange", "grantflow.refresh", "grantflow.wait"]


def test_who_waited_for_another_process_is_told_with_how_long(world: World, spans: Spans) -> None:
    integration, another = world.integration(), world.integration()
    spans.trace(integration)
    world.grant(integration)
    began, waits = threading.Event(), noticed(integration._parts.vault, "take_lease")

    def slowly() -> None:
        began.set()
        assert waits.wait(30)
        threading.Event().wait(0.3)

    world.platform.on_refresh = slowly
    old, _ = world.stored_tokens(integration)
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(another.refresh, "id-ada", rejected=old)
        assert began.wait(30)
        integration.refresh("id-ada", rejected=old)
        other.result()
    attributes = told(spans.one("refresh"))
    assert attributes["outcome"] == "waited"
    assert attributes["waited_seconds"] > 0.1


def everything_in(spans: Spans) -> str:
    return "".join(span.to_json() for span in spans.all())


def play(either: Kinds, world: World, spans: Spans, **options: Any) -> tuple[str, list[str]]:
    """All that spans say of a life with an owner, a refresh, a refusal; and what is secret in it."""
    integration = either()
    spans.trace(integration.integration, **options)
    begun = integration.begin(owner="the-owner")
    answer = world.platform.accept(begun.url)
    secrets = [CLIENT_SECRET, answer.partition("code=")[2].partition("&")[0], answer.partition("state=")[2]]
    grant = integration.complete(answer, {begun.cookie.name: begun.cookie.value})
    made: Made = integration.integration
    secrets += [grant.id, *world.stored_tokens(made, owner="the-owner")]
    with pytest.raises(ReauthorizationRequired):
        integration.get("people/me")  # of the person alone, who has no grant
    blocking = world.integration()
    spans.trace(blocking, **options)
    world.platform.expire_access_tokens()
    blocking.client_for("id-ada", owner="the-owner").get("people/me")
    secrets += world.stored_tokens(made, owner="the-owner")
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        blocking.refresh("id-ada", owner="the-owner")
    assert {"grantflow.exchange", "grantflow.call", "grantflow.refresh"} <= {span.name for span in spans.all()}
    return everything_in(spans), secrets


def test_s106_no_token_code_or_person_is_in_any_span(either: Kinds, world: World, spans: Spans) -> None:
    text, secrets = play(either, world, spans)
    assert not [secret for secret in [*secrets, "id-ada", "ada@example.org", "the-owner"] if secret in text]


def test_a_persons_id_is_in_the_spans_where_it_is_asked_for_and_still_no_token(
    either: Kinds, world: World, spans: Spans
) -> None:
    text, secrets = play(either, world, spans, people=True)
    assert not [secret for secret in secrets if secret in text]
    assert '"grantflow.person_id": "id-ada"' in text
    assert '"grantflow.owner": "the-owner"' in text


def test_where_no_tracer_provider_is_set_nothing_is_made(either: Kinds, world: World) -> None:
    integration = either()
    trace(integration.integration)
    granted(integration, world)
    integration.get("people/me")
    world.platform.expire_access_tokens()
    assert integration.get("people/me").status_code == 200
    assert not get_current_span().get_span_context().is_valid


def test_it_needs_the_api_alone() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "import grantflow.client.adapters.opentelemetry\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.sdk.')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
