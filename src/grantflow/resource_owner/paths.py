"""Where the resource owner's pages lie, below the platform's public address."""

from grantflow.web.addresses import with_query

WELCOME = "/"
SIGN_IN = "/signin"
SIGN_OUT = "/signout"
CONSENT = "/consent"
CONNECTED_APPS = "/connected-apps"
REVOCATION_OF_ALL = f"{CONNECTED_APPS}/revocation"


def sign_in_first(then: str) -> str:
    """Where a person signs in who wants to see one of these pages, and is led on to it."""
    return with_query(SIGN_IN, next=then)


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
