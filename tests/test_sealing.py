"""Sealing, with the real cipher."""

import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from grantflow.protocol.secret import Secret
from grantflow.sealing import (
    KeyRing,
    MalformedKey,
    MissingKey,
    SealingError,
    Tampered,
    WrongKey,
    key_id_of,
    seal_under,
    unseal_under,
)

PLAIN = b"MzA4ZGU2YzUtNDAxNS00_PF84_1eb65fdf"
ROW = ("grant", "g-1")


def test_what_is_sealed_opens_again_at_its_own_place() -> None:
    ring = KeyRing(KeyRing.new_key())
    for plaintext in (b"", b"x", PLAIN, os.urandom(100_000)):
        assert ring.unseal(ring.seal(plaintext, ROW), ROW) == plaintext


def test_s106_nothing_of_the_plaintext_is_readable_and_no_two_sealings_are_alike() -> None:
    ring = KeyRing(os.urandom(32))
    first, second = ring.seal(PLAIN, ROW), ring.seal(PLAIN, ROW)
    assert PLAIN not in first
    assert first[9:] != second[9:]


@pytest.mark.parametrize(
    "elsewhere", [("grant", "g-2"), ("grant",), ("grantg-1",), ("gran", "tg-1"), ("grant", "g-1", ""), ()]
)
def test_moved_to_another_row_it_does_not_open(elsewhere: tuple[str, ...]) -> None:
    ring = KeyRing(os.urandom(32))
    with pytest.raises(Tampered, match="moved from another record"):
        ring.unseal(ring.seal(PLAIN, ROW), elsewhere)


def test_a_single_changed_bit_or_a_missing_byte_is_noticed() -> None:
    ring = KeyRing(os.urandom(32))
    sealed = ring.seal(PLAIN, ROW)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(SealingError):
            ring.unseal(bytes(changed), ROW)
        with pytest.raises(SealingError):
            ring.unseal(sealed[:position], ROW)


def test_a_replaced_key_still_opens_what_it_sealed_and_seals_nothing_more() -> None:
    old, new = KeyRing.new_key(), KeyRing.new_key()
    sealed = KeyRing(old).seal(PLAIN, ROW)
    ring = KeyRing(new, previous=[old])
    assert ring.unseal(sealed, ROW) == PLAIN
    assert key_id_of(ring.seal(PLAIN, ROW)) == ring.key_id == KeyRing(new).key_id


def test_the_error_for_a_missing_key_names_it_and_says_what_to_do() -> None:
    lost, here = KeyRing(KeyRing.new_key()), KeyRing(KeyRing.new_key())
    with pytest.raises(WrongKey, match=rf"under key {lost.key_id}.*only {here.key_id}.*previous=") as caught:
        here.unseal(lost.seal(PLAIN, ROW), ROW)
    assert caught.value.key_id == lost.key_id


def test_a_key_for_macs_serves_one_purpose_and_is_the_same_on_every_node() -> None:
    key = KeyRing.new_key()
    ring, other_node = KeyRing(key), KeyRing(key, previous=[KeyRing.new_key()])
    assert len(ring.mac_key("forms")) == 32
    assert ring.mac_key("forms") == other_node.mac_key("forms") != ring.mac_key("notes")


def test_rings_of_two_purposes_do_not_open_each_others_values() -> None:
    ring = KeyRing(os.urandom(32))
    vault, pending = ring.derive("vault"), ring.derive("pending")
    sealed = vault.seal(PLAIN, ROW)
    assert ring.derive("vault").unseal(sealed, ROW) == PLAIN
    assert vault.key_id == ring.key_id
    for other in (pending, ring):
        with pytest.raises(Tampered):
            other.unseal(sealed, ROW)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "begins with gfk_"),
        ("correct horse battery staple", "begins with gfk_"),
        ("gfk_", "32 bytes; this one has 0"),
        ("gfk_" + "A" * 42, "32 bytes; this one has 31"),
        ("gfk_" + "A" * 44, "32 bytes; this one has 33"),
        ("gfk_" + "A" * 41, "not base64url"),
        ("gfk_" + "A" * 42 + "!", "not base64url"),
        ("gfk_" + "é" * 43, "not base64url"),
        (b"short", "32 bytes; this one has 5"),
    ],
)
def test_what_is_no_key_is_refused_and_the_error_says_how_to_make_one(key: str | bytes, says: str) -> None:
    with pytest.raises(MalformedKey, match=says) as caught:
        KeyRing(key)
    assert "KeyRing.new_key()" in str(caught.value)
    assert len(key) < 20 or str(key) not in str(caught.value)


