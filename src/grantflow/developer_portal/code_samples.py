"""A first program against the platform, filled in with one integration's own ids; the secret is left to its `.env`."""

import json
from shlex import quote
from urllib.parse import urljoin

from grantflow.developer_portal.authorization_address import endpoints_elsewhere
from grantflow.developer_portal.records import Integration
from grantflow.protocol.registration import ClientType

_SECRET = "GRANTFLOW_CLIENT_SECRET"


def code_samples(integration: Integration, *, api_url: str, authorization_endpoint: str) -> list[tuple[str, str]]:
    """By what they are written in: with Grantflow's library the whole grant, else what follows on the code."""
    elsewhere = endpoints_elsewhere(authorization_endpoint, api_url=api_url)
    token_endpoint = urljoin(authorization_endpoint, "access_token")
    samples = [("Python, with Grantflow", _grantflow(integration, api_url, elsewhere=elsewhere))]
    if not integration.registration.needs_pkce:  # by hand the verifier would have to be made, and kept, as well
        samples.append(("Python, with requests", _requests(integration, api_url, token_endpoint=token_endpoint)))
    return [*samples, ("curl", _curl(integration, token_endpoint))]


def _grantflow(integration: Integration, api_url: str, *, elsewhere: dict[str, str]) -> str:
    registration = integration.registration
    addresses = "".join(f"\n    {name}={_python(url)}," for name, url in {"api_url": api_url, **elsewhere}.items())
    is_public = registration.client_type is ClientType.PUBLIC
    secret = "" if is_public else f'\n    environ["{_SECRET}"],'
    reads_secret = "" if is_public else "from os import environ\n\n"
    return f"""\
{reads_secret}from grantflow import Integration, KeyRing, SqliteVault

integration = Integration(
    {_python(registration.client_id)},{secret}
    redirect_uri={_python(registration.redirect_uris[0])},
    scopes={_python(str(registration.scopes))},
    vault=SqliteVault("grants.db", keys=KeyRing.from_env()),{addresses}
)
begun = integration.authorization_request()
print("Open this address and press Accept:", begun.url)
answer = input("Paste the address that you were sent to: ")
grant = integration.complete_authorization(answer, {{begun.cookie.name: begun.cookie.value}})
print(integration.client_for(grant.person_id).get("people/me").json())
"""


def _requests(integration: Integration, api_url: str, *, token_endpoint: str) -> str:
    registration = integration.registration
    return f"""\
from os import environ

import requests

answer = requests.post(
    {_python(token_endpoint)},
    data={{
        "grant_type": "authorization_code",
        "client_id": {_python(registration.client_id)},
        "client_secret": environ["{_SECRET}"],
        "code": input("The code that came to the redirect URI: "),
        "redirect_uri": {_python(registration.redirect_uris[0])},
    }},
    timeout=30,
)
answer.raise_for_status()
bearer = {{"Authorization": "Bearer " + answer.json()["access_token"]}}
print(requests.get({_python(f"{api_url}/people/me")}, headers=bearer, timeout=30).json())
"""


def _curl(integration: Integration, token_endpoint: str) -> str:
    registration = integration.registration
    fields = ["-d grant_type=authorization_code", f"-d client_id={registration.client_id}"]
    if registration.client_type is not ClientType.PUBLIC:
        fields.append(f'-d client_secret="${_SECRET}"')
    fields.append('-d code="$CODE"')
    if registration.needs_pkce:
        fields.append('-d code_verifier="$CODE_VERIFIER"')
    fields.append(f"--data-urlencode {quote(f'redirect_uri={registration.redirect_uris[0]}')}")
    return " \\\n  ".join([f"curl {quote(token_endpoint)}", *fields]) + "\n"


def _python(text: str) -> str:
    return json.dumps(text)
