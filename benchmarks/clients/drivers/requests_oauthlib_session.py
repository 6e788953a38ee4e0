"""requests-oauthlib's OAuth2Session with `auto_refresh_url` and `token_updater`, on oauthlib.

What the updater saves into is the application's: here a file, replaced as a whole.
"""

import json
import os
import threading
import time
from pathlib import Path

from calls import ByRequests
from requests_oauthlib import OAuth2Session

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain http, as its documentation says for a local server


def save(place, token):
    new = Path(f"{place['store']}.{os.getpid()}.{threading.get_ident()}")
    new.write_text(json.dumps(token))
    new.replace(place["store"])


def keep(place, tokens, code):
    save(place, {**tokens, "expires_at": time.time() + tokens["expires_in"]})


class Client(ByRequests):
    def __init__(self, place):
        self.api_url = place["api_url"]
        self.session = OAuth2Session(
            place["client_id"],
            token=json.loads(Path(place["store"]).read_text()),
            auto_refresh_url=place["token_url"],
            auto_refresh_kwargs={"client_id": place["client_id"], "client_secret": place["client_secret"]},
            token_updater=lambda token: save(place, token),
        )
