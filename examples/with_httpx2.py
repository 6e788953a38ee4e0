"""Spaces by an httpx2 client of one's own: hooks, limits and timeouts as you like them, a living token on each call."""

import httpx2
from own import settings, whoever_granted_last

from grantflow import Integration
from grantflow.client.adapters.httpx2 import grant_auth

with Integration(**settings()) as integration:
    person_id = whoever_granted_last(integration.grants())
    api_url = integration.configuration.api_url
    with httpx2.Client(base_url=api_url, auth=grant_auth(integration, person_id)) as client:
        for room in client.get("rooms").raise_for_status().json()["items"]:
            print(room["title"])
