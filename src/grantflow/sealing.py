"""Sealing: AES-256-GCM with associated data under named keys; the only place that imports ciphers.

A sealed value is `version, key id, nonce, ciphertext` and is bound to a `context`, the identity of the row or cookie
it belongs to: moved to another row it does not open (NIST SP 800-38D; RFC 5869 for derived keys).

    SealingError       a GrantflowError, as an integration's author catches it
    ├── MissingKey     no key was given
    ├── MalformedKey   what was given is not a key
    ├── WrongKey       sealed under a key that is not in the ring
    └── Tampered       changed, cut short, or moved to where it does not belong
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from grantflow.protocol.errors import GrantflowError
from grantflow.protocol.secret import Secret
from grantflow.secret_files import Unreadable, not_both, read_text

__all__ = [
    "KeyRing",
    "MalformedKey",
    "MissingKey",
    "SealingError",
    "Tampered",
    "WrongKey",
    "key_id_of",
    "seal_under",
    "unseal_under",
]

Context = tuple[str, ...]
"""What a sealed value is bound to, e.g. `("grant", "grant-id")`. Order and boundaries count."""

KEY_PREFIX: Final = "gfk_"
KEY_BYTES: Final = 32
#: Of a text that is none. It was one perhaps: a new key would be taken, and open nothing that is there.
HOW_A_KEY_LOOKS: Final = (
    f"A key is {KEY_PREFIX} and 43 letters, digits, - or _: copy it again, whole. What is sealed already opens with "
    "its own key alone, so a new one serves only where nothing has been sealed yet."
)
HOW_TO_MAKE_A_KEY: Final = (
    "Make one with: python -c 'from grantflow import KeyRing; print(KeyRing.new_key())' "
    "and keep it in your secret store, apart from the database and its backups: whoever has both can read the "
    "tokens, and without the key nobody can."
)

_VERSION: Final = b"\x01"
_KEY_ID_BYTES: Final = 8
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = len(_VERSION) + _KEY_ID_BYTES


class SealingError(GrantflowError):
    """Something could not be sealed or opened; no secret is in the message."""

    code = "sealing_failed"


class MissingKey(SealingError):
    """There is no key to seal with."""

    code = "missing_key"


class MalformedKey(SealingError):
    """What was given as a key is not `gfk_` and 43 base64url characters, or not 32 bytes."""

    code = "malformed_key"


class WrongKey(SealingError):
    """The value was sealed under a key that this ring does not hold; `key_id` names it.

    `vault` is the file or database that it lies in, where that is known: it may be that which is the wrong one.
    """

    code = "wrong_key"

    def __init__(self, key_id: str, *, known: Iterable[str], vault: str | None = None) -> None:
        self.key_id = key_id
        self.known = tuple(known)
        self.vault = vault
        another = (
            " If it keeps the grants of something else, give this integration a vault of its own." if vault else ""
        )
        super().__init__(
            f"{f'The vault {vault}' if vault else 'This value'} was sealed under key {key_id}, "
            f"but the key ring holds only {', '.join(self.known)}. "
            "Put that key back, as a previous key if it was replaced: KeyRing(primary, previous=[...]), "
            "or GRANTFLOW_KEY with the new key first and the old one after a comma, or the file that "
            f"GRANTFLOW_KEY_FILE names with the new key in its first line and the old one in the next.{another}"
        )


class Tampered(SealingError):
    """The value was changed, cut short, or belongs to another row than the one it was found in."""

    code = "tampered"

    def __init__(self) -> None:
        super().__init__(
            "A sealed value does not open: it was changed, cut short, or moved from another record. "
            "Nothing of it is used; restore the record from a backup, or let the person grant again."
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    id: bytes
    material: bytes
    cipher: AESGCM

    @classmethod
    def of(cls, material: bytes) -> "_Key":
        return cls(
            hashlib.sha256(b"grantflow key id\x00" + material).digest()[:_KEY_ID_BYTES], material, AESGCM(material)
        )

    def derive(self, purpose: str) -> "_Key":
        # The id stays that of the key in the operator's hands: errors must name a key that they know.
        material = _derived(self.material, salt=None, purpose=purpose)
        return _Key(self.id, material, AESGCM(material))


class KeyRing:
    """The keys that values are sealed with: `primary` seals, `previous` ones only open what they once sealed.

    A key is 32 random bytes, or their text form `gfk_...` as `KeyRing.new_key()` makes it.
    The repr shows key ids (16 hex digits, a one-way hash of the key), never keys.

    Raises `MalformedKey`.
    """

    __slots__ = ("_keys",)

    def __init__(self, primary: str | bytes, previous: Iterable[str | bytes] = ()) -> None:
        self._keys = tuple(_Key.of(_read_key(key)) for key in (primary, *previous))

    @staticmethod
    def new_key() -> str:
        """A fresh random key as text: `gfk_` and 43 base64url characters."""
        return KEY_PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode().rstrip("=")

    @classmethod
    def from_env(cls, name: str = "GRANTFLOW_KEY", *, environ: Mapping[str, str] | None = None) -> "KeyRing":
        """Read the ring from an environment variable, or from the file that `..._FILE` names: the primary key, then,
        after commas or in further lines, previous ones.

        Raises `MissingKey` where neither is set, or both, or the file cannot be read or is empty; `MalformedKey` where
        there is something else. The environment is the process's own, unless `environ` is given.
        """
        keys = _given(name, os.environ if environ is None else environ).replace(",", " ").split()
        if not keys:
            raise MissingKey(
                f"{name} is not set, and Grantflow stores no token unsealed. If you have a key already, name its file: "
                f"{name}_FILE. {HOW_TO_MAKE_A_KEY}"
            )
        return cls(keys[0], keys[1:])

    @property
    def key_id(self) -> str:
        """The id of the primary key: 16 hex digits."""
        return self._keys[0].id.hex()

    @property
    def previous_key_ids(self) -> tuple[str, ...]:
        """The ids of the others, which only open."""
        return tuple(key.id.hex() for key in self._keys[1:])

    def derive(self, purpose: str) -> "KeyRing":
        """A ring for one purpose alone: what is sealed for one does not open for another (RFC 5869)."""
        ring = KeyRing.__new__(KeyRing)
        ring._keys = tuple(key.derive(purpose) for key in self._keys)
        return ring

    def mac_key(self, purpose: str) -> bytes:
        """32 bytes for an HMAC, from the primary key, for one purpose alone: what a cipher needs no key for."""
        return _derived(self._keys[0].material, salt=None, purpose=f"mac {purpose}")

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """Seal under the primary key; 37 bytes longer than the plaintext."""
        key = self._keys[0]
        header, nonce = _VERSION + key.id, secrets.token_bytes(_NONCE_BYTES)
        return header + nonce + key.cipher.encrypt(nonce, plaintext, _associated(header, context))

    def unseal(self, sealed: bytes, context: Context) -> bytes:
        """Open what `seal` made with the same context.

        Raises `WrongKey` where the key is not in the ring, `Tampered` where the value or its place is not the same.
        """
        header, body = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        if len(body) < _NONCE_BYTES or header[:1] != _VERSION:
            raise Tampered
        cipher = self._named(header[1:]).cipher
        return _open(cipher, body, associated=_associated(header, context))

    def _named(self, key_id: bytes) -> _Key:
        for key in self._keys:
            if key.id == key_id:
                return key
        raise WrongKey(key_id.hex(), known=[key.id.hex() for key in self._keys])

    def __repr__(self) -> str:
        previous = ", ".join(self.previous_key_ids)
        return f"KeyRing(primary={self.key_id}, previous=[{previous}])"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError(
            "a KeyRing is not pickled: the keys would lie readable in it; read it again from where it is kept"
        )


def key_id_of(sealed: bytes) -> str:
    """The id of the key that a value was sealed under: 16 hex digits."""
    return sealed[len(_VERSION) : _HEADER_BYTES].hex()


def seal_under(secret: Secret, plaintext: bytes, context: Context) -> bytes:
    """Seal so that only a holder of `secret` (a token of at least 128 random bits) can open it again.

    The key is derived from it with a salt of its own, so that the stored hash of the token does not open it.
    """
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    cipher = _cipher_under(secret, salt=salt)
    return _VERSION + salt + nonce + cipher.encrypt(nonce, plaintext, _associated(_VERSION + salt, context))


def unseal_under(secret: Secret, sealed: bytes, context: Context) -> bytes:
    """Open what `seal_under` made with the same secret and context. Raises `Tampered`."""
    end = len(_VERSION) + _SALT_BYTES
    header, body = sealed[:end], sealed[end:]
    if len(body) < _NONCE_BYTES or header[:1] != _VERSION:
        raise Tampered
    cipher = _cipher_under(secret, salt=header[1:])
    return _open(cipher, body, associated=_associated(header, context))


def _cipher_under(secret: Secret, *, salt: bytes) -> AESGCM:
    return AESGCM(_derived(secret.reveal().encode(), salt=salt, purpose="under a token"))


def _open(cipher: AESGCM, body: bytes, *, associated: bytes) -> bytes:
    try:
        return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], associated)
    except InvalidTag:
        raise Tampered from None


def _derived(material: bytes, *, salt: bytes | None, purpose: str) -> bytes:
    info = b"grantflow " + purpose.encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(material)


def _associated(header: bytes, context: Context) -> bytes:
    # Each part with its length, so that ("ab", "c") and ("a", "bc") differ.
    parts = (part.encode("utf-8", "surrogatepass") for part in context)
    return header + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _given(name: str, environ: Mapping[str, str]) -> str:
    """What the variable or the file holds, as the settings of the command line read them; empty where neither is set.

    Raises MissingKey.
    """
    given, file = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if not file:
        return given
    if given:
        raise MissingKey(f"{name}: {not_both(name)}.")
    try:
        held = read_text(Path(file))
    except Unreadable as error:
        raise MissingKey(f"{name}_FILE: {error}.") from None
    if not held:
        raise MissingKey(f"{name}_FILE: {file} is empty. Put the key back into it, or name the file that holds it.")
    return held


def _read_key(key: str | bytes) -> bytes:
    material = key if isinstance(key, bytes) else _decode_key(key)
    if len(material) != KEY_BYTES:
        raise MalformedKey(
            f"A key is {KEY_BYTES} bytes; this one has {len(material)}. {HOW_A_KEY_LOOKS} {HOW_TO_MAKE_A_KEY}"
        )
    return material


def _decode_key(text: str) -> bytes:
    encoded = text.strip().removeprefix(KEY_PREFIX)
    if encoded == text.strip():
        raise MalformedKey(f"A key begins with {KEY_PREFIX}; this text does not. {HOW_A_KEY_LOOKS} {HOW_TO_MAKE_A_KEY}")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise MalformedKey(
            f"What follows {KEY_PREFIX} is not base64url: a character was lost or changed. {HOW_A_KEY_LOOKS} "
            f"{HOW_TO_MAKE_A_KEY}"
        ) from None
