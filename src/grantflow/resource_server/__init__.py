"""Owns the REST API: who holds the data, and which access token reaches it (RFC 6749 section 7, RFC 6750)."""

from grantflow.resource_server.routes import Ports, Settings, routes

__all__ = ["Ports", "Settings", "routes"]
