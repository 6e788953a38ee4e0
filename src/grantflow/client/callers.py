"""Callers: programs of other kinds that are given living access tokens, each by a key of its own, for named grants."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from grantflow.protocol.secret import Secret

#: How each key begins, so that scanners of code and logs know one.
KEY_PREFIX: Final = "gfc_"
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Who may ask for the tokens of which grants. Of its key the SHA-256 alone is kept. Times are aware UTC."""

    integration: str
    name: str
    key_digest: bytes = field(repr=False)
    grant_ids: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None = None

    @property
    def key_fingerprint(self) -> str:
        """Names the key in a log without giving it away."""
        return self.key_digest.hex()[:12]


@dataclass(frozen=True, slots=True)
class AddedCaller:
    """A caller, and its key this one time."""

    caller: Caller
    key: Secret


def new_caller(
    integration: str, name: str, *, grant_ids: tuple[str, ...], now: datetime, mint: Callable[[int], str]
) -> AddedCaller:
    """Raises ValueError: the name cannot be shown in a log, or no grant is named."""
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable() and name == name.strip()):
        raise ValueError(
            f"The name of a caller has 1 to {_LONGEST_NAME} printable characters, with no space around it."
        )
    if not grant_ids:
        raise ValueError("A caller is given named grants, at least one.")
    key = Secret(KEY_PREFIX + mint(32))
    return AddedCaller(Caller(integration, name, key.digest(), tuple(dict.fromkeys(grant_ids)), now), key)
