"""What is kept of a grant: the public value, and the record with its tokens that only the vault and the flows see."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret


class Status(StrEnum):
    ACTIVE = "ACTIVE"
    """Calls work; an expired access token is renewed on the way."""
    REFRESH_DELAYED = "REFRESH_DELAYED"
    """The platform is unreachable or says slow down; nothing is harmed, the next try is at `retry_at`."""
    REAUTHORIZATION_REQUIRED = "REAUTHORIZATION_REQUIRED"
    """The platform refused the refresh token for good; the person must grant again."""
    REVOKED = "REVOKED"
    """Disconnected here; the tokens are forgotten."""


#: Stands for the person of tokens that were brought in, until it is known whose they are.
_NOBODY_YET: Final = re.compile(r"unknown:[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class GrantKey:
    """What names a grant: the integration's client id, the host application's own user, the person there."""

    integration: str
    owner: str
    person_id: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who granted, as the platform names them."""

    person_id: str
    display_name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person allowed this integration. Times are aware UTC; None where the platform told none.

    `owner` is the host application's own user; where there is none, the person. `generation` counts the token
    pairs that this grant has had. `incident` and `reason` tell of the last thing that went wrong. `refused_at` is when
    the platform refused the refresh token; the token itself is kept for 30 days, for an operator to try it again.
    """

    id: str
    integration: str
    owner: str
    person_id: str
    display_name: str | None
    email: str | None
    status: Status
    scopes: Scopes
    generation: int
    granted_at: datetime
    refreshed_at: datetime | None = None
    access_expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    retry_at: datetime | None = None
    refused_at: datetime | None = None
    incident: str | None = None
    reason: str | None = None

    @property
    def is_held_back(self) -> bool:
        """Refused together with many others: not believed, and not asked for until an operator has looked."""
        return self.refused_at is not None and self.status is Status.REFRESH_DELAYED

    @property
    def key(self) -> GrantKey:
        return GrantKey(self.integration, self.owner, self.person_id)

    @property
    def called(self) -> str:
        """The words for the person in messages: name, else email, else id."""
        return self.display_name or self.email or self.person_id

    def is_called(self, name: str) -> bool:
        """Whether it is meant by that: the grant's own id, the person's, or their email."""
        return name in (self.id, self.person_id) or (self.email is not None and name.lower() == self.email.lower())

    @property
    def is_named(self) -> bool:
        """Whether it is known who the person is: of tokens that were brought in it may be found out later."""
        return not _NOBODY_YET.fullmatch(self.person_id)


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A grant with its tokens and what the refreshing needs to remember. One that was brought in may have no access
    token yet: then the first call renews.

    - `unanswered_since`: since when a refresh request with this refresh token has had no clear answer; the token
      may have been swapped without our knowing.
    - `overtaken_since`: the same of an earlier refresh token, which was sent again and then swapped for this one. The
      server may have come to the first request since, and ended the grant.
    - `failures`: transient failures in a row.
    - `suspected_at`: when the platform last refused the integration for this grant, if that was the last it said.
    """

    grant: Grant
    access_token: Secret | None = None
    refresh_token: Secret | None = None
    unanswered_since: datetime | None = None
    overtaken_since: datetime | None = None
    failures: int = 0
    suspected_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the token endpoint thinks of the integration itself, under one client secret.

    `refused_at` and `retry_at` are set while it refuses the integration; `succeeded_at` is when it last began to serve.
    """

    refused_at: datetime | None = None
    retry_at: datetime | None = None
    failures: int = 0
    reason: str | None = None
    succeeded_at: datetime | None = None

    @property
    def works(self) -> bool:
        return self.refused_at is None and self.succeeded_at is not None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that lives as far as is known, for a program that calls the API by its own means.

    `token.reveal()` tells it. `expires_at` is None where the platform told no lifetime.
    """

    token: Secret
    expires_at: datetime | None
    grant: Grant


