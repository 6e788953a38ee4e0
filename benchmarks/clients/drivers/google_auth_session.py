"""google-auth's user Credentials in an AuthorizedSession, kept in the file of an authorized user.

Google's quickstarts write that file whenever the credentials were refreshed. What reads it there
(`from_authorized_user_file`) would send refreshes to Google wherever the file says, so it is read by hand.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from calls import ByRequests
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials


def keep(place, tokens, code):
    credentials = Credentials(
        tokens["access_token"],
        refresh_token=tokens["refresh_token"],
        token_uri=place["token_url"],
        client_id=place["client_id"],
        client_secret=place["client_secret"],
        expiry=(datetime.now(UTC) + timedelta(seconds=tokens["expires_in"])).replace(tzinfo=None),
    )
    Path(place["store"]).write_text(credentials.to_json())


def read(info):
    return Credentials(
        info["token"],
        refresh_token=info["refresh_token"],
        token_uri=info["token_uri"],
        client_id=info["client_id"],
        client_secret=info["client_secret"],
        expiry=datetime.fromisoformat(info["expiry"]).replace(tzinfo=None),
    )


class Client(ByRequests):
    def __init__(self, place):
        self.api_url, self.store = place["api_url"], Path(place["store"])
        self.credentials = read(json.loads(self.store.read_text()))
        self.session = AuthorizedSession(self.credentials)
        self.written = self.credentials.token

    def get(self):
        if not self.credentials.valid:
            self.credentials.refresh(Request())
            self.write()
        try:
            return super().get()
        finally:
            self.write()  # where the session has refreshed because of a 401

    def write(self):
        if self.credentials.token != self.written:
            self.written = self.credentials.token
            self.store.write_text(self.credentials.to_json())
