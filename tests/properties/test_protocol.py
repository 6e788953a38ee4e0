"""Every reader of the shared language, on whatever comes. More of messages in both directions: tests/protocol."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from grantflow.protocol.authorization import (
    PARAMETERS,
    AuthorizationRequest,
    authorization_url,
    error_redirect,
    read_authorization_request,
    read_authorization_response,
)
from grantflow.protocol.bearer import ApiError, api_error_response, read_bearer, write_bearer, write_challenge
from grantflow.protocol.errors import (
    InsufficientScope,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidToken,
    OAuthError,
    printable,
)
from grantflow.protocol.http import FORM, JSON, Request, Response, read_basic_credentials, read_form, write_form
from grantflow.protocol.metadata import ServerMetadata, metadata_url, read_metadata, write_metadata
from grantflow.protocol.minting import mint_token
from grantflow.protocol.pkce import check_challenge, check_verifier
from grantflow.protocol.redirect_uri import (
    check_registrable,
    find_registered,
    origin,
    split_redirect_uris,
    with_parameters,
)
from grantflow.protocol.revocation import read_revocation_request
from grantflow.protocol.scope import Scopes, read_scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.timestamp import read_timestamp, write_timestamp
from grantflow.protocol.token import TokenRefusal, error_response, read_token_request, read_tokens
from tests.properties.reading import ANY_TEXT, JSON_VALUES, NONEMPTY, TEXT, TIMES, URIS, read_or_refused

PAIRS = st.lists(st.tuples(st.sampled_from([*PARAMETERS, "unknown", "é"]), TEXT), max_size=14)
QUERIES = st.binary(max_size=400) | PAIRS.map(write_form)
MEDIA_TYPES = st.sampled_from([FORM, JSON, f"{FORM}; charset=utf-8", "", "text/html"]) | TEXT


@given(QUERIES)
def test_s31_any_query_is_an_authorization_request_or_refused(query: bytes) -> None:
    read_or_refused(lambda: read_authorization_request(query), InvalidRequest)


@given(st.sampled_from(["https://host/authorize", "https://host/authorize?tenant=1"]), PAIRS)
def test_an_authorization_url_is_one_query_whatever_is_asked(endpoint: str, pairs: list[tuple[str, str]]) -> None:
    asked = AuthorizationRequest(**{"client_id": None, **{n: v or None for n, v in pairs if n in PARAMETERS}})
    url = authorization_url(endpoint, asked)
    assert url.isascii()
    assert read_authorization_request(url.partition("?")[2].encode()) == asked


@given(URIS | TEXT | QUERIES.map(lambda query: "https://app/oauth?" + query.decode("latin-1")))
def test_s95_any_address_that_comes_to_the_redirect_uri_is_read_or_refused(address: str) -> None:
    answer = read_or_refused(lambda: read_authorization_response(address), InvalidRequest, ValueError)
    for shown in (answer.error, answer.error_description) if answer else ():
        assert shown is None or printable(shown) == shown


@given(ANY_TEXT, st.none() | TEXT)
def test_s29_an_error_keeps_to_its_characters_on_the_way_to_the_redirect_uri(words: str, state: str | None) -> None:
    url = error_redirect("https://app/oauth?a=1", InvalidScope(words), state=state, issuer="https://as/v1")
    answer = read_authorization_response(url)
    assert (answer.error, answer.state) == ("invalid_scope", state or None)
    assert (answer.error_description or "") == printable(words)[:500]


HEADERS = st.builds(
    lambda kind, who: {"content-type": kind} | ({} if who is None else {"authorization": who}),
    MEDIA_TYPES,
    st.none() | TEXT | st.binary(max_size=40).map(lambda pair: "Basic " + base64.b64encode(pair).decode()),
)
TOKEN_FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["grant_type", "client_id", "client_secret", "code", "refresh_token", "token", "scope"]),
        st.sampled_from(["authorization_code", "refresh_token", "password"]) | TEXT,
    ),
    max_size=8,
).map(write_form)
BODIES = st.binary(max_size=300) | TOKEN_FIELDS | JSON_VALUES.map(lambda value: json.dumps(value).encode())


@given(HEADERS, BODIES, st.booleans())
def test_s31_any_post_is_a_token_request_or_refused(headers: dict[str, str], body: bytes, accept_json: bool) -> None:
    request = Request("POST", "/v1/access_token", headers, body)
    read_or_refused(lambda: read_token_request(request, accept_json=accept_json), OAuthError)
    read_or_refused(lambda: read_revocation_request(request), OAuthError)


@given(
    ANY_TEXT
    | ANY_TEXT.map(lambda text: f"Basic {text}")
    | st.binary(max_size=60).map(lambda pair: "basic " + base64.b64encode(pair).decode())
)
def test_any_header_holds_basic_credentials_or_is_refused(header: str) -> None:
    read_or_refused(lambda: read_basic_credentials(header), InvalidClient)


@given(st.dictionaries(st.sampled_from(["authorization", "x"]), TEXT))
def test_any_header_holds_a_bearer_token_or_none(headers: dict[str, str]) -> None:
    token = read_bearer(headers)
    assert token is None or token


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1).map(Secret))
def test_a_bearer_token_reads_back_as_it_was_written(token: Secret) -> None:
    assert read_bearer({"authorization": write_bearer(token)}) == token


STATUSES = st.integers(100, 599)


@given(STATUSES, HEADERS, BODIES | st.binary().map(lambda body: b'{"access_token": "' + body + b'"}'))
def test_any_answer_holds_usable_tokens_or_is_a_refusal(status: int, headers: dict[str, str], body: bytes) -> None:
    tokens = read_or_refused(lambda: read_tokens(Response(status, headers, body)), TokenRefusal)
    assert tokens is None or (tokens.access_token and 200 <= status < 300)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("access_token", "refresh_token", "expires_in", "scope", "token_type", "error", "message"), JSON_VALUES
        ),
    ),
    st.sampled_from([200, 400, 401, 429, 500]),
)
def test_any_json_answer_holds_usable_tokens_or_is_a_refusal(members: dict[str, Any], status: int) -> None:
    body = json.dumps(members).encode()
    refusal: TokenRefusal | None = None
    try:
        tokens = read_tokens(Response(status, {"content-type": JSON}, body))
    except TokenRefusal as error:
        refusal = error
    else:
        assert tokens.expires_in is None or tokens.expires_in > 0
    assert refusal is None or str(refusal).startswith("the token endpoint answered")


@given(ANY_TEXT, STATUSES, st.booleans())
def test_an_error_reads_back_with_its_status_and_shape(words: str, status: int, webex_only: bool) -> None:
    response = error_response(InvalidGrant(words, status=status), tracking_id="t", webex_only=webex_only)
    refusal: TokenRefusal | None = None
    try:
        read_tokens(response)
    except TokenRefusal as error:
        refusal = error
    assert refusal is not None
    assert (refusal.status, refusal.webex_shape, refusal.error) == (
        status,
        True,
        None if webex_only else "invalid_grant",
    )


@given(ANY_TEXT)
def test_any_error_of_the_api_is_one_header_line_and_json(words: str) -> None:
    for error in (InvalidToken(words), InsufficientScope(words)):
        challenge = write_challenge(error)
        assert challenge.count('"') == 6
        assert challenge.isprintable()
    answer = api_error_response(ApiError(400, words), tracking_id="t")
    assert json.loads(answer.body)["message"] == words


@given(st.dictionaries(st.sampled_from([*ServerMetadata.__dataclass_fields__, "scopes_supported"]), JSON_VALUES))
def test_any_metadata_is_read_or_refused(members: dict[str, Any]) -> None:
    read_or_refused(lambda: read_metadata({**members, "issuer": "https://as"}, issuer="https://as"), InvalidRequest)


@given(st.builds(ServerMetadata, *[NONEMPTY] * 3, st.none() | NONEMPTY, st.booleans(), st.lists(NONEMPTY).map(tuple)))
def test_metadata_reads_back_as_it_was_written(metadata: ServerMetadata) -> None:
    written = json.loads(json.dumps(write_metadata(metadata)))
    assert read_metadata(written, issuer=metadata.issuer) == metadata


@given(st.sampled_from(["https://as", "https://as/", "https://as/v1", "https://as:1/a/b"]))
def test_s75_the_metadata_of_an_issuer_lies_at_its_own_host(issuer: str) -> None:
    assert origin(metadata_url(issuer)) == origin(issuer)


@given(ANY_TEXT)
def test_any_text_is_a_list_of_scopes_or_refused(text: str) -> None:
    scopes = read_or_refused(lambda: read_scopes(text), InvalidScope)
    assert scopes is None or read_scopes(str(scopes)) == scopes


@given(st.lists(st.sampled_from(["a", "b", "spark:kms", "spark:all"])), st.lists(st.sampled_from(["a", "c"])))
def test_scopes_are_sets_that_keep_their_order(mine: list[str], others: list[str]) -> None:
    one, other = Scopes.of(*mine), Scopes.of(*others)
    assert one.within(one | other)
    assert not set(one.beyond(other)) & set(other)
    assert set(one | other) == {*mine, *others}


@given(URIS | ANY_TEXT, st.booleans(), st.booleans())
def test_s09_any_text_may_be_registered_or_is_refused(uri: str, strict: bool, sandbox: bool) -> None:
    warnings = read_or_refused(lambda: check_registrable(uri, strict=strict, sandbox=sandbox), InvalidRequest)
    if warnings is not None:
        assert find_registered(uri, [uri]) == uri
        assert uri.isascii()
        assert "#" not in uri


@given(ANY_TEXT | URIS, st.lists(URIS, max_size=4))
def test_s02_nothing_but_a_registered_address_or_its_loopback_port_is_found(asked: str, registered: list[str]) -> None:
    found = find_registered(asked, registered)
    assert found is None or found == asked or found.startswith("http://")


@given(ANY_TEXT)
def test_w18_any_text_is_split_into_redirect_uris_without_blanks(text: str) -> None:
    assert all(uri == uri.strip() and uri for uri in split_redirect_uris(text))


@given(
    st.lists(st.sampled_from(["https://a/x", "https://b/x,y", "mydemoapp://oauth", "http://127.0.0.1/"]), max_size=5)
)
def test_w18_what_is_joined_by_commas_is_split_again(uris: list[str]) -> None:
    assert split_redirect_uris(", ".join(uris)) == uris


@given(st.sampled_from(["https://a/x", "https://a/x?y=1", "https://a/x?code=old&z", "app:x"]), PAIRS)
def test_what_is_put_on_a_redirect_uri_is_there_once(uri: str, pairs: list[tuple[str, str]]) -> None:
    added = [("code", "new"), *dict(pairs).items()]
    fields = read_form(with_parameters(uri, added).partition("?")[2].encode())
    assert fields["code"] == "new"
    assert {**fields, **{name: value for name, value in added if value}} == fields


@given(st.none() | ANY_TEXT, st.none() | st.sampled_from(["S256", "plain"]), st.none() | ANY_TEXT)
def test_s47_any_challenge_and_verifier_are_taken_or_refused(
    challenge: str | None, method: str | None, verifier: str | None
) -> None:
    read_or_refused(lambda: check_challenge(challenge, method), InvalidRequest)
    secret = None if verifier is None else Secret(verifier)
    read_or_refused(lambda: check_verifier(secret, challenge=challenge), InvalidGrant)


@given(ANY_TEXT | TIMES)
def test_any_text_is_a_time_or_refused(text: str) -> None:
    read_or_refused(lambda: read_timestamp(text), ValueError, OverflowError)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_reads_back_to_the_millisecond(moment: datetime) -> None:
    assert read_timestamp(write_timestamp(moment)) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@given(st.binary(min_size=36, max_size=36), st.uuids())
def test_a_token_travels_in_a_form_a_header_and_json_as_it_is(chance: bytes, org: object) -> None:
    token = mint_token(lambda _: chance, org_id=str(org))
    assert write_form([("t", token.reveal())]) == f"t={token.reveal()}".encode()
    assert read_bearer({"authorization": write_bearer(token)}) == token
