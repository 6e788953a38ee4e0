"""People's passwords: Argon2id (RFC 9106) as PHC strings, computed off the event loop in a bounded pool."""

import asyncio
import base64
import unicodedata
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from grantflow.protocol.secret import Secret

#: Twice the work of OWASP's first choice (46 MiB, one pass): about 0.15 seconds of one core.
MEMORY_KIB = 46 * 1024
PASSES = 2
LANES = 1
SALT_BYTES = 16
HASH_BYTES = 32

#: Characters, not bytes; there are no rules about which (NIST SP 800-63B section 5.1.1.2).
SHORTEST = 8
LONGEST = 1_000

#: Hashes computed at once: each takes 46 MiB and a core.
THREADS = 2
#: Sign-ins that may wait for a thread before further ones are asked to come back.
QUEUE = 64


class UnfitPassword(ValueError):
    """The password breaks a rule; the message says which and may be shown."""


class PoolBusy(Exception):
    """More sign-ins wait than can be served soon."""


#: 32 characters that nobody takes for one another: five bits each.
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


def new_password(*, mint: Callable[[int], bytes]) -> Secret:
    """A password of 80 random bits that can be read out and typed: ``k3fp-9wmx-t2rd-h6vn``."""
    letters = [_LETTERS[byte % len(_LETTERS)] for byte in mint(16)]
    return Secret("-".join("".join(letters[start : start + 4]) for start in range(0, 16, 4)))


def hash_password(password: Secret, *, mint: Callable[[int], bytes]) -> str:
    """The PHC string to keep for a new password. Takes 0.15 seconds.

    Raises:
        UnfitPassword: it has fewer than 8 or more than 1,000 characters.
    """
    text = _canonical(password)
    if len(text) < SHORTEST:
        raise UnfitPassword(f"The password is too short: use at least {SHORTEST} characters.")
    if len(text) > LONGEST:
        raise UnfitPassword(f"The password is too long: use at most {LONGEST:,} characters.")
    argon2 = Argon2id(salt=mint(SALT_BYTES), length=HASH_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    return argon2.derive_phc_encoded(text.encode())


def is_right(password: Secret, password_hash: str | None) -> bool:
    """Compare with the PHC string. Takes as long where there is none: nobody learns who has an account."""
    text = _canonical(password)
    try:
        Argon2id.verify_phc_encoded(text[:LONGEST].encode(), password_hash or NOBODYS)
    except InvalidKey:
        return False
    return password_hash is not None and len(text) <= LONGEST


def _canonical(password: Secret) -> str:
    """The same letters are the same password, on whatever keyboard they were typed (NIST SP 800-63B 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password.reveal())


def _phc(salt: bytes, digest: bytes) -> str:
    parts = (base64.b64encode(part).rstrip(b"=").decode("ascii") for part in (salt, digest))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$" + "$".join(parts)


#: No password has this hash; checking against it costs what checking against a person's does.
NOBODYS = _phc(b"\0" * SALT_BYTES, b"\0" * HASH_BYTES)


class PasswordPool:
    """The few threads that compute hashes, and the bounded line before them."""

    def __init__(self, *, threads: int = THREADS, queue: int = QUEUE) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="grantflow-passwords")
        self._places = asyncio.Semaphore(threads)
        self._room = threads + queue
        self._present = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait in line. What is decided inside is decided by few at a time, so no flood outruns a throttle.

        Raises:
            PoolBusy: the line is full.
        """
        if self._present >= self._room:
            raise PoolBusy
        self._present += 1
        try:
            async with self._places:
                yield
        finally:
            self._present -= 1

    async def is_right(self, password: Secret, password_hash: str | None) -> bool:
        """`is_right`, off the event loop; to be called within a turn."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, is_right, password, password_hash)
