"""A bot's pages: New Bot, its token shown once, its details, another token, its deletion (W04)."""

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal import paths
from grantflow.developer_portal.bots import (
    DOMAIN,
    USERNAME_LIMIT,
    USERNAME_TAKEN,
    BotApplication,
    new_bot_token,
    read_username,
    register_bot,
)
from grantflow.developer_portal.form_page import is_stale
from grantflow.developer_portal.portal import Portal, not_yours, version_of
from grantflow.developer_portal.ports import Bots
from grantflow.developer_portal.records import Bot, Session
from grantflow.developer_portal.registration import DESCRIPTION_LIMIT, NAME_LIMIT, InvalidRegistration, check_number
from grantflow.protocol.secret import Secret
from grantflow.web.errors import PageError
from grantflow.web.forms import read_form
from grantflow.web.icons import OWN_ICONS
from grantflow.web.site import Link

_LIMITS = {"name": NAME_LIMIT, "username": USERNAME_LIMIT + len(f"@{DOMAIN}"), "description": DESCRIPTION_LIMIT}


@dataclass(frozen=True, slots=True)
class BotPages:
    portal: Portal
    bots: Bots

    # --- a new one ---------------------------------------------------------------------------------------------------

    async def form(self, request: Request, session: Session) -> Response:
        return self._form(request, session, _read(request.query_params, session))

    async def submitted(self, request: Request, session: Session) -> Response:
        fields = await read_form(request)
        application = _read(fields, session)
        if stale := is_stale(self.portal, request, fields, session=session, again=paths.NEW_BOT):
            return self._form(request, session, application, errors={"": stale})
        try:
            owned = await self.bots.count(session.person_id)
            check_number(owned, "bots, with those that you deleted", is_admin=session.is_admin)
            made = register_bot(application, org_id=session.org_id, now=self.portal.clock(), mint=self.portal.mint)
        except InvalidRegistration as error:
            return self._form(request, session, application, errors=error.problems)
        if not await self.bots.add(made.bot, made.kept_token):
            there = await self.bots.find(made.bot.username)
            if there and there.owner_id == session.person_id:
                raise _made_already(there)
            return self._form(request, session, application, errors={"username": USERNAME_TAKEN})
        return self._shown_once(request, session, made.bot, made.token, is_new=True)

    # --- one of one's own --------------------------------------------------------------------------------------------

    async def page(self, request: Request, session: Session) -> Response:
        bot = await self._own(request, session)
        return self.portal.page(request, "bot.html", session, bot=bot, rooms=await self.bots.rooms_of(bot.id))

    async def confirm_token(self, request: Request, session: Session) -> Response:
        return self.portal.page(request, "bot_token.html", session, bot=await self._own(request, session))

    async def regenerated(self, request: Request, session: Session) -> Response:
        fields = await read_form(request)
        bot = await self._own(request, session)
        self.portal.check(request, fields, session, again=paths.bot_token(bot.username))
        token, kept = new_bot_token(bot.org_id, now=self.portal.clock(), mint=self.portal.mint)
        if not await self.bots.replace_token(bot.id, kept, version=version_of(fields)):
            raise _regenerated_already(bot)
        return self._shown_once(request, session, bot, token, is_new=False)

    async def confirm_deletion(self, request: Request, session: Session) -> Response:
        return await self._deletion(request, session, await self._own(request, session))

    async def deleted(self, request: Request, session: Session) -> Response:
        fields = await read_form(request)
        bot = await self._own(request, session)
        self.portal.check(request, fields, session, again=paths.bot_deletion(bot.username))
        if read_username(fields.get("username", "")) != bot.username:
            return await self._deletion(request, session, bot, typed=fields.get("username", ""))
        await self.bots.delete(bot.id, now=self.portal.clock())
        proof = self.portal.proof(session, f"deleted-bot {bot.username}")
        return self.portal.redirect(paths.MY_APPS, **{"deleted-bot": bot.username, "proof": proof})

    # --- answers -----------------------------------------------------------------------------------------------------

    async def _own(self, request: Request, session: Session) -> Bot:
        bot = await self.bots.find(str(request.path_params["username"]))
        if bot is None or bot.owner_id != session.person_id:
            raise not_yours()
        return bot

    def _form(
        self,
        request: Request,
        session: Session,
        typed: BotApplication,
        *,
        errors: Mapping[str, str] | None = None,
    ) -> Response:
        found = errors or {}
        return self.portal.page(
            request,
            "bot_form.html",
            session,
            400 if found else 200,
            typed=typed,
            errors={name: found[name] for name in ("", "name", "username", "icon", "description") if name in found},
            limits=_LIMITS,
            domain=DOMAIN,
            own_icons=OWN_ICONS,
        )

    def _shown_once(self, request: Request, session: Session, bot: Bot, token: Secret, *, is_new: bool) -> Response:
        """The answer is kept nowhere (Cache-Control: no-store), and to ask again is another request."""
        return self.portal.page(
            request,
            "bot_shown_once.html",
            session,
            201,
            bot=bot,
            token=token.reveal(),
            environment=f"WEBEX_ACCESS_TOKEN={quote(token.reveal())}\n",
            api_url=self.portal.settings.api_url,
            is_new=is_new,
        )

    async def _deletion(self, request: Request, session: Session, bot: Bot, *, typed: str | None = None) -> Response:
        wrong = {"username": "Type the bot's username as it stands above."} if typed is not None else {}
        return self.portal.page(
            request,
            "bot_deletion.html",
            session,
            400 if wrong else 200,
            bot=bot,
            rooms=await self.bots.rooms_of(bot.id),
            typed=typed or "",
            errors=wrong,
        )


def _read(fields: Mapping[str, str], session: Session) -> BotApplication:
    """The sent form, or the query of an address that fills it in beforehand."""
    return BotApplication(
        fields.get("username", ""),
        fields.get("name", ""),
        description=fields.get("description", ""),
        owner_id=session.person_id,
        icon=fields.get("icon", ""),
    )


def _made_already(bot: Bot) -> PageError:
    return PageError(
        409,
        "You have this bot already",
        why=f"{bot.email} is yours; perhaps the form was sent twice. Its token was shown in the first answer, and only "
        "there.",
        next_step="If you have not stored the token, regenerate it: you get a new one, and the first one ends.",
        actions=(
            Link("Go to the bot", paths.bot(bot.username), "primary"),
            Link("Regenerate the token", paths.bot_token(bot.username)),
        ),
        kind="info",
        reason="the username is that of another bot of the same person",
    )


def _regenerated_already(bot: Bot) -> PageError:
    return PageError(
        409,
        "Nothing was regenerated",
        why="The bot was given another token after this form was opened; perhaps the form was sent twice. A new token "
        "is shown in the first answer, and only there.",
        next_step="If you have stored it, all is well. If not, regenerate the token once more.",
        actions=(
            Link("Go to the bot", paths.bot(bot.username), "primary"),
            Link("Regenerate the token", paths.bot_token(bot.username)),
        ),
        kind="info",
        reason="the form names a version that is outdated",
    )
