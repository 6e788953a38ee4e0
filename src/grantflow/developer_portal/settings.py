"""What the developer portal is told when it is put together."""

from collections.abc import Callable
from dataclasses import dataclass, field

from grantflow.developer_portal.paths import APP_HUB, MY_APPS, NEW_BOT, NEW_INTEGRATION, SCOPES
from grantflow.protocol.secret import Secret
from grantflow.web.site import Link

#: Where to go in the portal; its own pages show these at the top.
LINKS = (Link("My Webex Apps", MY_APPS), Link("App Hub", APP_HUB), Link("Scopes", SCOPES))


@dataclass(frozen=True, slots=True)
class AppKind:
    """One of the things that can be made under "Create a New App": the link leads to its form."""

    title: str
    words: str
    create: Link


INTEGRATION = AppKind(
    "Integration",
    "Acts for the people who grant it access: it reads and posts in their name, within the scopes that they accept.",
    Link("Create an Integration", NEW_INTEGRATION, "primary"),
)

BOT = AppKind(
    "Bot",
    "An account of its own, with its own token. It sees the spaces that it is invited to, and answers there in its own "
    "name; nobody grants it anything.",
    Link("Create a Bot", NEW_BOT),
)


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """`form_key` (32 bytes or more) is the same in all roles and on every node. `api_url` ends in `/v1`.

    `account_links` is the avatar's menu, with `admin_links` for administrators; `sign_in` and `sign_out` are the
    resource owner's. `seen_from_sign_in` is the portal's own address where that role has another, and empty where they
    share one. Whoever has a form for something else that can be made adds it to `kinds`. `take_over` is told the client
    ID and its new secret, and answers whether something here goes on with it, as a sandbox's own integrations do.
    `connected_apps_url` is where people revoke grants, for the integrations' own pages; `program` is the command line's
    name, as it is typed here.
    """

    form_key: bytes = field(repr=False)
    api_url: str
    authorization_endpoint: str
    account_links: tuple[Link, ...] = LINKS[:1]
    admin_links: tuple[Link, ...] = ()
    kinds: tuple[AppKind, ...] = (INTEGRATION, BOT)
    sign_in: str = "/signin"
    sign_out: str = "/signout"
    seen_from_sign_in: str = ""
    take_over: Callable[[str, Secret], bool] | None = None
    connected_apps_url: str = ""
    program: str = "grantflow"
