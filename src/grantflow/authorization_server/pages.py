"""GET /authorize: where a person's browser comes and goes until the integration has its answer."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import Response

from grantflow.authorization_server.authorization import Asked, read
from grantflow.authorization_server.challenges import SeenChallenges
from grantflow.authorization_server.code import issue_code
from grantflow.authorization_server.dispatch import AskConsent, Ended, IssueCode, Refuse, SignIn, Step, next_step
from grantflow.authorization_server.open_requests import TooManyOpenRequests, check_room
from grantflow.authorization_server.ports import AuthorizationRequests
from grantflow.authorization_server.records import NewPendingRequest, Situation
from grantflow.authorization_server.settings import Settings
from grantflow.protocol.authorization import authorization_redirect, error_redirect
from grantflow.protocol.errors import InvalidRequest, TemporarilyUnavailable, UntrustedRequest
from grantflow.protocol.minting import Mint, mint_request_id
from grantflow.protocol.registration import CLIENT_ID
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.web.cookies import SESSION, Cookies
from grantflow.web.errors import PageError
from grantflow.web.headers import page_headers
from grantflow.web.pages import Pages
from grantflow.web.site import Link
from grantflow.web.throttle import sender

log = logging.getLogger("grantflow.authorization_server")

#: How often what was loaded may turn out to be outdated before the person is asked to come again.
ATTEMPTS = 8
_LOGIN_HINT_LIMIT = 254
_PLAIN_IN_ADDRESSES = ":/?#[]@!$&()*+,;=%"
_SHOWN_OF_ADDRESS = 200


@dataclass(frozen=True, slots=True)
class AuthorizationEndpoint:
    settings: Settings
    requests: AuthorizationRequests
    pages: Pages
    clock: Callable[[], datetime]
    mint: Mint
    challenges: SeenChallenges

    async def authorize(self, request: Request) -> Response:
        """A fresh request, or one that comes back from sign-in or consent as ``?request=ID``."""
        if request.method != "GET":
            raise _method_not_allowed()
        try:
            for _ in range(ATTEMPTS):
                if (response := await self._attempt(request)) is not None:
                    return response
        except TooManyOpenRequests as error:
            raise _too_many(error) from error
        except TemporarilyUnavailable as error:
            raise _unavailable(error) from error
        raise _unavailable(TemporarilyUnavailable("Too many requests for this grant at once.", retry_after=1))

    async def _attempt(self, request: Request) -> Response | None:
        """One round of load, decide, save; None where what was loaded is no longer so."""
        now, waiting = self.clock(), _waiting_id(request)
        cookie = Cookies(self.pages.site).read(request, SESSION)
        session = Secret(cookie).digest() if cookie else None
        if waiting is None:
            query = _query(request)
            asked = _read(query)
            situation = await self._situation(asked, session=session)
        else:
            situation = await self.requests.pending(waiting.digest(), session=session)
            if situation.pending is None:
                raise _ended(Ended(answered=False))
            query = situation.pending.query
            asked = _read(query)
        try:
            step = next_step(asked, situation, now=now)
        except UntrustedRequest as error:
            raise _untrusted(error, asked, situation, my_apps=self.settings.my_apps_page, now=now) from error
        at = sender(request)
        return await self._take(step, asked=asked, query=query, situation=situation, waiting=waiting, now=now, at=at)

    async def _situation(self, asked: Asked, *, session: bytes | None) -> Situation:
        client_id = asked.request.client_id
        if client_id is None or not CLIENT_ID.fullmatch(client_id):
            return Situation()
        return await self.requests.situation(client_id, session=session)

    # --- the steps -------------------------------------------------------------------------------------------------

    async def _take(
        self,
        step: Step,
        *,
        asked: Asked,
        query: str,
        situation: Situation,
        waiting: Secret | None,
        now: datetime,
        at: str,
    ) -> Response | None:
        match step:
            case Ended():
                raise _ended(step)
            case Refuse():
                return await self._refuse(step, situation=situation, now=now)
            case IssueCode():
                return await self._issue(step, now=now)
            case SignIn():
                waiting = waiting or await self._wait(
                    step, asked=asked, query=query, scopes=step.scopes, now=now, at=at
                )
                return self._send_to(self.settings.sign_in_page, waiting)
            case AskConsent():
                scopes = step.checked.scopes
                waiting = waiting or await self._wait(step, asked=asked, query=query, scopes=scopes, now=now, at=at)
                return self._send_to(self.settings.consent_page, waiting)

    async def _wait(
        self, step: SignIn | AskConsent, *, asked: Asked, query: str, scopes: Scopes, now: datetime, at: str
    ) -> Secret:
        """Keep the request while the person acts; only the hash of its id is stored. ``at`` is where it came from."""
        waiting = mint_request_id(self.mint)
        await self.requests.save(
            NewPendingRequest(
                digest=waiting.digest(),
                query=query,
                client_id=step.trusted.registration.client_id,
                scopes=scopes,
                redirect_uri=step.trusted.redirect_uri,
                login_hint=_login_hint(asked.request.login_hint),
                address=at,
                created_at=now,
                expires_at=now + self.settings.request_lifetime,
            ),
            check_room=partial(check_room, settings=self.settings),
        )
        return waiting

    async def _refuse(self, step: Refuse, *, situation: Situation, now: datetime) -> Response | None:
        if situation.pending and not await self.requests.answer(situation.pending.digest, now=now):
            return None
        client_id = step.trusted.registration.client_id
        log.info("authorization request of %s refused with %s: %s", client_id, step.error.code, step.error.reason)
        trusted = step.trusted
        return self._redirect(
            error_redirect(trusted.redirect_uri, step.error, state=trusted.state, issuer=self.settings.issuer)
        )

    async def _issue(self, step: IssueCode, *, now: datetime) -> Response | None:
        code, kept = issue_code(step, settings=self.settings, now=now, mint=self.mint)
        if not await self.requests.issue(kept):
            return None
        self._notice_constant_challenge(step)
        trusted = step.trusted
        return self._redirect(
            authorization_redirect(trusted.redirect_uri, code=code, state=trusted.state, issuer=self.settings.issuer)
        )

    def _notice_constant_challenge(self, step: IssueCode) -> None:
        trusted, challenge = step.trusted, step.checked.challenge
        client_id, request = trusted.registration.client_id, (step.session.person_id, trusted.state)
        if challenge and self.challenges.serves_again(client_id, challenge, request=request):
            log.warning("client %s sends one code_challenge for several requests; each needs its own", client_id)

    def _send_to(self, page: str, waiting: Secret) -> Response:
        return self.pages.redirect(f"{page}?request={quote(waiting.reveal(), safe='')}")

    def _redirect(self, address: str) -> Response:
        """303, so that nothing that was posted goes along (RFC 9700 section 4.12)."""
        headers = page_headers(self.pages.site, referrer="no-referrer")
        return Response(status_code=303, headers={**headers, "location": address})


# --- reading -----------------------------------------------------------------------------------------------------


def _query(request: Request) -> str:
    raw: bytes = request.scope["query_string"]
    return raw.decode("latin-1")


def _read(query: str) -> Asked:
    try:
        return read(query.encode("latin-1"))
    except InvalidRequest as error:
        raise PageError(
            error.status,
            "This request cannot be read",
            why=error.description,
            next_step="Go back to the integration and start again there. Its developer must mend the address.",
        ) from error


def _waiting_id(request: Request) -> Secret | None:
    """The id of a request that waited. With a client_id beside it, ``request`` is OpenID Connect's, and refused."""
    query = _query(request)
    if "request=" not in query:
        return None
    fields = parse_qs(query)
    waiting = fields.get("request", [])
    return Secret(waiting[0]) if len(waiting) == 1 and "client_id" not in fields else None


