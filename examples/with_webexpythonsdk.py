"""Spaces by webexpythonsdk, unmodified, for as long as the grant lives: also where a long list outlives its token."""

from own import settings, whoever_granted_last

from grantflow import Integration
from grantflow.client.adapters.webexpythonsdk import webex_api

with Integration(**settings()) as integration:
    person_id = whoever_granted_last(integration.grants())
    webex = webex_api(integration, person_id)
    for room in webex.rooms.list():
        print(room.title)
