"""wxc_sdk, unmodified, through Grantflow's adapter: the SDK's calls, with Grantflow's grants."""

from grantflow_integration import integration, keep
from wxc_sdk_api import Client as Unaided

from grantflow.client.adapters.wxc_sdk import webex_simple_api

__all__ = ["Client", "keep"]


class Client(Unaided):
    def __init__(self, place):
        self.api_url = place["api_url"]
        own = integration(place)
        (grant,) = own.grants()
        self.api = webex_simple_api(own, grant.person_id)

    def _session(self):
        return self.api.session
