"""requests-oauth2client's OAuth2AccessTokenAuth, its token written by its own serializer to a file.

It leaves keeping to the application: here as soon as the token has been renewed.
"""

from pathlib import Path

import requests
from calls import ByRequests
from requests_oauth2client import BearerToken, OAuth2AccessTokenAuth, OAuth2Client, TokenSerializer


class Kept(OAuth2AccessTokenAuth):
    store = None

    def renew_token(self):
        super().renew_token()
        self.store.write_bytes(TokenSerializer().dumps(self.token))


def keep(place, tokens, code):
    Path(place["store"]).write_bytes(TokenSerializer().dumps(BearerToken(**tokens)))


class Client(ByRequests):
    def __init__(self, place):
        self.api_url, store = place["api_url"], Path(place["store"])
        client = OAuth2Client(
            token_endpoint=place["token_url"], auth=(place["client_id"], place["client_secret"]), testing=True
        )
        self.session = requests.Session()
        self.session.auth = Kept(client, TokenSerializer().loads(store.read_bytes()))
        self.session.auth.store = store
