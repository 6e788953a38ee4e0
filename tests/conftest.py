"""The order of the tests, the parts of the machine that they need, and what a skip means."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from benchmarks.postgres import FOR_TESTS, Postgres, postgres_server
from tests.engines import Home, home_on
from tests.parts import ROOT, require

#: How thoroughly the property tests look: by default in ./dev check, else in ./dev soak (--hypothesis-profile soak).
#: That the machine is busy is no fault of what they look at.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", PATIENT, max_examples=60)
settings.register_profile("soak", PATIENT, max_examples=1_000)
settings.load_profile("quick")


# What runs in the background of a shell inherits that Ctrl-C is ignored, and hands it on: programs that are told to end
# by it would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", metavar="DIR", help="where tests/browser/test_walkthrough.py puts its pictures")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium, for Playwright's `executable_path`. A test that takes it is a browser test: what it expects
    may take its time on a busy machine."""
    path = require("chromium")
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for all tests of this run. A test that stops it takes one of its own: `postgres_server`."""
    require("postgres")
    with postgres_server(FOR_TESTS) as server:
        yield server


@pytest.fixture
def engine() -> str:
    """Which database a vault lies in: `BOTH` of tests/engines.py says otherwise."""
    return "sqlite"


@pytest.fixture
def home(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Home:
    """Where the vault of this test lies."""
    return home_on(engine, tmp_path, request)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, then slow ones, and the browser's last: after synchronous Playwright, asyncio is spoilt."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests/browser") or "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: (is_marked(item, "browser"), is_marked(item, "slow")))


def is_marked(item: pytest.Item, name: str) -> bool:
    return item.get_closest_marker(name) is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a skip is a failure; only `skipif` (another platform, another Python) may leave a test out."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not is_marked(item, "skipif"):
        fail_in_ci(report, call)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that leaves itself out."""
    report = yield
    if report.skipped:
        fail_in_ci(report, getattr(report, "call", None))
    return report


def fail_in_ci(report: pytest.TestReport | pytest.CollectReport, call: pytest.CallInfo[object] | None) -> None:
    if os.environ.get("CI") != "true":
        return
    reason = call.excinfo.value if call is not None and call.excinfo is not None else "no reason given"
    report.outcome = "failed"
    report.longrepr = f"With CI=true nothing may be skipped: {reason}"
