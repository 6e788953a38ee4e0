"""The pages that errors end in."""

import logging

import pytest
from starlette.testclient import TestClient

from grantflow.web.errors import prefers_json
from tests.web.gallery import gallery

REFERENCE = "GF-7K3M-9QXT"


def client() -> TestClient:
    return TestClient(gallery("platform"), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/missing", 404, "This page does not exist"),
        ("POST", "/sign-in", 405, "This address cannot be opened like that"),
        ("GET", "/refused", 403, "This form came from another site"),
        ("GET", "/broken", 500, "Something went wrong here"),
    ],
)
def test_every_error_is_a_page_with_a_way_on_and_a_reference_that_the_log_holds(
    caplog: pytest.LogCaptureFixture, method: str, path: str, status: int, title: str
) -> None:
    with caplog.at_level(logging.INFO, logger="grantflow.web"):
        answer = client().request(method, path)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    assert REFERENCE in answer.text
    assert REFERENCE in caplog.text
    assert path in caplog.text


def test_a_crash_tells_the_log_everything_and_the_person_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answer = client().get("/broken")
    assert "secret detail" in caplog.text
    for inside in ("secret detail", "Traceback", "RuntimeError", "gallery.py"):
        assert inside not in answer.text


def test_the_query_of_a_request_is_not_logged_since_it_may_hold_a_code(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="grantflow.web"):
        client().get("/missing?code=a-code-nobody-may-see")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("grantflow")]
    assert ours
    assert not any("a-code-nobody-may-see" in message for message in ours)


def test_a_program_that_prefers_json_gets_the_same_words_as_json() -> None:
    answer = client().get("/missing", headers={"accept": "application/json"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "title": "This page does not exist",
        "status": 404,
        "detail": "The address may be mistyped, or what it showed has been removed. "
        "Check the address, or go on from the start page.",
        "reference": REFERENCE,
    }


def test_a_method_that_is_not_allowed_names_those_that_are() -> None:
    assert set(client().post("/sign-in").headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/json", True),
        ("application/problem+json", True),
        ("application/json, text/html", False),
        ("application/json, text/html;q=0.5", True),
        ("application/json;q=0.4, text/html;q=0.5", False),
        ("application/json;q=nonsense", False),
        (";;,,=", False),
    ],
)
def test_json_is_for_those_who_ask_for_it_first(accept: str, json: bool) -> None:
    assert prefers_json(accept) is json
