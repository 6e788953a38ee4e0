"""Where the resource owner's pages lie, below the platform's public address."""

WELCOME = "/"
SIGN_IN = "/signin"
SIGN_OUT = "/signout"
CONSENT = "/consent"
CONNECTED_APPS = "/connected-apps"
REVOCATION_OF_ALL = f"{CONNECTED_APPS}/revocation"


def revocation(grant_id: str) -> str:
    return f"{CONNECTED_APPS}/{grant_id}/revocation"


ADMINISTRATION = "/administration"
PEOPLE = f"{ADMINISTRATION}/people"
APPS = f"{ADMINISTRATION}/integrations"


def person_page(person_id: str) -> str:
    return f"{PEOPLE}/{person_id}"


def app_page(client_id: str) -> str:
    return f"{APPS}/{client_id}"


def end_of_grant(grant_id: str) -> str:
    return f"{ADMINISTRATION}/grants/{grant_id}/revocation"


def end_of_all(page: str) -> str:
    """Of a person's or an integration's page: where all that it shows is taken away."""
    return f"{page}/revocation"
