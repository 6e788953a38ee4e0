"""The vault's statements, once for every database: what is read, what is written, and what must happen as one.

They are the SQL that SQLite and PostgreSQL share, with parameters written `:name`. What differs is the engine's own
module: connections, the clock, how a row is kept from others, and what an error means.

Each part of the vault is a module with its statements and the class that uses them. No part knows another: they stand
on `database`, say some things in the same words (`statements`), and write events down with what they tell of.
"""

from grantflow.client.vault.sql_vault.callers import Callers
from grantflow.client.vault.sql_vault.database import Parameters, Result, Transaction
from grantflow.client.vault.sql_vault.entering import Entering
from grantflow.client.vault.sql_vault.events import Events
from grantflow.client.vault.sql_vault.grants import Grants
from grantflow.client.vault.sql_vault.keys import Keys
from grantflow.client.vault.sql_vault.leases import Leases
from grantflow.client.vault.sql_vault.refusals import Refusals
from grantflow.client.vault.sql_vault.spent_states import SpentStates

__all__ = ["Parameters", "Result", "SqlVault", "Transaction"]


class SqlVault(Grants, Entering, Leases, Refusals, Events, Callers, SpentStates, Keys):
    """A `Vault` over SQL; see there for what each function promises."""
