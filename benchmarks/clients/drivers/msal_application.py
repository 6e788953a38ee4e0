"""MSAL's ConfidentialClientApplication over its SerializableTokenCache, the API called by requests.

It hands out tokens and does not call: before each call it is asked for one, and the cache is written to a file where it
has changed, both as its documentation shows. It speaks https alone, and it knows a person by an id_token.
"""

from pathlib import Path

import requests
from calls import ByRequests, NoToken
from msal import ConfidentialClientApplication, SerializableTokenCache

SCOPES = ["read"]


def application(place, cache):
    return ConfidentialClientApplication(
        place["client_id"],
        client_credential=place["client_secret"],
        oidc_authority=place["url"] + "/tenant",
        token_cache=cache,
        verify=place["certificate"],
    )


def redeem(place, cache, code):
    redirect_uri = "http://localhost/oauth"
    made = application(place, cache).acquire_token_by_authorization_code(code, SCOPES, redirect_uri=redirect_uri)
    if "error" in made:
        raise RuntimeError(made)


def keep(place, tokens, code):
    cache = SerializableTokenCache()
    redeem(place, cache, code)
    Path(place["store"]).write_text(cache.serialize())


class Client(ByRequests):
    def __init__(self, place):
        self.api_url, self.store = place["api_url"], Path(place["store"])
        self.cache = self.opened(place)
        self.application = application(place, self.cache)
        (self.account,) = self.application.get_accounts()
        self.session = requests.Session()
        self.session.verify = place["certificate"]

    def opened(self, place):
        cache = SerializableTokenCache()
        cache.deserialize(self.store.read_text())
        return cache

    def save(self):
        if self.cache.has_state_changed:
            self.store.write_text(self.cache.serialize())

    @property
    def options(self):
        result = self.application.acquire_token_silent(SCOPES, account=self.account)
        self.save()
        if not result or "access_token" not in result:
            raise NoToken(f"acquire_token_silent gave {result}")
        return {"headers": {"Authorization": f"Bearer {result['access_token']}"}}
