"""What happened to a grant or to the integration: kept in the audit log, told to whoever watches, and never a token.

The vault writes each event in the same transaction as the change that it tells of, so neither is there without the
other. Tokens are named by fingerprints: twelve hex digits of their SHA-256.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum

from grantflow.client.grant import Grant


class Kind(StrEnum):
    GRANTED = "granted"
    """The person granted: for the first time, or again."""
    ADOPTED = "adopted"
    """An existing refresh token came in from elsewhere."""
    REFRESHED = "refreshed"
    """New tokens came and are kept."""
    REFRESH_DELAYED = "refresh_delayed"
    """The platform did not help this time; nothing is harmed."""
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    """The platform refused the refresh token for good."""
    OUTCOME_UNKNOWN = "refresh_outcome_unknown"
    """It refused it after an answer was lost on the way."""
    HELD_BACK = "held_back"
    """It refused it while it refuses many: not believed until an operator has looked."""
    RETRIED = "retried"
    """An operator has the refused token tried again."""
    REVOKED = "revoked"
    """Disconnected here."""
    HANDED_OUT = "handed_out"
    """An access token was given to a program of another kind; `actor` names it."""
    CALLER_ADDED = "caller_added"
    """Such a program may have the grant's access tokens from now on; `actor` names it, and `token` is its key's
    fingerprint."""
    CALLER_REMOVED = "caller_removed"
    """It may have them no more."""
    SECRET_REFUSED = "secret_refused"
    """The platform refused one client secret, and there is another to try; `token` is the secret's fingerprint."""
    INTEGRATION_REFUSED = "integration_refused"
    """The platform refused the integration itself, under the last client secret that there was."""
    BRAKE_ON = "brake_on"
    """So many grants are refused that none is declared dead any more."""
    BRAKE_RELEASED = "brake_released"
    """An operator has looked: refusals count again."""


#: With these the platform said no to a grant that it should know.
REFUSALS = (Kind.REAUTHORIZATION_REQUIRED, Kind.OUTCOME_UNKNOWN, Kind.HELD_BACK)


@dataclass(frozen=True, slots=True)
class Event:
    """`at` is aware UTC. `token` names the token that it is about (the refresh token that was sent, the access token
    that was handed out) and `new_token` the access token that came. `actor` is who did it, where it was not the
    integration by itself. `credentials` names the client secret with which new tokens came (its fingerprint; `public`
    where there is none). What concerns no single grant has neither `grant_id` nor owner nor person. `is_to_be_told`:
    somebody watches, and the vault notes that they have not been told yet."""

    id: str
    at: datetime
    kind: Kind
    integration: str
    grant_id: str | None = None
    owner: str | None = None
    person_id: str | None = None
    generation: int | None = None
    incident: str | None = None
    reason: str | None = None
    token: str | None = None
    new_token: str | None = None
    actor: str | None = None
    credentials: str | None = None
    is_to_be_told: bool = field(default=False, compare=False, repr=False)

    def of(self, grant: Grant) -> "Event":
        """The same as that grant's, with its incident and reason where it has none of its own."""
        return replace(
            self,
            grant_id=grant.id,
            owner=grant.owner,
            person_id=grant.person_id,
            generation=grant.generation,
            incident=self.incident or grant.incident,
            reason=self.reason or grant.reason,
        )

    def members(self) -> Mapping[str, str | int]:
        """What is known of it, for logs and JSON; `at` as ISO 8601."""
        known = {each.name: getattr(self, each.name) for each in fields(self) if each.compare}
        known["at"], known["kind"] = self.at.isoformat(), self.kind.value
        return {name: value for name, value in known.items() if value is not None}
