"""How a server of OpenID Connect tells who a person is (OpenID Connect Core 1.0, section 5.3)."""

from grantflow.client.grant import Person
from grantflow.protocol.bearer import write_bearer
from grantflow.protocol.http import JSON, Request, Response
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import read_json_object


def whoami_request(endpoint: str, access_token: Secret) -> Request:
    """Ask whose token it is; most servers want the scope openid for it."""
    return Request("GET", endpoint, {"accept": JSON, "authorization": write_bearer(access_token)})


def read_person(response: Response) -> Person | None:
    """Read `{"sub", "name", "email"}`; None where the answer names nobody. Only `sub` is always there."""
    members = read_json_object(response.body) or {}
    subject = members.get("sub")
    if response.status != 200 or not isinstance(subject, str) or not subject:
        return None
    name, email = members.get("name") or members.get("preferred_username"), members.get("email")
    return Person(
        person_id=subject,
        display_name=name if isinstance(name, str) else None,
        email=email if isinstance(email, str) else None,
    )
