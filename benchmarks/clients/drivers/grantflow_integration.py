"""Grantflow: its vault, and the HTTP client that it hands out."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from calls import ByHttpx

from grantflow import Integration, KeyRing, SqliteVault

REDIRECT_URI = "http://localhost:8000/oauth"


def integration(place):
    key = Path(place["store"] + ".key")
    if not key.exists():
        key.write_text(KeyRing.new_key())
    return Integration(
        place["client_id"],
        place["client_secret"],
        redirect_uri=REDIRECT_URI,
        scopes="read",
        vault=SqliteVault(place["store"], keys=KeyRing(key.read_text())),
        api_url=place["api_url"],
        token_endpoint=place["token_url"],
    )


def keep(place, tokens, code):
    with integration(place) as own:
        begun = own.authorization_request()
        (state,) = parse_qs(urlsplit(begun.url).query)["state"]
        answer = f"{REDIRECT_URI}?code={code}&state={state}"
        own.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})


class Client(ByHttpx):
    def __init__(self, place):
        self.api_url = place["api_url"]
        own = integration(place)
        (grant,) = own.grants()
        self.session = own.client_for(grant.person_id)
