"""What Prometheus sees of an integration: by its own client library, over a socket where that matters."""

import gc
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from grantflow import (
    BodyNotReplayable,
    IntegrationRefused,
    KeyRing,
    ReauthorizationRequired,
    RefreshOutcomeUnknown,
    SqliteVault,
    Status,
    TokenEndpointError,
    TransientTokenError,
)
from grantflow.client.adapters.prometheus import exposition, measure
from grantflow.client.observing import Outcome
from tests.client.conftest import World
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, Answer
from tests.client.shells import Gathering, Kinds, granted, noticed
from tests.parts import ROOT

pytestmark = pytest.mark.slow


class Metrics:
    """A registry, and what it says, by the names in its text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def text(self) -> str:
        return exposition(self.registry)[0].decode()

    def __getitem__(self, sample: str) -> float:
        """`name` or `name{label}`: the value, of whichever label that is."""
        name, _, label = sample.removesuffix("}").partition("{")
        found = [value for of, labels, value in samples(self.text()) if of == name and (not label or label in labels)]
        assert len(found) == 1, f"{sample} is {found}"
        return found[0]

    def wait_for(self, sample: str, value: float) -> None:
        """Grants are counted again after a hundred times the moment that it took."""
        until = time.monotonic() + 120
        while self[sample] != value:
            assert time.monotonic() < until, f"{sample} stays {self[sample]}"
            time.sleep(0.05)

    def refreshes(self) -> dict[str, float]:
        """By outcome, those that there were."""
        counted = [each for each in samples(self.text()) if each[0] == "grantflow_refreshes_total" and each[2]]
        return {labels["outcome"]: value for _, labels, value in counted}


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, _Labels(sample.labels), sample.value


class _Labels(dict[str, str]):
    def __contains__(self, value: object) -> bool:
        return value in self.values()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_calls_refreshes_and_exchanges_are_counted(either: Kinds, world: World, metrics: Metrics) -> None:
    integration = either()
    measure(integration.integration, registry=metrics.registry)
    granted(integration, world)
    integration.get("people/me")
    integration.get("people/me")
    world.platform.expire_access_tokens()
    integration.get("people/me")
    world.platform.api_answers += [Answer(503)]
    integration.get("people/me")
    assert metrics["grantflow_exchanges_total{exchanged}"] == 1
    assert metrics["grantflow_calls_total{2xx}"] == 3
    assert metrics["grantflow_calls_total{5xx}"] == 1
    assert metrics["grantflow_calls_retried_total{answered}"] == 1
    assert metrics.refreshes() == {"renewed": 1}
    assert metrics["grantflow_refresh_wait_seconds_count"] == 1


def test_each_way_in_which_a_refresh_ends_has_its_own_outcome(either: Kinds, world: World, metrics: Metrics) -> None:
    integration = either(client_secret=CLIENT_SECRET)
    measure(integration.integration, registry=metrics.registry)
    granted(integration, world)
    integration.refresh()
    world.platform.answers.append(Answer(503))
    for _ in range(2):
        with pytest.raises(TransientTokenError):
            integration.refresh()
    world.clock.advance(minutes=1)
    world.platform.end_grants()
    with pytest.raises(RefreshOutcomeUnknown):
        integration.refresh()
    granted(integration, world)
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        integration.refresh()
    granted(integration, world)
    world.platform.client_secret = "another"
    with pytest.raises(IntegrationRefused):
        integration.refresh()
    expected = {"renewed": 1, "delayed": 1, "not_asked": 1, "outcome_unknown": 1, "refused": 1}
    assert metrics.refreshes() == {**expected, "integration_refused": 1}
    assert metrics["grantflow_integration_refused"] == 1
    world.clock.advance(hours=1)
    world.platform.client_secret = CLIENT_SECRET
    integration.refresh()
    assert metrics.refreshes()["renewed"] == 2


def test_every_series_is_there_before_anything_has_happened(world: World, metrics: Metrics) -> None:
    """Else the first of them is no increase for Prometheus."""
    integration = world.integration()
    measure(integration, registry=metrics.registry)
    for outcome in Outcome:
        assert metrics[f"grantflow_refreshes_total{{{outcome.value}}}"] == 0
    assert metrics["grantflow_calls_retried_total{refused_again}"] == 0
    assert metrics["grantflow_grants{active}"] == 0


def test_what_the_api_refuses_twice_or_cannot_be_sent_twice_is_told_apart(
    either: Kinds, world: World, metrics: Metrics
) -> None:
    integration = either()
    measure(integration.integration, registry=metrics.registry)
    granted(integration, world)
    world.platform.api_answers += [Answer(401), Answer(401)]
    assert integration.get("people/me").status_code == 401
    assert metrics["grantflow_calls_retried_total{refused_again}"] == 1
    assert metrics["grantflow_calls_total{4xx}"] == 1


def test_a_body_that_could_be_sent_only_once_is_counted(world: World, metrics: Metrics) -> None:
    integration = world.integration()
    measure(integration, registry=metrics.registry)
    world.grant(integration)
    world.platform.expire_access_tokens()
    with pytest.raises(BodyNotReplayable):
        integration.client_for("id-ada").post("messages", content=iter([b"one", b"two"]))
    assert metrics["grantflow_calls_retried_total{not_replayable}"] == 1


def test_a_call_without_an_answer_and_one_that_was_not_sent_are_told_apart(
    either: Kinds, world: World, metrics: Metrics
) -> None:
    integration = either()
    measure(integration.integration, registry=metrics.registry)
    granted(integration, world)
    world.platform.api_answers += [Answer(0), Answer(0)]
    with pytest.raises(Exception, match="disconnected"):
        integration.get("people/me")
    integration.revoke()
    with pytest.raises(ReauthorizationRequired):
        integration.get("people/me")
    assert metrics["grantflow_calls_total{no_answer}"] == 1
    assert metrics["grantflow_calls_total{not_sent}"] == 1


def test_a_code_that_is_refused_is_counted_with_its_error(either: Kinds, world: World, metrics: Metrics) -> None:
    integration = either()
    measure(integration.integration, registry=metrics.registry)
    world.platform.answers.append(Answer(400, json.dumps({"error": "invalid_grant"})))
    with pytest.raises(TokenEndpointError):
        granted(integration, world)
    assert metrics["grantflow_exchanges_total{token_endpoint_refused}"] == 1
    assert metrics["grantflow_exchanges_total{exchanged}"] == 0


def test_threads_that_share_one_refresh_are_counted_as_joined_and_each_waited(world: World, metrics: Metrics) -> None:
    integration, callers = world.integration(), Gathering()
    measure(integration, registry=metrics.registry)
    integration.observe(callers)
    world.grant(integration)
    world.platform.on_refresh = lambda: callers.wait_for(20)
    world.platform.wait = 0.3
    old, _ = world.stored_tokens(integration)
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda _: integration.refresh("id-ada", rejected=old), range(20)))
    assert metrics.refreshes() == {"renewed": 1, "joined": 19}
    assert metrics["grantflow_refresh_wait_seconds_count"] == 20
    assert metrics["grantflow_refresh_wait_seconds_sum"] > 19 * 0.2


def test_who_waits_for_the_lease_of_another_process_is_counted_as_having_waited(
    either: Kinds, world: World, metrics: Metrics
) -> None:
    integration, another = either(), world.integration()
    measure(integration.integration, registry=metrics.registry)
    granted(integration, world)
    began, waits = threading.Event(), noticed(integration.integration._parts.vault, "take_lease")

    def slowly() -> None:
        began.set()
        assert waits.wait(30)
        threading.Event().wait(0.3)

    world.platform.on_refresh = slowly
    integration.get("people/me")
    world.platform.expire_access_tokens()
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(another.refresh, "id-ada")
        assert began.wait(30)
        integration.get("people/me")
        other.result()
    assert metrics.refreshes() == {"waited": 1}
    assert world.platform.counts["refresh"] == 1


def test_whoever_comes_late_finds_the_token_of_another(either: Kinds, world: World, metrics: Metrics) -> None:
    integration = either()
    measure(integration.integration, registry=metrics.registry)
    granted(integration, world)
    integration.get("people/me")
    world.platform.expire_access_tokens()
    world.integration().refresh("id-ada")
    integration.get("people/me")
    assert metrics.refreshes() == {"found": 1}


def test_the_grants_are_counted_by_status_whenever_they_are_asked_for(
    either: Kinds, world: World, metrics: Metrics
) -> None:
    integration = either()
    measure(integration.integration, registry=metrics.registry)
    for person in ("ada", "grace", "edsger"):
        granted(integration, world, person=person)
    integration.revoke("id-grace")
    assert metrics["grantflow_grants{active}"] == 2
    assert metrics["grantflow_grants{revoked}"] == 1
    assert metrics["grantflow_grants_ending"] == 0
    assert metrics["grantflow_brake_on"] == 0
    assert metrics["grantflow_integration_refused"] == 0
    world.clock.advance(days=84)
    integration.refresh("id-edsger")
    metrics.wait_for("grantflow_grants_ending", 1)


def test_a_vault_that_cannot_be_read_is_told_and_everything_else_goes_on(
    world: World, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    integration = world.integration()
    measure(integration, registry=metrics.registry)
    world.grant(integration)
    assert metrics["grantflow_vault_up"] == 1
    world.path.rename(world.folder / "elsewhere.db")
    metrics.wait_for("grantflow_vault_up", 0)
    assert metrics["grantflow_exchanges_total{exchanged}"] == 1
    assert "grantflow_grants{" not in metrics.text()
    assert "the grants cannot be counted" in caplog.text


def test_what_takes_long_to_count_is_not_counted_at_each_scrape(world: World, metrics: Metrics) -> None:
    counted = []

    class Large(SqliteVault):
        def census(self, integration: str, *, ending_before: datetime) -> tuple[Mapping[Status, int], int]:
            counted.append(integration)
            threading.Event().wait(0.2)
            return super().census(integration, ending_before=ending_before)

    integration = world.integration(vault=Large(world.path, keys=KeyRing(world.key)))
    measure(integration, registry=metrics.registry)
    with ThreadPoolExecutor(5) as threads:
        assert all('status="active"' in text for text in threads.map(lambda _: metrics.text(), range(20)))
    assert counted == [CLIENT_ID]


def test_two_integrations_are_told_apart_and_one_that_is_gone_is_no_longer_counted(
    world: World, metrics: Metrics
) -> None:
    first, second = world.integration(), world.async_integration(client_id="Cother")
    measure(first, registry=metrics.registry)
    measure(second, registry=metrics.registry, name="the other one")
    assert metrics[f"grantflow_vault_up{{{CLIENT_ID}}}"] == 1
    assert metrics["grantflow_vault_up{the other one}"] == 1
    del second
    gc.collect()
    assert 'grantflow_vault_up{integration="the other one"}' not in metrics.text()


def test_it_is_scraped_over_a_socket(world: World, metrics: Metrics) -> None:
    integration = world.integration()
    measure(integration, registry=metrics.registry)
    world.grant(integration)
    server, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry=metrics.registry)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    of = f'integration="{CLIENT_ID}"'
    assert f'grantflow_grants{{{of},status="active"}} 1.0' in text.splitlines()
    assert f'grantflow_exchanges_total{{{of},outcome="exchanged"}} 1.0' in text.splitlines()


def test_s106_no_token_code_or_person_is_in_any_metric(either: Kinds, world: World, metrics: Metrics) -> None:
    integration = either()
    measure(integration.integration, registry=metrics.registry)
    secrets = [CLIENT_SECRET, "ada", "Ada", "the-owner"]
    begun = integration.begin(owner="the-owner")
    answer = world.platform.accept(begun.url)
    secrets += [answer.partition("code=")[2].partition("&")[0], answer.partition("state=")[2]]
    grant = integration.complete(answer, {begun.cookie.name: begun.cookie.value})
    secrets += [grant.id, *world.stored_tokens(integration.integration, owner="the-owner")]
    world.integration().refresh("id-ada", owner="the-owner")
    secrets += world.stored_tokens(integration.integration, owner="the-owner")
    world.platform.end_grants()
    with pytest.raises(ReauthorizationRequired):
        world.integration().refresh("id-ada", owner="the-owner")
    text = metrics.text()
    assert "grantflow_grants{" in text
    assert not [secret for secret in secrets if secret in text]
    names = {name for _, labels, _ in samples(text) for name in labels}
    assert names == {"integration", "outcome", "status", "le"}


def test_an_observer_that_fails_stops_nothing_and_is_named_once(
    either: Kinds, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy:
        def begin(self, activity: object) -> object:
            if type(activity).__name__ == "Waiting":
                raise RuntimeError("at the beginning")
            return self.end

        def end(self) -> None:
            raise KeyError("at the end")

    integration = either()
    integration.integration.observe(Clumsy())  # type: ignore[arg-type]
    granted(integration, world)
    for _ in range(3):
        world.platform.expire_access_tokens()
        assert integration.get("people/me").status_code == 200
    named = [record.getMessage() for record in caplog.records if "Clumsy" in record.getMessage()]
    assert len(named) == 2


PROCESSES = """
import json, os, sys
from prometheus_client import CollectorRegistry, multiprocess
from grantflow import Integration, KeyRing, SqliteVault
from grantflow.client.adapters.prometheus import Grants, exposition, measure
options = json.loads(sys.argv[1])

