"""A whole integration for the terminal: get a grant, keep it sealed, call the API in the person's name."""

from os import environ

from grantflow import GrantflowError, Integration, KeyRing, open_vault

try:
    integration = Integration(
        environ.get("GRANTFLOW_CLIENT_ID", ""),
        environ.get("GRANTFLOW_CLIENT_SECRET", ""),
        redirect_uri=environ.get("GRANTFLOW_REDIRECT_URI", ""),
        scopes="spark:people_read spark:rooms_read",
        vault=open_vault(environ.get("GRANTFLOW_VAULT", "grants.db"), keys=KeyRing.from_env()),
        api_url=environ.get("GRANTFLOW_API_URL", "https://webexapis.com/v1"),
    )
except GrantflowError as error:
    raise SystemExit(str(error)) from None
except ValueError as error:  # a setting is missing or cannot be used
    raise SystemExit(f'{error}\nBeside ./dev up, run: eval "$(./dev grantflow status -o env)"') from None
begun = integration.authorization_request()
print("Open this address and press Accept:", begun.url)
try:
    answer = input("Paste the address that you were sent to: ")
    grant = integration.complete_authorization(answer, {begun.cookie.name: begun.cookie.value})
except EOFError:
    raise SystemExit("\nNothing was pasted, so nothing was granted. Run it again in a terminal.") from None
except GrantflowError as error:
    raise SystemExit(f"{error}\nRun it again, and paste the whole address, with code= and state=.") from error
for room in integration.client_for(grant.person_id).get("rooms").json()["items"]:
    print(room["title"])
