"""Notices a client that has one code_challenge for all: such a PKCE protects nobody (RFC 9700 section 2.1.1)."""

from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class SeenChallenges:
    """Those of this process, the last ``capacity``: a client that has a constant one sends it all the time.

    A page that is loaded again repeats its request, state and all; that is no constant. Of a request only its hash is
    kept, since a state may be long.
    """

    capacity: int = 10_000
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def serves_again(self, client_id: str, challenge: str, *, request: Hashable) -> bool:
        """Whether another ``request`` of this client came with the same challenge; this one is remembered."""
        this = hash(request)
        before = self._seen.pop((client_id, challenge), this)
        while len(self._seen) >= self.capacity:
            del self._seen[next(iter(self._seen))]
        self._seen[client_id, challenge] = this
        return before != this