def integration():
    vault = SqliteVault(options.pop("vault"), keys=KeyRing(options.pop("key")))
    return Integration(redirect_uri="http://localhost:8000/oauth", scopes="spark:people_read", vault=vault, **options)

own = integration()
measure(own)
for _ in range(3):
    if os.fork() == 0:
        own.client_for("id-ada").get("people/me")
        os._exit(0)
for _ in range(3):
    assert os.wait()[1] == 0
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
grants = Grants()
grants.watch(own)
registry.register(grants)
print(exposition(registry)[0].decode())
"""


def test_in_prometheus_multiprocess_mode_all_processes_count_together_and_the_vault_once(world: World) -> None:
    world.grant(world.integration())
    world.platform.expire_access_tokens()
    options = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "api_url": world.api_url}
    options |= {"vault": str(world.path), "key": world.key}
    together = world.folder / "metrics"
    together.mkdir()
    finished = subprocess.run(
        [sys.executable, "-c", PROCESSES, json.dumps(options)],
        env={"PROMETHEUS_MULTIPROC_DIR": str(together), "PYTHONPATH": str(ROOT / "src")},
        check=True,
        text=True,
        capture_output=True,
    )
    lines = finished.stdout.splitlines()
    assert f'grantflow_calls_total{{integration="{CLIENT_ID}",status="2xx"}} 3.0' in lines
    assert f'grantflow_calls_retried_total{{integration="{CLIENT_ID}",outcome="answered"}} 3.0' in lines
    assert f'grantflow_refreshes_total{{integration="{CLIENT_ID}",outcome="renewed"}} 1.0' in lines
    assert f'grantflow_grants{{integration="{CLIENT_ID}",status="active"}} 1.0' in lines