@dataclass(frozen=True, slots=True)
class Brake:
    """Whether refusals are believed. `on_since` is set while they are not, because so many came at once; `released_at`
    is when an operator last had them count again."""

    on_since: datetime | None = None
    released_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """How the grants of an integration are, in numbers.

    - `grants`: how many are in each state, over all processes.
    - `ending`: on how many calls may be made whose refresh token ends soon, or should have ended already.
    - `brake`: whether refusals are believed.
    - `is_refused`: the platform refuses the integration itself, under every client secret that it has.
    """

    grants: Mapping[Status, int]
    ending: int
    brake: Brake
    is_refused: bool


@dataclass(frozen=True, slots=True)
class Revocation:
    """What `revoke` achieved. The grant is forgotten here in every case; `at_platform` tells whether the platform
    ended it too, and `reason` why not, in words for people. `had_ended`: there was nothing to end any more, since it
    was disconnected here before, or refused by the platform so long ago that no token of it is kept."""

    at_platform: bool
    reason: str | None = None
    had_ended: bool = False


@dataclass(frozen=True, slots=True)
class KeptAlive:
    """What `keep_alive` achieved, in numbers of grants.

    - `prolonged`: renewed, and they live longer (or the platform tells no end any more, or they had been renewed so
      shortly before that it cannot be told).
    - `in_vain`: renewed, and they end when they would have, as the platform tells it: where that is so, their people
      must grant again before.
    - `refused`: they were dead already. `delayed`: the platform did not help; nothing is harmed.
    - `unneeded`: somebody else has renewed or ended them meanwhile.
    - `unreadable`: the ids of those whose record does not open. Unless their key is put back, or the record restored,
      their people must grant again.
    - `stopped`: why the rest was left alone, in words for people. `delayed_by`: what delayed the first of the delayed.
    """

    prolonged: int = 0
    in_vain: int = 0
    refused: int = 0
    delayed: int = 0
    unneeded: int = 0
    unreadable: tuple[str, ...] = ()
    stopped: str | None = None
    delayed_by: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CompletedGrant(Grant):
    """The grant that `complete_authorization` made, and where its person wanted to go.

    `return_to` is a path of this site, checked when the authorization began. `cookie_name` names the pending cookie,
    which has served and can be deleted.
    """

    return_to: str | None = field(kw_only=True, default=None)
    cookie_name: str = field(kw_only=True, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingTokens:
    """Tokens that another program got, to be brought in by `adopt`. What is not known is None.

    - `refresh_token`: what the grant lives on. `access_token`: used as long as it works.
    - `access_expires_at`, `refresh_expires_at`: aware times.
    - `scopes`: what was granted; the integration's own where that is not known.
    - `person`: who granted; where it is not known, the platform is asked. `owner`: your own user.
    - `issued_at`: when the platform gave these tokens. It tells whether they are newer than those that are here.
    """

    refresh_token: Secret
    access_token: Secret | None = None
    access_expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    scopes: Scopes | None = None
    person: Person | None = None
    owner: str | None = None
    issued_at: datetime | None = None

    @property
    def person_id(self) -> str:
        """The person's id; as long as nobody knows it, a name that is made of the refresh token's SHA-256."""
        return self.person.person_id if self.person else f"unknown:{self.refresh_token.digest().hex()[:24]}"


class Adoption(StrEnum):
    """What became of tokens that were brought in."""

    ADOPTED = "ADOPTED"
    """They are a new grant here."""
    REPLACED = "REPLACED"
    """They have taken the place of those that a grant had here."""
    UNCHANGED = "UNCHANGED"
    """They had come in before; nothing was done."""
    KEPT = "KEPT"
    """The grant that is here was kept as it is: it works or was disconnected, and they are not known to be newer."""


@dataclass(frozen=True, slots=True)
class AdoptedGrant(Grant):
    """The grant that holds now for the person whose tokens were brought in, and what became of these."""

    outcome: Adoption = field(kw_only=True, default=Adoption.ADOPTED)
