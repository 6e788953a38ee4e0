"""What several of the vault's parts say in the same words."""

from typing import Final

from grantflow.client.grant import GrantKey
from grantflow.client.vault.records import CHANGING_COLUMNS, COLUMNS
from grantflow.client.vault.sql_vault.database import Parameters

# Calls may be made on it.
ALIVE: Final = "status IN ('ACTIVE', 'REFRESH_DELAYED')"
OF_KEY: Final = "integration = :integration AND owner = :owner AND person_id = :person_id"
# Named one by one: a server that has prepared `SELECT *` refuses it once an upgrade has added a column.
SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM grants"
BY_KEY: Final = f"{SELECT} WHERE {OF_KEY}"
# The casts tell PostgreSQL what a parameter is that stands beside no column.
_HOLDER: Final = "CAST(:holder AS TEXT)"
# A lease is for one generation, so with that it ends, whoever replaces it.
_ENDS_LEASE: Final = f"({_HOLDER} IS NULL AND generation <> :generation) OR lease_holder = {_HOLDER}"
REPLACE: Final = (
    f"UPDATE grants SET {', '.join(f'{name} = :{name}' for name in CHANGING_COLUMNS)}, "
    f"lease_until = CASE WHEN {_ENDS_LEASE} THEN NULL ELSE lease_until END, "
    f"lease_holder = CASE WHEN {_ENDS_LEASE} THEN NULL ELSE lease_holder END "
    f"WHERE id = :id AND generation = :read AND (NOT :only_holder OR lease_holder = {_HOLDER})"
)


def of_key(key: GrantKey) -> Parameters:
    """What `OF_KEY` names."""
    return {"integration": key.integration, "owner": key.owner, "person_id": key.person_id}


def if_still(generation: int, *, holder: str | None = None, only_holder: bool = False) -> Parameters:
    """What `REPLACE` expects to find."""
    return {"read": generation, "holder": holder, "only_holder": only_holder}
