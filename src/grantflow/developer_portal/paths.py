"""Where the developer portal's pages lie, below the platform's public address."""

MY_APPS = "/my-apps"
NEW = f"{MY_APPS}/new"
NEW_INTEGRATION = f"{NEW}/integration"
NEW_BOT = f"{NEW}/bot"
BOTS = f"{MY_APPS}/bots"
APP_HUB = "/app-hub"
SCOPES = "/scopes"


def app(client_id: str) -> str:
    return f"{MY_APPS}/{client_id}"


def registration(client_id: str) -> str:
    return f"{app(client_id)}/registration"


def secret(client_id: str) -> str:
    return f"{app(client_id)}/secret"


def deletion(client_id: str) -> str:
    return f"{app(client_id)}/deletion"


def people(client_id: str) -> str:
    return f"{app(client_id)}/people"


def expiry(client_id: str, grant_id: str) -> str:
    return f"{people(client_id)}/{grant_id}/expiry"


def revocation(client_id: str, grant_id: str) -> str:
    return f"{people(client_id)}/{grant_id}/revocation"


def hub_entry(client_id: str) -> str:
    return f"{APP_HUB}/{client_id}"


def bot(username: str) -> str:
    return f"{BOTS}/{username}"


def bot_token(username: str) -> str:
    return f"{bot(username)}/token"


def bot_deletion(username: str) -> str:
    return f"{bot(username)}/deletion"
