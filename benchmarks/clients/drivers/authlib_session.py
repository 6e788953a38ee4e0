"""Authlib's OAuth2Session (requests), with `update_token` and a table of tokens, as in its documentation."""

from authlib.integrations.requests_client import OAuth2Session
from authlib_table import keep, load, updater
from calls import ByRequests

__all__ = ["Client", "keep"]


class Client(ByRequests):
    def __init__(self, place):
        self.api_url = place["api_url"]
        self.session = OAuth2Session(
            place["client_id"],
            place["client_secret"],
            token_endpoint=place["token_url"],
            token=load(place),
            update_token=updater(place),
        )
