"""requests-oauth2client's OAuth2AccessTokenAuth, its token written by its own serializer to a file.

When to write is left to the application: here after each call that has renewed it.
"""

from pathlib import Path

import requests
from calls import ByRequests
from requests_oauth2client import BearerToken, OAuth2AccessTokenAuth, OAuth2Client, TokenSerializer


def keep(place, tokens, code):
    Path(place["store"]).write_bytes(TokenSerializer().dumps(BearerToken(**tokens)))


class Client(ByRequests):
    def __init__(self, place):
        self.api_url, self.store = place["api_url"], Path(place["store"])
        client = OAuth2Client(
            token_endpoint=place["token_url"], auth=(place["client_id"], place["client_secret"]), testing=True
        )
        token = TokenSerializer().loads(self.store.read_bytes())
        self.auth = OAuth2AccessTokenAuth(client, token)
        self.written = token
        self.session = requests.Session()
        self.session.auth = self.auth

    def get(self):
        try:
            return super().get()
        finally:
            if self.auth.token is not self.written:
                self.written = self.auth.token
                self.store.write_bytes(TokenSerializer().dumps(self.written))
