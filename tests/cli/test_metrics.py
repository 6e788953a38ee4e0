"""`grantflow serve --metrics`: what Prometheus scrapes, at an address of its own."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.cli.test_serve import ENVIRONMENT, FREE
from tests.client.foreign import CLIENT_ID, CLIENT_SECRET, foreign_platform
from tests.whole.running import ended, environment, running

pytestmark = pytest.mark.slow
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def test_metrics_are_served_where_they_are_asked_for_and_nowhere_else(tmp_path: Path) -> None:
    asked = ("--metrics", "--metrics-port", "0")
    with running(tmp_path / "data", "serve", *FREE, *asked, env=ENVIRONMENT) as served:
        at = urlsplit(served.said["metrics_url"])
        assert (at.hostname, at.path) == ("127.0.0.1", "/metrics")
        answer = httpx2.get(served.said["metrics_url"], trust_env=False)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        of = f'integration="{ENVIRONMENT["GRANTFLOW_CLIENT_ID"]}"'
        assert f'grantflow_grants{{{of},status="active"}} 0.0' in answer.text.splitlines()
        assert "process_resident_memory_bytes" in answer.text
        other = httpx2.get(served.said["metrics_url"], headers={"accept": OPENMETRICS}, trust_env=False)
        assert other.headers["content-type"].startswith("application/openmetrics-text")
        assert other.text.endswith("# EOF\n")
        pages = served.said["integration_url"]
        assert httpx2.get(f"{pages}/metrics", trust_env=False).status_code == 404
        assert httpx2.get(f"http://{at.netloc}/", trust_env=False).status_code == 404
        assert ENVIRONMENT["GRANTFLOW_CLIENT_SECRET"] not in answer.text


def test_the_port_alone_asks_for_them_too_and_one_that_is_taken_is_named(tmp_path: Path) -> None:
    with running(tmp_path / "data", "serve", *FREE, env={**ENVIRONMENT, "GRANTFLOW_METRICS_PORT": "0"}) as served:
        assert httpx2.get(served.said["metrics_url"], trust_env=False).status_code == 200
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = ended("serve", *FREE, "--metrics-port", str(port), "--data", str(tmp_path), **ENVIRONMENT)
    assert failed.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in failed.stderr
    assert "--metrics-port" in failed.stderr


def test_a_grant_over_the_pages_is_counted(tmp_path: Path) -> None:
    with foreign_platform() as (platform, api_url):
        settings = {
            **ENVIRONMENT,
            **{
                "GRANTFLOW_CLIENT_ID": CLIENT_ID,
                "GRANTFLOW_CLIENT_SECRET": CLIENT_SECRET,
                "GRANTFLOW_API_URL": api_url,
            },
        }
        with running(tmp_path / "data", "serve", *FREE, "--metrics-port", "0", env=settings) as served:
            with httpx2.Client(trust_env=False) as browser:
                begun = browser.get(f"{served.said['integration_url']}/connect")
                browser.get(platform.accept(begun.headers["location"]), follow_redirects=True).raise_for_status()
            lines = httpx2.get(served.said["metrics_url"], trust_env=False).text.splitlines()
            of = f'integration="{CLIENT_ID}"'
            assert f'grantflow_exchanges_total{{{of},outcome="exchanged"}} 1.0' in lines
            assert f'grantflow_grants{{{of},status="active"}} 1.0' in lines


#: As `opentelemetry-instrument` starts a program: the provider is there first.
INSTRUMENTED = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
trace.set_tracer_provider(provider)
from grantflow.cli import main
main()
"""


def test_where_a_tracer_provider_was_set_before_it_makes_spans(tmp_path: Path) -> None:
    with foreign_platform() as (platform, api_url):
        settings = {
            **ENVIRONMENT,
            **{
                "GRANTFLOW_CLIENT_ID": CLIENT_ID,
                "GRANTFLOW_CLIENT_SECRET": CLIENT_SECRET,
                "GRANTFLOW_API_URL": api_url,
            },
        }
        with (tmp_path / "spans").open("w") as spans:
            process = subprocess.Popen(
                [sys.executable, "-c", INSTRUMENTED, "serve", *FREE, "--json", "--data", str(tmp_path)],
                stdout=subprocess.PIPE,
                stderr=spans,
                text=True,
                env=environment() | settings,
            )
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            with httpx2.Client(trust_env=False) as browser:
                begun = browser.get(f"{said['integration_url']}/connect")
                browser.get(platform.accept(begun.headers["location"]), follow_redirects=True).raise_for_status()
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()
    told = (tmp_path / "spans").read_text()
    assert '"name": "grantflow.exchange"' in told
    assert '"grantflow.outcome": "exchanged"' in told
