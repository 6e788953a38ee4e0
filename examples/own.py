"""What the examples in this folder begin with: your integration as the environment describes it, and whose grant it is.

Beside `./dev up`: eval "$(./dev grantflow status -o env)", then get a grant by examples/terminal.py.
"""

from collections.abc import Sequence
from os import environ
from typing import Any
from urllib.parse import urlsplit

from grantflow import Grant, GrantflowError, KeyRing, Status, open_vault

NEEDED = ("GRANTFLOW_CLIENT_ID", "GRANTFLOW_CLIENT_SECRET", "GRANTFLOW_REDIRECT_URI")


def settings(*, below: str = "") -> dict[str, Any]:
    """For `Integration` and `AsyncIntegration` alike; `below` is the path under which the pages are mounted."""
    if missing := [name for name in NEEDED if not environ.get(name)]:
        raise SystemExit(
            f'Not set: {", ".join(missing)}. Beside ./dev up, run: eval "$(./dev grantflow status -o env)"'
        )
    try:
        vault = open_vault(environ.get("GRANTFLOW_VAULT", "grants.db"), keys=KeyRing.from_env())
    except GrantflowError as error:
        raise SystemExit(str(error)) from None
    if not urlsplit(environ["GRANTFLOW_REDIRECT_URI"]).path.startswith(f"{below}/"):
        raise SystemExit(
            f"The redirect URI does not lie below {below}, where the pages are. The sandbox has another: "
            f'export GRANTFLOW_REDIRECT_URI="${{GRANTFLOW_REDIRECT_URI%/oauth}}{below}/oauth"'
        )
    return {
        "client_id": environ["GRANTFLOW_CLIENT_ID"],
        "client_secret": environ["GRANTFLOW_CLIENT_SECRET"],
        "redirect_uri": environ["GRANTFLOW_REDIRECT_URI"],
        "scopes": "spark:people_read spark:rooms_read",
        "vault": vault,
        "api_url": environ.get("GRANTFLOW_API_URL", "https://webexapis.com/v1"),
        "revocation_url": environ.get("GRANTFLOW_REVOCATION_URL"),  # Webex documents none
    }


def whoever_granted_last(grants: Sequence[Grant]) -> str:
    """The id of the person whose grant the example uses."""
    living = [grant.person_id for grant in grants if grant.status is not Status.REVOKED]
    if not living:
        raise SystemExit("Nobody has granted yet. Get a grant first, in this folder: ./dev python examples/terminal.py")
    return living[-1]
