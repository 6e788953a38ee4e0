"""httpx-auth's OAuth2AuthorizationCode over its own file of tokens, JsonTokenFileCache."""

import httpx
from calls import ByHttpx, NobodyIsThere
from httpx_auth import JsonTokenFileCache, OAuth2, OAuth2AuthorizationCode

TLS = httpx.create_ssl_context()  # made once: a process of its own is started from this one for each call


class Service(OAuth2AuthorizationCode):
    def request_new_token(self):
        """It would open a browser on this machine and wait a minute for somebody to consent."""
        raise NobodyIsThere


def service(place):
    return Service(
        place["url"] + "/oauth/authorize",
        place["token_url"],
        client_id=place["client_id"],
        client_secret=place["client_secret"],
        client=httpx.Client(verify=TLS),
    )


def keep(place, tokens, code):
    # As it does itself where the browser has brought the tokens.
    cache = JsonTokenFileCache(place["store"])
    cache._add_access_token(service(place).state, tokens["access_token"], tokens["expires_in"], tokens["refresh_token"])


class Client(ByHttpx):
    def __init__(self, place):
        self.api_url = place["api_url"]
        OAuth2.token_cache = JsonTokenFileCache(place["store"])
        self.session = httpx.Client(auth=service(place), timeout=30, verify=TLS)
