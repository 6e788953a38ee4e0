"""What docs/operations.md says of metrics, against what is exported: each name, and each alert in a case for it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from grantflow import GrantflowError, IntegrationRefused
from grantflow.client.adapters import prometheus
from grantflow.client.observing import Outcome
from tests.client.conftest import World
from tests.client.test_brake import refuse_all
from tests.parts import ROOT

SECTION = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("## Watching it")[2]
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)[0])["groups"]
    for rule in group["rules"]
}


def scrape(world: World) -> list[tuple[str, dict[str, str], float]]:
    """As a process that is started now would answer."""
    registry = CollectorRegistry()
    integration = world.integration()
    prometheus.measure(integration, registry=registry)
    families = text_string_to_metric_families(prometheus.exposition(registry)[0].decode())
    return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]


def fires(alert: str, world: World) -> bool:
    """Its expression, of the one form that the three have."""
    written = re.fullmatch(r"max by \(integration\) \((\w+)\) > (\d+)", ALERTS[alert]["expr"])
    assert written is not None
    name, bound = written.groups()
    highest: dict[str, float] = {}
    for of, labels, value in scrape(world):
        if of == name:
            highest[labels["integration"]] = max(value, highest.get(labels["integration"], 0))
    assert highest, f"{name} is not exported"
    return any(value > int(bound) for value in highest.values())


def test_every_metric_is_in_the_table_and_nothing_else(world: World) -> None:
    world.grant(world.integration())
    exported = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _, _ in scrape(world)}
    told = set(re.findall(r"^\| `(grantflow_\w+)` \|", SECTION, re.MULTILINE))
    assert {name for name in exported if not name.endswith("_created")} == told


def test_every_outcome_of_a_refresh_and_every_status_is_explained() -> None:
    assert [outcome.value for outcome in Outcome if f"`{outcome.value}`" not in SECTION] == []
    assert [word for word in ("answered", "refused_again", "not_replayable", "exchanged") if word not in SECTION] == []


def brake_on(world: World) -> None:
    integration = world.integration()
    people = [f"p{number}" for number in range(21)]
    for person in people:
        world.grant(integration, person=person)
    refuse_all(world)
    for person in people:
        with pytest.raises(GrantflowError):
            integration.refresh(f"id-{person}")


def integration_refused(world: World) -> None:
    integration = world.integration()
    world.grant(integration)
    world.platform.client_secret = "regenerated"
    with pytest.raises(IntegrationRefused):
        integration.refresh("id-ada")


def grants_dying(world: World) -> None:
    world.grant(world.integration())
    world.clock.advance(days=90 - 6)


CASES: dict[str, Callable[[World], None]] = {
    "GrantflowBrakeOn": brake_on,
    "GrantflowIntegrationRefused": integration_refused,
    "GrantflowGrantsDyingSoon": grants_dying,
}


def test_each_alert_has_a_case() -> None:
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize(("alert", "case"), CASES.items())
def test_each_alert_fires_in_its_case_and_in_no_other(alert: str, case: Callable[[World], None], world: World) -> None:
    world.grant(world.integration(), person="grace")
    assert not [name for name in ALERTS if fires(name, world)]
    case(world)
    assert [name for name in ALERTS if fires(name, world)] == [alert]


def test_the_lines_of_code_are_the_librarys(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    once, several = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    integration = world.integration()
    exec(once, {"integration": integration})
    assert b"grantflow_vault_up" in prometheus.exposition()[0]
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path_factory.mktemp("metrics")))
    names: dict[str, Any] = {"integration": integration}
    exec(several, names)
    assert b"grantflow_grants{" in prometheus.exposition(names["registry"])[0]
