"""What is kept and read again: sealed values, the vault's records, the cookie of a pending authorization."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow import KeyRing
from grantflow.authorization_server.records import TokenPair
from grantflow.client.grant import Grant, Status, StoredGrant
from grantflow.client.pending import Pending, PendingCookies, check_return_to
from grantflow.client.vault.records import COLUMNS, read_record, write_record
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.sealing import MalformedKey, SealingError, Tampered, seal_under, unseal_under
from grantflow.storage.sealed_answers import seal_answer, unseal_answer
from tests.properties.reading import ANY_TEXT, MOMENTS, NONEMPTY, TEXT, read_or_refused

KEYS, OTHER_KEYS = KeyRing(KeyRing.new_key()), KeyRing(KeyRing.new_key())
COOKIES = PendingCookies(KEYS, "C1", "https://app/oauth", "https://as/token")
CONTEXTS = st.lists(TEXT, max_size=4).map(tuple)
OPTIONAL = st.none() | NONEMPTY
SCOPES = st.lists(st.sampled_from(["a", "b", "spark:kms"])).map(lambda tokens: Scopes.of(*tokens))
MAYBE = st.none() | MOMENTS
SECRETS = NONEMPTY.map(Secret)
GRANTS = st.builds(
    Grant,
    *[NONEMPTY] * 4,
    *[OPTIONAL] * 2,
    st.sampled_from(Status),
    SCOPES,
    st.integers(0, 2**40),
    MOMENTS,
    *[MAYBE] * 5,
    *[OPTIONAL] * 2,
)
STORED = st.builds(StoredGrant, GRANTS, SECRETS, st.none() | SECRETS, MAYBE, MAYBE, st.integers(0, 99), MAYBE)


@given(st.binary(), CONTEXTS, CONTEXTS)
def test_what_is_sealed_opens_in_its_own_place_alone(
    content: bytes, place: tuple[str, ...], other: tuple[str, ...]
) -> None:
    sealed = KEYS.seal(content, place)
    assert KEYS.unseal(sealed, place) == content
    assert len(sealed) == len(content) + 37
    if other != place:
        with pytest.raises(Tampered):
            KEYS.unseal(sealed, other)
    with pytest.raises(SealingError):
        OTHER_KEYS.unseal(sealed, place)


@given(st.binary(), st.data())
def test_one_changed_byte_and_it_does_not_open(content: bytes, data: st.DataObject) -> None:
    sealed = bytearray(KEYS.seal(content, ("x",)))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    assert read_or_refused(lambda: KEYS.unseal(bytes(sealed), ("x",)), SealingError) is None


@given(st.binary(max_size=80), SECRETS)
def test_any_bytes_open_or_are_refused(sealed: bytes, secret: Secret) -> None:
    assert read_or_refused(lambda: KEYS.unseal(sealed, ()), SealingError) is None
    assert read_or_refused(lambda: unseal_under(secret, sealed, ()), Tampered) is None


@given(SECRETS, st.binary(), CONTEXTS)
def test_what_is_sealed_under_a_secret_opens_with_it(secret: Secret, content: bytes, place: tuple[str, ...]) -> None:
    sealed = seal_under(secret, content, place)
    assert unseal_under(secret, sealed, place) == content
    assert read_or_refused(lambda: unseal_under(Secret(secret.reveal() + "x"), sealed, place), Tampered) is None


@given(ANY_TEXT | st.binary(max_size=40))
def test_any_text_is_a_key_or_told_wrong(key: str | bytes) -> None:
    read_or_refused(lambda: KeyRing(key), MalformedKey)


@given(STORED)
def test_a_grant_reads_back_as_it_was_kept_and_its_row_shows_no_token(stored: StoredGrant) -> None:
    row = write_record(stored, KEYS)
    assert tuple(row) == COLUMNS
    assert read_record(row, KEYS) == stored


@given(STORED, st.sampled_from(["id", "integration", "owner", "person_id"]))
def test_s106_tokens_that_were_moved_to_another_row_do_not_open(stored: StoredGrant, column: str) -> None:
    row: dict[str, Any] = {**write_record(stored, KEYS)}
    row[column] += "x"
    with pytest.raises(Tampered):
        read_record(row, KEYS)


@given(
    st.builds(
        TokenPair,
        access_token=SECRETS,
        access_expires_at=MOMENTS,
        refresh_token=SECRETS,
        refresh_expires_at=MOMENTS,
        scopes=SCOPES,
    ),
    SECRETS,
)
def test_a_kept_answer_opens_for_whoever_has_the_token_it_answered(pair: TokenPair, key: Secret) -> None:
    sealed = seal_answer(pair, key=key)
    assert unseal_answer(sealed, key=key) == pair
    assert unseal_answer(sealed, key=Secret(key.reveal() + "x")) is None


PENDING = st.builds(Pending, SECRETS, SECRETS, MOMENTS, *[st.none() | TEXT] * 4)


@given(PENDING)
def test_s95_what_a_browser_began_reads_back_with_its_own_state_alone(pending: Pending) -> None:
    cookie = COOKIES.write(pending)
    sent = {cookie.name: cookie.value}
    assert COOKIES.read(sent, state=pending.state) == pending
    other = Secret(pending.state.reveal() + "x")
    assert COOKIES.read(sent, state=other) is None
    assert COOKIES.read({COOKIES.name(other): cookie.value}, state=other) is None
    assert pending.expired(now=pending.created + timedelta(minutes=11))


@given(ANY_TEXT, ANY_TEXT)
def test_any_cookie_and_any_state_are_read_or_nothing(value: str, state: str) -> None:
    assert COOKIES.read({COOKIES.name(Secret(state)): value}, state=Secret(state)) is None


@given(ANY_TEXT | st.text(st.sampled_from("/\\.:@?#app https"), max_size=20).map(lambda text: "/" + text))
def test_s99_nobody_is_led_to_another_site(text: str) -> None:
    path = read_or_refused(lambda: check_return_to(text, redirect_uri="https://app/oauth"), ValueError)
    assert path is None or (path.startswith("/") and not path.startswith(("//", "/\\")))
