"""Whatever a server answers to discovery is its metadata or one readable error; userinfo names a person or nobody."""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow import DiscoveryFailed, ServerMetadata
from grantflow.client.discovery import why_no_issuer
from grantflow.client.flows.discovering import discover
from grantflow.client.steps import Send
from grantflow.client.userinfo import read_person
from grantflow.protocol.http import JSON, Response
from tests.properties.reading import ANY_TEXT, JSON_VALUES, URIS

ISSUER = "https://id.example.org/tenant"
ENDPOINTS = [f"{name}_endpoint" for name in ("authorization", "token", "revocation", "userinfo")]
LISTS = [f"{name}_supported" for name in ("response_types", "grant_types", "code_challenge_methods")]
MEMBERS = st.fixed_dictionaries(
    {"issuer": st.just(ISSUER), **dict.fromkeys(ENDPOINTS[:2], st.just(f"{ISSUER}/x") | URIS | JSON_VALUES)},
    optional={**dict.fromkeys(ENDPOINTS[2:], URIS | JSON_VALUES), **dict.fromkeys(LISTS, JSON_VALUES)},
)
BODIES = MEMBERS.map(lambda members: json.dumps(members).encode()) | st.binary(max_size=200)
STATUSES = st.just(200) | st.sampled_from([204, 301, 401, 404, 500])


def perform(issuer: str, answer: Response) -> ServerMetadata:
    """The flow, with the same answer at both places."""
    flow = discover(issuer)
    try:
        step = next(flow)
        while True:
            assert isinstance(step, Send)
            assert httpx2.URL(step.request.url).host == httpx2.URL(issuer).host
            step = flow.send(answer)
    except StopIteration as done:
        found: ServerMetadata = done.value
        return found


@given(STATUSES, BODIES)
def test_s75_s88_any_answer_is_metadata_of_that_issuer_with_tls_or_an_error(status: int, body: bytes) -> None:
    server = found_or_told(status, body)
    if server is None:
        return
    assert (status, server.issuer) == (200, ISSUER)
    for url in server.endpoints.values():
        parts = urlsplit(url)
        assert parts.scheme == "https"
        assert parts.hostname
        assert "#" not in url
        assert "@" not in parts.netloc
        assert httpx2.Request("POST", url).url.host


def found_or_told(status: int, body: bytes) -> ServerMetadata | None:
    try:
        return perform(ISSUER, Response(status, {"content-type": JSON}, body))
    except DiscoveryFailed as error:
        assert ISSUER in str(error).encode().decode()  # noqa: PT017  it can be written to a log
        return None


@given(URIS | ANY_TEXT)
def test_any_text_is_an_issuer_or_refused_before_anything_is_sent(issuer: str) -> None:
    if why_no_issuer(issuer) is None:
        assert perform(issuer, answer_of(issuer)).issuer == issuer
    else:
        with pytest.raises(DiscoveryFailed, match="is no issuer"):
            next(discover(issuer))


def answer_of(issuer: str) -> Response:
    members: dict[str, Any] = {"issuer": issuer, **dict.fromkeys(ENDPOINTS, "https://id.example.org/x")}
    return Response(200, {"content-type": JSON}, json.dumps(members).encode())


SOME = st.fixed_dictionaries({"sub": ANY_TEXT}, optional=dict.fromkeys(("name", "email"), JSON_VALUES | ANY_TEXT))


@given(STATUSES, SOME.map(lambda members: json.dumps(members).encode()) | st.binary(max_size=200))
def test_w29_any_answer_of_userinfo_names_a_person_or_nobody(status: int, body: bytes) -> None:
    read = read_person(Response(status, {"content-type": JSON}, body))
    assert read is None or (status == 200 and read.person_id)
