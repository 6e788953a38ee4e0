"""A whole integration for the terminal: get a grant, keep it sealed, call the API in the person's name."""

from os import environ

from grantflow import Integration, KeyRing, SqliteVault

integration = Integration(
    environ["GRANTFLOW_CLIENT_ID"],
    environ["GRANTFLOW_CLIENT_SECRET"],
    redirect_uri=environ["GRANTFLOW_REDIRECT_URI"],
    scopes="spark:people_read spark:rooms_read",
    vault=SqliteVault("grants.db", keys=KeyRing.from_env()),
    api_url=environ.get("GRANTFLOW_API_URL", "https://webexapis.com/v1"),
)
begun = integration.authorization_request()
print("Open this address and press Accept:", begun.url)
answer = input("Paste the address that you were sent to: ")
grant = integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
for room in integration.client_for(grant.person_id).get("rooms").json()["items"]:
    print(room["title"])
