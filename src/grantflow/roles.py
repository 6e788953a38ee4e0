"""The platform's roles (RFC 6749 section 1.1), and where each is found when they run in processes of their own."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from grantflow.web.site import Site


class Role(StrEnum):
    AUTHORIZATION_SERVER = "authorization-server"
    RESOURCE_OWNER = "resource-owner"
    RESOURCE_SERVER = "resource-server"
    DEVELOPER_PORTAL = "developer-portal"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The public address of each role, without a slash at its end; several may be the same.

    All but the resource server's share scheme and host, since they share one session: a browser sends a cookie to
    every port of the host that set it (RFC 6265 section 8.5), and to no other host. A platform may do without a
    developer portal (None); then no page leads there.

    Raises:
        ValueError: they do not.
    """

    authorization_server: str
    resource_owner: str
    resource_server: str
    developer_portal: str | None

    def __post_init__(self) -> None:
        for url in self._with_pages:
            if _host(url) != _host(self.resource_owner):
                raise ValueError(
                    f"{url} and {self.resource_owner} differ in scheme or host name, and the session of a person who "
                    "signed in reaches one host alone. Give the roles that show pages one host name and several ports."
                )

    @classmethod
    def at(cls, url: str) -> Self:
        """All roles at one address."""
        return cls(*[url] * len(fields(cls)))

    def share(self, site: Site) -> Site:
        """The site as one of several that are one platform: whom it trusts, and whose cookies it reads."""
        others = tuple(url for url in self._with_pages if url != site.base_url)
        return replace(site, siblings=others, cookies_of=self.resource_owner)

    @property
    def _with_pages(self) -> tuple[str, ...]:
        portal = (self.developer_portal,) if self.developer_portal else ()
        return tuple(dict.fromkeys((self.authorization_server, self.resource_owner, *portal)))


def _host(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname
