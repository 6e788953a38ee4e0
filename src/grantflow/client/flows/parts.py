"""What every flow works with."""

import base64
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from grantflow.client.configuration import Configuration
from grantflow.client.events import Event, Kind
from grantflow.client.grant import Grant, GrantKey, StoredGrant
from grantflow.client.observing import Observers
from grantflow.client.pending import PendingCookies
from grantflow.client.vault import Vault
from grantflow.protocol.secret import Secret

logger = logging.getLogger("grantflow")

#: Draws that many random bytes and writes them in base64url.
Mint: TypeAlias = Callable[[int], str]

#: For how long a token in memory is used without a look at the vault; so a disconnect elsewhere takes hold in time.
_CHECK_EVERY: Final = timedelta(seconds=1)
_LIVE_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class LiveToken:
    """An access token in memory, and when the vault last confirmed its generation."""

    access_token: Secret
    generation: int
    expires_at: datetime | None
    checked_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        return timedelta(0) <= now - self.checked_at < _CHECK_EVERY

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def _make_room(held: dict[GrantKey, Any]) -> None:
    """The oldest go. Threads share it without a lock, which a fork might leave locked for ever: where another thread
    comes between finding the oldest and taking it out, it is looked for again."""
    while len(held) > _LIVE_LIMIT:
        with suppress(RuntimeError, StopIteration):
            held.pop(next(iter(held)), None)


class LiveTokens:
    """The access tokens that this process uses just now; the vault is the truth. The oldest give way to new ones."""

    def __init__(self) -> None:
        self._tokens: dict[GrantKey, LiveToken] = {}

    def get(self, key: GrantKey) -> LiveToken | None:
        return self._tokens.get(key)

    def keep(self, key: GrantKey, stored: StoredGrant, *, now: datetime) -> LiveToken:
        assert stored.access_token is not None
        live = LiveToken(stored.access_token, stored.grant.generation, stored.grant.access_expires_at, now)
        self._tokens.pop(key, None)
        self._tokens[key] = live
        _make_room(self._tokens)
        return live

    def confirm(self, key: GrantKey, live: LiveToken, *, now: datetime) -> LiveToken:
        confirmed = LiveToken(live.access_token, live.generation, live.expires_at, now)
        self._tokens[key] = confirmed  # anew, where it has given way meanwhile
        _make_room(self._tokens)
        return confirmed

    def drop(self, key: GrantKey) -> None:
        self._tokens.pop(key, None)


class UnsavedTokens:
    """Tokens that came while the vault did not work. With a platform that swaps refresh tokens they are all that is
    left of a grant, so this process holds them until they can be saved.

    Threads share it without a lock: each step is one of the dictionary's own, which no other thread divides.
    """

    def __init__(self) -> None:
        self._renewed: dict[GrantKey, StoredGrant] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._renewed)

    def get(self, key: GrantKey) -> StoredGrant | None:
        return self._renewed.get(key)

    def keep(self, renewed: StoredGrant) -> None:
        held = self._renewed.get(renewed.grant.key)
        if held is not None and held.grant.id == renewed.grant.id and held.grant.generation > renewed.grant.generation:
            return  # newer ones
        self._renewed[renewed.grant.key] = renewed
        for key in list(self._renewed)[:-_LIVE_LIMIT]:
            self._renewed.pop(key, None)

    def waiting(self) -> list[StoredGrant]:
        """Each time another one is the first, so that none waits behind those that cannot be saved."""
        waiting = list(self._renewed.values())
        self._turn += 1
        first = self._turn % max(1, len(waiting))
        return waiting[first:] + waiting[:first]

    def drop(self, renewed: StoredGrant) -> bool:
        """These, and none that came after them. Whether they were there: of several, one drops them."""
        key = renewed.grant.key
        if self._renewed.get(key) is renewed:
            dropped = self._renewed.pop(key, None)
            if dropped is not None and dropped is not renewed:  # they came just now, in another thread
                self._renewed.setdefault(key, dropped)
            return dropped is renewed
        return False


class VainRenewals:
    """How often in a row a token that had just been issued was refused by the API nevertheless, in this process.

    Renewing does not help then, so it is not tried at each call. One that does help ends the row.
    """

    def __init__(self) -> None:
        self._rows: dict[GrantKey, tuple[int, int]] = {}

    def count(self, key: GrantKey) -> int:
        return self._rows.get(key, (0, 0))[0]

    def add(self, key: GrantKey, *, generation: int) -> None:
        """Many callers may meet the same token; it counts once."""
        count, last = self._rows.get(key, (0, 0))
        self._rows[key] = (count if generation == last else count + 1, generation)
        _make_room(self._rows)

    def end(self, key: GrantKey) -> None:
        self._rows.pop(key, None)


@dataclass(slots=True)
class Watch:
    """When this process last looked for events that nobody was told of, because whoever should have was killed."""

    looked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """`asks_for_person`: whether the host application finds out itself who granted, instead of people/me.
    `is_watched`: whether it wants to be told of events."""

    configuration: Configuration
    vault: Vault
    mint: Mint
    asks_for_person: bool = False
    is_watched: bool = False
    watch: Watch = field(default_factory=Watch)
    observers: Observers = field(default_factory=Observers)
    live: LiveTokens = field(default_factory=LiveTokens)
    unsaved: UnsavedTokens = field(default_factory=UnsavedTokens)
    vain: VainRenewals = field(default_factory=VainRenewals)

    @property
    def cookies(self) -> PendingCookies:
        of = self.configuration
        return PendingCookies(self.vault.keys.derive("pending"), of.client_id, of.redirect_uri, of.token_endpoint)

    def key(self, person_id: str, owner: str | None) -> GrantKey:
        """Without a user of the host application the person is their own owner."""
        return GrantKey(self.configuration.client_id, owner or person_id, person_id)

    def event(self, kind: Kind, grant: Grant | None = None, *, at: datetime, **members: str | None) -> Event:
        """An event of this integration, or of one of its grants; `members` are the others of `Event`."""
        name, integration = self.mint(12), self.configuration.client_id
        event = Event(name, at, kind, integration, is_to_be_told=self.is_watched, **members)  # type: ignore[arg-type]
        return event if grant is None else event.of(grant)

    def incident(self) -> str:
        """A fresh name for something that went wrong, to be found in the log, the vault and the message."""
        return f"inc-{readable(self.mint(5))}"

    def grant_id(self) -> str:
        """A fresh one, for an operator to type: a command line would take a first `-` for an option."""
        return readable(self.mint(15))


def readable(minted: str) -> str:
    """Random bytes as the lower-case letters and digits of base32: to be read out and copied with one click.

    Five bytes make eight of them. It has no 0 and 1 to be taken for letters (RFC 4648 section 6).
    """
    raw = base64.urlsafe_b64decode(minted + "=" * (-len(minted) % 4))
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
