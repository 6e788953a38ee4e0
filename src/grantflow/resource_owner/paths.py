"""Where the resource owner's pages lie, below the platform's public address."""

WELCOME = "/"
SIGN_IN = "/signin"
SIGN_OUT = "/signout"
CONSENT = "/consent"
CONNECTED_APPS = "/connected-apps"
REVOCATION_OF_ALL = f"{CONNECTED_APPS}/revocation"


def revocation(grant_id: str) -> str:
    return f"{CONNECTED_APPS}/{grant_id}/revocation"
