"""Who is looking at a page: the session behind the cookie, the account shown for it, the form tokens bound to it."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from grantflow.protocol.secret import Secret
from grantflow.resource_owner.paths import SIGN_OUT
from grantflow.resource_owner.ports import Sessions
from grantflow.resource_owner.records import Session
from grantflow.resource_owner.settings import ResourceOwnerSettings
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.csrf import FormGuard, session_binding
from grantflow.web.site import Account


@dataclass(frozen=True, slots=True)
class Visits:
    """Begins, finds and ends sessions. Only the hash of a session's id is stored, and no id outlives a sign-in."""

    sessions: Sessions
    guard: FormGuard
    settings: ResourceOwnerSettings
    mint: Callable[[int], bytes]

    async def session(self, request: Request, *, now: datetime) -> Session | None:
        sent = self._cookies.read(request, SESSION)
        return await self.sessions.find(Secret(sent).digest(), now=now) if sent else None

    async def begin(self, request: Request, response: Response, *, person_id: str, now: datetime) -> None:
        """Sign the person in under a new id, whatever id the browser brought (session fixation)."""
        sent = self._cookies.read(request, SESSION)
        token = Secret(base64.urlsafe_b64encode(self.mint(32)).rstrip(b"=").decode("ascii"))
        lifetime = self.settings.session_lifetime
        await self.sessions.begin(
            token.digest(),
            person_id=person_id,
            now=now,
            expires_at=now + timedelta(seconds=lifetime),
            instead_of=Secret(sent).digest() if sent else None,
        )
        self._cookies.set(response, SESSION, token.reveal(), max_age=lifetime)

    async def end(self, session: Session, response: Response, *, now: datetime) -> None:
        revoke_grants_at = now if self.settings.revoke_on_sign_out else None
        await self.sessions.end(session.token_hash, revoke_grants_at=revoke_grants_at)
        self._cookies.clear(response, SESSION)

    def account(self, session: Session | None) -> Account | None:
        if session is None:
            return None
        return Account(
            session.display_name,
            session.email,
            links=self.settings.account_links + (self.settings.admin_links if session.is_admin else ()),
            sign_out=SIGN_OUT,
            form_token=self.guard.token(binding(session)),
        )

    @property
    def _cookies(self) -> Cookies:
        return Cookies(self.guard.site)


def binding(session: Session, request_id: str = "") -> str:
    """What a form of this session is bound to; a consent form to its request too."""
    return session_binding(session.token_hash, request_id)
