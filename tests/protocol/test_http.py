"""Forms, query strings and Basic credentials."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow.protocol.errors import InvalidClient, InvalidRequest, OAuthError, RequestTooLarge
from grantflow.protocol.http import (
    Request,
    Response,
    read_basic_credentials,
    read_form,
    write_basic_credentials,
    write_form,
)
from grantflow.protocol.secret import Secret

TEXT = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.dictionaries(TEXT, TEXT, max_size=20))
def test_a_form_reads_back_as_it_was_written(fields: dict[str, str]) -> None:
    assert read_form(write_form(fields.items())) == fields


@given(st.binary())
def test_any_bytes_are_read_or_refused_as_an_oauth_error(body: bytes) -> None:
    with suppress(OAuthError):
        read_form(body)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"scope=a%20b", {"scope": "a b"}),
        (b"scope=a+b", {"scope": "a b"}),
        (b"redirect_uri=http://localhost:8000/oauth", {"redirect_uri": "http://localhost:8000/oauth"}),
        (b"", {}),
        (b"state&code=x", {"code": "x"}),
    ],
)
def test_s16_what_real_clients_send_is_read_and_an_empty_value_counts_as_absent(
    body: bytes, fields: dict[str, str]
) -> None:
    assert read_form(body) == fields


@pytest.mark.parametrize("body", [b"a=1&a=1", b"a=1&a=2", b"a=&a=2"])
def test_s15_a_repeated_parameter_is_an_error_that_names_it(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="'a' occurs more than once"):
        read_form(body)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"a=%ff", InvalidRequest),
        (b"\xff=1", InvalidRequest),
        (b"a=" + b"x" * 70_000, RequestTooLarge),
        (b"&".join(b"a%d=1" % n for n in range(101)), RequestTooLarge),
    ],
)
def test_what_cannot_be_an_honest_form_is_refused(body: bytes, error: type[OAuthError]) -> None:
    with pytest.raises(error):
        read_form(body)


@given(TEXT.filter(lambda text: ":" not in text), TEXT)
def test_basic_credentials_read_back_as_they_were_written(client_id: str, secret: str) -> None:
    header = write_basic_credentials(client_id, Secret(secret))
    assert read_basic_credentials(header) == (client_id, Secret(secret))


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic YWJj", "Bearer YTpi", "Basic /w==", "Basic ÿþ", "Bäsic YTpi"]
)
def test_malformed_basic_credentials_are_invalid_client(header: str) -> None:
    with pytest.raises(InvalidClient):
        read_basic_credentials(header)


def test_s94_no_repr_shows_a_body_or_a_secret() -> None:
    request = Request("POST", "https://host/token", {"authorization": "Bearer gone"}, b"code=gone")
    assert repr(Request("GET", "/v1/people?access_token=gone")) == "Request('GET', '/v1/people')"
    assert "gone" not in repr(request) + repr(Response(200, {}, b"gone")) + repr(Secret("gone")) + f"{Secret('gone')}"
