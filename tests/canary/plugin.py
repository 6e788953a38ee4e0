"""Has a run of the tests keep a record for the scan: `-p tests.canary.plugin --canary=FOLDER --log-level=DEBUG`.

With `=`, since pytest takes a folder that stands alone for a place of tests; with `python -m pytest`, which finds the
plugin. What tests write goes to FOLDER too, in a folder for each run, and nothing of it is removed before the scan.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.canary import record
from tests.parts import ROOT


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--canary", metavar="FOLDER", required=True, help="where the record for tests.canary.scan is kept")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    folder, worker = Path(config.getoption("--canary")).absolute(), os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config.option.basetemp = str(folder / f"run-{os.getpid()}")
    config.pluginmanager.register(Keeping(record.begin(folder, f"{worker or 'main'}-{os.getpid()}")))


class Keeping:
    def __init__(self, kept: record.Record) -> None:
        self.kept = kept

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        record.written(report.longreprtext, f"traceback of {item.nodeid}")
        for title, text in report.sections:
            # What is logged is kept by itself; and foreign clients write what they like.
            if "log" not in title and not item.path.is_relative_to(ROOT / "tests/interop"):
                record.written(text, f"{title} of {item.nodeid}")
        return report

    def pytest_unconfigure(self) -> None:
        self.kept.close()
