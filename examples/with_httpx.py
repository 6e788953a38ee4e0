"""Spaces by a client of httpx 0.28; an AsyncIntegration serves its AsyncClient in the same way."""

import httpx
from own import settings, whoever_granted_last

from grantflow import Integration
from grantflow.client.adapters.httpx import grant_auth

with Integration(**settings()) as integration:
    person_id = whoever_granted_last(integration.grants())
    api_url = integration.configuration.api_url
    with httpx.Client(base_url=api_url, auth=grant_auth(integration, person_id)) as client:
        for room in client.get("rooms").raise_for_status().json()["items"]:
            print(room["title"])
