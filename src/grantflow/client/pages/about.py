"""What the pages say about the integration, in its makers' words."""

from collections.abc import Iterable
from dataclasses import dataclass

from grantflow.protocol.scope import KMS, meaning


@dataclass(frozen=True, slots=True)
class About:
    """The words of the landing page.

    `does` is the one sentence that it opens with, `lead` says a little more. `platform` is what people call the other
    side. `connected_apps_url` is the platform's page where a person revokes a grant; without it the pages only say
    that there is one. `operator` names who runs the integration, for people who need help. `icon` is an address that
    the pages' content security policy lets through: one of this origin, or a `data:` URI.
    """

    name: str
    does: str
    lead: str = ""
    platform: str = "Webex"
    connected_apps_url: str | None = None
    operator: str = "whoever runs this integration"
    icon: str | None = None


def in_plain_words(scopes: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of scope and meaning, as a consent page lists them: `spark:kms` comes by itself and says nothing."""
    return [(scope, meaning(scope)) for scope in scopes if scope != KMS]
