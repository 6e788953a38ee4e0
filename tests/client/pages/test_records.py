"""What a person reads while the integration's own records do not work, and what the operator does."""

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grantflow import database_file
from grantflow.client.vault import sqlite
from tests.client.conftest import World
from tests.client.pages.conftest import Sample, Serve
from tests.client.vault_troubles import TROUBLES, Trouble

pytestmark = pytest.mark.slow


@contextmanager
def locked(sample: Sample) -> Iterator[None]:
    other = sqlite3.connect(sample.world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Ours, and not what asyncio says, whenever it does, of what a test before has left."""
    return [record for record in caplog.records if record.levelno == logging.ERROR and record.name != "asyncio"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_FOR_LOCK_SECONDS", 0.3)
    monkeypatch.setattr(database_file, "_BELIEVED", 0.0)


def test_w30_a_grant_that_cannot_be_kept_is_told_and_can_be_given_again(
    sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    with sample.browser() as visitor:
        answer = sample.accepted(visitor)
        with locked(sample):
            told = visitor.see("GET", answer)
            assert (told.status_code, told.headers["location"].partition("?")[0]) == (303, "/went-wrong")
            page = visitor.see("GET", sample.url + told.headers["location"])
        assert (page.status_code, page.headers["retry-after"]) == (503, "5")
        assert "cannot keep your grant right now" in page.text
        (bell,) = errors(caplog)
        assert "another program keeps it locked" in bell.getMessage()
        assert sample.world.platform.counts["exchange"] == 0, "the code is not spent for nothing"
        assert "You are connected, Ada" in sample.grant(visitor).words


@pytest.mark.parametrize(("trouble", "says"), TROUBLES.values(), ids=TROUBLES)
def test_whatever_befalls_the_records_the_pages_say_come_back_and_then_nothing_is_missing(
    serve: Serve, world: World, caplog: pytest.LogCaptureFixture, trouble: Trouble, says: str
) -> None:
    sample = serve(revocation_url=f"{world.api_url}/revoke")
    with sample.browser() as visitor, sample.browser() as newcomer:
        sample.grant(visitor)
        (form,) = visitor.open(sample.url).forms
        answer = sample.accepted(newcomer, person="grace")
        with trouble(world), newcomer.keeping_cookies():
            told = newcomer.see("GET", answer)
            assert (told.status_code, told.headers["location"].partition("?")[0]) == (303, "/went-wrong")
            page = newcomer.see("GET", sample.url + told.headers["location"])
            pages = [page, visitor._http.post(f"{sample.url}/disconnect", data=form.fields)]
            for each in pages:
                assert (each.status_code, int(each.headers["retry-after"]) >= 1) == (503, True)
                assert "Reference" in each.text
                assert not re.search("sqlite|grants.db|Traceback", each.text, re.IGNORECASE)
        assert len([record for record in caplog.records if re.search(says, record.getMessage())]) == len(pages)
        assert world.platform.counts["exchange"] == 1, "the code is not spent for nothing"
        assert "You are connected, Grace" in newcomer.open(answer).words
        assert "Connected as Ada" in visitor.open(sample.url).words
        assert "has confirmed that" in visitor.press("Disconnect").words


def test_where_a_newer_release_has_changed_the_records_the_pages_of_an_older_one_say_come_back(
    sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        sample.integration._parts.vault.close()
        with sqlite3.connect(sample.world.path) as other:
            other.execute("UPDATE grantflow_schema SET version = version + 1")
        page = visitor.see("GET", f"{sample.url}/")
        assert (page.status_code, page.headers["retry-after"]) == (503, "60")
        assert "cannot use its own records" in page.text
        assert "Upgrade this installation" in caplog.text
        with other:
            other.execute("UPDATE grantflow_schema SET version = version - 1")
        other.close()
        assert "Connected as Ada" in visitor.open(sample.url).words


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_page_that_needs_the_records_answers_503_and_when_to_come_back(
    sample: Sample, caplog: pytest.LogCaptureFixture, accept: str
) -> None:
    with sample.browser() as visitor:
        sample.grant(visitor)
        (form,) = visitor.open(sample.url).forms
        with locked(sample):
            answer = visitor._http.post(f"{sample.url}/disconnect", data=form.fields, headers={"accept": accept})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "cannot use its own records" in answer.text
        assert "sqlite" not in answer.text.lower()
        (bell,) = errors(caplog)
        assert "Close what has it open" in bell.getMessage()
        assert bell.exc_info is None
        assert "Connected as Ada" in visitor.open(sample.url).words


@pytest.mark.parametrize(
    ("spoil", "fix"),
    [
        ("tokens = zeroblob(80)", "restore the record from a backup"),
        ("tokens = x'01' || x'0123456789abcdef' || zeroblob(80)", "Put that key back"),
    ],
)
def test_a_record_that_does_not_open_is_told_and_can_be_replaced_by_granting_again(
    serve: Serve, caplog: pytest.LogCaptureFixture, spoil: str, fix: str
) -> None:
    sample = serve(pages={"try_it": True})
    with sample.browser() as visitor:
        sample.grant(visitor)
        (grant,) = sample.elsewhere().grants()
        with sqlite3.connect(sample.world.path) as other:
            other.execute(f"UPDATE grants SET tokens = CAST({spoil.removeprefix('tokens = ')} AS BLOB), generation = 7")
        other.close()
        sample.world.clock.advance(seconds=5)
        page = visitor.open(sample.url)
        assert page.status == 503
        assert "What is kept of your grant does not open" in page.words
        (bell,) = errors(caplog)
        assert fix in bell.getMessage()
        assert f"the record of grant {grant.id}" in bell.getMessage()
        reference = re.search(r"Reference ([a-z2-7]{8})", page.words)
        assert reference is not None
        assert reference[1] in bell.getMessage()
        again = visitor.press("Grant again").url
        assert "You are connected, Ada" in visitor.open(sample.world.platform.accept(again)).words
        assert visitor.open(sample.url).status == 200
