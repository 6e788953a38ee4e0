"""Text that must never be printed, and the one way to make a comparable digest of it."""

import hashlib
import hmac


class Secret:
    """Wraps a token, code, password or client secret so that it prints as ``***``.

    ``reveal()`` is the only way to the text; the few places that call it are the ones to review.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def digest(self) -> bytes:
        """SHA-256 of the UTF-8 text: 32 bytes, what a store keeps instead of a 288-bit random value."""
        return hashlib.sha256(self._text.encode("utf-8", "surrogatepass")).digest()

    def matches(self, digest: bytes) -> bool:
        """Compare with a stored digest in constant time (RFC 6819 section 5.1.4.1)."""
        return hmac.compare_digest(self.digest(), digest)

    def fingerprint(self) -> str:
        """Twelve hex digits that name the secret in a log without giving it away."""
        return self.digest().hex()[:12]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.digest(), other.digest())

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not pickled: what holds it would then hold it readable; seal it instead")
