"""Both directions of each message, one against the other."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow.protocol.authorization import (
    STATE_PLACEHOLDER,
    AuthorizationRequest,
    authorization_redirect,
    authorization_url,
    error_redirect,
    read_authorization_request,
    read_authorization_response,
)
from grantflow.protocol.bearer import read_bearer, write_bearer
from grantflow.protocol.errors import (
    AccessDenied,
    InvalidRequest,
    OAuthError,
    UnsupportedGrantType,
    UnsupportedMediaType,
)
from grantflow.protocol.http import FORM, Request, Response, retry_after, write_basic_credentials, write_form
from grantflow.protocol.metadata import ServerMetadata, metadata_url, read_metadata, write_metadata
from grantflow.protocol.revocation import Revocation, read_revocation_request, revocation_request
from grantflow.protocol.scope import Scopes, meaning, read_scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import (
    TOKEN_LIMIT,
    ClientCredentials,
    CodeExchange,
    Refresh,
    TokenRefusal,
    Tokens,
    error_response,
    exchange_request,
    read_token_request,
    read_tokens,
    refresh_request,
    tokens_response,
)

TEXT = st.text(st.characters(codec="utf-8"), min_size=1)
SECRETS = TEXT.map(Secret)
OPTIONAL = st.none() | TEXT


def test_w20_the_authorization_url_keeps_the_portals_order() -> None:
    url = authorization_url(
        "https://webexapis.com/v1/authorize",
        AuthorizationRequest(
            "C1", redirect_uri="http://localhost:8000/oauth", scope="spark:kms a b", state=STATE_PLACEHOLDER
        ),
    )
    assert url == (
        "https://webexapis.com/v1/authorize?client_id=C1&response_type=code"
        "&redirect_uri=http%3A%2F%2Flocalhost%3A8000%2Foauth&scope=spark%3Akms%20a%20b&state=set_state_here"
    )


@given(
    st.builds(AuthorizationRequest, *[OPTIONAL] * len(AuthorizationRequest.__dataclass_fields__)),
)
def test_w23_an_authorization_request_reads_back_as_it_was_written(request_: AuthorizationRequest) -> None:
    url = authorization_url("https://host/authorize", request_)
    assert read_authorization_request(url.partition("?")[2].encode()) == request_


def test_s14_unknown_parameters_of_an_authorization_request_are_ignored() -> None:
    assert read_authorization_request(b"client_id=C1&cisService=webex").client_id == "C1"


@given(SECRETS, OPTIONAL)
def test_w25_a_success_reads_back_with_code_state_and_issuer(code: Secret, state: str | None) -> None:
    url = authorization_redirect("https://app.example/oauth?a=1", code=code, state=state, issuer="https://as/v1")
    response = read_authorization_response(url)
    assert (response.code, response.state, response.iss, response.error) == (code, state, "https://as/v1", None)


def test_w25_a_decline_reads_back_as_access_denied_with_its_state() -> None:
    url = error_redirect("https://app.example/oauth", AccessDenied("No."), state="s", issuer="https://as/v1")
    response = read_authorization_response(url)
    assert (response.code, response.error, response.error_description, response.state) == (
        None,
        "access_denied",
        "No.",
        "s",
    )


CREDENTIALS = st.builds(ClientCredentials, TEXT.filter(lambda t: ":" not in t), SECRETS, st.booleans()) | st.builds(
    ClientCredentials, TEXT
)


@given(st.builds(CodeExchange, CREDENTIALS, SECRETS, OPTIONAL, st.none() | SECRETS))
def test_w26_a_code_exchange_reads_back_as_it_was_written(exchange: CodeExchange) -> None:
    assert read_token_request(exchange_request("https://host/token", exchange)) == exchange


@given(st.builds(Refresh, CREDENTIALS, SECRETS, OPTIONAL))
def test_w33_a_refresh_reads_back_as_it_was_written(refresh: Refresh) -> None:
    assert read_token_request(refresh_request("https://host/token", refresh)) == refresh


@given(st.builds(Revocation, CREDENTIALS, SECRETS, OPTIONAL))
def test_a_revocation_reads_back_as_it_was_written(revocation: Revocation) -> None:
    assert read_revocation_request(revocation_request("https://host/revoke", revocation)) == revocation


# What RFC 6749 appendix A lets a token be, but for a space at either end: it would be lost on the way in a header.
VSCHAR = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
TOKENS = st.text(VSCHAR, min_size=1).filter(lambda token: token == token.strip()).map(Secret)
LIFETIMES = st.none() | st.integers(1, 10**9)
SCOPES = st.none() | st.lists(st.sampled_from(["a", "b", "spark:kms"])).map(lambda tokens: Scopes.of(*tokens))


@given(st.builds(Tokens, TOKENS, LIFETIMES, st.none() | TOKENS, LIFETIMES, SCOPES))
def test_w27_a_token_answer_reads_back_as_it_was_written(tokens: Tokens) -> None:
    response = tokens_response(tokens)
    assert read_tokens(response) == tokens
    assert response.headers["cache-control"] == "no-store"


GOOD = {"access_token": "a", "refresh_token": "r", "token_type": "Bearer"}
NO_TOKEN = [
    "\ud800",
    "a\ud83d",
    "caf\u00e9",
    "a\nb",
    "a\x00",
    " a",
    "a ",
    "a\x7f",
    "x" * (TOKEN_LIMIT + 1),
    5,
    ["a"],
    {"a": 1},
]
UNUSABLE = [
    *[{"access_token": token} for token in NO_TOKEN],
    *[{"refresh_token": token} for token in NO_TOKEN],
    *[{"token_type": kind} for kind in ("mac", "N_A", "", "Bearer\ud800", 5, ["Bearer"])],
]


@pytest.mark.parametrize("members", UNUSABLE, ids=lambda members: ascii(members)[:60])
def test_s105_an_answer_whose_tokens_could_never_be_sent_again_is_no_success(members: dict[str, object]) -> None:
    with pytest.raises(TokenRefusal) as caught:
        read_tokens(Response(200, {}, json.dumps(GOOD | members).encode()))
    (name,) = members
    assert f"its {name} is not" in str(caught.value)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", None])
def test_s105_a_bearer_token_is_one_however_it_is_written_or_if_nothing_is_said(kind: str | None) -> None:
    longest = "x" * TOKEN_LIMIT
    answer = GOOD | {"token_type": kind, "access_token": longest, "refresh_token": None}
    tokens = read_tokens(Response(200, {}, json.dumps(answer).encode()))
    assert tokens == Tokens(Secret(longest))


@pytest.mark.parametrize("scope", ["\ud800", "a \u00e9", 'a "b"', "a\x00b", "s " * TOKEN_LIMIT, 5, ["a"], None])
def test_s105_a_scope_that_is_none_says_nothing_and_costs_no_token(scope: object) -> None:
    assert read_tokens(Response(200, {}, json.dumps(GOOD | {"scope": scope}).encode())).scope is None


def test_s94_a_token_answer_does_not_show_its_tokens() -> None:
    tokens = Tokens(Secret("gone"), refresh_token=Secret("gone"))
    assert "gone" not in repr(tokens) + repr(tokens_response(tokens))


def form(*fields: tuple[str, str], **headers: str) -> Request:
    return Request("POST", "/", {"content-type": FORM, **headers}, write_form(fields))


BASIC = write_basic_credentials("C1", Secret("s"))
CODE = [("grant_type", "authorization_code"), ("code", "x")]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (form(), InvalidRequest),
        (form(("client_id", "C1")), InvalidRequest),
        (form(*CODE), InvalidRequest),
        (form(("client_id", "C1"), ("grant_type", "authorization_code")), InvalidRequest),
        (form(("client_id", "C1"), ("grant_type", "refresh_token")), InvalidRequest),
        (form(*CODE, ("client_id", "C1"), ("client_secret", "s"), authorization=BASIC), InvalidRequest),
        (form(*CODE, ("client_id", "C2"), authorization=BASIC), InvalidRequest),
        (form(("client_id", "C1"), ("grant_type", "password")), UnsupportedGrantType),
        (form(("client_id", "C1"), ("grant_type", "client_credentials")), UnsupportedGrantType),
        (form(("client_id", "C1"), ("grant_type", "implicit")), UnsupportedGrantType),
        (form(("client_id", "C1"), ("grant_type", "nonsense")), UnsupportedGrantType),
        (Request("POST", "/", {"content-type": "application/json"}, b"{}"), UnsupportedMediaType),
        (Request("POST", "/", {}, b"grant_type=x"), UnsupportedMediaType),
    ],
)
def test_w12_w26_each_wrong_token_request_gets_its_own_error(request_: Request, error: type[OAuthError]) -> None:
    with pytest.raises(error):
        read_token_request(request_)


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b'{"code": 1}', b"[" * 100_000])
def test_w26_json_that_holds_no_text_members_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_token_request(Request("POST", "/", {"content-type": "application/json"}, body), accept_json=True)


def test_w26_json_is_read_where_the_platform_says_so() -> None:
    body = json.dumps({"grant_type": "refresh_token", "client_id": "C1", "client_secret": "s", "refresh_token": "r"})
    request = Request("POST", "/", {"content-type": "application/json; charset=utf-8"}, body.encode())
    read = read_token_request(request, accept_json=True)
    assert read == Refresh(ClientCredentials("C1", Secret("s")), Secret("r"))


NONE = "there is no access_token in it"
UNFIT = f"its access_token is not 1 to {TOKEN_LIMIT} characters of ASCII (RFC 6749 appendix A)"
WEBEX_ERROR = b'{"message": "No.", "errors": [{"description": "Dead."}], "trackingId": "T1"}'


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (Response(400, {}, WEBEX_ERROR), TokenRefusal(400, None, "Dead.", True, True, None, "T1")),
        (Response(400, {}, b'{"error": "invalid_grant"}'), TokenRefusal(400, "invalid_grant", None, True)),
        (Response(200, {}, b'{"error": "invalid_grant"}'), TokenRefusal(200, "invalid_grant", NONE, True)),
        (Response(200, {}, b"{}"), TokenRefusal(200, description=NONE, is_json=True)),
        (Response(200, {}, b'{"access_token": 1}'), TokenRefusal(200, description=UNFIT, is_json=True)),
        (Response(200, {}, b'{"access_token": ""}'), TokenRefusal(200, description=NONE, is_json=True)),
        (Response(200, {}, b"<html>"), TokenRefusal(200, is_html=True)),
        (Response(200, {}, b""), TokenRefusal(200)),
        (Response(302, {"location": "/"}, b'{"access_token": "a"}'), TokenRefusal(302, is_json=True)),
        (Response(429, {"retry-after": "3"}, b"<html>"), TokenRefusal(429, retry_after=3, is_html=True)),
        (Response(429, {"retry-after": "Wed"}, b""), TokenRefusal(429)),
        (Response(429, {"retry-after": "9" * 5000}, b""), TokenRefusal(429)),
        (Response(503, {}, b"\xff\xfe"), TokenRefusal(503)),
        (Response(400, {}, b'{"errors": [1], "message": 2, "error": []}'), TokenRefusal(400, is_json=True)),
    ],
)
def test_only_2xx_with_an_access_token_counts_as_success(response: Response, expected: TokenRefusal) -> None:
    with pytest.raises(TokenRefusal) as refusal:
        read_tokens(response)
    assert vars(refusal.value) == vars(expected)


@pytest.mark.parametrize("basic", [True, False])
@pytest.mark.parametrize(
    "written", ['s3cr/t o"f+ours', "s3cr/t o'f+ours", "s3cr%2ft%20o%22f%2Bours", "s3cr%2Ft+o%22f%2Bours"]
)
def test_s94_a_refusal_quotes_nothing_that_was_secret_in_the_request(written: str, *, basic: bool) -> None:
    credentials = ClientCredentials("C1", Secret('s3cr/t o"f+ours'), basic=basic)
    request = exchange_request("https://as/token", CodeExchange(credentials, Secret("a-code(" * 9_000), "https://a/"))
    header = request.headers.get("authorization", "s3cr%2Ft")
    body = json.dumps({"error": written, "error_description": f"{'a-code(' * 9_000}, {written}: {header} for C1"})
    with pytest.raises(TokenRefusal) as refusal:
        read_tokens(Response(400, {}, body.encode(), request=request))
    assert refusal.value.error == "***"
    assert refusal.value.description == f"***, ***: {'Basic ***' if basic else header} for C1"


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token"])
def test_s94_a_refusal_quotes_no_token_that_stands_in_the_same_answer(status: int, name: str) -> None:
    for token, quoted in (
        ("new/token+0123456789", "new/token+0123456789"),
        ("new/token+0123456789", "new%2ftoken%2B0123456789"),
        ("half a pair \ud800 of it", "half a pair \ud800 of it"),
    ):
        answer = {name: token, "token_type": "mac", "error": quoted, "error_description": f"gave {quoted}"}
        with pytest.raises(TokenRefusal) as refusal:
            read_tokens(Response(status, {}, json.dumps(answer).encode()))
        assert (refusal.value.error, refusal.value.description) == ("***", "gave ***")


NOON = "Thu, 26 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("told", "sent", "seconds"),
    [
        ("Thu, 26 Nov 2026 12:02:00 GMT", NOON, 120),
        ("Thursday, 26-Nov-26 12:02:00 GMT", NOON, 120),
        ("Thu, 26 Nov 2026 11:00:00 GMT", NOON, 0),
        ("Thu, 26 Nov 2026 12:02:00 GMT", "", None),
        ("Thu, 32 Nov 2026 12:02:00 GMT", NOON, None),
        ("120", NOON, 120),
        (f"{'9' * 5_000} GMT", NOON, None),
    ],
)
def test_a_date_to_come_again_at_counts_from_the_answers_own_date(told: str, sent: str, seconds: int | None) -> None:
    assert retry_after(Response(503, {"retry-after": told, "date": sent})) == seconds


@given(st.integers(100, 599), st.binary() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["access_token", "error", "errors", "x"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_answer_is_tokens_or_a_refusal(status: int, body: bytes) -> None:
    with suppress(TokenRefusal):
        assert read_tokens(Response(status, {}, body)).access_token


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(1209599, 1209599), ("3600", 3600), (3600.9, 3600), (0, None), (-1, None), ("soon", None), (True, None),
     (10**12, None), ("9" * 5000, None), ([], None)],
)  # fmt: skip
def test_s104_a_lifetime_that_makes_no_sense_is_no_lifetime(value: object, seconds: int | None) -> None:
    body = json.dumps({"access_token": "a", "expires_in": value, "surprise": {}}).encode()
    assert read_tokens(Response(200, {}, body)).expires_in == seconds


def test_an_error_answer_speaks_webex_and_rfc_6749_at_once() -> None:
    error = AccessDenied("No.", retry_after=7)
    both, webex = (error_response(error, tracking_id="T1", webex_only=only) for only in (False, True))
    assert json.loads(both.body) == json.loads(webex.body) | {"error": "access_denied", "error_description": "No."}
    assert json.loads(webex.body) == json.loads(WEBEX_ERROR) | {"errors": [{"description": "No."}]}
    assert both.headers["retry-after"] == "7"


def test_a_bearer_token_reads_back_and_none_is_none() -> None:
    token = Secret("T0k+/n_LG01_org")
    assert read_bearer({"authorization": write_bearer(token)}) == token
    assert read_bearer({"authorization": "bearer  x "}) == Secret("x")
    assert [read_bearer(h) for h in ({}, {"authorization": "Bearer"}, {"authorization": "Basic eA=="})] == [None] * 3


METADATA = ServerMetadata("https://as.example/v1", "https://as.example/v1/authorize", "https://as.example/v1/token")


def test_s75_metadata_reads_back_and_lies_where_rfc_8414_puts_it() -> None:
    full = replace(METADATA, revocation_endpoint="https://as.example/v1/revoke", iss_announced=True, scopes=("a",))
    for metadata in (METADATA, full):
        assert read_metadata(write_metadata(metadata), issuer=metadata.issuer) == metadata
    assert metadata_url(METADATA.issuer) == "https://as.example/.well-known/oauth-authorization-server/v1"


@pytest.mark.parametrize("change", [{"issuer": "https://as.example/"}, {"token_endpoint": None}, {"issuer": None}])
def test_s75_metadata_of_another_issuer_or_without_endpoints_is_not_believed(change: dict[str, str | None]) -> None:
    with pytest.raises(InvalidRequest):
        read_metadata(write_metadata(METADATA) | change, issuer=METADATA.issuer)


def test_w09_scopes_keep_their_order_and_spark_all_covers_a_persons_scopes() -> None:
    scopes = read_scopes("b  a b")
    assert (str(scopes), len(scopes), "a" in scopes, list(scopes)) == ("b a", 2, True, ["b", "a"])
    assert str(scopes | Scopes.of("c")) == "b a c"
    assert str(scopes.beyond(Scopes.of("a"))) == "b"
    assert not scopes.within(Scopes.of("a"))
    assert Scopes.of("spark:all").allow("spark:rooms_read")
    assert not Scopes.of("spark:all").allow("identity:tokens_read")
    assert not Scopes.of("spark:rooms_read").allow("spark:rooms_write")


def test_w09_every_scope_has_plain_words() -> None:
    assert meaning("spark:messages_write") == "Post and delete messages in your name"
    assert meaning("spark:devices_read") == "devices read"
    assert meaning("odd") == "odd"
