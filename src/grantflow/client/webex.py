"""What is Webex's own: its addresses, and how it tells who a person is (developer.webex.com, People)."""

from typing import Final

from grantflow.client import judging
from grantflow.client.grant import Person
from grantflow.protocol.bearer import write_bearer
from grantflow.protocol.http import JSON, Request, Response, is_page
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import read_json_object

#: Authorization and token endpoint lie under it. Webex documents no revocation endpoint, so there is no default.
API_URL: Final = "https://webexapis.com/v1"


def authorization_endpoint(api_url: str) -> str:
    return f"{api_url}/authorize"


def token_endpoint(api_url: str) -> str:
    return f"{api_url}/access_token"


def whoami_request(api_url: str, access_token: Secret) -> Request:
    """Ask whose token it is; needs the scope spark:people_read (W29)."""
    headers = {"accept": JSON, "authorization": write_bearer(access_token)}
    return Request("GET", f"{api_url}/people/me", headers)


def is_away(response: Response) -> bool:
    """Whether the API said nothing of the person: it is out of order, or something on the way answered for it."""
    unreadable = 200 <= response.status < 300 and read_json_object(response.body) is None
    return judging.is_passing(response.status) or is_page(response) or unreadable


def read_person(response: Response) -> Person | None:
    """Read `{"id", "displayName", "emails"}`; None where the answer names nobody."""
    members = read_json_object(response.body) or {}
    person_id = members.get("id")
    if response.status != 200 or not isinstance(person_id, str) or not person_id:
        return None
    display_name, emails = members.get("displayName"), members.get("emails")
    email = emails[0] if isinstance(emails, list) and emails else None
    return Person(
        person_id=person_id,
        display_name=display_name if isinstance(display_name, str) else None,
        email=email if isinstance(email, str) else None,
    )