def _login_hint(hint: str | None) -> str | None:
    """What the email field is filled with; anything that cannot be an email is dropped."""
    return hint if hint and hint.isprintable() and len(hint) <= _LOGIN_HINT_LIMIT else None


# --- pages -------------------------------------------------------------------------------------------------------


def _untrusted(
    error: UntrustedRequest, asked: Asked, situation: Situation, *, my_apps: str, now: datetime
) -> PageError:
    """Never a redirect, nor a link (RFC 6749 section 4.1.2.1). What is registered is shown to the integration's owner
    alone; what was sent, to everybody.
    """
    next_step = error.fix
    session, registration = situation.session, situation.registration
    sent = asked.request.redirect_uri if registration else None
    called = f" The integration is called {registration.name}." if registration else ""
    if session and registration and session.lives(now) and session.person_id == situation.owner_id:
        next_step += f" Registered are: {', '.join(registration.redirect_uris)}."
    return PageError(
        400,
        f"The {error.parameter} of this request cannot be trusted",
        why=f"{error.description} Nothing was sent anywhere.{called}",
        next_step=next_step,
        actions=(Link("My Webex Apps", my_apps),) if my_apps else (),
        details=(("The redirect URI that was sent", _as_sent(sent)),) if sent else (),
        reason=f"{error.parameter}: {error.reason}",
    )


def _as_sent(uri: str) -> str:
    """Cut where it is long. What is not plain in an address is encoded, so that nobody's sentences stand there."""
    plain = quote(uri, safe=_PLAIN_IN_ADDRESSES, errors="replace")
    return plain if len(plain) <= _SHOWN_OF_ADDRESS else f"{plain[:_SHOWN_OF_ADDRESS]}…"


def _ended(step: Ended) -> PageError:
    if step.answered:
        title, why = "This request was answered already", "The integration has been told, and each request counts once."
    else:
        title, why = "This request has expired", "It was not finished in time, or this address is not complete."
    return PageError(
        400, title, why=why, next_step="To connect again, go back to the integration and start from there."
    )


def _method_not_allowed() -> PageError:
    return PageError(
        405,
        "This address cannot be opened like that",
        why="An authorization request is a GET (RFC 6749 section 3.1).",
        next_step="Go back to the integration and start again there.",
        headers={"allow": "GET"},
    )


def _too_many(error: TooManyOpenRequests) -> PageError:
    if error.status == 429:
        title = "Too many requests are open from your network"
        why = "Each time somebody is asked to connect an app, that is kept until it is answered. Yours was not kept."
        next_step = "Finish what you have begun elsewhere, or wait a few minutes. Then reload this page."
    else:
        title = "Very many people are connecting apps just now"
        why = "The platform keeps only so many unfinished requests at once. Yours was not kept."
        next_step = "Wait a minute, then reload this page."
    return PageError(
        error.status,
        title,
        why=why,
        next_step=next_step,
        kind="warning",
        reason=error.reason,
        headers={"retry-after": str(error.retry_after)},
    )


def _unavailable(error: TemporarilyUnavailable) -> PageError:
    return PageError(
        503,
        "This does not work just now",
        why="The platform cannot reach its records at the moment. Nothing was changed.",
        next_step="Wait a moment, then reload this page.",
        reason=error.reason,
        headers={"retry-after": str(error.retry_after or 1)},
    )
