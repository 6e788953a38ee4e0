"""A vault with as many grants as wanted, of which each can be told from its number alone."""

from collections.abc import Iterator
from datetime import UTC, datetime

from grantflow.client import rules
from grantflow.client.grant import GrantKey, Person, StoredGrant
from grantflow.client.vault import Adopting
from grantflow.client.vault.sql_vault import SqlVault
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import Tokens
from tests.client.foreign import CLIENT_ID

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_TOGETHER = 500


def grant_number(number: int) -> StoredGrant:
    """With tokens as long as Webex's."""
    person = Person(f"person-{number:08}", f"Person {number}", f"person{number}@example.org")
    access, refresh = f"access-{number:08}-".ljust(105, "a"), f"refresh-{number:08}-".ljust(105, "r")
    tokens = Tokens(Secret(access), 1_209_599, Secret(refresh))
    key = GrantKey(CLIENT_ID, person.person_id, person.person_id)
    # Ids that come in no order, as real ones do.
    return rules.granted(
        f"grant-{number * 2_654_435_761 % 2**32:08x}-{number:08}",
        key,
        person=person,
        tokens=tokens,
        asked=Scopes.of("spark:people_read"),
        now=NOW,
    )


def fill(vault: SqlVault, grants: int) -> None:
    for numbers in _portions(grants):
        batch = [
            Adopting(grant_number(number), digest=number.to_bytes(32, "big"), known=False, over=None)
            for number in numbers
        ]
        assert None not in vault.adopt(batch, at=NOW)


def _portions(grants: int) -> Iterator[range]:
    for first in range(0, grants, _TOGETHER):
        yield range(first, min(first + _TOGETHER, grants))
