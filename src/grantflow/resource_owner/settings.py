"""What the resource owner's pages are told when they are put together."""

from dataclasses import dataclass, field

from grantflow.resource_owner.paths import ADMINISTRATION, CONNECTED_APPS
from grantflow.web.site import Link


@dataclass(frozen=True, slots=True)
class ResourceOwnerSettings:
    """`form_key` (32 bytes or more) is the same on every node; lifetimes are in seconds.

    `api_url` ends in `/v1`. `own_pages` are where a person may be sent after signing in, with what lies below them;
    the first is where those go who came for nothing else. `portal_links` are what the front page shows developers,
    `account_links` is the avatar's menu,
    `admin_links` what administrators have there too. What leads to another
    role is a path, or an address where that role has one of its own.
    """

    form_key: bytes = field(repr=False)
    api_url: str
    access_token_lifetime: int
    refresh_token_lifetime: int
    session_lifetime: int = 12 * 3_600
    #: Signing out takes away all that the person granted (RFC 9700 section 4.14.2).
    revoke_on_sign_out: bool = False
    own_pages: tuple[str, ...] = (CONNECTED_APPS, ADMINISTRATION)
    account_links: tuple[Link, ...] = (Link("Connected apps", CONNECTED_APPS),)
    admin_links: tuple[Link, ...] = (Link("Administration", ADMINISTRATION),)
    portal_links: tuple[Link, ...] = ()
    authorization_endpoint: str = "/v1/authorize"
    #: The command line's name, as it is typed here.
    program: str = "grantflow"
    metadata: str = "/.well-known/oauth-authorization-server/v1"
