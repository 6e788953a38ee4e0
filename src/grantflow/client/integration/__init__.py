"""`Integration` and `AsyncIntegration`: the same names, one blocking, one awaiting; and what both are made of."""

from grantflow.client.integration.awaiting import AsyncIntegration
from grantflow.client.integration.blocking import Integration, server_at

__all__ = ["AsyncIntegration", "Integration", "server_at"]
