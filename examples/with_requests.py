"""Spaces by requests: a session of ours, and any other session that is told to carry the grant."""

import requests
from own import settings, whoever_granted_last

from grantflow import Integration
from grantflow.client.adapters.requests import GrantSession, carry_grant

with Integration(**settings()) as integration:
    person_id = whoever_granted_last(integration.grants())
    with GrantSession(integration, person_id) as session:
        for room in session.get("rooms").json()["items"]:
            print(room["title"])

    own = requests.Session()  # yours, with adapters and hooks of its own
    carry_grant(own, integration, person_id)
    print(own.get(f"{integration.configuration.api_url}/people/me").json()["displayName"])
    own.close()
