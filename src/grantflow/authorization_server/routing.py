"""Which address leads where."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route

from grantflow.authorization_server.challenges import SeenChallenges
from grantflow.authorization_server.endpoints import TokenEndpoints, metadata_endpoint
from grantflow.authorization_server.pages import AuthorizationEndpoint
from grantflow.authorization_server.ports import AuthorizationRequests, Tokens
from grantflow.authorization_server.settings import Settings
from grantflow.protocol.metadata import metadata_url
from grantflow.protocol.minting import Mint
from grantflow.web.pages import Pages
from grantflow.web.throttle import FailureLog, Throttle
from grantflow.web.wire import AnyMethod

#: The second is where Webex's identity service has them, and its JavaScript SDK looks.
PREFIXES = ("/v1", "/idb/oauth2/v1")

#: Wrong secrets for one client from one address before it must wait.
FREE_FAILURES = 10
#: In seconds; short, since many people's grants may wait behind one address until somebody mends its wrong secret.
LONGEST_WAIT = 60


def routes(
    *,
    settings: Settings,
    requests: AuthorizationRequests,
    tokens: Tokens,
    failures: FailureLog,
    pages: Pages,
    clock: Callable[[], datetime],
    mint: Mint,
) -> list[BaseRoute]:
    """All that the authorization server answers. ``mint(n)`` makes n unguessable bytes."""
    person = AuthorizationEndpoint(settings, requests, pages, clock, mint, SeenChallenges())
    throttle = Throttle(failures, what="client", free=FREE_FAILURES, longest=LONGEST_WAIT)
    client = TokenEndpoints(settings, tokens, throttle, clock, mint)
    metadata = metadata_endpoint(settings, sandbox=pages.site.sandbox)
    found: list[BaseRoute] = [Route(urlsplit(metadata_url(settings.issuer)).path, metadata)]
    for prefix in PREFIXES:
        found += [
            Route(f"{prefix}/authorize", AnyMethod(person.authorize)),
            Route(f"{prefix}/access_token", AnyMethod(client.access_token)),
            Route(f"{prefix}/revoke", AnyMethod(client.revoke)),
        ]
    return found