def test_the_ring_is_read_from_the_environment_primary_first() -> None:
    old, new = KeyRing.new_key(), KeyRing.new_key()
    ring = KeyRing.from_env(environ={"GRANTFLOW_KEY": f"{new}, {old}"})
    assert ring.key_id == KeyRing(new).key_id
    assert ring.unseal(KeyRing(old).seal(PLAIN, ROW), ROW) == PLAIN


def test_the_ring_is_read_from_the_file_that_the_environment_names_as_by_the_command_line(tmp_path: Path) -> None:
    old, new = KeyRing.new_key(), KeyRing.new_key()
    file = tmp_path / "grantflow.key"
    file.write_text(f"{new}\n{old}\n")
    named = {"GRANTFLOW_KEY_FILE": str(file), "GRANTFLOW_KEY": ""}
    ring = KeyRing.from_env(environ=named)
    assert (ring.key_id, ring.previous_key_ids) == (KeyRing(new).key_id, (KeyRing(old).key_id,))
    other = KeyRing.from_env("OURS", environ={"OURS_FILE": str(file)})
    assert other.key_id == ring.key_id
    with pytest.raises(MissingKey, match="GRANTFLOW_KEY: set it, or GRANTFLOW_KEY_FILE, not both") as caught:
        KeyRing.from_env(environ=named | {"GRANTFLOW_KEY": new})
    assert new not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read: No such file"), (b"\xff", "it is not text"), (b" \n", "is empty")]
)
def test_a_named_file_without_a_key_is_told_and_no_second_key_is_advised(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "grantflow.key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MissingKey, match=says) as caught:
        KeyRing.from_env(environ={"GRANTFLOW_KEY_FILE": str(file)})
    assert str(caught.value).startswith(f"GRANTFLOW_KEY_FILE: {file} ")
    assert "new_key" not in str(caught.value)


def test_who_has_a_key_already_is_told_to_name_its_file() -> None:
    with pytest.raises(MissingKey, match="If you have a key already, name its file: GRANTFLOW_KEY_FILE"):
        KeyRing.from_env(environ={})


@pytest.mark.parametrize("environ", [{}, {"GRANTFLOW_KEY": ""}, {"GRANTFLOW_KEY": " , "}])
def test_without_a_key_there_is_no_start_and_the_command_of_the_error_makes_one(environ: dict[str, str]) -> None:
    with pytest.raises(MissingKey, match="GRANTFLOW_KEY is not set") as caught:
        KeyRing.from_env(environ=environ)
    program = str(caught.value).split("python -c '")[1].split("'")[0]
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert KeyRing(printed).key_id


def test_keys_are_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    text = KeyRing.new_key()
    ring = KeyRing(text, previous=[KeyRing.new_key()])
    assert text[4:] not in repr(ring)
    assert ring.key_id in repr(ring)
    assert text[4:] not in repr(ring._keys)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(ring)
    assert text[4:] not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("grantflow.sealing")]


def test_under_a_token_only_that_token_opens_and_its_stored_hash_does_not() -> None:
    token = Secret("bWFkZSBvZiB0aGlydHktc2l4IHJhbmRvbSBieXRlcw==")
    sealed = seal_under(token, PLAIN, ROW)
    assert unseal_under(token, sealed, ROW) == PLAIN
    assert sealed != seal_under(token, PLAIN, ROW)
    for other, place in ((Secret("another"), ROW), (Secret(token.digest().hex()), ROW), (token, ("grant", "g-2"))):
        with pytest.raises(Tampered):
            unseal_under(other, sealed, place)
    with pytest.raises(Tampered):
        unseal_under(token, sealed[:-1], ROW)
    with pytest.raises(Tampered):
        unseal_under(token, b"", ROW)
