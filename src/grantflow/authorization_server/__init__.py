"""Who issues tokens: authorization requests, codes, tokens, revocation and metadata (RFC 6749, 7009, 7636, 8414, 9207).

How it is composed::

    routes(
        settings=Settings(issuer="http://127.0.0.1:9000/v1"),
        requests=storage.AuthorizationRequests(engine),
        tokens=storage.Tokens(engine),
        failures=FailuresInMemory(),
        pages=pages, clock=clock, mint=mint,
    )
"""

from grantflow.authorization_server.routing import routes
from grantflow.authorization_server.settings import Settings

__all__ = ["Settings", "routes"]
