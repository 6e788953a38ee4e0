"""Records for tests of the vault."""

from datetime import UTC, datetime

from grantflow import KeyRing
from grantflow.client import rules
from grantflow.client.grant import GrantKey, Person, StoredGrant
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
KEYS = KeyRing(KeyRing.new_key())
ACCESS, REFRESH = "access-MzA4ZGU2YzUtNDAxNS00", "refresh-ZDA4MzUyMWYtZmFmOS00"


def stored(person: str = "ada", *, owner: str | None = None, grant_id: str | None = None) -> StoredGrant:
    key = GrantKey("C1", owner or person, person)
    tokens = Tokens(Secret(ACCESS + person), 60, Secret(REFRESH + person), 120)
    who = Person(person, person.title(), f"{person}@example.org")
    return rules.granted(grant_id or f"g-{person}", key, person=who, tokens=tokens, asked=Scopes.of("a", "b"), now=NOW)
