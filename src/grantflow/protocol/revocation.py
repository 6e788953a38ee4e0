"""Token revocation (RFC 7009): the request in both directions."""

from dataclasses import dataclass

from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.http import FORM, JSON, Request, write_form
from grantflow.protocol.secret import Secret
from grantflow.protocol.token import ClientCredentials, authenticate, read_body, read_credentials


@dataclass(frozen=True, slots=True)
class Revocation:
    credentials: ClientCredentials
    token: Secret
    token_type_hint: str | None = None


def revocation_request(endpoint: str, revocation: Revocation) -> Request:
    headers, identity = authenticate(revocation.credentials)
    fields = {"token": revocation.token.reveal(), "token_type_hint": revocation.token_type_hint, **identity}
    pairs = [(name, value) for name, value in fields.items() if value is not None]
    return Request("POST", endpoint, {"content-type": FORM, "accept": JSON, **headers}, write_form(pairs))


def read_revocation_request(request: Request) -> Revocation:
    """Read ``POST /revoke``; a wrong or unknown hint is only a hint (RFC 7009 section 2.1).

    Raises:
        InvalidRequest: no token, or repeated parameters.
        UnsupportedMediaType: not form-encoded.
        InvalidClient: malformed Basic credentials.
    """
    fields = read_body(request)
    credentials = read_credentials(request, fields)
    if "token" not in fields:
        raise InvalidRequest("The parameter 'token' is missing.")
    return Revocation(credentials, Secret(fields["token"]), fields.get("token_type_hint"))
