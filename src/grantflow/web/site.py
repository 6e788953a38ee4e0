"""What every page of one app knows about itself: its name, where the public finds it, and who is looking."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Role = Literal["platform", "integration"]
ButtonKind = Literal["primary", "secondary", "danger", "quiet"]


@dataclass(frozen=True, slots=True)
class Link:
    """A label and where it leads: a path of this app, or an absolute address."""

    label: str
    href: str
    kind: ButtonKind = "secondary"


@dataclass(frozen=True, slots=True)
class Account:
    """The signed-in person, for the avatar menu.

    `sign_out` is the path that the menu's sign-out form posts to, `form_token` the token it carries.
    """

    name: str
    email: str
    links: tuple[Link, ...]
    sign_out: str
    form_token: str


@dataclass(frozen=True, slots=True)
class Site:
    """One app as the public sees it.

    `base_url` comes from a setting, never from the Host or X-Forwarded headers of a request. It may end in the path
    that the app is mounted at (`https://app.example/webex`). Raises ValueError if it is no http or https address.

    Where the roles of one platform run at several addresses, `siblings` are those of the others: pages redirect there,
    forms lead there and come from there. `cookies_of` is the one whose cookies all of them read; None: its own.
    """

    name: str
    base_url: str
    role: Role = "platform"
    sandbox: bool = False
    links: tuple[Link, ...] = ()
    siblings: tuple[str, ...] = ()
    cookies_of: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                f"The public address {self.base_url!r} cannot be used: it must be like https://host or "
                "https://host/prefix, with neither query nor fragment."
            )

    @property
    def origin(self) -> str:
        """Scheme, host and port as a browser writes them in the Origin header (RFC 6454 section 6.2)."""
        return _origin(self.base_url)

    @property
    def origins(self) -> tuple[str, ...]:
        """Its own, then those of its siblings."""
        return tuple(dict.fromkeys((self.origin, *map(_origin, self.siblings))))

    def is_own(self, origin: str) -> bool:
        """Whether it is this site's origin; a site on loopback has one for each name of this machine."""
        own = urlsplit(self.base_url)
        names = ("localhost", "127.0.0.1", "[::1]") if self.loopback else ()
        return origin == self.origin or origin in [
            _origin(own._replace(netloc=f"{name}:{own.port}" if own.port else name).geturl()) for name in names
        ]

    @property
    def prefix(self) -> str:
        """The path that the app is mounted at, without a trailing slash; empty at the root."""
        return urlsplit(self.base_url).path.rstrip("/")

    @property
    def https(self) -> bool:
        return self.base_url.startswith("https:")

    @property
    def loopback(self) -> bool:
        return is_loopback(urlsplit(self.base_url).hostname or "")

    def url(self, path: str) -> str:
        """The path for a link on a page: `/apps` becomes `/webex/apps` where the app is mounted at `/webex`."""
        return self.prefix + path if path.startswith("/") else path

    def leads_to_us(self, target: str) -> bool:
        """Whether a redirect there stays with this app, or goes to a sibling."""
        if target.startswith("/"):
            return not target.startswith(("//", "/\\"))
        return target.startswith(tuple(f"{sibling}/" for sibling in self.siblings))

    def public_url(self, path: str) -> str:
        """The absolute address of a path of this app."""
        return self.origin + self.url(path)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.") or host.endswith(".localhost")
