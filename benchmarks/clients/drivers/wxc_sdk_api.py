"""wxc_sdk: tokens cached in its YAML file, looked at before each call, which is when they are refreshed."""

import yaml
from calls import NobodyIsThere
from wxc_sdk import WebexSimpleApi
from wxc_sdk.integration import Integration
from wxc_sdk.rest import RestError, RestSession
from wxc_sdk.tokens import Tokens


class Service(Integration):
    def get_tokens_from_oauth_flow(self):
        """It would open a browser on this machine and wait two minutes for somebody to consent."""
        raise NobodyIsThere


def keep(place, tokens, code):
    kept = Tokens.model_validate(tokens)
    kept.set_expiration()
    with open(place["store"], "w") as file:
        yaml.safe_dump({**kept.model_dump(), "expires_at": kept.expires_at.isoformat()}, file)


class Client:
    def __init__(self, place):
        RestSession.BASE = place["api_url"]
        self.api_url, self.store = place["api_url"], place["store"]
        self.service = Service(
            client_id=place["client_id"],
            client_secret=place["client_secret"],
            scopes="read",
            redirect_url="http://localhost:6001/redirect",
            token_service=place["token_url"],
        )

    def _session(self):
        tokens = self.service.get_cached_tokens_from_yml(self.store)
        return WebexSimpleApi(tokens=tokens).session

    def get(self):
        return self._ask(lambda session: session.rest_get(self.api_url + "/me"))

    def post(self, body):
        return self._ask(lambda session: session.rest_post(self.api_url + "/upload", data=body))

    def multipart(self, file):
        return self._ask(lambda session: session.rest_post(self.api_url + "/upload", files={"file": file}))

    def _ask(self, call):
        """It raises RestError for whatever is no 2xx; for the table, that is the status that it carries."""
        try:
            call(self._session())
        except RestError as error:
            return error.response.status_code
        return 200
