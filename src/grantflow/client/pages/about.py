"""What the pages say about the integration, in its makers' words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from grantflow.protocol.scope import KMS, meaning

_WEBEX: Final = ("webexapis.com", "webex.com")


@dataclass(frozen=True, slots=True)
class About:
    """The words of the landing page.

    `does` is the one sentence that it opens with, `lead` says a little more. `platform` is what people call the other
    side; by default Webex where they sign in there, else the host that they see in their browser's address bar.
    `connected_apps_url` is the platform's page where a person revokes a grant; without it the pages only say
    that there is one. `operator` names who runs the integration, for people who need help. `icon` is an address that
    the pages' content security policy lets through: one of this origin, or a `data:` URI.
    """

    name: str
    does: str
    lead: str = ""
    platform: str = ""
    connected_apps_url: str | None = None
    operator: str = "whoever runs this integration"
    icon: str | None = None

    def with_platform_at(self, authorization_endpoint: str) -> "About":
        """The same, with a name for the platform where none was given."""
        return self if self.platform else replace(self, platform=platform_name(authorization_endpoint))


def platform_name(address: str) -> str:
    """What people call the platform whose pages lie at that address."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return "Webex" if host in _WEBEX or host.endswith(".webex.com") else parts.netloc.rpartition("@")[2]


def in_plain_words(scopes: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of scope and meaning, as a consent page lists them: `spark:kms` comes by itself and says nothing."""
    return [(scope, meaning(scope)) for scope in scopes if scope != KMS]
