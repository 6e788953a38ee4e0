"""Small values that travel through the browser: nobody can read, change or move them, and they end by themselves."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from grantflow.sealing import KeyRing, SealingError

_LONGEST = 4_096


@dataclass(frozen=True, slots=True)
class SealedTexts:
    """Writes values as URL-safe text, bound to their place: a page's note opens on that page alone."""

    keys: KeyRing
    clock: Callable[[], datetime]

    def write(self, fields: Mapping[str, str], *, place: str) -> str:
        written = json.dumps([self.clock().timestamp(), dict(fields)], ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(self.keys.seal(written, _context(place))).decode().rstrip("=")

    def read(self, text: str | None, *, place: str, seconds: int) -> dict[str, str] | None:
        """None where there is none, or it is older than `seconds`, changed, or belongs to another place."""
        if not text or len(text) > _LONGEST:
            return None
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            written_at, fields = json.loads(self.keys.unseal(sealed, _context(place)))
        except (binascii.Error, ValueError, SealingError):
            return None
        age = self.clock().timestamp() - float(written_at)
        return dict(fields) if age <= seconds else None


def _context(place: str) -> tuple[str, ...]:
    return ("pages", place)
