"""The vault: where grants are kept, sealed. This is what the flows ask of one; each database has its module."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from grantflow.client.callers import Caller
from grantflow.client.events import Event
from grantflow.client.grant import Brake, Grant, GrantKey, Standing, Status, StoredGrant
from grantflow.sealing import KeyRing


@dataclass(frozen=True, slots=True)
class Adopting:
    """A grant of tokens that were brought in, and what was seen where it is to be kept.

    `digest` is the SHA-256 of the refresh token that came in; `known`: whether it had come in before; `over`: the
    generation of the grant there, None where there was none.
    """

    stored: StoredGrant
    digest: bytes
    known: bool
    over: int | None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class SealedUnder:
    """What the vault knows of a key: its id, how many records it seals, and since when it has been in use here."""

    key_id: str
    records: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Resealed:
    """Some records in the order of their ids, up to `last` (None: there are no more).

    `seen` counts them, `resealed` those that are under the primary key now and were not, `passed` those that others
    have changed meanwhile or were changing: look again. `unopened` are the ids of those that do not open.
    """

    last: str | None
    seen: int
    resealed: int
    passed: int
    unopened: Sequence[str]


@dataclass(frozen=True, slots=True)
class Refusing:
    """A refused grant, as it is to be kept where the refusal is believed and where it is held back, each with its
    event; and the event of the brake that closes, should this be the one too many. `over` is the generation that was
    refused, `holder` who holds the lease."""

    believed: StoredGrant
    believed_event: Event
    held: StoredGrant
    held_event: Event
    brake_event: Event
    over: int
    holder: str


@dataclass(frozen=True, slots=True)
class Untold:
    """An event that whoever watches has not taken, and how often they were told of it again."""

    event: Event
    tries: int


class Vault(Protocol):
    """Every function is one short piece of work; none holds a lock or a transaction when it returns.

    The first group only reads and waits for nobody, unless `waits`: then it may wait for a network. The second writes
    and may wait for a lock and the disk.
    Raises `SealingError` where a record does not open under the vault's keys, `VaultUnavailable` where the database
    does not work: then nothing was changed.
    """

    keys: KeyRing

    @property
    def waits(self) -> bool:
        """Whether reading may wait for a network, so that it does not belong on an event loop."""

    def find(self, key: GrantKey) -> StoredGrant | None:
        """The grant with its tokens, the only read that opens what is sealed."""

    def grant(self, key: GrantKey) -> Grant | None: ...

    def grant_by_id(self, grant_id: str) -> Grant | None: ...

    def generation(self, key: GrantKey) -> int | None:
        """The generation of a grant on which calls may be made; None where there is none."""

    def grants(self, integration: str, *, owner: str | None = None) -> Sequence[Grant]:
        """All grants of an integration, or of one owner there, oldest first."""

    def page_of_grants(
        self,
        integration: str,
        *,
        limit: int,
        owner: str | None = None,
        statuses: Sequence[Status] = (),
        after: Grant | None = None,
    ) -> Sequence[Grant]:
        """So many grants, by owner and person, after that one; of one owner, of those statuses where any are named."""

    def grants_called(self, integration: str, who: str) -> Sequence[Grant]:
        """Those that `who` names: by their id, by their person's id, else by the person's e-mail, which is looked for
        in all of them."""

    def expiring(
        self,
        integration: str,
        *,
        before: datetime,
        since: datetime | None = None,
        limit: int | None = None,
        after: Grant | None = None,
    ) -> Sequence[Grant]:
        """Grants on which calls may be made and whose refresh token ends by then (not before `since`), soonest first;
        so many of them, after that one."""

    def has_endless(self, integration: str) -> bool:
        """Whether calls may be made on a grant of which it is not known when it ends."""

    def census(self, integration: str, *, ending_before: datetime) -> tuple[Mapping[Status, int], int]:
        """How many grants are in each state, and on how many calls may be made whose refresh token ends by then. It
        counts all of them, in an index and in nobody's way: a million take a tenth of a second or two."""

    def has_granted(self, integration: str, *, person_id: str) -> bool:
        """Whether calls may be made on a grant of that person, whoever owns it."""

    def adopted(self, integration: str, *, digest: bytes) -> StoredGrant | None:
        """What has become of a refresh token that once came in from elsewhere; None where it never did."""

    def lease_left(self, grant_id: str, *, holder: str) -> float:
        """For how many more seconds the holder has the lease, on the database's clock; 0 where it has none."""

    def standing(self, integration: str, *, credentials: str) -> Standing: ...

    def brake(self, integration: str) -> Brake: ...

    def served_others(self, key: GrantKey, *, credentials: str) -> bool:
        """Whether any grant of the integration was renewed under those credentials after this one's renewal was last
        delayed, in the order in which both were written."""

    def events(self, key: GrantKey) -> Sequence[Event]:
        """What happened to the grants of that key, oldest first."""

    def untold(self, integration: str, *, left: datetime, now: datetime, limit: int) -> Sequence[Untold]:
        """Events of before `left` that whoever watches has not taken and is to be told of now; first those that were
        tried least often, so that none hides another."""

    def callers(self, integration: str) -> Sequence[Caller]:
        """All of them, by name."""

    def caller(self, integration: str, *, digest: bytes) -> Caller | None:
        """The one whose key has that digest."""

    def enter(self, stored: StoredGrant, *, event: Event | None = None) -> StoredGrant:
        """Keep a grant from the grant flow. Where its key has a grant already, that one lives on with the new tokens:
        same id, next generation. Only a revoked one is over: the new one keeps its own id, so that what was bound to
        the old one does not come back with it. Any lease ends. Returns what is kept, which the event
        is written as one of."""

    def adopt(self, batch: Sequence[Adopting], *, at: datetime) -> Sequence[StoredGrant | None]:
        """Keep grants of tokens that were brought in, all in one transaction; what is kept of each, as `enter` has it.
        None where it is not as it was seen to be: then nothing of it was changed."""

    def rename(
        self, nameless: Grant, *, to: StoredGrant, over: int | None, holder: str, event: Event | None = None
    ) -> StoredGrant | None:
        """Move a grant whose person is known now to its own key, sealed anew, over the grant of generation `over`
        there. None where the lease has passed from the holder, or what is there is another: then nothing was changed.
        """

    def merge(self, nameless: Grant, *, into: str, holder: str, remember: bool) -> bool:
        """Drop a grant whose person has another here, with that id. `remember`: the refresh token that came in counts
        as known from now on. False where the lease has passed from the holder."""

    def drop_refused(self, nameless: Grant) -> bool:
        """Drop a refused grant of tokens that came in, as if they never had; its events stay. False where another has
        changed it meanwhile."""

    def take_lease(self, grant_id: str, *, generation: int, holder: str, seconds: float) -> StoredGrant | None:
        """Become the one who refreshes this grant, and note that a request is about to be sent.

        Returns the record as it was before that note; None where another holds the lease (and is not known to be dead),
        the generation has passed, or calls may not be made on the grant any more.
        """

    def release(self, grant_id: str, *, holder: str, unanswered_since: datetime | None) -> None:
        """Give the lease back where nothing was sent; the note becomes again what it was."""

    def save(
        self,
        stored: StoredGrant,
        *,
        generation: int,
        holder: str | None = None,
        only_holder: bool = False,
        event: Event | None = None,
    ) -> bool:
        """Replace the record if it still has that generation, and end the holder's lease. Where no holder is named it
        ends every lease with the generation that it was taken for, and none while that stays. `only_holder`: and if
        the lease has not passed to another since. Returns whether it was replaced; only then the event is written."""

    def reopen(self, refused: Grant, *, event: Event) -> bool:
        """Have the refused token tried again. False where the grant is not as it was seen to be, or its token is under
        way and may be swapped for another: then nothing was changed, and no event written."""

    def refuse(self, refusing: Refusing, *, now: datetime) -> Sequence[Event]:
        """Keep a refused grant, believed or held back by how many were refused before it: they are counted in the same
        transaction, and no two refusals at once. As `save` with `only_holder`; returns the events that were written,
        that of the grant first, and none where it was not replaced."""

    def spend(self, state_digest: bytes, *, now: datetime, until: datetime) -> bool:
        """Note that a state has served, to be remembered until its cookie is dead; False where it had before."""

    def set_standing(
        self, integration: str, *, credentials: str, standing: Standing, event: Event | None = None
    ) -> None: ...

    def set_brake(self, integration: str, brake: Brake, *, event: Event) -> None: ...

    def record(self, event: Event) -> None:
        """Write an event that comes with no other change."""

    def add_caller(self, caller: Caller, *, events: Sequence[Event] = ()) -> bool:
        """False where its name is taken; then nothing was changed, and no event written."""

    def remove_caller(self, caller: Caller, *, events: Sequence[Event] = ()) -> bool:
        """Whether it was there, with this key; only then the events are written."""

    def record_hand_over(self, event: Event, *, caller: str) -> None:
        """Write the event, and note beside it that this caller was here."""

    def claim_untold(self, untold: Untold, *, again_at: datetime) -> bool:
        """Become the one who tells of it; should it not be taken, nobody does before `again_at`. False where another
        was first."""

    def set_told(self, event_id: str) -> None:
        """Whoever watches has been told of it."""

    def forget_refused(self, *, before: datetime) -> None:
        """Drop the tokens that were refused before then."""

    def forget_events(self, *, before: datetime) -> None:
        """Drop what happened before then, the oldest few hundred at a time."""

    def keys_in_use(self) -> Sequence[SealedUnder]:
        """Every key that seals a record here or has been in use here; those that are gone with theirs are left out."""

    def reseal(self, *, after: str, limit: int) -> Resealed:
        """Seal so many records with ids after that one under the primary key, where they are not yet. A record that
        somebody writes meanwhile is left as they write it, and nobody waits for long."""

    def close(self) -> None: ...
