"""What a bot must be like to be registered here, and the one token that it acts with (W04).

A bot is an account of its own: nobody grants it anything, and it signs in nowhere. The rules are pure; storage keeps
what they answer, and says whether a username is taken.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from grantflow.developer_portal.records import Bot, NewBotToken
from grantflow.developer_portal.registration import (
    NAME_LIMIT,
    InvalidRegistration,
    description_problem,
    lines,
    read_name,
)
from grantflow.protocol.minting import Mint, mint_token, mint_uuid
from grantflow.protocol.scope import ALL, KMS, Scopes
from grantflow.protocol.secret import Secret
from grantflow.web.icons import OWN_ICONS

#: What stands behind the username in a bot's email, as at Webex; no mail ever goes there.
DOMAIN = "webex.bot"
USERNAME_LIMIT = 60
#: Webex's bot tokens do not run out in anybody's lifetime either.
TOKEN_LIFETIME = timedelta(days=36_525)
#: All that a person may do, in the bot's own name and in the rooms that it is in.
SCOPES = Scopes.of(ALL, KMS)

USERNAME_TAKEN = "Another bot or person has this username already, or had it once; choose another."

_USERNAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class BotApplication:
    """What a developer asks to register: form fields as typed."""

    username: str
    name: str
    description: str = ""
    owner_id: str | None = None
    icon: str = ""


@dataclass(frozen=True, slots=True)
class RegisteredBot:
    """``token`` is shown this one time and not kept."""

    bot: Bot
    token: Secret
    kept_token: NewBotToken


def register_bot(application: BotApplication, *, org_id: str, now: datetime, mint: Mint) -> RegisteredBot:
    """Give a bot its id, its email and its token. ``org_id`` is the organization of whoever registers it.

    Raises:
        InvalidRegistration: all that is wrong, field by field.
    """
    problems: dict[str, str] = {}
    username = read_username(application.username)
    if len(username) > USERNAME_LIMIT or not _USERNAME.fullmatch(username):
        problems["username"] = (
            f"The username must have 1 to {USERNAME_LIMIT} letters and digits, with single dots, dashes or "
            "underscores between them."
        )
    name = read_name(application.name)
    if not name:
        problems["name"] = "The bot needs a name; people see it beside what it says."
    elif len(name) > NAME_LIMIT or not name.isprintable():
        problems["name"] = f"The name must have at most {NAME_LIMIT} characters, all of them printable."
    if problem := description_problem(application.description):
        problems["description"] = problem
    if application.icon and application.icon not in OWN_ICONS:
        problems["icon"] = "Choose one of these icons, or the name's first letter."
    if problems:
        raise InvalidRegistration(problems)
    bot = Bot(
        id=str(mint_uuid(mint)),
        username=username,
        email=f"{username}@{DOMAIN}",
        name=name,
        org_id=org_id,
        created_at=now,
        description=lines(application.description),
        owner_id=application.owner_id,
        icon=application.icon or None,
    )
    token, kept = new_bot_token(bot.org_id, now=now, mint=mint)
    return RegisteredBot(bot, token, kept)


def new_bot_token(org_id: str, *, now: datetime, mint: Mint) -> tuple[Secret, NewBotToken]:
    """A bot's token, to be shown once, and what is kept of it."""
    token = mint_token(mint, org_id=org_id)
    return token, NewBotToken(token.digest(), SCOPES, issued_at=now, expires_at=now + TOKEN_LIFETIME)


def read_username(text: str) -> str:
    """Lower case; whoever types the whole email means its username."""
    return text.strip().lower().removesuffix(f"@{DOMAIN}")
